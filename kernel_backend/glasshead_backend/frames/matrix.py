"""The picture of an attention matrix: never more cells than a screen shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from glasshead_backend.attention import undisturbed
from glasshead_backend.frames.pack import pack, quantise_rows
from glasshead_backend.pooling import Pooling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from glasshead_backend.attention_map import Aggregate, AttentionMap
    from glasshead_backend.layers import Kind
    from glasshead_backend.sides import Unit
    from glasshead_backend.trace import Trace

TILE = 512
"""Most cells on an axis of a frame or tile."""


def matrix_frame(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    aggregate: Aggregate,
) -> dict[str, Any]:
    """Make the frame of FusedAttentionMatrix: one head, or the mean or maximum of several.

    Returns
    -------
    dict
        ``values`` (uint8) and ``row_scale``: weight = byte * scale of its row. Maps with more than
        512 units on an axis are max-pooled; ``cells_per_pixel`` says by how much. ``row_entropy``
        is in bits, ``column_mass`` the mean weight that a column gets; both from the exact weights.
    """
    weights = trace.attention_map(
        layer, list(heads) or None, kind=kind, unit=unit, aggregate=aggregate
    )
    pooling = Pooling(weights, None, None, TILE, "max")
    margins = _Margins(weights)
    with undisturbed(weights.device):
        for place, block in weights.blocks():
            pooling.add(place, block)
            margins.add(place, block)
    pooled, per_pixel = pooling.result()
    stepped, scale = quantise_rows(pooled[0])
    n_heads = trace.n_heads(layer, kind)
    return {
        "key": {
            "kind": kind,
            "layer": layer,
            "heads": list(heads),
            "unit": unit,
            "aggregate": aggregate,
        },
        "kind": "matrix",
        "rows": weights.n_rows,
        "cols": weights.n_columns,
        "pooled": "max" if per_pixel > 1 else "exact",
        "cells_per_pixel": per_pixel,
        "values": pack(stepped, torch.uint8),
        "row_scale": pack(scale, torch.float32),
        "max": float(margins.largest),
        "row_entropy": pack(margins.entropy, torch.float32),
        "column_mass": pack(margins.column_mass, torch.float32),
        "undefined_rows": pack(margins.undefined, torch.uint8),
        "title": _title(list(heads), n_heads, aggregate),
    }


def matrix_tile(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    aggregate: Aggregate,
    queries: tuple[int, int],
    keys: tuple[int, int],
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
    pooled, per_pixel = trace.pooled_attention(
        layer,
        list(heads) or None,
        kind=kind,
        unit=unit,
        aggregate=aggregate,
        queries=queries,
        keys=keys,
        size=TILE,
    )
    stepped, scale = quantise_rows(pooled[0])
    return stepped, scale, "max" if per_pixel > 1 else "exact", per_pixel


class _Margins:
    """What stands beside the matrix, summed over its blocks; all from the exact weights.

    Attributes
    ----------
    entropy : Tensor
        ``[rows]``, bits, of the row as a distribution; NaN where it may look nowhere.
    undefined : Tensor
        ``[rows]`` bool, rows that may look nowhere.
    largest : Tensor
        The largest weight.
    """

    def __init__(self, of: AttentionMap) -> None:
        self.entropy = torch.full((of.n_rows,), torch.nan, dtype=torch.float32, device=of.device)
        self.undefined = torch.zeros(of.n_rows, dtype=torch.bool, device=of.device)
        self.largest = torch.zeros((), dtype=torch.float32, device=of.device)
        self._mass = torch.zeros(of.n_columns, dtype=torch.float32, device=of.device)

    @property
    def column_mass(self) -> Float[Tensor, " column"]:
        """Mean weight that every column gets, over the rows that look somewhere."""
        return self._mass / (~self.undefined).sum().clamp_min(1)

    def add(self, place: slice, block: Float[Tensor, "one row visible"]) -> None:
        """Take in one block of rows."""
        sums = block[0].sum(dim=1)
        undefined = sums.isnan()
        weights = block[0].nan_to_num_(0.0)
        share = weights / sums.clamp_min(1e-30)[:, None].nan_to_num(1.0)
        entropy = -torch.special.xlogy(share, share).sum(dim=1) / math.log(2)
        self.entropy[place] = entropy.masked_fill(undefined, torch.nan)
        self.undefined[place] = undefined
        self.largest = torch.maximum(self.largest, weights.amax())
        self._mass[: weights.shape[1]] += weights.sum(dim=0)


def _title(heads: list[int], n_heads: int, aggregate: Aggregate) -> str:
    if len(heads) == 1 or n_heads == 1:
        return f"head {heads[0] if heads else 0}"
    word = "mean" if aggregate == "mean" else "maximum"
    if not heads or len(heads) == n_heads:
        return f"{word} of all {n_heads} heads"
    names = ", ".join(map(str, heads))
    return f"{word} of heads {names}" if len(heads) <= 6 else f"{word} of {len(heads)} heads"  # noqa: PLR2004
