"""The lines of one layer: for every head and query row the keys that it looks at most."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.checks import positions
from glasshead_backend.data_frames import table
from glasshead_backend.frames.pack import index_dtype, pack
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float, Int, UInt8

    from glasshead_backend.asking import Selection, Side
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

LINE_BUDGET = 20_000
"""Lines in a frame: what a browser draws within a 60 Hz frame."""

_THUMBNAIL = 32
_LOWEST_THRESHOLD = 0.1


@dataclass(frozen=True, eq=False)
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


def lines_frame(trace: Trace, asked: Selection) -> dict[str, Any]:
    """Make the frame of AttentionLines.

    Parameters
    ----------
    trace : Trace
    asked : Selection
        The heads to draw.

    Returns
    -------
    dict
        Lines (``query``, ``key``, ``head``, ``weight``), strongest first: of every head and row the
        ``per_row`` strongest, at most 20,000 in all. Their weights are exact (float32), and so are
        the number of lines from any threshold on, and the share that they have of each head's
        attention ``mass``. Thumbnails show every head of the layer.
    """
    lines = strongest_lines(trace, asked)
    call = run_of(trace).call(asked.layer, asked.kind)
    return {
        "key": asked.key,
        "kind": "lines",
        "n_heads": call.n_heads,
        "lines": {
            "query": pack(lines.query, index_dtype(len(lines.undefined))),
            "key": pack(lines.key, index_dtype(lines.n_keys)),
            "head": pack(lines.head, index_dtype(call.n_heads)),
            "weight": pack(lines.weight, torch.float32),
        },
        "per_row": lines.per_row,
        "n": len(lines.weight),
        "n_total": lines.n_total,
        "automatic_threshold": lines.readable_threshold(),
        "mass": pack(lines.mass, torch.float32),
        "heads": pack(lines.heads, torch.uint16),
        "thumbnails": pack(_thumbnails(trace, asked), torch.uint8),
        "undefined_rows": pack(lines.undefined, torch.uint8),
        "row_sums_note": _sinks_note(call),
    }


def strongest_lines(trace: Trace, asked: Selection) -> Lines:
    """Find of every head and row the keys that it looks at most; of these the 20,000 strongest."""
    heads = attention_map(run_of(trace), asked)
    per_row = min(heads.n_columns, LINE_BUDGET // (heads.n_maps * heads.n_rows))
    numbers = torch.tensor(list(heads.heads), device=heads.device)
    mass = torch.zeros(heads.n_maps, dtype=torch.float32, device=heads.device)
    n_total = torch.zeros((), dtype=torch.int64, device=heads.device)
    kept: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    undefined: list[Tensor] = []
    with undisturbed(heads.device):
        for place, block in heads.blocks():
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
        n_keys=heads.n_columns,
        query=query[order],
        key=key[order],
        head=head[order],
        weight=weight[order].float(),
        per_row=per_row,
        n_total=int(n_total),
        mass=mass,
        undefined=torch.cat(undefined),
    )


def lines_table(trace: Trace, asked: Selection, threshold: float | None) -> pd.DataFrame:
    """Return the lines that are drawn: who looks at what, with which head and exact weight.

    Parameters
    ----------
    trace : Trace
    asked : Selection
    threshold : float or None
        Smallest weight of a line; None = as many as can be read.
    """
    lines = strongest_lines(trace, asked)
    drawn = lines.weight >= (lines.readable_threshold() if threshold is None else threshold)
    query, key = lines.query[drawn].tolist(), lines.key[drawn].tolist()
    sides = run_of(trace).sides
    sources = sides.labels("query", asked.kind, asked.unit)
    targets = sides.labels("key", asked.kind, asked.unit)
    frame = table(
        {
            "source": [sources[i] for i in query],
            "target": [targets[i] for i in key],
            "head": lines.head[drawn].tolist(),
            "weight": lines.weight[drawn].tolist(),
            "source_position": query,
            "target_position": key,
        }
    )
    predicted = sides.predictions(asked.kind, asked.unit)
    if predicted is not None:
        frame.insert(1, "predicted", [predicted[i] for i in query])
    return frame


def fan(trace: Trace, asked: Selection, position: int, side: Side) -> Float[Tensor, "head other"]:
    """Exact weights of one row (side "query") or column (side "key") of some heads.

    Only the rows of the unit itself are computed, or all rows in blocks for a column. For words the
    same rule holds as for whole maps: sum over a word's key tokens, mean over its query tokens.
    """
    heads = attention_map(run_of(trace), replace(asked, aggregate=None))
    if side == "query":
        return heads.whole(positions([position], heads.n_rows))[:, 0]
    return heads.column(positions([position], heads.n_columns))


def _thumbnails(trace: Trace, asked: Selection) -> UInt8[Tensor, "head thumb thumb"]:
    """Max-pooled pattern of every head, 255 = that head's largest weight."""
    # They show all heads of a layer, whichever of them are drawn.
    run, all_heads = run_of(trace), replace(asked, heads=())
    return run.store.remember(
        ("thumbnails", all_heads), lambda: _pooled_to_thumbnails(attention_map(run, all_heads))
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


def _sinks_note(call: AttentionCall) -> str:
    rest = call.remainder
    return f"Rows sum to less than 1: {rest} take the rest." if rest else ""
