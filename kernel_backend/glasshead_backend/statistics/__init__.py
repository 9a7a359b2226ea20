"""Statistics over layers and heads of a trace."""

from glasshead_backend.statistics.heads import HeadStatistics, head_statistics

__all__ = ["HeadStatistics", "head_statistics"]
