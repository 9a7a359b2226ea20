"""What a score is summed from: the products of query and key, a soft-cap, what is added, the mask.

``score = softcap(scaling * q · k) + bias``, minus infinity where a key is hidden: of a single row,
so that nothing of tokens by tokens is made. The vectors of the keys are read for the stretch asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from glasshead_backend.capture.key_part import KeyPart
from glasshead_backend.capture.masks import hides
from glasshead_backend.capture.relative_bias import RelativeBias
from glasshead_backend.capture.replay import ReplayedCall
from glasshead_backend.capture.softmax import CapturedCall, mask_rows, option_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float

    from glasshead_backend.capture.call import AttentionCall

_KEY_BLOCK = 4096
"""Keys that are looked at at once."""

_STRAIGHT = 1e-4
"""How far a bias by ALiBi may be from a straight line over the keys, as a share of its span."""

_LINE = 3
"""Keys from which on a line is one."""


class Scored(NamedTuple):
    """The call whose query and key make some scores, and which of its rows and keys are meant."""

    call: CapturedCall
    first_query: int
    keys: range


@dataclass(frozen=True, eq=False)
class ScoreTerms:
    """What the scores of one row are summed from, of some heads and all keys.

    Attributes
    ----------
    query : Tensor
        ``[heads, dims]``, after rotary embedding and the like, before it is scaled.
    dot : Tensor
        ``[heads, keys]``: ``scaling * q · k``.
    capped : Tensor or None
        ``[heads, keys]`` behind the soft-cap, where there is one.
    bias : Tensor or None
        ``[heads, keys]``: what is added to that; 0 where a key is hidden.
    bias_words : str
        What it is; "" = there is none.
    hidden : Tensor
        ``[heads, keys]``: keys that the row may not look at.
    scaling : float
    softcap : float or None
    sink : Tensor or None
        ``[heads]``: the score of an attention sink.
    """

    query: Float[Tensor, "head dim"]
    dot: Float[Tensor, "head key"]
    capped: Float[Tensor, "head key"] | None
    bias: Float[Tensor, "head key"] | None
    bias_words: str
    hidden: Bool[Tensor, "head key"]
    scaling: float
    softcap: float | None
    sink: Float[Tensor, " head"] | None


class Spread(NamedTuple):
    """How far keys reach in every dimension: over those that a row may look at, ``[heads, dims]``.

    Attributes
    ----------
    mean, largest : Tensor
        Of their absolute values.
    """

    mean: Float[Tensor, "head dim"]
    largest: Float[Tensor, "head dim"]


def scored_by(call: AttentionCall) -> Scored:
    """Return where query and key lie that make the scores of a call.

    Raises
    ------
    ValueError
        Where they are not known, or make something else; the message says why.
    """
    name = type(getattr(call, "module", call)).__name__
    if isinstance(call, KeyPart):
        whole = scored_by(call.call)
        start = whole.keys.start
        keys = range(start + call.keys.start, start + call.keys.stop)
        return Scored(whole.call, whole.first_query + call.queries.start, keys)
    if isinstance(call, ReplayedCall):
        return _of_replay(call, name)
    if isinstance(call, CapturedCall):
        return _of_captured(call, name)
    raise ValueError(
        "This trace is of arrays that were given, of which no queries and keys are read: there are "
        "no products to show."
    )


def _of_captured(call: CapturedCall, name: str) -> Scored:
    if call.unexplained:
        raise ValueError(call.unexplained)
    if not call.own_math:
        raise ValueError(
            f"{name} makes its weights of more than the products of query and key, scaled, with a "
            "bias and a mask (sinks of a kind of its own, say): what they are summed from is not "
            "known."
        )
    return Scored(call, 0, range(call.n_keys))


def _of_replay(call: ReplayedCall, name: str) -> Scored:
    if call.path == "unfold":
        raise ValueError(
            f"{name} attends in bands or blocks: its weights can be unfolded, the products of its "
            "query and key cannot."
        )
    found = call.replay.query_and_key(*call.n_recorded)
    if found is not None:
        return _of_captured(found.of_sequence(call.index, call.queries, call.keys), name)
    if call.replay.dtype.itemsize < torch.float32.itemsize:
        raise ValueError(
            f"{name} computes its scores by itself, in {call.replay.dtype}: too coarse to tell the "
            "products of query and key from what is added to them. Load the model with "
            "dtype=torch.float32."
        )
    raise ValueError(
        f"{name} computes its scores by itself, not as products of a query and a key that are "
        "scaled and added to: there are none to show. trace.attention(layer, scores=True) gives "
        "the scores."
    )


def score_terms(scored: Scored, heads: Sequence[int], row: int) -> ScoreTerms:
    """Return what the scores of one row are summed from."""
    call, rows, keys = scored.call, [scored.first_query + row], scored.keys
    score = call.weights(heads, rows, scores=True)[:, 0, keys.start : keys.stop]
    hidden = score.isneginf()
    query = query_of(scored, heads, row)
    dot = _dots(call, query, heads, keys)
    cap = call.softcap
    bias, words = _bias_of(scored, heads, row, hidden)
    sink = call.sinks
    return ScoreTerms(
        query=query,
        dot=dot,
        capped=None if cap is None else cap * (dot / cap).tanh(),
        bias=bias,
        bias_words=words,
        hidden=hidden,
        scaling=call.scaling,
        softcap=None if cap is None else float(cap),
        sink=None if sink is None else sink.to(call.dtype).reshape(-1)[list(heads)],
    )


def query_of(scored: Scored, heads: Sequence[int], row: int) -> Float[Tensor, "head dim"]:
    """Return the vector of one query in some heads, before it is scaled."""
    call = scored.call
    return call.query[0, list(heads), scored.first_query + row].to(call.dtype)


def keys_of(
    scored: Scored, heads: Sequence[int], keys: range | Sequence[int]
) -> Float[Tensor, "head key dim"]:
    """Return the vectors of some keys, as every head sees them."""
    call, first = scored.call, scored.keys.start
    index: slice | Tensor
    if isinstance(keys, range) and keys.step == 1:
        index = slice(first + keys.start, first + keys.stop)
    else:
        chosen = [first + key for key in keys]
        index = torch.tensor(chosen, dtype=torch.long, device=call.device)
    return call.key[0, :, index][key_heads(call, heads)].to(call.dtype)


def spread_of_keys(
    scored: Scored, heads: Sequence[int], hidden: Bool[Tensor, "head key"]
) -> Spread:
    """Return how far the keys reach that a row may look at, a block of them at a time."""
    n_keys = hidden.shape[1]
    dims = scored.call.key.shape[-1]
    total = torch.zeros(len(heads), dims, dtype=scored.call.dtype, device=scored.call.device)
    largest = torch.zeros_like(total)
    for start in range(0, n_keys, _KEY_BLOCK):
        some = range(start, min(start + _KEY_BLOCK, n_keys))
        size = keys_of(scored, heads, some).abs_()
        size.masked_fill_(hidden[:, some.start : some.stop, None], 0.0)
        total += size.sum(dim=1)
        largest = largest.maximum(size.amax(dim=1))
    n_visible = (~hidden).sum(dim=1, keepdim=True).clamp_min(1)
    return Spread(total / n_visible, largest)


def key_heads(call: CapturedCall, heads: Sequence[int]) -> list[int]:
    """Return the key head of every query head."""
    per_group = call.n_heads // call.key.shape[1]
    return [head // per_group for head in heads]


def _dots(
    call: CapturedCall, query: Float[Tensor, "head dim"], heads: Sequence[int], keys: range
) -> Float[Tensor, "head key"]:
    """Scaled dot products with all keys; those that heads share are never repeated."""
    query = query * call.scaling
    found = query.new_empty(len(heads), len(keys))
    groups = torch.tensor(key_heads(call, heads))
    for group in groups.unique().tolist():
        of_group = groups == group
        key = call.key[0, group, keys.start : keys.stop].to(call.dtype)
        found[of_group] = query[of_group] @ key.T
    return found


def added(
    scored: Scored, heads: Sequence[int], rows: Sequence[int]
) -> tuple[Float[Tensor, "head query key"] | None, str]:
    """Return what some rows' scores have beside their products, and what that is in words.

    Where a key is hidden it has no meaning.
    """
    call, some = scored.call, slice(scored.keys.start, scored.keys.stop)
    rows = [scored.first_query + row for row in rows]
    parts: dict[str, Tensor] = {}
    bias = call.options.get("position_bias")
    if bias is not None and _is_any(bias):
        of_rows = option_rows(call, bias, rows, call.n_keys)
        parts["position bias"] = of_rows[:, list(heads)] if of_rows.shape[1] > 1 else of_rows
    if _mask_adds(call, heads, rows):
        parts["mask"] = mask_rows(call, heads, rows)
    if not parts:
        return None, ""
    shape = len(heads), len(rows), len(scored.keys)
    whole = torch.zeros(shape, dtype=call.dtype, device=call.device)
    for part in parts.values():
        whole += part[0, ..., some].to(call.dtype)
    return whole, " and ".join(parts)


def _bias_of(
    scored: Scored, heads: Sequence[int], row: int, hidden: Bool[Tensor, "head key"]
) -> tuple[Float[Tensor, "head key"] | None, str]:
    bias, words = added(scored, heads, [row])
    if bias is None:
        return None, ""
    # By what hides a key nothing is added: it is not there.
    bias = bias[:, 0].masked_fill(hidden, 0.0)
    return bias, "ALiBi" if _is_alibi(scored, heads) else words


def _is_alibi(scored: Scored, heads: Sequence[int]) -> bool:
    """Whether a bias is ALiBi's: by the last row, which sees most keys."""
    call, keys = scored.call, scored.keys
    last = call.n_queries - 1
    bias, _ = added(scored, heads, [last - scored.first_query])
    hidden = call.weights(heads, [last], scores=True)[:, 0, keys.start : keys.stop].isneginf()
    return bias is not None and _is_straight(bias[:, 0], hidden)


