"""The lines of one layer: for every head and query row the keys that it looks at most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend import attention
from glasshead_backend.frames.pack import index_dtype, pack, quantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Bool, Float, Int, UInt8

    from glasshead_backend.layers import Kind
    from glasshead_backend.sides import Side, Unit
    from glasshead_backend.trace import Trace

LINE_BUDGET = 20_000
"""Lines in a frame: what a browser draws within a 60 Hz frame."""

_THUMBNAIL = 32
_LEVELS = 256
_LOWEST_THRESHOLD = 0.1


@dataclass(frozen=True)
class Lines:
    """The strongest lines of some heads, strongest first, and sums over all of them.

    Attributes
    ----------
    query, key, head : Tensor
        int64, which unit looks at which, and the head's number.
    weight : Tensor
        float32, exact.
    per_row : int
        Lines kept of every head and row.
    n_total : int
        All lines with a weight above zero, kept or not.
    mass : Tensor
        ``[heads]``: sum of all weights of each head.
    undefined : Tensor
        ``[queries]`` bool: rows that may look nowhere.
    """

    query: Int[Tensor, " line"]
    key: Int[Tensor, " line"]
    head: Int[Tensor, " line"]
    weight: Float[Tensor, " line"]
    per_row: int
    n_total: int
    mass: Float[Tensor, " head"]
    undefined: Bool[Tensor, " query"]

    def readable_threshold(self) -> float:
        """Weight from which on there are so few lines that a picture of them can be read.

        Two or three lines a row for one head, up to six for many; in steps of 0.05, at least 0.1.
        """
        allowed = int(len(self.undefined) * min(6, 2 + len(self.mass) / 2))
        if len(self.weight) <= allowed:
            return _LOWEST_THRESHOLD
        steps = math.ceil(float(self.weight[allowed]) * 20 - 1e-6)
        return min(0.95, max(_LOWEST_THRESHOLD, steps / 20))


def lines_frame(
    trace: Trace, layer: int, heads: Sequence[int], kind: Kind, unit: Unit
) -> dict[str, Any]:
    """Make the frame of AttentionLines.

    Parameters
    ----------
    trace : Trace
    layer : int
    heads : sequence of int
        Heads to draw; empty = all.
    kind, unit : str

    Returns
    -------
    dict
        Lines (``query``, ``key``, ``head``, ``weight``), strongest first: of every head and row the
        ``per_row`` strongest, at most 20,000 in all; and, computed before anything is rounded, the
        share of each head's attention ``mass`` that the frame's lines with at least a given byte
        carry. Thumbnails show every head of the layer.
    """
    lines = strongest_lines(trace, layer, heads, kind, unit)
    numbers = torch.tensor(_chosen(trace, layer, heads, kind), device=lines.head.device)
    stepped, scale = quantise(lines.weight)
    n_queries, n_keys = _size(trace, kind, unit)
    return {
        "key": {"kind": kind, "layer": layer, "heads": list(heads), "unit": unit},
        "kind": "lines",
        "n_heads": trace.n_heads(layer, kind),
        "lines": {
            "query": pack(lines.query, _wide(n_queries)),
            "key": pack(lines.key, _wide(n_keys)),
            "head": pack(lines.head, index_dtype(trace.n_heads(layer, kind))),
            "weight": pack(stepped, torch.uint8),
        },
        "weight_scale": scale,
        "weight_error": scale,
        "per_row": lines.per_row,
        "n": len(lines.weight),
        "n_total": lines.n_total,
        "automatic_threshold": lines.readable_threshold(),
        "mass": pack(_mass_by_level(lines, stepped, numbers), torch.float32),
        "heads": pack(numbers, torch.uint16),
        "thumbnails": pack(_thumbnails(trace, layer, kind, unit), torch.uint8),
        "undefined_rows": pack(lines.undefined, torch.uint8),
        "row_sums_note": _sinks_note(trace, layer, kind),
    }


def strongest_lines(
    trace: Trace, layer: int, heads: Sequence[int], kind: Kind, unit: Unit
) -> Lines:
    """Find of every head and row the keys that it looks at most, at most 20,000 lines in all."""
    chosen = _chosen(trace, layer, heads, kind)
    n_queries, n_keys = _size(trace, kind, unit)
    per_row = min(n_keys, max(1, LINE_BUDGET // (len(chosen) * n_queries)))
    device = trace.call(layer, kind).device
    numbers = torch.tensor(chosen, device=device)
    mass, n_total = torch.zeros(len(chosen), device=device), 0
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    undefined: list[Tensor] = []
    with attention.single_threaded():
        for start, block in _blocks(trace, layer, chosen, kind, unit):
            undefined.append(block.isnan().any(dim=-1).all(dim=0))
            clean = block.nan_to_num(0.0)
            mass += clean.sum(dim=(1, 2))
            n_total += int((clean > 0).sum())
            top = clean.topk(min(per_row, clean.shape[-1]), dim=-1)
            head, row, rank = torch.nonzero(top.values > 0, as_tuple=True)
            key, weight = top.indices[head, row, rank], top.values[head, row, rank]
            kept.append((row + start, key, numbers[head], weight))
    query, key, head, weight = (torch.cat(parts) for parts in zip(*kept, strict=True))
    order = weight.argsort(descending=True, stable=True)
    return Lines(
        query=query[order],
        key=key[order],
        head=head[order],
        weight=weight[order],
        per_row=per_row,
        n_total=n_total,
        mass=mass,
        undefined=torch.cat(undefined),
    )


def fan(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    position: int,
    side: Side,
) -> Float[Tensor, "head other"]:
    """Exact weights of one row (side "query") or column (side "key") of some heads.

    Only the rows of the unit itself are computed, or all rows in blocks for a column. For words the
    same rule holds as for whole maps: sum over a word's key tokens, mean over its query tokens.
    """
    call = trace.call(layer, kind)
    chosen = _chosen(trace, layer, heads, kind)
    tokens = trace.sides.tokens_of_unit(side, kind, unit, position)
    other: Side = "key" if side == "query" else "query"
    with attention.single_threaded():
        if side == "query":
            weights = call.weights(chosen, tokens).mean(dim=1)
        else:
            weights = attention.columns(call, chosen, tokens)
    if unit == "token":
        return weights
    word = trace.sides.unit_of_token(other, kind, unit).to(weights.device)
    n_words = int(word[-1]) + 1
    fused = torch.zeros(len(chosen), n_words, device=weights.device).index_add_(1, word, weights)
    return fused if side == "query" else fused / torch.bincount(word, minlength=n_words)


def _blocks(
    trace: Trace, layer: int, heads: Sequence[int], kind: Kind, unit: Unit
) -> Iterator[tuple[int, Float[Tensor, "head query key"]]]:
    """Yield ``(first row, weights)`` in row blocks; a fused map comes as one."""
    if unit == "word":
        yield 0, trace.attention(layer, heads, kind=kind, unit="word")
        return
    for start, _, block in attention.row_blocks(trace.call(layer, kind), heads):
        yield start, block


def _mass_by_level(
    lines: Lines, stepped: UInt8[Tensor, " line"], numbers: Int[Tensor, " head"]
) -> Float[Tensor, "head level"]:
    """Share of each head's mass in its lines whose byte is at least 0, 1, ... 255."""
    row = torch.searchsorted(numbers, lines.head)
    by_level = torch.zeros(len(numbers) * _LEVELS, device=stepped.device, dtype=torch.float32)
    by_level.index_add_(0, row * _LEVELS + stepped.long(), lines.weight)
    from_level = by_level.view(-1, _LEVELS).flip(1).cumsum(dim=1).flip(1)
    return from_level / lines.mass.clamp_min(1e-30)[:, None]


