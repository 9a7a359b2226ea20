"""How probable continuations of a prompt are: cloze probability, as a model sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import ShownAsTable, table
from glasshead_backend.progress import steps
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.logits import run_for_logits
from glasshead_backend.tracing.given import Reading, given
from glasshead_backend.tracing.reading import read
from glasshead_backend.tracing.scores import prediction_shift, scores_together
from glasshead_backend.tracing.together import batch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.tracing.subject import Subject

_BATCH = 8


@travels
@dataclass(frozen=True, eq=False, repr=False)
class Continuations(ShownAsTable):
    """How probable continuations of a prompt are.

    Attributes
    ----------
    prompt : str
    texts : tuple of str
        The continuations, as they were given.
    tokens : tuple of tuple of Token
        The tokens of each.
    token_surprisal : tuple of Tensor
        ``-log p(token | prompt, tokens before)`` of each, nats, ``[tokens]`` float32.
    """

    prompt: str
    texts: tuple[str, ...]
    tokens: tuple[tuple[Token, ...], ...]
    token_surprisal: tuple[Float[Tensor, " token"], ...]

    @property
    def surprisal(self) -> Float[Tensor, " continuation"]:
        """Surprisal of every continuation: the sum over its tokens, nats."""
        return torch.stack([own.sum() for own in self.token_surprisal])

    @property
    def probability(self) -> Float[Tensor, " continuation"]:
        """Probability of every continuation: the product over its tokens."""
        return self.surprisal.neg().exp()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per continuation; surprisal in nats."""
        return table(
            {
                "continuation": list(self.texts),
                "n_tokens": [len(own) for own in self.tokens],
                "surprisal": self.surprisal.numpy(),
                "probability": self.probability.numpy(),
            }
        )

    def _what(self) -> str:
        return f"Continuations of {self.prompt!r:.100}"


@answered
def score_continuations(
    subject: Subject, prompt: str, texts: Sequence[str], reading: Reading
) -> Continuations:
    """Return how probable each continuation is; see :meth:`Lens.score_continuation`."""
    if subject.family == "encoder":
        raise ValueError(
            f"{subject.name} is an encoder: it predicts no next token, so a continuation has no "
            "probability. score(text) masks the tokens of a whole text."
        )
    sides, n_own = zip(*(_read(subject, prompt, text, reading) for text in texts), strict=True)
    surprisal = _surprisal(subject, sides)
    parts = tuple(own[-n:] for own, n in zip(surprisal, n_own, strict=True))
    tokens = tuple(one.scored.tokens[-n:] for one, n in zip(sides, n_own, strict=True))
    return Continuations(prompt, tuple(texts), tokens, parts)


def _read(subject: Subject, prompt: str, text: str, reading: Reading) -> tuple[Sides, int]:
    """Return prompt and continuation as they are run, and how many tokens are the latter's."""
    if not text.strip():
        raise ValueError(f"The continuation {text!r} is empty: give at least one word.")
    if subject.family == "encoder-decoder":
        target = given(subject, text, "target", reading)
        n_own = len(target.tokens) - target.n_appended
        ids = [token.id for token in target.tokens[:n_own]]
        return read(subject, prompt, ids, None, reading), n_own
    whole = given(subject, prompt + text, "text", reading)
    tokens = whole.tokens[: len(whole.tokens) - whole.n_appended]
    # A space between the two belongs to the word behind it, as in the tokenizer's own words.
    seam = len(prompt.rstrip())
    split = next((one for one in tokens if one.start < seam < one.end), None)
    if split is not None:
        raise ValueError(
            f"Between {prompt[-20:]!r} and {text[:20]!r} the tokenizer makes one token, "
            f"{split.text!r}, of both. End the prompt where a word ends (a space belongs to the "
            "continuation)."
        )
    n_own = sum(one.end > seam for one in tokens)
    if n_own == len(tokens):
        raise ValueError(f"The prompt {prompt!r} has no tokens to predict from.")
    sides = read(subject, [token.id for token in tokens], None, None, reading)
    # The ids are checked there; here they keep the text and the types that they were given with.
    types = None if whole.token_types is None else whole.token_types[: len(tokens)]
    first = replace(sides.first, text=whole.text, tokens=tokens, token_types=types)
    return replace(sides, first=first), n_own


def _surprisal(subject: Subject, many: Sequence[Sides]) -> list[Tensor]:
    """Surprisal of all tokens of several texts; those of one length together, without padding."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for place, sides in enumerate(many):
        by_size.setdefault(tuple(len(one.tokens) for one in sides.all), []).append(place)
    batches = [
        places[at : at + _BATCH]
        for places in by_size.values()
        for at in range(0, len(places), _BATCH)
    ]
    found: dict[int, Tensor] = {}
    with for_a_trace(subject.model):
        for places in steps(batches, "scoring continuations", len(batches)):
            chosen = [many[place] for place in places]
            for place, scores in zip(places, _scores(subject, chosen), strict=True):
                found[place] = scores[0].cpu()
    return [found[place] for place in range(len(many))]


def _scores(subject: Subject, many: Sequence[Sides]) -> list[Tensor]:
    batch = batch_of(subject.model, subject.tokenizer, many, "right")
    plain = subject.anatomy.plain_unembedding
    logits = run_for_logits(
        subject.model, batch.inputs, batch.decoder, wanted=True, plain_unembedding=plain
    )
    held = [one for one in logits if one is not None]
    if len(held) < len(many):
        raise ValueError(
            f"{type(subject.model).__name__} has no language-model head. Load the model with "
            "AutoModelForCausalLM or AutoModelForSeq2SeqLM."
        )
    return scores_together(held, [one.scored.ids[prediction_shift(one) :] for one in many])
