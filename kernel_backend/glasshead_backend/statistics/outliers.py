"""Values that lie far above all others of their layer, as those of a first token often do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import Outlier, median, quartiles

if TYPE_CHECKING:
    from jaxtyping import Bool, Float
    from torch import Tensor

_RANGES = 3
"""Interquartile ranges above the upper quartile from which on Tukey calls a value far out."""
_TIMES = 10
"""So many times the median must it be, too."""


def far_out(values: Float[Tensor, "*any value"]) -> Bool[Tensor, "*any value"]:
    """Which of the values over the last axis are outliers; what is no number is none.

    An outlier is ten times the median or more, and its logarithm lies more than three interquartile
    ranges above the upper quartile of the logarithms: sizes spread by factors, so that their
    logarithms are what is compared.

    Parameters
    ----------
    values : Tensor
        Not negative.
    """
    logs = values.double().log()
    low, high = quartiles(logs)
    fence = (high + _RANGES * (high - low))[..., None]
    return (logs.cpu() > fence) & (values.cpu() >= _TIMES * median(values)[..., None])


def farthest_out(values: Float[Tensor, "series layer token"]) -> Outlier | None:
    """Find the outlier that is most times the median of its series and layer, if there is any."""
    found = far_out(values)
    if not found.any():
        return None
    own = values.cpu()
    middle = median(own)
    times = torch.where(found, own / middle[..., None], 0)
    series, layer, position = (int(i) for i in torch.unravel_index(times.argmax(), times.shape))
    return Outlier(
        series=series,
        layer=layer,
        position=position,
        value=float(own[series, layer, position]),
        median=float(middle[series, layer]),
        n_tokens=int(found.flatten(0, -2).any(dim=0).sum()),
    )
