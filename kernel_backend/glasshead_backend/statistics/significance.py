"""Tests between blocks and over layers: scipy's, with what scipy does not know left out.

What cannot be tested (too few values, none that differ) has neither statistic nor p: NaN. scipy's
statistics take a while to load: only who tests something waits for them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int
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
    from scipy.stats import ttest_ind  # noqa: PLC0415

    if values.shape[1] < FEWEST_FOR_T:
        nothing = torch.full(values.shape[:1], torch.nan, dtype=torch.float64)
        return Tested(nothing, nothing)
    size = values.abs().amax(dim=1).maximum(others.abs().amax(dim=1))
    spread = values.std(dim=1).maximum(others.std(dim=1))
    testable = spread > _NO_SPREAD * size
    samples = (torch.where(testable[:, None], one, torch.nan).numpy() for one in (values, others))
    found = ttest_ind(*samples, axis=1)
    return Tested(torch.as_tensor(found.statistic), torch.as_tensor(found.pvalue))


def compare_taus(
    tau: Float[Tensor, " layer"],
    other: Float[Tensor, " layer"],
    n: int,
    alternative: Alternative,
) -> Tested:
    """z-test of two rank correlations of n pairs each, after Fisher's transformation.

    ``z = (atanh τ - atanh τ') / sqrt(2 / (n - 3))``. One-sided is what some course notebooks
    take, ``Φ(-|z|)``: half the two-sided p.

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
    one_sided = torch.special.ndtr(-z.abs())
    return Tested(z, one_sided if alternative == "one-sided" else 2 * one_sided)