def _thumbnails(
    trace: Trace, layer: int, kind: Kind, unit: Unit
) -> Float[Tensor, "head thumb thumb"]:
    """Max-pooled pattern of every head, 255 = that head's largest weight."""
    heads = range(trace.n_heads(layer, kind))
    n_queries, n_keys = _size(trace, kind, unit)
    size = min(_THUMBNAIL, max(n_queries, n_keys))
    device = trace.call(layer, kind).device
    column = torch.arange(n_keys, device=device) * size // n_keys
    pooled = torch.zeros(len(heads), size, size, device=device)
    for start, block in _blocks(trace, layer, heads, kind, unit):
        clean = block.nan_to_num(0.0)
        n_rows, width = clean.shape[1], clean.shape[2]
        by_column = torch.zeros(len(heads), n_rows, size, device=device)
        by_column.scatter_reduce_(
            2, column[:width].expand(len(heads), n_rows, width), clean, "amax"
        )
        rows = (torch.arange(n_rows, device=device) + start) * size // n_queries
        pooled.scatter_reduce_(1, rows[None, :, None].expand_as(by_column), by_column, "amax")
    largest = pooled.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    return (pooled / largest * 255).round()


def _chosen(trace: Trace, layer: int, heads: Sequence[int], kind: Kind) -> list[int]:
    return sorted(heads) or list(range(trace.n_heads(layer, kind)))


def _size(trace: Trace, kind: Kind, unit: Unit) -> tuple[int, int]:
    """Number of rows and columns of a map."""
    sides = trace.sides
    return len(sides.first_tokens("query", kind, unit)), len(sides.first_tokens("key", kind, unit))


def _wide(n: int) -> torch.dtype:
    """Positions travel as uint16 or uint32, as the view expects."""
    return torch.uint16 if n <= 1 << 16 else torch.uint32


def _sinks_note(trace: Trace, layer: int, kind: Kind) -> str:
    rest = trace.call(layer, kind).remainder
    return f"Rows sum to less than 1: {rest} take the rest." if rest else ""
