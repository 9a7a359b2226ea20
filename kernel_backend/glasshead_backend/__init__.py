"""Glasshead's analysis, usable without Jupyter: record a model's run, then ask about it."""

from glasshead_backend import statistics
from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.corpora.given import column, lines_of
from glasshead_backend.corpora.worker import RayData
from glasshead_backend.lens import Lens
from glasshead_backend.memory import MemoryBudgetError
from glasshead_backend.progress import Cancelled, Step
from glasshead_backend.questions.continuations import Continuations
from glasshead_backend.questions.predictions import Predictions
from glasshead_backend.running.same_model import ModelChangedError
from glasshead_backend.statistics import *  # noqa: F403  its __all__ is in ours
from glasshead_backend.text.sequences import Sequence
from glasshead_backend.text.tokens import Token
from glasshead_backend.text.words import Word
from glasshead_backend.trace import Trace
from glasshead_backend.tracing.given_run import ModelNeededError

__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]
    "Cancelled",
    "Continuations",
    "Lens",
    "MemoryBudgetError",
    "ModelChangedError",
    "ModelNeededError",
    "Predictions",
    "RayData",
    "Sequence",
    "Step",
    "Token",
    "Trace",
    "UnsupportedModelError",
    "Word",
    "column",
    "lines_of",
    *statistics.__all__,
]
