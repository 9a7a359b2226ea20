"""The four views of a trace in one layout, linked."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar

import ipywidgets
import traitlets

from glasshead.attention_lines import AttentionLines
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.layer_stats_chart import LayerStatsChart
from glasshead.names import is_declared, no_such_name
from glasshead.perplexity_strip import PerplexityStrip
from glasshead.trace_view import TraceView

if TYPE_CHECKING:
    from glasshead_backend import Trace

    View = TypeVar("View", bound=TraceView)

LINKED = (
    "kind",
    "layer",
    "heads",
    "unit",
    "hovered",
    "selected",
    "hovered_source",
    "selected_source",
    "theme",
)
"""Traits that linked views share. Kind comes first: it says which layers and heads there are."""


_NAMES = (*LINKED, "views", "lines", "matrix", "strip", "chart")


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
        if name in LINKED and self.views:
            return getattr(self.lines, name)
        raise AttributeError(no_such_name(type(self), name, _NAMES))

    def __setattr__(self, name: str, value: Any) -> None:
        if name in LINKED:
            setattr(self.lines, name, value)
        elif name in _NAMES or is_declared(self, name):
            super().__setattr__(name, value)
        else:
            raise AttributeError(no_such_name(type(self), name, _NAMES))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *LINKED})

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


def link_views(*views: TraceView) -> None:
    """Link views: layer, heads, kind, unit, theme, hovered and selected tokens follow each other.

    The views take over the first one's state.

    Parameters
    ----------
    *views : TraceView
        Two or more views of the same model.

    Raises
    ------
    TypeError
        For what is no view of a trace.
    ValueError
        When the views show models with different layers or heads, or texts of different length.
    """
    if len(views) < 2:  # noqa: PLR2004
        raise ValueError("link_views needs two views or more: link_views(lines, matrix).")
    for view in views:
        if not isinstance(view, TraceView):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"link_views links views of a trace, got {type(view).__name__}. Single traits of "
                'any two are linked by ipywidgets.link((a, "hovered"), (b, "hovered")).'
            )
    first, *others = views
    for other in others:
        same_text = [len(s.tokens) for s in first.trace.sequences] == [
            len(s.tokens) for s in other.trace.sequences
        ]
        if first.scene["kinds"] != other.scene["kinds"] or not same_text:
            raise ValueError(
                "These views cannot be linked: their models have different layers or heads, or "
                "their texts have a different number of tokens."
            )
        for name in LINKED:
            traitlets.link((first, name), (other, name))
