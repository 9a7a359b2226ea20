"""Statistics over layers and heads of a trace: metrics, results, many texts. No drawing.

A new one is a file here and its line in :mod:`~glasshead_backend.statistics.registry`.
"""

from glasshead_backend.statistics import registry
from glasshead_backend.statistics.by_name import METRICS as METRICS
from glasshead_backend.statistics.by_name import as_metric as as_metric
from glasshead_backend.statistics.difference import Difference, difference
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.over_texts import OverTexts, OverTextsResult, over_texts
from glasshead_backend.statistics.registry import *  # noqa: F403  what each file calls public

__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]
    "Difference",
    "Measured",
    "Metric",
    "OverTexts",
    "OverTextsResult",
    "difference",
    "over_texts",
    *(name for name in vars(registry) if not name.startswith("_")),
]
