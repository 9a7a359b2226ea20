"""Glasshead's analysis, usable without Jupyter: record a model's run, then ask about it."""

from glasshead_backend.lens import Lens
from glasshead_backend.prediction import Predictions
from glasshead_backend.structure import UnsupportedModelError
from glasshead_backend.tokens import Token
from glasshead_backend.trace import Sequence, Trace
from glasshead_backend.words import Word

__all__ = ["Lens", "Predictions", "Sequence", "Token", "Trace", "UnsupportedModelError", "Word"]
