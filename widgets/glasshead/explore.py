"""The four views of a trace in one layout, linked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import ipywidgets

from glasshead.attention_lines import AttentionLines
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.layer_stats_chart import LayerStatsChart
from glasshead.links import SHARED, link_views
from glasshead.names import is_declared, no_such_name
from glasshead.perplexity_strip import PerplexityStrip

if TYPE_CHECKING:
    from glasshead.trace_view import TraceView
    from glasshead_backend import Trace

    View = TypeVar("View", bound="TraceView")

_NAMES = (*SHARED, "views", "lines", "matrix", "strip", "chart")


class Explorer(ipywidgets.GridBox):
    """Four linked views of one trace: ``lines``, ``matrix``, ``strip`` and ``chart``.

    Setting a shared trait on any of them, or here (``explorer.layer = 3``), moves all four.
    """

    views: tuple[TraceView, ...] = ()
    lines: AttentionLines
    matrix: FusedAttentionMatrix
    strip: PerplexityStrip
    chart: LayerStatsChart

    def __init__(self, trace: Trace, **state: Any) -> None:
        with ExitStack() as made:

            def one(view: type[View]) -> View:
                shown = view(trace, **state)
                made.callback(shown.close)
                return shown

            self.lines, self.matrix = one(AttentionLines), one(FusedAttentionMatrix)
            self.strip, self.chart = one(PerplexityStrip), one(LayerStatsChart)
            made.pop_all()  # all four are there: none is closed
        self.views = (self.lines, self.matrix, self.strip, self.chart)
        link_views(*self.views)
        # Columns rather than rows: each view takes the height it needs, with no gap below.
        super().__init__(
            [_column(self.lines, self.strip), _column(self.matrix, self.chart)],
            layout=ipywidgets.Layout(
                # Two columns where there is room for them, one below the other in a narrow cell.
                grid_template_columns="repeat(auto-fit, minmax(min(100%, 440px), 1fr))",
                grid_gap="12px",
                width="100%",
                overflow="hidden",
            ),
        )

    def __getattr__(self, name: str) -> Any:
        if name in SHARED and self.views:
            return getattr(self.lines, name)
        raise AttributeError(no_such_name(type(self), name, _NAMES))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in SHARED:
            setattr(self.lines, name, value)
        elif name in _NAMES or is_declared(self, name):
            super().__setattr__(name, value)
        else:
            raise AttributeError(no_such_name(type(self), name, _NAMES))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *SHARED})

    def close(self) -> None:
        """Close the four views and the layout."""
        for view in self.views:
            view.close()
        super().close()


def _column(*views: TraceView) -> ipywidgets.VBox:
    return ipywidgets.VBox(
        views, layout=ipywidgets.Layout(min_width="0", grid_gap="12px", overflow="hidden")
    )


def explore(trace: Trace, **state: Any) -> Explorer:
    """Show a trace in four linked views.

    Parameters
    ----------
    trace : Trace
    **state
        Shared traits to begin with: ``layer``, ``heads``, ``kind``, ``unit`` (default "word"),
        ``selected``, ``theme`` ...

    Returns
    -------
    Explorer
        With the views as ``.lines``, ``.matrix``, ``.strip`` and ``.chart``.
    """
    return Explorer(trace, **{"unit": "word", **state})
