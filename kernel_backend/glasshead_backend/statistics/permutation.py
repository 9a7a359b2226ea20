"""Do two groups of tokens differ in some value? All layers, all permutations at once.

Values of a layer are counted in equal bins over the pooled range; the groups' shares of the bins
are ``p`` and ``q``, and the statistic is their Jensen-Shannon divergence. Under the null hypothesis
the labels are exchangeable: they are shuffled, and the counts of all layers and permutations are
one matrix product, of shuffled labels with indicators of bins. What a bin adds to the divergence
depends on one whole number only, how many of its values fall into the first group: it is looked up
in a table, so no logarithm is taken per permutation, and equal counts give equal divergences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from glasshead_backend.progress import steps
from glasshead_backend.statistics.histogram import bin_of, counts, equal_edges

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

_BLOCK_VALUES = 1 << 22
"""Most counts at once (layers x bins x permutations): about 100 MB of work."""

_TIE = 1e-12
"""Divergences that differ by less are equal: they are sums of the same shares in another order."""


class GroupCounts(NamedTuple):
    """How many values of each group lie in each bin."""

    edges: Float[Tensor, "layer edge"]
    first: Int[Tensor, "layer bin"]
    second: Int[Tensor, "layer bin"]


def count_groups(
    values: Float[Tensor, "layer token"], is_first: Bool[Tensor, " token"], bins: int
) -> GroupCounts:
    """Histograms of two groups over their pooled range, of every layer.

    Parameters
    ----------
    values : Tensor
        ``[layers, tokens]``, finite.
    is_first : Tensor
        Which tokens make the first group; the others are the second.
    bins : int
    """
    edges, index = _binned(values, bins)
    return GroupCounts(edges, counts(index[:, is_first], bins), counts(index[:, ~is_first], bins))


def kullback_leibler(
    p: Float[Tensor, "layer bin"], q: Float[Tensor, "layer bin"]
) -> Float[Tensor, " layer"]:
    """``sum_b p log(p / q)``, nats; infinite where a bin has ``p > 0`` and ``q = 0``."""
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(dim=-1)


def divergences(
    values: Float[Tensor, "layer token"], is_first: Bool[Tensor, " token"], bins: int
) -> Float[Tensor, " layer"]:
    """Jensen-Shannon divergence of the two groups' histograms, nats, float64."""
    found = count_groups(values, is_first, bins)
    shares = _Shares(found.first + found.second, int(is_first.sum()), len(is_first))
    return shares.divergence(found.first[None])[0]


def null_divergences(
    values: Float[Tensor, "layer token"],
    is_first: Bool[Tensor, " token"],
    *,
    bins: int,
    permutations: int,
    seed: int,
    partial: Callable[[Float[Tensor, "permutation layer"]], object] | None = None,
) -> Float[Tensor, "permutation layer"]:
    """Divergences under the null hypothesis: the labels shuffled, the same way in all layers.

    Parameters
    ----------
    values : Tensor
        ``[layers, tokens]``.
    is_first : Tensor
        ``[tokens]`` bool.
    bins, permutations : int
    seed : int
        The same seed gives the same labels on any device, for any size of blocks.
    partial : callable, optional
        Makes of the permutations that are done what progress callbacks may look at.

    Returns
    -------
    Tensor
        ``[permutations, layers]`` float64, nats, on the device of the values.
    """
    n_layers, n_tokens = values.shape
    _, index = _binned(values, bins)
    pooled = counts(index, bins)
    place = index + torch.arange(n_layers, device=values.device)[:, None] * bins
    indicators = torch.zeros(
        n_tokens, n_layers * bins, dtype=torch.float32, device=values.device
    ).scatter_(1, place.T, 1.0)
    shares = _Shares(pooled, int(is_first.sum()), n_tokens)
    null = torch.empty(permutations, n_layers, dtype=torch.float64, device=values.device)
    at_once = max(1, _BLOCK_VALUES // max(n_layers * bins, n_tokens))
    blocks = range(0, permutations, at_once)

    def so_far() -> object:
        return partial(null[:start]) if partial is not None and start else None

    start = 0
    labels = _shuffled(is_first, [min(at_once, permutations - begin) for begin in blocks], seed)
    for start in steps(blocks, "permuting labels", len(blocks), so_far):
        # Counts are whole numbers well below 2**24: exact in float32.
        found = (next(labels).to(values.device) @ indicators).int()
        null[start : start + len(found)] = shares.divergence(found.view(-1, n_layers, bins))
    return null


def p_values(
    observed: Float[Tensor, " layer"], null: Float[Tensor, "permutation layer"]
) -> Float[Tensor, " layer"]:
    """``(1 + #{null >= observed}) / (1 + permutations)``: never zero."""
    as_large = (null >= observed - _TIE).sum(dim=0)
    return (1 + as_large).double() / (1 + len(null))


class _Shares:
    """What every bin adds to the divergence, for every possible count in the first group.

    With ``n1`` and ``n2`` tokens in the groups, and a bin with ``c`` of its ``C`` values in the
    first: ``p = c / n1``, ``q = (C - c) / n2``, ``m = (p + q) / 2`` and
    ``(p log p + q log q) / 2 - m log m``.
    """

    def __init__(self, pooled: Int[Tensor, "layer bin"], n_first: int, n_tokens: int) -> None:
        flat = pooled.flatten()
        # The tables of all bins stand behind each other, each one longer than its count.
        sizes = flat + 1
        start = sizes.cumsum(0) - sizes
        of_bin = torch.repeat_interleave(torch.arange(len(flat), device=flat.device), sizes)
        first = torch.arange(len(of_bin), device=flat.device) - start[of_bin]
        p = first.double() / n_first
        q = (flat[of_bin] - first).double() / (n_tokens - n_first)
        m = (p + q) / 2
        xlogx = torch.special.xlogy
        self.table = (xlogx(p, p) + xlogx(q, q)) / 2 - xlogx(m, m)
        self.start = start.view_as(pooled)

    def divergence(
        self, first: Int[Tensor, "permutation layer bin"]
    ) -> Float[Tensor, "permutation layer"]:
        """Sum the shares of all bins."""
        return self.table[self.start + first].sum(dim=-1).clamp_min_(0.0)


def _binned(
    values: Float[Tensor, "layer token"], bins: int
) -> tuple[Float[Tensor, "layer edge"], Int[Tensor, "layer token"]]:
    edges = equal_edges(values.amin(dim=-1), values.amax(dim=-1), bins)
    return edges, bin_of(values, edges)


def _shuffled(
    is_first: Bool[Tensor, " token"], sizes: list[int], seed: int
) -> Iterator[Float[Tensor, "permutation token"]]:
    """Yield blocks of shuffled labels, ones and zeros; one stream, wherever it is cut."""
    generator = np.random.default_rng(seed)
    labels = is_first.cpu().numpy().astype(np.int64)  # numpy shuffles whole words fastest
    for size in sizes:
        rows = np.broadcast_to(labels, (size, len(labels)))
        yield torch.from_numpy(generator.permuted(rows, axis=1)).float()
