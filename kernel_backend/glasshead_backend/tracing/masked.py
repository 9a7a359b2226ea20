"""Pseudo-perplexity: what an encoder expects at each place when the token there is masked.

Salazar, Liang, Nguyen, Kirchhoff: Masked Language Model Scoring (ACL 2020). Every token is masked
once, in a copy of the text of its own, and predicted from all others on both sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.progress import steps
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.body import fills_masks, short_unembedding, unembedding_of
from glasshead_backend.running.forward import forward, inputs_of
from glasshead_backend.running.logits import NextTokenLogits
from glasshead_backend.tracing.scores import scores_of
from glasshead_backend.tracing.unattended import scored_run
from glasshead_backend.tracing.windows import joined

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.run import Run
    from glasshead_backend.tracing.subject import Subject

_TOKENS_AT_ONCE = 4096
"""Tokens in one forward pass, in as many copies of the text."""


def score_masked(subject: Subject, sides: Sides) -> Run:
    """Score every token of a text by masking it; special tokens have no score.

    Raises
    ------
    ValueError
        For a model that was not made to fill masks, or a tokenizer without a mask token.
    """
    mask = _mask_token(subject)
    text, model = sides.first, subject.model
    inputs = inputs_of(model, text.ids, token_types=text.token_types)
    n_tokens = len(text.tokens)
    places = torch.arange(n_tokens, device=inputs["input_ids"].device)
    parts: list[NextTokenLogits] = []
    scores: list[Tensor] = []
    with scored_run(subject, sides, masked=True) as finish:
        chunks = places.split(max(1, _TOKENS_AT_ONCE // n_tokens))
        for chunk in steps(chunks, "masking one token after the other", len(chunks)):
            copies = {name: row.repeat(len(chunk), 1) for name, row in inputs.items()}
            copies["input_ids"].scatter_(1, chunk[:, None], mask)
            with for_a_trace(model):
                parts.append(_at(subject, copies, chunk))
                true = inputs["input_ids"][0, chunk].tolist()
                scores.append(scores_of(parts[-1], true))
        special = torch.tensor([token.special for token in text.tokens])
        found = torch.cat(scores, dim=1)
        found = found.masked_fill(special.to(found.device), torch.nan)
        return finish(joined(parts), found)


def _mask_token(subject: Subject) -> int:
    model = type(subject.model).__name__
    if not fills_masks(subject.model):
        raise ValueError(
            f"{model} reads the whole text at once and was not made to fill masks, so it says of "
            "no token how likely it is. Load the model with AutoModelForMaskedLM, or another with "
            "AutoModelForCausalLM."
        )
    tokenizer: Any = subject.tokenizer
    mask: int | None = tokenizer.mask_token_id
    if mask is None:
        raise ValueError(
            f"The tokenizer of {subject.name} has no mask token, which pseudo-perplexity puts in "
            "the place of each token. Set tokenizer.mask_token to the one that the model was "
            "trained with."
        )
    return mask


def _at(subject: Subject, inputs: dict[str, Tensor], places: Tensor) -> NextTokenLogits:
    """Logits of one place of each copy."""
    model: Any = subject.model
    rows = torch.arange(len(places), device=places.device)
    if not subject.anatomy.plain_unembedding:
        logits = forward(model, inputs).logits[rows, places]
        return NextTokenLogits(logits=logits, n_vocabulary=logits.shape[-1])
    unembedding = unembedding_of(model)
    assert unembedding is not None
    with short_unembedding(unembedding) as kept:
        n_vocabulary = forward(model, inputs).logits.shape[-1]
    return NextTokenLogits(
        hidden=kept[0][rows, places], unembedding=unembedding, n_vocabulary=n_vocabulary
    )
