"""Tests between blocks and over layers, and intervals: scipy's, without what scipy does not know.

What cannot be tested (too few values, none that differ) has neither statistic nor p: NaN. scipy's
statistics take a while to load: only who tests something waits for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

Alternative = Literal["two-sided", "one-sided"]

FEWEST_FOR_TAU = 2
FEWEST_FOR_T = 2
FEWEST_FOR_Z = 4
"""Pairs, of each sample. With 3 the variance ``1 / (n - 3)`` of Fisher's transformation is none."""

_NO_SPREAD = 1e-12
"""Standard deviation, as a share of the values, up to which they are one value and rounding."""


class Tested(NamedTuple):
    """Statistics of a test and their p-values, float64 on the CPU."""

    statistic: Float[Tensor, "*test"]
    p: Float[Tensor, "*test"]


class Mean(NamedTuple):
    """Means and the ends of their intervals, float64."""

    mean: Float[Tensor, "*any"]
    low: Float[Tensor, "*any"]
    high: Float[Tensor, "*any"]


def mean_and_interval(values: Float[Tensor, "sample ..."], confidence: float) -> Mean:
    """Mean over samples, and Student's t interval of it.

    The interval is the mean ± t standard errors, with a degree of freedom less than there are
    samples. It holds the true mean as often as it says where values are normal, with any number of
    samples; a bootstrap's does not with few: of 2 samples all draws lie between the two, and these
    have the true mean between them in one case of two. How often a 95 % interval holds the true
    mean, by simulation, Student's and (in brackets) a percentile bootstrap's:

    =====================  ==========  ========  ========  ========  ========
    values                 2 samples   3         5         10        30
    =====================  ==========  ========  ========  ========  ========
    normal                 95 (50) %   95 (76)   95 (83)   95 (89)   95 (94)
    Student's t, 3         96 (50) %   96 (75)   96 (83)   96 (89)   96 (93)
    exponential            91 (46) %   89 (70)   88 (78)   90 (86)   93 (92)
    lognormal, sd of 1     90 (43) %   84 (64)   82 (72)   84 (80)   88 (88)
    =====================  ==========  ========  ========  ========  ========

    (The bias-corrected and accelerated bootstrap does no better than the percentile one with 10
    samples or fewer; the studentised one has no end with 2 and 3.)

    Parameters
    ----------
    values : Tensor
        ``[samples, ...]``; NaN where a sample has no value: it is left out.
    confidence : float
        As 0.95.

    Returns
    -------
    Mean
        The interval of a single value is NaN, and so is that of infinite ones.
    """
    values = values.double()
    there = ~values.isnan()
    mean = values.nanmean(dim=0)
    squares = torch.where(there, values - mean, 0.0).square().sum(dim=0)
    return t_interval(there.sum(dim=0), mean, squares, confidence)


def t_interval(
    n: Int[Tensor, "*any"],
    mean: Float[Tensor, "*any"],
    squares: Float[Tensor, "*any"],
    confidence: float,
) -> Mean:
    """Student's t interval of means, see :func:`mean_and_interval`.

    Parameters
    ----------
    n : Tensor
        How many values each is the mean of.
    mean : Tensor
    squares : Tensor
        Sums of the squared deviations from it.
    confidence : float
    """
    from scipy.special import stdtrit  # noqa: PLC0415

    t = torch.as_tensor(stdtrit((n - 1).clamp(min=1).numpy(), (1 + confidence) / 2))
    half = torch.where(n > 1, t * (squares / (n - 1) / n).sqrt(), torch.nan)
    return Mean(mean, mean - half, mean + half)


def benjamini_hochberg(p: Float[Tensor, " test"]) -> Float[Tensor, " test"]:
    """Adjust p-values for the number of tests (false discovery rate); NaN stays, and counts not."""
    from scipy.stats import false_discovery_control  # noqa: PLC0415

    adjusted = p.clone()
    tested = ~p.isnan()
    if tested.any():
        adjusted[tested] = torch.from_numpy(false_discovery_control(p[tested].numpy()))
    return adjusted


def kendall(values: Float[Tensor, "row pair"], with_: Int[Tensor, " pair"]) -> Tested:
    """Kendall's τ-b of every row of values with one other variable.

    NaN for a row without values, for one whose values are all equal, and for a single pair.
    """
    from scipy.stats import kendalltau  # noqa: PLC0415

    other = with_.numpy()
    found = np.full((2, len(values)), np.nan)
    for i, row in enumerate(values.numpy()):
        if len(row) >= FEWEST_FOR_TAU and not np.isnan(row).any():
            found[:, i] = kendalltau(row, other)
    return Tested(*torch.from_numpy(found))


