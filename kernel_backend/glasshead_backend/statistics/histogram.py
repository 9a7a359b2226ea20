"""Histograms of many samples at once, with the very counts of ``numpy.histogram``.

Equal bins from the smallest to the largest value, each closed below, the last one on both sides.
Edges are computed as ``numpy.linspace`` does, in the dtype of the values, and a value is put
between the edges that it lies between: no rounding moves it into a neighbour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor


def equal_edges(
    low: Float[Tensor, "*batch"], high: Float[Tensor, "*batch"], bins: int
) -> Float[Tensor, "*batch edge"]:
    """Edges of equal bins, ``[*batch, bins + 1]``; of width 1 / bins where all is one value."""
    single = low == high
    low, high = torch.where(single, low - 0.5, low), torch.where(single, high + 0.5, high)
    steps = torch.arange(bins + 1, dtype=low.dtype, device=low.device)
    span = (high - low)[..., None]
    step = span / bins
    # As numpy does for spans so small that their bins would have no width.
    edges = torch.where(step == 0, (steps / bins) * span, steps * step) + low[..., None]
    edges[..., -1] = high
    return edges


def bin_of(
    values: Float[Tensor, "*batch value"], edges: Float[Tensor, "*batch edge"]
) -> Int[Tensor, "*batch value"]:
    """Index (int32) of the bin of every value; beyond the edges lie the outermost bins."""
    above = torch.searchsorted(edges.contiguous(), values.contiguous(), right=True, out_int32=True)
    return (above - 1).clamp_(0, edges.shape[-1] - 2)


def bins_of_kept(
    values: Float[Tensor, "*batch value"], keep: Bool[Tensor, "*batch value"], bins: int
) -> Int[Tensor, "*batch value"]:
    """Index of the bin of every value, between the smallest and the largest that are kept."""
    low = values.masked_fill(~keep, torch.inf).amin(dim=-1)
    high = values.masked_fill(~keep, -torch.inf).amax(dim=-1)
    return bin_of(values, equal_edges(low, high, bins))


def counts(index: Int[Tensor, "*batch value"], bins: int) -> Int[Tensor, "*batch bin"]:
    """How many values lie in each bin; an index of -1 counts nowhere."""
    rows = index.reshape(-1, index.shape[-1])
    # One bin more, the first, for what does not count.
    first = torch.arange(len(rows), device=index.device)[:, None] * (bins + 1) + 1
    found = torch.bincount((rows + first).flatten(), minlength=len(rows) * (bins + 1))
    return found.view(*index.shape[:-1], bins + 1)[..., 1:]
