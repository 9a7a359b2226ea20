"""The picture of an attention matrix: never more cells than a screen shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from glasshead_backend.frames.pack import pack, quantise_rows
from glasshead_backend.maps.entropy import row_entropy
from glasshead_backend.questions.attention import attention, attention_map, pooled_attention
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float

    from glasshead_backend.asking import Selection
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

TILE = 512
"""Most cells on an axis of a frame or tile."""

_N_LARGEST = 6
"""Cells that a view names for a first look."""


def matrix_frame(trace: Trace, asked: Selection) -> dict[str, Any]:
    """Make the frame of FusedAttentionMatrix: one head, or the mean or maximum of several.

    Returns
    -------
    dict
        ``values`` (uint8) and ``row_scale``: weight = byte * scale of its row. Maps with more than
        512 units on an axis are max-pooled; ``cells_per_pixel`` says by how much. ``row_entropy``
        is in bits (:func:`~glasshead_backend.maps.entropy.row_entropy`), ``column_mass`` the mean
        weight that a column gets, ``largest`` the strongest cells, strongest first; all from the
        exact weights. ``causal``: no row looks ahead. The first row of such a map can look only at
        itself, which says nothing: ``largest`` is without it.
    """
    weights = attention_map(run_of(trace), asked)
    pooling = weights.pooling(size=TILE)
    margins = _Margins(weights)
    with undisturbed(weights.device):
        for place, block in weights.blocks():
            pooling.add(place, block)
            margins.add(place, block)
    pooled, per_pixel = pooling.result()
    stepped, scale = quantise_rows(pooled[0])
    # What is hatched as masked has no weight, whatever kind of model this is.
    causal = run_of(trace).is_causal(asked.kind) and not margins.looks_ahead
    return {
        "key": asked.key,
        "kind": "matrix",
        "rows": weights.n_rows,
        "cols": weights.n_columns,
        "pooled": "max" if per_pixel > 1 else "exact",
        "cells_per_pixel": per_pixel,
        "values": pack(stepped, torch.uint8),
        "row_scale": pack(scale, torch.float32),
        "max": float(margins.max),
        "causal": causal,
        "largest": margins.largest_cells(first_row=int(causal)),
        "row_entropy": pack(margins.entropy, torch.float32),
        "column_mass": pack(margins.column_mass, torch.float32),
        "undefined_rows": pack(margins.undefined, torch.uint8),
        "title": _title(asked, weights.call.n_heads),
    }


def matrix_tile(
    trace: Trace, asked: Selection, queries: tuple[int, int], keys: tuple[int, int]
) -> tuple[Tensor, Tensor, Literal["exact", "max"], int]:
    """One viewport of the matrix at the best resolution that fits 512 x 512.

    Parameters
    ----------
    queries, keys : tuple of int
        Half-open ranges of units.

    Returns
    -------
    values, row_scale, pooled, cells_per_pixel
        As in :func:`matrix_frame`.
    """
    pooled, per_pixel = pooled_attention(
        run_of(trace), asked, queries=queries, keys=keys, size=TILE
    )
    stepped, scale = quantise_rows(pooled[0])
    return stepped, scale, "max" if per_pixel > 1 else "exact", per_pixel


def matrix_table(trace: Trace, asked: Selection) -> pd.DataFrame:
    """Return the whole matrix, with its words (or tokens) as index and columns."""
    import pandas as pd  # noqa: PLC0415  loaded when it is needed

    run = run_of(trace)
    return pd.DataFrame(
        attention(run, asked).cpu().numpy(),
        index=pd.Index(run.sides.labels("query", asked.kind, asked.unit), name="looks"),
        columns=pd.Index(run.sides.labels("key", asked.kind, asked.unit), name="at"),
    )


class _Margins:
    """What stands beside the matrix, summed over its blocks; all from the exact weights.

    Attributes
    ----------
    entropy : Tensor
        ``[rows]``, bits, of the row as a distribution; NaN where it may look nowhere.
    undefined : Tensor
        ``[rows]`` bool, rows that may look nowhere.
    max : Tensor
        The largest weight of all.
    """

    def __init__(self, of: AttentionMap) -> None:
        self.entropy = torch.full((of.n_rows,), torch.nan, dtype=torch.float32, device=of.device)
        self.undefined = torch.zeros(of.n_rows, dtype=torch.bool, device=of.device)
        self.max = torch.zeros((), dtype=torch.float32, device=of.device)
        self._ahead = torch.zeros((), dtype=torch.bool, device=of.device)
        self._cells: list[tuple[Tensor, Tensor, Tensor]] = []
        self._mass = torch.zeros(of.n_columns, dtype=torch.float32, device=of.device)

    @property
    def column_mass(self) -> Float[Tensor, " column"]:
        """Mean weight that every column gets, over the rows that look somewhere."""
        return self._mass / (~self.undefined).sum().clamp_min(1)

    @property
    def looks_ahead(self) -> bool:
        """Whether a row has weight on a later column."""
        return bool(self._ahead)

    def largest_cells(self, first_row: int) -> dict[str, Packed]:
        """Return the strongest cells from a row (0 or 1) on, strongest first."""
        weight, row, key = (torch.cat(parts) for parts in zip(*self._cells, strict=True))
        weight = weight.masked_fill(row < first_row, 0.0)
        weight, order = weight.topk(min(_N_LARGEST, len(weight)))
        order, weight = order[weight > 0], weight[weight > 0]
        return {
            "query": pack(row[order], torch.uint32),
            "key": pack(key[order], torch.uint32),
            "weight": pack(weight, torch.float32),
        }

    def add(self, place: slice, block: Float[Tensor, "one row visible"]) -> None:
        """Take in one block of rows."""
        self.entropy[place] = row_entropy(block[0])
        undefined = block[0].isnan().any(dim=1)
        weights = block[0].nan_to_num_(0.0)
        self.undefined[place] = undefined
        self._mass[: weights.shape[1]] += weights.sum(dim=0)
        strongest = weights.amax(dim=1)
        self.max = torch.maximum(self.max, strongest.amax())
        self._ahead |= (weights.triu(place.start + 1) > 0).any()
        self._add_cells(place.start, weights, strongest)

    def _add_cells(
        self, start: int, weights: Float[Tensor, "row visible"], strongest: Float[Tensor, " row"]
    ) -> None:
        """Keep the strongest cells of a block: they are in the rows with the strongest cells."""
        # One more than named: the first row of a causal map has one weight, which is left out.
        n = _N_LARGEST + 1
        rows = strongest.topk(min(n, len(strongest))).indices
        cells = weights[rows].flatten()
        top = cells.topk(min(n, len(cells)))
        row, key = top.indices // weights.shape[1], top.indices % weights.shape[1]
        self._cells.append((top.values, start + rows[row], key))


def _title(asked: Selection, n_heads: int) -> str:
    heads = asked.heads
    if len(heads) == 1 or n_heads == 1:
        return f"head {heads[0] if heads else 0}"
    word = "mean" if asked.aggregate == "mean" else "maximum"
    if not heads or len(heads) == n_heads:
        return f"{word} of all {n_heads} heads"
    names = ", ".join(map(str, heads))
    return f"{word} of heads {names}" if len(heads) <= 6 else f"{word} of {len(heads)} heads"  # noqa: PLR2004
