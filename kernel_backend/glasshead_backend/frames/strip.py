"""A text with what the model predicted at every token."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.frames.pack import pack
from glasshead_backend.questions.attention import attention
from glasshead_backend.questions.predictions import first_alternatives
from glasshead_backend.running.same_model import ModelChangedError
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.questions.predictions import Predictions
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.trace import Trace

_SHORT = 256
"""Texts of so many tokens travel with their alternatives; of longer ones they are asked for, since
each costs the unembedding of its position once more."""

PAGE_TOKENS = 512
"""Tokens whose alternatives a page without a kernel has."""

_TOP_K = 10
_NONE = 255
"""Stands for "none" where a byte has no other word for it."""
_CROSS_CELLS = 1 << 15
"""Largest cross-attention map that travels with the frame."""


@answered
def strip_frame(
    trace: Trace, cross: Selection | None, *, n_alternatives: int | None = None
) -> dict[str, Any]:
    """Make the frame of PerplexityStrip.

    Parameters
    ----------
    trace : Trace
    cross : Selection or None
        The cross-attention that lights the source of an encoder-decoder model: its heads, averaged.
    n_alternatives : int, optional
        Tokens whose alternatives are told; left out, all of a short text and none of a long one.

    Returns
    -------
    dict
        The text in pieces, every measure per token (nats; NaN = the model has no value there; rank
        -1 and correct 255 likewise), and the alternatives of the first tokens.
    """
    predictions = trace.predictions()
    scored = is_scored(predictions)
    target = trace.sequences[-1]
    texts, gaps = pieces(predictions.tokens, target.text)
    return {
        "key": strip_key(cross),
        "kind": "strip",
        "sequence": target.name,
        "texts": texts,
        "gaps": gaps,
        "split": split_characters(predictions.tokens, target.text),
        "unwritten": unwritten(predictions.tokens),
        "special": _flags([token.special for token in predictions.tokens]),
        "generated": _flags([token.generated for token in predictions.tokens]),
        "surprisal": pack(predictions.surprisal, torch.float32),
        "probability": pack(predictions.probability, torch.float32),
        "entropy": pack(predictions.entropy, torch.float32),
        "rank": pack(torch.where(scored, predictions.rank.int(), -1), torch.int32),
        "correct": pack(torch.where(scored, predictions.correct.int(), _NONE), torch.uint8),
        "undefined": predictions.reason,
        "perplexity": predictions.mean_perplexity if scored.any() else None,
        "n_scored": int(scored.sum()),
        "words": _words(trace),
        "top": _alternatives(trace, n_alternatives),
        **_source(trace, cross),
    }


def is_scored(predictions: Predictions) -> Bool[Tensor, " token"]:
    """Which tokens have a prediction."""
    return ~predictions.surprisal.isnan()


def place_of_true(
    ids: Int[Tensor, "position k"], true: Int[Tensor, " position"]
) -> Int[Tensor, " position"]:
    """Place of each true token among the alternatives, 0 = first; 255 where it is none of them.

    Found by its id: alternatives with equal logits come in any order, so its rank does not say.
    """
    is_true = ids == true[:, None]
    return torch.where(is_true.any(dim=1), is_true.int().argmax(dim=1), _NONE)


def strip_key(cross: Selection | None) -> dict[str, Any]:
    """Return the state that a frame, or an answer about the source, is of."""
    return {
        "kind": "cross",
        "layer": None if cross is None else cross.layer,
        "heads": [] if cross is None else list(cross.heads),
    }


@answered
def source_attention(trace: Trace, cross: Selection, position: int) -> Float[Tensor, " source"]:
    """How much the row that predicts one target token looks at every source token."""
    return attention(run_of(trace), replace(cross, aggregate="mean"), [position])[0]


def pieces(tokens: Sequence[Token], text: str) -> tuple[list[str], list[str]]:
    """Cut a text into token texts and the gaps between them.

    Returns
    -------
    texts : list of str
        Each token as it is shown.
    gaps : list of str
        One more than tokens: what stands before the first, between each two, and after the last.
        Whitespace that a tokenizer drops (WordPiece) is in the gaps, so that the text keeps its
        lines.
    """
    gaps: list[str] = []
    end = 0
    for token in tokens:
        gaps.append(text[end : token.start] if token.start > end else "")
        end = max(end, token.end)
    gaps.append(text[end:])
    return [token.text for token in tokens], gaps


def split_characters(tokens: Sequence[Token], text: str) -> list[tuple[int, str, bool]]:
    """Say how tokens are written that share a character: an emoji is often several.

    Returns
    -------
    list of tuple
        Position, what it shows (the character stands with the first token that it is of), and
        whether it goes on with a character of the token before.
    """
    shared = [one.end > next_.start for one, next_ in pairwise(tokens)]
    found: list[tuple[int, str, bool]] = []
    for position, token in enumerate(tokens):
        goes_on = position > 0 and shared[position - 1]
        if not (goes_on or (position < len(shared) and shared[position])):
            continue
        start = max(token.start, tokens[position - 1].end) if goes_on else token.start
        if "\ufffd" not in text[token.start : token.end]:
            found.append((position, text[start : token.end], goes_on))
    return found


def unwritten(tokens: Sequence[Token]) -> list[int]:
    """Positions of special tokens that the text does not have: the tokenizer put them there."""
    return [i for i, token in enumerate(tokens) if token.special and token.start == token.end]


def _words(trace: Trace) -> dict[str, Any]:
    """The word of every token, and the surprisal of every word: the sum over its tokens."""
    words = run_of(trace).sides.scored.words
    by_word = trace.predictions().by_word(words)
    of_token = run_of(trace).sides.scored.word_of_token
    return {
        "of_token": pack(of_token, torch.uint32),
        "surprisal": pack(torch.tensor(by_word["surprisal"].to_numpy()), torch.float32),
    }


def _alternatives(trace: Trace, n_tokens: int | None) -> dict[str, Any] | None:
    if n_tokens is None:
        n_tokens = _SHORT
        if len(trace.predictions().tokens) > _SHORT:
            return None
    try:
        top = first_alternatives(run_of(trace), n_tokens, _TOP_K)
    except ModelChangedError:
        return None  # the text is shown; whoever asks for alternatives is told why there are none
    if top is None:
        return None
    ids, probability = top
    distinct, index = ids.unique(return_inverse=True)
    start = run_of(trace).shift
    true = torch.tensor([token.id for token in trace.predictions().tokens[start:]])[: len(ids)]
    return {
        "k": ids.shape[1],
        "texts": run_of(trace).subject.spelled(distinct.tolist()),
        "index": pack(index, torch.uint32),
        "probability": pack(probability, torch.float32),
        "true": pack(place_of_true(ids, true), torch.uint8),
        "start": start,
    }


def _source(trace: Trace, cross: Selection | None) -> dict[str, Any]:
    """The source text of an encoder-decoder model, and the cross attention that lights it."""
    nothing = {"source": None, "cross": None, "cross_layer": None, "note": ""}
    if trace.family != "encoder-decoder" or cross is None:
        return nothing
    source = trace.sequence("source")
    texts, gaps = pieces(source.tokens, source.text)
    described = {
        "source": {
            "texts": texts,
            "gaps": gaps,
            "split": split_characters(source.tokens, source.text),
            "unwritten": unwritten(source.tokens),
            "special": _flags([token.special for token in source.tokens]),
        },
        "cross_layer": cross.layer,
        "note": f"Hovering a word lights the source by cross-attention of layer {cross.layer}, "
        + _head_words(trace.n_heads(cross.layer, "cross"), cross.heads),
    }
    if len(texts) * len(trace.sequence("target").tokens) > _CROSS_CELLS:
        return nothing | described
    weights = attention(run_of(trace), replace(cross, aggregate="mean"))
    return nothing | described | {"cross": pack(weights, torch.float32)}


def _head_words(n_heads: int, heads: Sequence[int]) -> str:
    if len(heads) == 1:
        return f"head {heads[0]}."
    return f"mean of {'all ' if not heads else ''}{len(heads) or n_heads} heads."


def _flags(flags: list[bool]) -> Packed:
    return pack(torch.tensor(flags), torch.uint8)
