"""Views that share one state: what is changed in one of them changes in all, at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import traitlets

from glasshead.trace_view import TraceView

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

SHARED = (
    "kind",
    "layer",
    "heads",
    "unit",
    "aggregate",
    "sinks",
    "hovered",
    "selected",
    "hovered_source",
    "selected_source",
    "theme",
)
"""Traits that linked views share, each as far as it has them."""
_PLACE = ("kind", "layer", "heads")
"""Those of them that only make sense together; a view may lack the layer of another."""


class Links:
    """Keeps the shared state of some views one.

    Whatever changes in one view is set in the others together: kind, layer and heads are never out
    of step, and of two changes that meet the later one holds in all views. A view that cannot
    follow (its text is shorter, say) stays as it is and says why; one that lacks a layer (of no
    attention, say) still follows in all else.

    Parameters
    ----------
    views : sequence of TraceView
        The first one's state is taken over by the others.
    """

    def __init__(self, views: Sequence[TraceView]) -> None:
        self._views = views
        self._passing_on = False
        self._refused: dict[TraceView, str] = {}
        first = views[0]
        for view in views[1:]:
            view.set(**_differing(first, view))
        for view in views:
            view.observe(self.follow, names=[n for n in SHARED if view.has_trait(n)])

    @contextmanager
    def paused(self) -> Generator[None, None, None]:
        """Pass nothing on for now; then bring the others in line with the first view."""
        self._passing_on = True
        try:
            yield
        finally:
            self._passing_on = False
        first, *others = self._views
        for view in others:
            self._follow(view, first, SHARED)

    def agree(self) -> bool:
        """Whether all views are in the state of the first one: not so in the midst of a change."""
        first, *others = self._views
        return not any(_differing(first, view) for view in others)

    def follow(self, change: dict[str, Any]) -> None:
        """Bring the others in line with the view that has changed."""
        # Comes from within the change of a view, which holds the lock that all of them share.
        if self._passing_on:
            return
        moves = change["name"] in _PLACE
        names = SHARED if moves else tuple(name for name in SHARED if name not in _PLACE)
        self._passing_on = True
        try:
            for view in self._views:
                if view is not change["owner"]:
                    self._follow(view, change["owner"], names)
        finally:
            self._passing_on = False

    def _follow(self, view: TraceView, changed: TraceView, names: Sequence[str]) -> None:
        try:
            view.trace  # noqa: B018  a closed view says so
        except ValueError:
            return
        try:
            view.set(**_differing(changed, view, names))
        except (traitlets.TraitError, ValueError) as error:
            view.error = self._refused[view] = str(error)
            return
        if not _differing(changed, view) and view.error == self._refused.pop(view, None):
            view.error = ""


def _differing(one: TraceView, other: TraceView, names: Sequence[str] = SHARED) -> dict[str, Any]:
    """Return what `other` lacks to be in the state of `one`."""
    both = [name for name in names if one.has_trait(name) and other.has_trait(name)]
    return {n: getattr(one, n) for n in both if getattr(one, n) != getattr(other, n)}


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
    for view in views:
        if not isinstance(view, TraceView):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"link_views links views of a trace, got {type(view).__name__}. Pass them one by "
                "one: link_views(lines, matrix). Single traits of any two are linked by "
                'ipywidgets.link((a, "hovered"), (b, "hovered")).'
            )
    if len(views) < 2:  # noqa: PLR2004
        raise ValueError("link_views needs two views or more: link_views(lines, matrix).")
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
    Links(views)
