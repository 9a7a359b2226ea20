"""Do two groups of tokens differ in some value? All layers, all permutations at once.

Values of a layer are counted in equal bins over the pooled range; the groups' shares of the bins
are ``p`` and ``q``, and the statistic is a divergence of the two. Under the null hypothesis labels
and values have nothing to do with each other. There are two ways to make such labels: *shuffling*
takes tokens for exchangeable; *shifting* all labels round the text leaves the order of both as it
is, so that neighbours may depend on each other. Either way the counts of all layers and
permutations are one matrix product, of other labels with indicators of bins.

What a bin adds to the divergence depends on one whole number only, how many of its values fall into
the first group. So it is looked up in a table: no logarithm is taken per permutation, and equal
counts give equal divergences. Bins go in pairs, a full one with a nearly empty one: the indicators
are weighted such that the product is at once the pair's place in the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from glasshead_backend.progress import steps
from glasshead_backend.statistics.histogram import bin_of, counts, equal_edges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Bool, Float, Int

Divergence = Callable[[Tensor, Tensor], Tensor]
"""What a bin adds to it, nats, of the shares ``p`` and ``q`` that two groups have in the bin."""

Relabelling = Literal["shuffle", "shift"]
"""How labels are made that have nothing to do with the values."""

_BLOCK_VALUES = {"cpu": 1 << 19}
"""Most numbers of one kind at once: on a CPU those that its cache holds."""
_BLOCK_VALUES_ELSEWHERE = 1 << 22

_TABLE_ENTRIES = 1 << 22
"""Most entries of the tables of pairs of bins (32 MB)."""

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
    edges = equal_edges(values.amin(dim=-1), values.amax(dim=-1), bins)
    index = bin_of(values, edges)
    return GroupCounts(edges, counts(index[:, is_first], bins), counts(index[:, ~is_first], bins))


def kullback_leibler(
    p: Float[Tensor, "layer bin"], q: Float[Tensor, "layer bin"]
) -> Float[Tensor, " layer"]:
    """``sum_b p log(p / q)``, nats; infinite where a bin has ``p > 0`` and ``q = 0``."""
    return torch.where(p > 0, p * (p / q).log(), 0.0).sum(dim=-1)


def jensen_shannon(p: Float[Tensor, "*bin"], q: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
    """``½ KL(p‖m) + ½ KL(q‖m)`` with ``m = (p + q) / 2``: from 0 to log 2."""
    m = (p + q) / 2
    xlogx = torch.special.xlogy
    return (xlogx(p, p) + xlogx(q, q)) / 2 - xlogx(m, m)


def notebook_divergence(bins: int, epsilon: float = 0.0) -> Divergence:
    """What course notebooks call a symmetric KL: ``(½ KL(m‖p) + ½ KL(m‖q)) / bins``.

    That is the mean of torch's ``kl_div(log p, m, reduction="batchmean")`` and
    ``kl_div(log q, m, ...)``: its second argument is the distribution that is averaged over, and
    "batchmean" divides by the length of one-dimensional tensors. As in torch it is infinite where a
    bin holds values of one group only. A bin without any value adds nothing here; in torch its
    ``0 * log 0`` makes the whole NaN.

    Parameters
    ----------
    bins : int
    epsilon : float
        Added to all shares, as notebooks do that want no logarithm of 0.
    """

    def added(p: Float[Tensor, "*bin"], q: Float[Tensor, "*bin"]) -> Float[Tensor, "*bin"]:
        p, q = p + epsilon, q + epsilon
        m = (p + q) / 2
        xlogy = torch.special.xlogy
        return (xlogy(m, m) - (xlogy(m, p) + xlogy(m, q)) / 2) / bins

    return added


def divergence(
    first: Int[Tensor, "layer bin"],
    second: Int[Tensor, "layer bin"],
    of: Divergence = jensen_shannon,
) -> Float[Tensor, " layer"]:
    """Divergence of the histograms of two groups, nats, float64."""
    p, q = (group.double() / group.sum(dim=-1, keepdim=True) for group in (first, second))
    return of(p, q).sum(dim=-1).clamp_min_(0.0)


def divergences(
    values: Float[Tensor, "layer token"],
    is_first: Bool[Tensor, " token"],
    bins: int,
    of: Divergence = jensen_shannon,
) -> Float[Tensor, " layer"]:
    """Divergence of the two groups' histograms over their pooled range, nats, float64."""
    found = count_groups(values, is_first, bins)
    return divergence(found.first, found.second, of)


