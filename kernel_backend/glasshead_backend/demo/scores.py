"""How good the demo models are, and how plainly their heads show what they do.

Everything here is computed from a model's own ``output_attentions=True`` with plain eager
attention. It shares no code with Glasshead's capture, so that one can check the other.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from .toy_french import SentencePair

Head = tuple[int, int]
"""A layer and a head, both counted from 0."""


@dataclass(frozen=True)
class DecoderScores:
    """Scores of a decoder-only model on repeated random tokens and on text."""

    induction: float
    induction_head: Head
    previous_token: float
    previous_token_head: Head
    second_copy_accuracy: float
    induction_by_head: tuple[tuple[float, ...], ...]
    previous_token_by_head: tuple[tuple[float, ...], ...]
    perplexity: float | None = None

    def as_row(self) -> dict[str, Any]:
        """The scores as plain values, heads written like "L1H3"."""
        return _as_row(self)


@dataclass(frozen=True)
class TranslationScores:
    """Scores of an encoder-decoder model on sentence pairs with known alignment."""

    exact_match: float
    alignment: float
    alignment_head: Head
    alignment_reordered: float
    alignment_by_head: tuple[tuple[float, ...], ...]

    def as_row(self) -> dict[str, Any]:
        """The scores as plain values, heads written like "L1H3"."""
        return _as_row(self)


def _as_row(scores: DecoderScores | TranslationScores) -> dict[str, Any]:
    return {
        name: head_name(value) if name.endswith("_head") else value
        for name, value in asdict(scores).items()
        if not name.endswith("_by_head")
    }


def head_name(head: Head) -> str:
    """`(1, 3)` as "L1H3"."""
    return f"L{head[0]}H{head[1]}"


def repeated_random_tokens(
    ids: Sequence[int], *, length: int, count: int, seed: int, start: int | None = None
) -> Tensor:
    """Random tokens, then the same tokens again: `count` sequences of 2 · `length`.

    Parameters
    ----------
    ids
        The token ids to draw from, uniformly.
    start
        A start token to put before everything, if the tokenizer would.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(ids), (count, length), generator=generator)
    half = torch.tensor(list(ids))[drawn]
    parts = [half, half]
    if start is not None:
        parts.insert(0, torch.full((count, 1), start))
    return torch.cat(parts, dim=1)


def previous_token_scores(attention: Tensor) -> Tensor:
    """Mean weight of every head on the token just before, averaged over queries from the second.

    `attention` is `[layer, text, head, query, key]`, the result `[layer, head]`.
    """
    return attention.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=(1, 3))


def induction_scores(attention: Tensor, length: int) -> Tensor:
    """Mean weight of every head on the token *after* the query token's earlier occurrence.

    For texts that end with `length` tokens and the same `length` tokens again. A query in the
    second copy saw its own token `length` places before, so what came next stands `length - 1`
    places before the query. `attention` is `[layer, text, head, query, key]`, the result
    `[layer, head]`.
    """
    stripe = attention.diagonal(offset=1 - length, dim1=-2, dim2=-1)
    return stripe[..., -length:].mean(dim=(1, 3))


def echo_scores(attention: Tensor, ids: Sequence[int]) -> Tensor:
    """Like `induction_scores`, for one text in which phrases come back anywhere.

    A query counts when its token and the one before it stood side by side earlier (the last time
    counts): then there is a phrase to go on with, not just a frequent word. `attention` is
    `[layer, head, query, key]`, the result `[layer, head]`.

    Raises
    ------
    ValueError
        When no two tokens come back together.
    """
    last_seen: dict[tuple[int, int], int] = {}
    queries: list[int] = []
    keys: list[int] = []
    for here in range(1, len(ids)):
        pair = (ids[here - 1], ids[here])
        if pair in last_seen:
            queries.append(here)
            keys.append(last_seen[pair] + 1)
        last_seen[pair] = here
    if not queries:
        raise ValueError("No phrase comes back in this text: no two tokens occur together twice.")
    return attention[..., queries, keys].mean(-1)


def _by_head(scores: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in scores)


def _best(scores: Tensor) -> tuple[float, Head]:
    """The largest entry of `[layer, head]` and where it stands."""
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return float(scores[layer, head]), (layer, head)


def _eager(model: Any) -> Any:
    model.set_attn_implementation("eager")
    return model.eval()


@torch.no_grad()
def decoder_scores(
    model: Any, repeats: Tensor, length: int, *, windows: Tensor | None = None
) -> DecoderScores:
    """All scores of a decoder-only model.

    Parameters
    ----------
    repeats
        What `repeated_random_tokens` gave, with its `length`.
    windows
        Held-out text as `[window, token]`; gives the perplexity if there is one.
    """
    out = _eager(model)(repeats, output_attentions=True, use_cache=False)
    attention = torch.stack(out.attentions)
    by_head = induction_scores(attention, length), previous_token_scores(attention)
    (induction, induction_head), (previous, previous_head) = map(_best, by_head)
    # The first token of the second copy comes as a surprise, the others can be copied.
    predicted = out.logits[:, -length:-1].argmax(-1)
    return DecoderScores(
        induction=induction,
        induction_head=induction_head,
        previous_token=previous,
        previous_token_head=previous_head,
        second_copy_accuracy=float((predicted == repeats[:, 1 - length :]).float().mean()),
        induction_by_head=_by_head(by_head[0]),
        previous_token_by_head=_by_head(by_head[1]),
        perplexity=None if windows is None else perplexity(model, windows),
    )


