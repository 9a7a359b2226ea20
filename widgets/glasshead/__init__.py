"""Glasshead: see inside transformer language models from a notebook."""

from glasshead.activation_map import ActivationMap
from glasshead.attention_lines import AttentionLines
from glasshead.attribution_strip import AttributionStrip
from glasshead.explore import explore
from glasshead.explorer import Explorer
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.head_finder import HeadFinder
from glasshead.layer_stats_chart import LayerStatsChart
from glasshead.links import link_views
from glasshead.patch_grid import PatchGrid
from glasshead.perplexity_strip import PerplexityStrip
from glasshead.query_key_view import QueryKeyView
from glasshead.saving.options import options
from glasshead.story import StoryStep, story
from glasshead.token_table import TokenTable
from glasshead_backend import (
    Cancelled,
    Continuations,
    Lens,
    MemoryBudgetError,
    ModelChangedError,
    ModelNeededError,
    Predictions,
    RayData,
    Step,
    Token,
    Trace,
    UnsupportedModelError,
    Word,
    column,
    lines_of,
)
from glasshead_backend import statistics as _statistics
from glasshead_backend.statistics import *  # noqa: F403  its __all__ is in ours

__version__ = "0.1.0"

__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]
    "ActivationMap",
    "AttentionLines",
    "AttributionStrip",
    "Cancelled",
    "Continuations",
    "Explorer",
    "FusedAttentionMatrix",
    "HeadFinder",
    "LayerStatsChart",
    "Lens",
    "MemoryBudgetError",
    "ModelChangedError",
    "ModelNeededError",
    "PatchGrid",
    "PerplexityStrip",
    "Predictions",
    "QueryKeyView",
    "RayData",
    "Step",
    "StoryStep",
    "Token",
    "TokenTable",
    "Trace",
    "UnsupportedModelError",
    "Word",
    "__version__",
    "column",
    "explore",
    "lines_of",
    "link_views",
    "options",
    "story",
    *_statistics.__all__,
]
