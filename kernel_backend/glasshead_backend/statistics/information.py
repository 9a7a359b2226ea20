"""Mutual information of many pairs of activation vectors at once.

For two vectors ``x, y`` of one layer, whose components are the samples: components that lie more
than `trim` standard deviations (``ddof=1``) from the mean of ``x`` or of ``y`` are dropped; the
rest is counted in ``bins x bins`` equal bins from its smallest to its largest value; and
``MI = H(x) + H(y) - H(x, y)`` of these counts. A z-score is affine, so a vector's own values fall
into the same bins as its z-scores, which decide only about the trim.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from glasshead_backend.progress import steps
from glasshead_backend.statistics.histogram import bin_of, bins_of_kept, counts, equal_edges

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

N_NEIGHBOURS = 3
"""That scikit-learn looks for; it needs a component more."""

_BLOCK_VALUES = 1 << 22
"""Most components of pairs at once: about 100 MB of work."""


def pairs_of(n: int) -> Int[Tensor, "two pair"]:
    """All pairs ``i < j`` of n things, as two rows of indices."""
    return torch.triu_indices(n, n, offset=1)


def beyond(vectors: Float[Tensor, "*batch hidden"], trim: float) -> Bool[Tensor, "*batch hidden"]:
    """Which components lie more than `trim` standard deviations from the mean of their vector."""
    std, mean = torch.std_mean(vectors, dim=-1, keepdim=True)
    return (vectors - mean).abs_() > trim * std


def pairwise_information(
    activations: Float[Tensor, "layer position hidden"],
    *,
    bins: int,
    trim: float | None,
    partial: Callable[[Float[Tensor, "layer pair"]], object] | None = None,
) -> Float[Tensor, "layer pair"]:
    """Mutual information of all pairs of positions, bits.

    Parameters
    ----------
    activations : Tensor
        ``[layers, positions, hidden]`` of any dtype.
    bins : int
        On each axis.
    trim : float or None
        Standard deviations beyond which a component is dropped; None = none is.
    partial : callable, optional
        Makes of what has been computed (NaN elsewhere) what progress callbacks may look at.

    Returns
    -------
    Tensor
        ``[layers, pairs]`` float64, pairs as :func:`pairs_of` orders them.
    """
    n_layers, n_positions, hidden = activations.shape
    first, second = pairs_of(n_positions).to(activations.device)
    shape = (n_layers, len(first))
    found = torch.full(shape, torch.nan, dtype=torch.float64, device=activations.device)
    table = _x_log_x(hidden, activations.device)
    n_pairs = max(1, min(len(first), _BLOCK_VALUES // hidden))
    at_once = max(1, _BLOCK_VALUES // (hidden * max(n_pairs, n_positions)))
    starts = range(0, n_layers, at_once)
    so_far = None if partial is None else lambda: partial(found)
    for start in steps(starts, "comparing activations", len(starts), so_far):
        place = slice(start, start + at_once)
        binned = _Binned(activations[place].double(), bins, trim)
        firsts = range(0, len(first), n_pairs)
        for pair in steps(firsts, "comparing activations", len(firsts)):
            some = slice(pair, pair + n_pairs)
            joint = binned.joint_counts(first[some], second[some])
            found[place, some] = _information(joint, table)
    return found


def neighbour_information(
    activations: Float[Tensor, "layer position hidden"],
    *,
    trim: float | None,
    seed: int,
    partial: Callable[[Float[Tensor, "layer pair"]], object],
) -> Float[Tensor, "layer pair"]:
    """Mutual information of all pairs of positions, nats, by scikit-learn's nearest neighbours.

    Parameters
    ----------
    activations : Tensor
        ``[layers, positions, hidden]`` float64.
    trim : float or None
        As for :func:`pairwise_information`.
    seed : int
        Of the jitter that scikit-learn adds.
    partial : callable
        As for :func:`pairwise_information`.

    Returns
    -------
    Tensor
        As of :func:`pairwise_information`; NaN where the trim leaves too few components.
    """
    # Most people never ask for it, and it takes long to load.
    from sklearn.feature_selection import mutual_info_regression  # noqa: PLC0415

    first, second = pairs_of(activations.shape[1]).tolist()
    std, mean = torch.std_mean(activations, dim=-1, keepdim=True)
    kept = (activations - mean).abs() <= (torch.inf if trim is None else trim) * std
    vectors, keep = activations.cpu().numpy(), kept.cpu().numpy()
    shape = (len(activations), len(first))
    found = torch.full(shape, torch.nan, dtype=torch.float64)
    what = "asking scikit-learn for neighbours"
    for row in steps(range(len(found)), what, len(found), lambda: partial(found)):
        for pair in steps(range(len(first)), what, len(first)):
            i, j = first[pair], second[pair]
            both = keep[row, i] & keep[row, j]
            x, y = vectors[row, i, both], vectors[row, j, both]
            if len(x) > N_NEIGHBOURS:
                found[row, pair] = mutual_info_regression(
                    x[:, None], y, n_neighbors=N_NEIGHBOURS, random_state=seed
                )[0]
    return found


class _Binned:
    """Vectors with the bin of every component, each vector on its own, and what the trim drops."""

    def __init__(
        self, vectors: Float[Tensor, "layer position hidden"], bins: int, trim: float | None
    ) -> None:
        self.vectors, self.bins = vectors, bins
        self.dropped: Bool[Tensor, "layer position hidden"] | None = None
        if trim is not None:
            dropped = beyond(vectors, trim)
            self.dropped = dropped if bool(dropped.any()) else None
        if self.dropped is None:
            low, high = vectors.amin(dim=-1), vectors.amax(dim=-1)
            self.index = bin_of(vectors, equal_edges(low, high, bins))
            return
        low = vectors.masked_fill(self.dropped, torch.inf).amin(dim=-1, keepdim=True)
        high = vectors.masked_fill(self.dropped, -torch.inf).amax(dim=-1, keepdim=True)
        self.index = bin_of(vectors, equal_edges(low[..., 0], high[..., 0], bins))
        # Where a partner drops the component of an extreme, the edges of the pair are others.
        extreme = ((vectors == low) | (vectors == high)) & ~self.dropped
        loses = extreme.float() @ self.dropped.float().transpose(1, 2)
        self.has_other_edges = loses > 0

    def joint_counts(
        self, first: Int[Tensor, " pair"], second: Int[Tensor, " pair"]
    ) -> Int[Tensor, "layer pair bin bin"]:
        """Two-dimensional histograms of pairs of vectors."""
        x, y = self.index[:, first], self.index[:, second]
        if self.dropped is not None:
            keep = ~(self.dropped[:, first] | self.dropped[:, second])
            self._bin_again(x, first, second, keep)
            self._bin_again(y, second, first, keep)
            joint = torch.where(keep, x * self.bins + y, -1)
        else:
            joint = x.mul_(self.bins).add_(y)
        return counts(joint, self.bins * self.bins).unflatten(-1, (self.bins, self.bins))

    def _bin_again(
        self,
        index: Int[Tensor, "layer pair hidden"],
        own: Int[Tensor, " pair"],
        partner: Int[Tensor, " pair"],
        keep: Bool[Tensor, "layer pair hidden"],
    ) -> None:
        layer, pair = torch.nonzero(self.has_other_edges[:, own, partner], as_tuple=True)
        if len(layer):
            vectors = self.vectors[layer, own[pair]]
            index[layer, pair] = bins_of_kept(vectors, keep[layer, pair], self.bins)


def _x_log_x(n: int, device: torch.device) -> Float[Tensor, " count"]:
    """``c log2 c`` of all counts up to n: entropies of histograms then need no logarithm."""
    count = torch.arange(n + 1, dtype=torch.float64, device=device)
    return torch.special.xlogy(count, count) / math.log(2)


def _information(
    joint: Int[Tensor, "layer pair bin bin"], table: Float[Tensor, " count"]
) -> Float[Tensor, "layer pair"]:
    """``H(x) + H(y) - H(x, y)``; with ``H = log2 n - sum(c log2 c) / n``."""
    of_x, of_y = joint.sum(dim=-1), joint.sum(dim=-2)
    n = of_x.sum(dim=-1)
    ordered = table[joint.flatten(2)].sum(-1) - table[of_x].sum(-1) - table[of_y].sum(-1)
    return (n.double().log2() + ordered / n).clamp_min_(0.0)
