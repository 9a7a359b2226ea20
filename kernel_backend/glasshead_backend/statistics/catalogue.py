"""The metrics that there are, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from glasshead_backend.statistics.bin_sensitivity import BinSensitivity
from glasshead_backend.statistics.head_metrics import (
    AttentionSink,
    HeadDistance,
    HeadEntropy,
    Induction,
    PreviousToken,
)
from glasshead_backend.statistics.logit_lens import LogitLens
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.mutual_information import MutualInformation
from glasshead_backend.statistics.norms import Norm
from glasshead_backend.statistics.own_metric import OwnMetric
from glasshead_backend.statistics.prediction_divergence import PredictionDivergence
from glasshead_backend.statistics.similarity import LayerSimilarity

if TYPE_CHECKING:
    from collections.abc import Mapping

METRICS: Mapping[str, type[Metric]] = {
    metric.name: metric
    for metric in (
        Norm,
        LayerSimilarity,
        LogitLens,
        PredictionDivergence,
        BinSensitivity,
        MutualInformation,
        HeadEntropy,
        HeadDistance,
        AttentionSink,
        PreviousToken,
        Induction,
    )
}


def as_metric(asked: Any) -> Metric:
    """Return the metric that a name, a metric, a result or a user's function stands for.

    Raises
    ------
    ValueError
        For a name that there is not; the message says which there are.
    TypeError
        For something else.
    """
    if isinstance(asked, Metric):
        return asked
    if isinstance(asked, Measured):
        return asked.metric
    if isinstance(asked, str):
        if asked not in METRICS:
            names = ", ".join(map(repr, METRICS))
            raise ValueError(f"metric {asked!r} is not there: {names}.")
        return METRICS[asked]()
    if callable(asked) and not isinstance(asked, type):
        return OwnMetric(function=cast("Any", asked))
    raise TypeError(
        f"metric is a name, a metric such as Induction(), or a function (trace, layer) -> float; "
        f"got {asked!r:.80}."
    )
