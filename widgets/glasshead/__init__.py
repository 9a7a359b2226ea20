"""Glasshead: see inside transformer language models from a notebook."""

from glasshead.attention_lines import AttentionLines
from glasshead.explore import Explorer, explore, link_views
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.layer_stats_chart import LayerStatsChart
from glasshead.perplexity_strip import PerplexityStrip
from glasshead_backend import (
    Cancelled,
    HeadStatistics,
    Lens,
    MemoryBudgetError,
    Predictions,
    Step,
    Token,
    Trace,
    UnsupportedModelError,
    Word,
    head_statistics,
)

__version__ = "0.1.0"

__all__ = [
    "AttentionLines",
    "Cancelled",
    "Explorer",
    "FusedAttentionMatrix",
    "HeadStatistics",
    "LayerStatsChart",
    "Lens",
    "MemoryBudgetError",
    "PerplexityStrip",
    "Predictions",
    "Step",
    "Token",
    "Trace",
    "UnsupportedModelError",
    "Word",
    "__version__",
    "explore",
    "head_statistics",
    "link_views",
]