@torch.no_grad()
def echo(model: Any, tokenizer: Any, text: str) -> tuple[float, Head]:
    """The best head's `echo_scores` on a text, and which head that is."""
    ids: list[int] = tokenizer.encode(text)
    out = _eager(model)(torch.tensor([ids]), output_attentions=True, use_cache=False)
    return _best(echo_scores(torch.stack(out.attentions)[:, 0], ids))


@torch.no_grad()
def perplexity(model: Any, windows: Tensor, *, batch: int = 16) -> float:
    """`exp` of the mean surprisal (nats) over every token of every window but the first."""
    total = 0.0
    for block in windows.split(batch):
        logits = model.eval()(block, use_cache=False).logits[:, :-1].float()
        total += float(
            functional.cross_entropy(logits.flatten(0, 1), block[:, 1:].flatten(), reduction="sum")
        )
    return math.exp(total / (windows.shape[0] * (windows.shape[1] - 1)))


def bits_per_byte(model: Any, tokenizer: Any, windows: Tensor) -> float:
    """Surprisal per byte of UTF-8: comparable between tokenizers, as perplexity is not."""
    size = sum(len(text.encode()) for text in tokenizer.batch_decode(windows[:, 1:]))
    scored = windows.shape[0] * (windows.shape[1] - 1)
    return math.log2(perplexity(model, windows)) * scored / size


@contextmanager
def without_head(model: Any, head: Head) -> Generator[None]:
    """Take a head away for a while: nothing of what it read reaches the residual stream."""
    layer, number = head
    attention = model.model.layers[layer].self_attn
    start = number * attention.head_dim

    def silence(_: torch.nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor]:
        heads = inputs[0].clone()
        heads[..., start : start + attention.head_dim] = 0
        return (heads,)

    hook = attention.o_proj.register_forward_pre_hook(silence)
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def translate(model: Any, tokenizer: Any, sources: Sequence[str], *, batch: int = 100) -> list[str]:
    """Translations by `model.generate` just as its generation config says."""
    out: list[str] = []
    for start in range(0, len(sources), batch):
        inputs = tokenizer(list(sources[start : start + batch]), return_tensors="pt", padding=True)
        out += tokenizer.batch_decode(model.eval().generate(**inputs), skip_special_tokens=True)
    return out


@torch.no_grad()
def alignment_accuracy(
    model: Any, tokenizer: Any, pairs: Sequence[SentencePair], *, batch: int = 100
) -> tuple[Tensor, Tensor]:
    """How often every cross-attention head looks most at the right source token.

    Row `i` of cross attention belongs to the decoder *input* `i`, which *predicts* target token
    `i`. So row `i` is held against the source of target token `i`, not of token `i - 1`. The row
    that predicts the end of the sentence counts for nothing.

    Returns
    -------
    everywhere, reordered
        `[layer, head]` each: the share over all target tokens, and over those that stand in
        another order than in the source.
    """
    hits: list[Tensor] = []
    moved: list[bool] = []
    for start in range(0, len(pairs), batch):
        chunk = pairs[start : start + batch]
        inputs = tokenizer([p.source for p in chunk], return_tensors="pt", padding=True)
        labels = tokenizer([p.target for p in chunk], return_tensors="pt", padding=True).input_ids
        out = _eager(model)(**inputs, labels=labels, output_attentions=True, use_cache=False)
        looks_at = torch.stack(out.cross_attentions).argmax(-1)  # [layer, text, head, query]
        for i, pair in enumerate(chunk):
            for row, sources in enumerate(pair.alignment):
                chosen = looks_at[:, i, :, row]
                hits.append(torch.isin(chosen, torch.tensor(sorted(sources))))
            moved += pair.reordered()
    right = torch.stack(hits).float()
    return right.mean(0), right[torch.tensor(moved)].mean(0)


def translation_scores(
    model: Any, tokenizer: Any, pairs: Sequence[SentencePair]
) -> TranslationScores:
    """All scores of an encoder-decoder model."""
    written = translate(model, tokenizer, [pair.source for pair in pairs])
    exact = sum(text == pair.target for text, pair in zip(written, pairs, strict=True))
    everywhere, reordered = alignment_accuracy(model, tokenizer, pairs)
    best, (layer, head) = _best(everywhere)
    return TranslationScores(
        exact_match=exact / len(pairs),
        alignment=best,
        alignment_head=(layer, head),
        alignment_reordered=float(reordered[layer, head]),
        alignment_by_head=_by_head(everywhere),
    )