def null_divergences(
    values: Float[Tensor, "layer token"],
    is_first: Bool[Tensor, " token"],
    *,
    bins: int,
    permutations: int,
    seed: int,
    of: Divergence = jensen_shannon,
    relabelling: Relabelling = "shuffle",
    partial: Callable[[Float[Tensor, "permutation layer"]], object] | None = None,
) -> Float[Tensor, "permutation layer"]:
    """Divergences under the null hypothesis: other labels, the same ones in all layers.

    Parameters
    ----------
    values : Tensor
        ``[layers, tokens]``.
    is_first : Tensor
        ``[tokens]`` bool.
    bins, permutations : int
    seed : int
        The same seed gives the same labels on any device, for any size of blocks.
    of : callable
        :func:`jensen_shannon` or a :func:`notebook_divergence`.
    relabelling : {"shuffle", "shift"}
        Shuffled labels; or the labels as they are, shifted round the text. There are only
        ``tokens - 1`` shifts: all of them, each once, where that many permutations are asked for.
    partial : callable, optional
        Makes of the permutations that are done what progress callbacks may look at.

    Returns
    -------
    Tensor
        ``[permutations, layers]`` float64, nats, on the device of the values; no more of them than
        there are shifts.
    """
    n_layers, n_tokens = values.shape
    index = bin_of(values, equal_edges(values.amin(dim=-1), values.amax(dim=-1), bins))
    n_first = int(is_first.sum())
    shares = _Shares(counts(index, bins), (n_first, n_tokens - n_first), of)
    weights = shares.weights_of(index)
    start_of = shares.start.to(weights)
    if relabelling == "shift":
        permutations = min(permutations, n_tokens - 1)
    null = torch.empty(permutations, n_layers, dtype=torch.float64, device=values.device)
    most = _BLOCK_VALUES.get(values.device.type, _BLOCK_VALUES_ELSEWHERE)
    at_once = max(1, most // max(weights.shape[1], n_tokens))
    blocks = range(0, permutations, at_once)

    done = 0

    def so_far() -> object:
        return None if partial is None or not done else partial(null[:done])

    sizes = [min(at_once, permutations - start) for start in blocks]
    if relabelling == "shift":
        labels = _shifted(is_first.cpu().numpy(), sizes, seed)
    else:
        labels = _shuffled(n_tokens, n_first, sizes, seed)
    for start in steps(blocks, "permuting labels", len(blocks), so_far):
        places = torch.addmm(start_of, torch.from_numpy(next(labels)).to(weights), weights)
        done = start + len(places)
        null[start:done] = shares.at(places)
    return null


def p_values(
    observed: Float[Tensor, " layer"], null: Float[Tensor, "permutation layer"]
) -> Float[Tensor, " layer"]:
    """``(1 + #{null >= observed}) / (1 + permutations)``: never zero."""
    as_large = (null >= observed - _TIE).sum(dim=0)
    return (1 + as_large).double() / (1 + len(null))


class _Shares:
    """What every pair of bins adds to the divergence, for all counts in the first group.

    With ``n1`` and ``n2`` tokens in the groups, and a bin with ``c`` of its ``C`` values in the
    first: ``p = c / n1``, ``q = (C - c) / n2``, ``m = (p + q) / 2`` and, for Jensen-Shannon,
    ``(p log p + q log q) / 2 - m log m``. The table of a pair of bins has a row for each count of
    the emptier one, as wide as the fullest bin of all: what counts ``c_a``, ``c_b`` add stands at
    ``start + c_a + width c_b``. Tables of pairs of a long text would be large: there each bin has
    one of its own.
    """

    def __init__(
        self, pooled: Int[Tensor, "layer bin"], sizes: tuple[int, int], of: Divergence
    ) -> None:
        self.n_layers = len(pooled)
        # A bin for each to have a partner.
        pooled = torch.nn.functional.pad(pooled, (0, pooled.shape[1] % 2))
        flat = pooled.flatten()
        begin, of_bin, first = _entries(flat + 1)
        single = of(first.double() / sizes[0], (flat[of_bin] - first).double() / sizes[1])
        begin = begin.view_as(pooled)
        half = pooled.shape[1] // 2
        order = pooled.argsort(dim=-1)
        emptier, fuller = order[:, :half], order[:, half:].flip(-1)
        n_rows, width = pooled.gather(-1, emptier) + 1, int(pooled.max()) + 1
        if int(n_rows.sum()) * width > _TABLE_ENTRIES:
            self.members = ((order, 1),)
            self.table, self.start = single, begin.gather(-1, order).flatten()
            return
        self.members = ((fuller, 1), (emptier, width))
        rows, pair, count = _entries(n_rows.flatten())
        self.start = rows * width
        # Beyond the last count of a bin nobody looks.
        column = torch.arange(width, device=pooled.device)
        last = pooled.gather(-1, fuller).flatten()[:, None]
        of_fuller = single[begin.gather(-1, fuller).flatten()[:, None] + column.minimum(last)]
        of_emptier = single[begin.gather(-1, emptier).flatten()[pair] + count]
        self.table = of_fuller.index_select(0, pair).add_(of_emptier[:, None]).flatten()

    @property
    def n_columns(self) -> int:
        """Pairs of bins in a layer; or bins, where each is alone."""
        return self.members[0][0].shape[1]

    def weights_of(self, index: Int[Tensor, "layer token"]) -> Float[Tensor, "token column"]:
        """What a token of the first group adds to the place of each pair of bins in the table."""
        # Sums of whole numbers below 2**24 are exact in float32.
        exact = torch.float32 if len(self.table) < 1 << 24 else torch.float64
        device, index = index.device, index.long()
        shape = (index.shape[1], self.n_layers * self.n_columns)
        weights = torch.zeros(shape, dtype=exact, device=device)
        first = torch.arange(self.n_layers, device=device)[:, None] * self.n_columns
        n_bins = sum(of_kind.shape[1] for of_kind, _ in self.members)
        for bins, weight in self.members:
            # The column of every bin of this kind; those of the other kind add nothing there.
            column = torch.zeros(self.n_layers, n_bins, dtype=torch.int64, device=device)
            column.scatter_(1, bins, torch.arange(self.n_columns, device=device).expand_as(bins))
            adds = torch.zeros(self.n_layers, n_bins, dtype=exact, device=device)
            adds.scatter_(1, bins, float(weight))
            weights.scatter_add_(1, (column.gather(1, index) + first).T, adds.gather(1, index).T)
        return weights

    def at(self, places: Float[Tensor, "permutation column"]) -> Float[Tensor, "permutation layer"]:
        """Sum what all pairs of bins of a layer add."""
        entries = self.table.index_select(0, places.long().flatten())
        by_layer = entries.view(len(places), self.n_layers, self.n_columns)
        return by_layer.sum(dim=-1).clamp_min_(0.0)


def _entries(
    sizes: Int[Tensor, " table"],
) -> tuple[Int[Tensor, " table"], Int[Tensor, " entry"], Int[Tensor, " entry"]]:
    """Where tables behind each other begin; of every entry the table, and the place there."""
    start = sizes.cumsum(0) - sizes
    table = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
    return start, table, torch.arange(len(table), device=sizes.device) - start[table]


def _shuffled(
    n_tokens: int, n_first: int, sizes: list[int], seed: int
) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Yield blocks of shuffled labels; one stream of random numbers, wherever it is cut.

    Each token gets a random key; those with the smallest keys make the first group.
    """
    generator = np.random.default_rng(seed)
    for size in sizes:
        keys = generator.integers(1 << 32, size=(size, n_tokens), dtype=np.uint32)
        last = np.partition(keys, n_first - 1, axis=1)[:, n_first - 1 : n_first]
        labels = keys <= last
        # Two keys in four billion are equal now and then: in such rows the order decides.
        for row in np.flatnonzero(labels.sum(axis=1) != n_first):
            labels[row] = False
            labels[row, keys[row].argsort(kind="stable")[:n_first]] = True
        yield labels


def _shifted(
    is_first: np.ndarray[tuple[int], np.dtype[np.bool_]], sizes: list[int], seed: int
) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.bool_]]]:
    """Yield blocks of labels that are shifted round the text, each by another distance."""
    n_tokens = len(is_first)
    shifts = 1 + np.random.default_rng(seed).permutation(n_tokens - 1)
    places = np.arange(n_tokens)
    for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
        yield is_first[(places - shifts[start : start + size, None]) % n_tokens]