def _is_any(bias: Tensor | RelativeBias) -> bool:
    """Whether a bias is one: T5 adds zeros in its cross-attention."""
    return bool((bias.by_distance if isinstance(bias, RelativeBias) else bias).any())


def _mask_adds(call: CapturedCall, heads: Sequence[int], rows: Sequence[int]) -> bool:
    """Whether a mask does more than to hide keys; by the rows asked for, the middle, the last."""
    if call.mask is None or call.mask.dtype == torch.bool:
        return False
    some = sorted({*rows, call.n_queries // 2, call.n_queries - 1})
    mask = mask_rows(call, heads, some)
    return bool(((mask != 0) & ~hides(mask)).any())


def _is_straight(bias: Float[Tensor, "head key"], hidden: Bool[Tensor, "head key"]) -> bool:
    """Whether a bias grows with the distance alike from key to key, as ALiBi's does."""
    seen = ~hidden.any(dim=0)
    line = bias[:, seen].cpu().double()  # MPS has no float64
    if line.shape[1] < _LINE:
        return False
    steps = line.diff(dim=1)
    bend = (steps - steps[:, :1]).abs().amax(dim=1)
    span = line.amax(dim=1) - line.amin(dim=1)
    return bool((span > 0).all()) and bool((bend <= _STRAIGHT * span).all())
