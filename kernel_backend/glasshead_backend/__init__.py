"""Glasshead's analysis, usable without Jupyter: record a model's run, then ask about it."""

from glasshead_backend.lens import Lens
from glasshead_backend.memory import MemoryBudgetError
from glasshead_backend.prediction import Predictions
from glasshead_backend.progress import Cancelled, Step
from glasshead_backend.sides import Sequence
from glasshead_backend.statistics import HeadStatistics, head_statistics
from glasshead_backend.structure import UnsupportedModelError
from glasshead_backend.tokens import Token
from glasshead_backend.trace import Trace
from glasshead_backend.words import Word

__all__ = [
    "Cancelled",
    "HeadStatistics",
    "Lens",
    "MemoryBudgetError",
    "Predictions",
    "Sequence",
    "Step",
    "Token",
    "Trace",
    "UnsupportedModelError",
    "Word",
    "head_statistics",
]
