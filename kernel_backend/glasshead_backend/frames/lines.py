"""The lines of one layer: for every head and query row the keys that it looks at most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.checks import positions
from glasshead_backend.frames.pack import index_dtype, pack
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int, UInt8

    from glasshead_backend.asking import Kind, Side, Unit
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

LINE_BUDGET = 20_000
"""Lines in a frame: what a browser draws within a 60 Hz frame."""

_THUMBNAIL = 32
_LOWEST_THRESHOLD = 0.1


@dataclass(frozen=True)
class Lines:
    """The strongest lines of some heads, strongest first, and sums over all of them.

    Attributes
    ----------
    heads : Tensor
        int64, numbers of the heads, ascending.
    n_keys : int
        Units that are looked at.
    query, key, head : Tensor
        int64, which unit looks at which, and the head's number.
    weight : Tensor
        float32, exact.
    per_row : int
        Lines kept of every head and row; 0 = there is not even room for one of each.
    n_total : int
        All lines with a weight above zero, kept or not.
    mass : Tensor
        ``[heads]``: sum of all weights of each head.
    undefined : Tensor
        ``[queries]`` bool: rows that may look nowhere.
    """

    heads: Int[Tensor, " head"]
    n_keys: int
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
        ``per_row`` strongest, at most 20,000 in all. Their weights are exact (float32), and so are
        the number of lines from any threshold on, and the share that they have of each head's
        attention ``mass``. Thumbnails show every head of the layer.
    """
    lines = strongest_lines(trace, layer, heads, kind, unit)
    return {
        "key": {"kind": kind, "layer": layer, "heads": list(heads), "unit": unit},
        "kind": "lines",
        "n_heads": trace.n_heads(layer, kind),
        "lines": {
            "query": pack(lines.query, index_dtype(len(lines.undefined))),
            "key": pack(lines.key, index_dtype(lines.n_keys)),
            "head": pack(lines.head, index_dtype(trace.n_heads(layer, kind))),
            "weight": pack(lines.weight, torch.float32),
        },
        "per_row": lines.per_row,
        "n": len(lines.weight),
        "n_total": lines.n_total,
        "automatic_threshold": lines.readable_threshold(),
        "mass": pack(lines.mass, torch.float32),
        "heads": pack(lines.heads, torch.uint16),
        "thumbnails": pack(_thumbnails(trace, layer, kind, unit), torch.uint8),
        "undefined_rows": pack(lines.undefined, torch.uint8),
        "row_sums_note": _sinks_note(trace, layer, kind),
    }


def strongest_lines(
    trace: Trace, layer: int, heads: Sequence[int], kind: Kind, unit: Unit
) -> Lines:
    """Find of every head and row the keys that it looks at most; of these the 20,000 strongest."""
    asked = trace.attention_map(layer, sorted(heads) or None, kind=kind, unit=unit)
    per_row = min(asked.n_columns, LINE_BUDGET // (asked.n_maps * asked.n_rows))
    numbers = torch.tensor(list(asked.heads), device=asked.device)
    mass = torch.zeros(asked.n_maps, dtype=torch.float32, device=asked.device)
    n_total = torch.zeros((), dtype=torch.int64, device=asked.device)
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    undefined: list[Tensor] = []
    with undisturbed(asked.device):
        for place, block in asked.blocks():
            sums = block.sum(dim=-1)
            undefined.append(sums.isnan().all(dim=0))
            mass += sums.nan_to_num(0.0).sum(dim=1)
            clean = block.nan_to_num_(0.0)
            n_total += torch.count_nonzero(clean)
            top = clean.topk(min(max(1, per_row), clean.shape[-1]), dim=-1)
            head, row, rank = torch.nonzero(top.values > 0, as_tuple=True)
            key, weight = top.indices[head, row, rank], top.values[head, row, rank]
            kept.append((row + place.start, key, numbers[head], weight))
    query, key, head, weight = (torch.cat(parts) for parts in zip(*kept, strict=True))
    order = weight.argsort(descending=True, stable=True)[:LINE_BUDGET]
    return Lines(
        heads=numbers,
        n_keys=asked.n_columns,
        query=query[order],
        key=key[order],
        head=head[order],
        weight=weight[order].float(),
        per_row=per_row,
        n_total=int(n_total),
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
    asked = trace.attention_map(layer, sorted(heads) or None, kind=kind, unit=unit)
    if side == "query":
        return asked.whole(positions([position], asked.n_rows))[:, 0]
    return asked.column(positions([position], asked.n_columns))


def _thumbnails(
    trace: Trace, layer: int, kind: Kind, unit: Unit
) -> UInt8[Tensor, "head thumb thumb"]:
    """Max-pooled pattern of every head, 255 = that head's largest weight."""
    # They show all heads of a layer, whichever of them are drawn.
    return trace.remembered(
        ("thumbnails", layer, kind, unit),
        lambda: _pooled_to_thumbnails(trace.attention_map(layer, kind=kind, unit=unit)),
    )


def _pooled_to_thumbnails(heads: AttentionMap) -> UInt8[Tensor, "head thumb thumb"]:
    n_heads, n_rows, n_columns = heads.n_maps, heads.n_rows, heads.n_columns
    size = min(_THUMBNAIL, max(n_rows, n_columns))
    column = torch.arange(n_columns, device=heads.device) * size // n_columns
    pooled = torch.zeros(n_heads, size, size, dtype=heads.dtype, device=heads.device)
    with undisturbed(heads.device):
        for place, block in heads.blocks():
            clean = block.nan_to_num_(0.0)
            by_column = clean.new_zeros(n_heads, clean.shape[1], size)
            index = column[: clean.shape[2]].expand_as(clean)
            by_column.scatter_reduce_(2, index, clean, "amax")
            row = torch.arange(place.start, place.stop, device=heads.device) * size // n_rows
            pooled.scatter_reduce_(1, row[None, :, None].expand_as(by_column), by_column, "amax")
    largest = pooled.amax(dim=(1, 2), keepdim=True).clamp_min(1e-30)
    return (pooled / largest * 255).round().to(torch.uint8)


def _sinks_note(trace: Trace, layer: int, kind: Kind) -> str:
    rest = trace.call(layer, kind).remainder
    return f"Rows sum to less than 1: {rest} take the rest." if rest else ""
