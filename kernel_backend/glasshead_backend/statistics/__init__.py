"""Statistics over layers and heads of a trace."""

from glasshead_backend.statistics.bin_sensitivity import (
    BinSensitivity,
    BinSensitivityResult,
    bin_sensitivity,
)
from glasshead_backend.statistics.catalogue import METRICS, as_metric
from glasshead_backend.statistics.head_metrics import (
    AttentionSink,
    HeadDistance,
    HeadEntropy,
    HeadMetricResult,
    Induction,
    PreviousToken,
)
from glasshead_backend.statistics.heads import HeadStatistics, head_statistics
from glasshead_backend.statistics.logit_lens import LogitLens, LogitLensResult, logit_lens
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.mutual_information import (
    MutualInformation,
    MutualInformationResult,
    mutual_information,
)
from glasshead_backend.statistics.norms import Norm, NormResult
from glasshead_backend.statistics.over_texts import OverTexts, OverTextsResult, over_texts
from glasshead_backend.statistics.own_metric import OwnMetric, OwnMetricResult
from glasshead_backend.statistics.prediction_divergence import (
    PredictionDivergence,
    PredictionDivergenceResult,
    prediction_divergence,
)
from glasshead_backend.statistics.similarity import (
    LayerSimilarity,
    LayerSimilarityResult,
    layer_similarity,
)

__all__ = [
    "METRICS",
    "AttentionSink",
    "BinSensitivity",
    "BinSensitivityResult",
    "HeadDistance",
    "HeadEntropy",
    "HeadMetricResult",
    "HeadStatistics",
    "Induction",
    "LayerSimilarity",
    "LayerSimilarityResult",
    "LogitLens",
    "LogitLensResult",
    "Measured",
    "Metric",
    "MutualInformation",
    "MutualInformationResult",
    "Norm",
    "NormResult",
    "OverTexts",
    "OverTextsResult",
    "OwnMetric",
    "OwnMetricResult",
    "PredictionDivergence",
    "PredictionDivergenceResult",
    "PreviousToken",
    "as_metric",
    "bin_sensitivity",
    "head_statistics",
    "layer_similarity",
    "logit_lens",
    "mutual_information",
    "over_texts",
    "prediction_divergence",
]
