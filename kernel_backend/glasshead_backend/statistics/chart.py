"""What a chart shows of a statistic: one value per layer for each of several series.

Statistics describe themselves in these terms, and in those of
:mod:`~glasshead_backend.statistics.panels` for a single layer; how they are drawn is the view's
business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

_MOST_DIGITS = 7
"""Of a number in single precision."""

BLOCK_LABELS = {
    "attention": "attention",
    "cross": "cross-attention",
    "mlp": "MLP",
    "mixer": "mixer",
    "other": "other blocks",
    "residual": "residual stream",
}


class Choice(NamedTuple):
    """Something that can be chosen: its name, and what it is called on the page."""

    name: str
    label: str


@dataclass(frozen=True, eq=False)
class Range:
    """An interval around every point, and what it is in words."""

    low: Float[Tensor, "series layer"]
    high: Float[Tensor, "series layer"]
    words: str


@dataclass(frozen=True, eq=False)
class Null:
    """What the values would be under a null hypothesis."""

    low: Float[Tensor, "series layer"]
    mean: Float[Tensor, "series layer"]
    high: Float[Tensor, "series layer"]
    words: str


@dataclass(frozen=True, eq=False)
class Test:
    """Which points are significant, and by which test: 0 = not tested, 1 = tested, 2 = it is."""

    significant: Int[Tensor, "series layer"]
    words: str


@dataclass(frozen=True, eq=False)
class HeatMap:
    """A value per layer and head; NaN where a layer has no such head."""

    values: Float[Tensor, "layer head"]
    label: str
    max: float | None = None
    """Natural end of the scale, if it has one."""


@dataclass(frozen=True)
class Outlier:
    """The token whose value stands out most: see :mod:`glasshead_backend.statistics.outliers`.

    Attributes
    ----------
    series, layer, position : int
        Where it is: indices into the values.
    value : float
    median : float
        Of the values of its series and layer.
    n_tokens : int
        How many tokens are outliers in any series and layer, this one included.
    """

    series: int
    layer: int
    position: int
    value: float
    median: float
    n_tokens: int


@dataclass(frozen=True, eq=False)
class LayerChart:
    """One statistic by layer.

    Attributes
    ----------
    title, unit : str
    layers : sequence of int
        The model's own numbers.
    series : sequence of Choice
        Blocks, mostly.
    mean : Tensor
        ``[series, layers]``; NaN where there is no value.
    middle : str
        What `mean` is in truth: "median" where the band is between quartiles.
    interval : Range, optional
    null : Null, optional
    test : Test, optional
    heat : HeatMap, optional
    tokens : Tensor, optional
        ``[series, layers, tokens]``: the values that `mean` is the mean of.
    tokens_are_predicted : bool
        Whether these are the tokens that are predicted; else those that are read.
    outlier : Outlier, optional
        The token whose value stands out most, where one does.
    scale : {"linear", "log"}
        The axis on which it is shown unless another is asked for.
    help : sequence of str
        How to read it, and what it cannot show.
    note : str
        What is missing, and why.
    why_infinite : str
        Why a value can be infinite, and what to do then; "" where none can.
    """

    title: str
    unit: str
    layers: Sequence[int]
    series: Sequence[Choice]
    mean: Float[Tensor, "series layer"]
    middle: str = "mean"
    interval: Range | None = None
    null: Null | None = None
    test: Test | None = None
    heat: HeatMap | None = None
    tokens: Float[Tensor, "series layer token"] | None = None
    tokens_are_predicted: bool = False
    outlier: Outlier | None = None
    scale: Literal["linear", "log"] = "linear"
    help: Sequence[str] = ()
    note: str = ""
    why_infinite: str = ""


def block_series(blocks: Sequence[str]) -> tuple[Choice, ...]:
    """One series for every block, called as people call it."""
    return tuple(Choice(block, BLOCK_LABELS[block]) for block in blocks)


def missing_blocks(
    values: Float[Tensor, "series layer value"],
    series: Sequence[Choice],
    layers: Sequence[int],
    unclear: Mapping[str, Mapping[int, str]],
) -> str:
    """Say in words which layers lack which block, and where values are not known or no numbers.

    Parameters
    ----------
    values : Tensor
        NaN throughout where a layer has none.
    series, layers : sequence
    unclear : mapping
        As :meth:`Trace.unclear_blocks` returns it.
    """
    labels = dict(BLOCK_LABELS) | dict(series)
    why = [
        f"{label} of layer {', '.join(str(i) for i, of in by_layer.items() if of == reason)}: what "
        f"it adds is not known ({reason})"
        for block, by_layer in unclear.items()
        for label in [labels.get(block, block)]
        for reason in dict.fromkeys(by_layer.values())
    ]
    lacking, any_lacks = values.isnan().all(dim=-1), values.isnan().any(dim=-1)
    parts = [
        f"layer {layers[j]} has no {series[i].label} block"
        if lacking[i, j]
        else f"layer {layers[j]}: some values of its {series[i].label} block are not numbers"
        for i, j in any_lacks.nonzero().tolist()
        if layers[j] not in unclear.get(series[i].name, {})
    ]
    text = "; ".join(parts + why)
    return text[0].upper() + text[1:] + "." if text else ""


def layers_with(there: Bool[Tensor, " layer"], layers: Sequence[int]) -> str:
    """Say in words which layers have something: "every layer", "layer 2, 3"; "" = none."""
    some = [str(layer) for layer, is_one in zip(layers, there.tolist(), strict=True) if is_one]
    if len(some) == len(layers):
        return "every layer"
    return f"layer {', '.join(some)}" if some else ""


def quantiles(values: Float[Tensor, "*any value"], *shares: float) -> list[Float[Tensor, "*any"]]:
    """Quantiles over the last axis, of any number of values (torch's own stop at 16 million).

    Some may be infinite: between a finite and an infinite value a quantile is infinite.
    """
    numbers = values.cpu().numpy()
    with np.errstate(invalid="ignore"):
        found = np.quantile(numbers, shares, axis=-1)
    if np.isinf(numbers).any():
        # There numpy's interpolation gives NaN.
        low, high = (
            np.quantile(numbers, shares, axis=-1, method=end) for end in ("lower", "higher")
        )
        found = np.where(low == high, low, np.where(np.isinf(high), high, found))
    return [torch.as_tensor(one) for one in found]


def median(values: Float[Tensor, "*any value"]) -> Float[Tensor, "*any"]:
    """Median over the last axis; torch's own is the lower of two values in the middle."""
    return quantiles(values, 0.5)[0]


def quartiles(
    values: Float[Tensor, "*any value"],
) -> tuple[Float[Tensor, "*any"], Float[Tensor, "*any"]]:
    """Lower and upper quartile over the last axis."""
    low, high = quantiles(values, 0.25, 0.75)
    return low, high


class Middle(NamedTuple):
    """What is drawn of many values in a layer: their middle, its name, and the band around it."""

    values: Float[Tensor, "*any"]
    name: Literal["median", "mean"]
    interval: Range | None


MIDDLES = (Choice("median", "Median"), Choice("mean", "Mean"))
"""What a statistic that has many values in a layer offers: see :func:`middle_of`."""


def middle_of(values: Float[Tensor, "series layer value"], name: str, of: str) -> Middle:
    """Median and quartiles over the last axis; or the mean alone.

    A single far value takes a mean out of the quartiles: a band around it would be that of another
    line.

    Parameters
    ----------
    values : Tensor
    name : str
        "mean", or anything else for the median.
    of : str
        What the values are, in words: "150 tokens".
    """
    if name == "mean":
        return Middle(values.mean(dim=-1), "mean", None)
    if values.shape[-1] == 1:  # one value is its own median, and has no quartiles
        return Middle(values[..., 0], "median", None)
    low, middle, high = quantiles(values, 0.25, 0.5, 0.75)
    return Middle(middle, "median", Range(low, high, f"quartiles over {of}"))


def number(value: float) -> str:
    """Three significant digits, as in "p = 0.0124", with a true minus.

    More where three would make 1 of what is less: "p = 0.9996".
    """
    if value != value:  # noqa: PLR0124  NaN is not itself
        return "none"
    digits = 3
    while abs(value) < 1 and digits < _MOST_DIGITS and abs(float(f"{value:.{digits}g}")) == 1:
        digits += 1
    return f"{value:.{digits}g}".replace("-", "−").replace("inf", "∞")
