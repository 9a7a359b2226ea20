"""Tests between blocks and over layers: scipy's, with what scipy does not know left out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from scipy import stats

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

Alternative = Literal["two-sided", "one-sided"]


class Tested(NamedTuple):
    """Statistics of a test and their p-values, float64 on the CPU."""

    statistic: Float[Tensor, "*test"]
    p: Float[Tensor, "*test"]


def benjamini_hochberg(p: Float[Tensor, " test"]) -> Float[Tensor, " test"]:
    """Adjust p-values for the number of tests (false discovery rate); NaN stays, and counts not."""
    adjusted = p.clone()
    tested = ~p.isnan()
    if tested.any():
        adjusted[tested] = torch.from_numpy(stats.false_discovery_control(p[tested].numpy()))
    return adjusted


def kendall(values: Float[Tensor, "row pair"], with_: Int[Tensor, " pair"]) -> Tested:
    """Kendall's τ-b of every row of values with one other variable; NaN for a row without any."""
    other = with_.numpy()
    found = np.full((2, len(values)), np.nan)
    for i, row in enumerate(values.numpy()):
        if not np.isnan(row).any():
            found[:, i] = stats.kendalltau(row, other)
    return Tested(*torch.from_numpy(found))


def compare_means(
    values: Float[Tensor, "layer pair"], others: Float[Tensor, "layer pair"]
) -> Tested:
    """Student's t-test for two samples of equal variance in every layer, values minus others."""
    with np.errstate(invalid="ignore"):
        found = stats.ttest_ind(values.numpy(), others.numpy(), axis=1)
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
    """
    z = (tau.atanh() - other.atanh()) / math.sqrt(2 / (n - 3))
    one_sided = torch.special.ndtr(-z.abs())
    return Tested(z, one_sided if alternative == "one-sided" else 2 * one_sided)