def compare_means(
    values: Float[Tensor, "layer pair"], others: Float[Tensor, "layer pair"]
) -> Tested:
    """Student's t-test for two samples of equal variance in every layer, values minus others.

    NaN for samples of one, and where neither sample varies: a difference of zero variance would be
    infinitely significant.
    """
    from scipy.special import stdtr  # noqa: PLC0415

    n = values.shape[1]
    if n < FEWEST_FOR_T:
        nothing = torch.full(values.shape[:1], torch.nan, dtype=torch.float64)
        return Tested(nothing, nothing)
    size = values.abs().amax(dim=1).maximum(others.abs().amax(dim=1))
    spread = (values.var(dim=1) + others.var(dim=1)).sqrt()
    t = (values.mean(dim=1) - others.mean(dim=1)) / (spread / math.sqrt(n))
    t = torch.where(spread > _NO_SPREAD * size, t, torch.nan)
    return Tested(t, torch.as_tensor(2 * stdtr(2 * n - 2, -t.abs().numpy())))


def compare_taus(
    tau: Float[Tensor, " layer"],
    other: Float[Tensor, " layer"],
    n: int,
    alternative: Alternative,
) -> Tested:
    """z-test of two rank correlations of n pairs each, after Fisher's transformation.

    ``z = (atanh τ - atanh τ') / sqrt(2 / (n - 3))``. One-sided is what some course notebooks
    take, ``Φ(-|z|)``: half the two-sided p. (``1 / (n - 3)`` is the variance for Pearson's
    correlation; a Kendall's τ varies less, so that z is small and p large rather than the reverse.)

    Fisher's transformation of ±1 is infinite, but a τ of 1 among n pairs only says that it is
    nearer to 1 than one step, ``4 / (n (n - 1))``, which the order of two pairs makes. So τ counts
    as half a step off ±1 at most (a correction for continuity): z stays finite, and p above 0.
    NaN for fewer than 4 pairs.
    """
    if n < FEWEST_FOR_Z:
        nothing = torch.full_like(tau, torch.nan)
        return Tested(nothing, nothing)
    most = 1 - 2 / (n * (n - 1))
    z = (tau.clamp(-most, most).atanh() - other.clamp(-most, most).atanh()) / math.sqrt(2 / (n - 3))
    # As 2 Φ(-|z|), but not 0 far out.
    two_sided = torch.special.erfc(z.abs() / math.sqrt(2))
    return Tested(z, two_sided / 2 if alternative == "one-sided" else two_sided)


def share_and_interval(
    right: Bool[Tensor, "layer unit"], cluster: Int[Tensor, " unit"], confidence: float
) -> Mean:
    """Share of units that are right, and Wilson's interval of it, where units come in clusters.

    Units of one text are alike, so that many of them say less than as many of different texts.
    Wilson's interval is taken of ``n / deff`` units, with the design effect (Kish 1965)

    ``deff = Σ_l v_l / Σ_l (p_l (1 - p_l) / n)``, ``v_l = Σ_c (r_lc - p_l n_c)² / n²``

    of all rows ``l`` together (one for each is unsteady where few units are wrong): ``p_l`` is the
    share of a row, ``r_lc`` how many of the ``n_c`` units of cluster ``c`` are right there. It is 1
    where every unit is a cluster of its own: then the interval is Wilson's. It is held between 1
    and ``Σ_c n_c² / n``, what it is where units of a cluster are all right or all wrong; where no
    unit is wrong in any row it is the latter.

    Parameters
    ----------
    right : Tensor
        ``[layers, units]``.
    cluster : Tensor
        ``[units]`` int64, the text of each.
    confidence : float
        As 0.95.

    Returns
    -------
    Mean
    """
    from scipy.special import ndtri  # noqa: PLC0415

    n = right.shape[-1]
    _, member = cluster.unique(return_inverse=True)
    sizes = torch.bincount(member).double()
    per_cluster = torch.zeros(len(right), len(sizes), dtype=torch.float64)
    per_cluster.index_add_(1, member, right.double())
    p = per_cluster.sum(dim=1) / n
    clustered = (per_cluster - p[:, None] * sizes).square().sum() / n**2
    alone = (p * (1 - p)).sum() / n
    most = float(sizes.square().sum() / n)
    deff = min(max(float(clustered / alone), 1.0), most) if alone > 0 else most
    return wilson(p, n / deff, float(ndtri((1 + confidence) / 2)))


def wilson(p: Float[Tensor, "*any"], n: float, z: float) -> Mean:
    """Return Wilson's interval of a share of n: the shares from which p is z standard errors away.

    Unlike p ± z standard errors it is no point where p is 0 or 1.
    """
    squared = z * z / n
    middle = (p + squared / 2) / (1 + squared)
    half = z * (p * (1 - p) / n + squared / (4 * n)).sqrt() / (1 + squared)
    return Mean(p, (middle - half).clamp(min=0.0), (middle + half).clamp(max=1.0))
