"""A view of an attention map: how its heads are combined, and where its sinks go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.trace_view import TraceView

if TYPE_CHECKING:
    from glasshead_backend.asking import Selection


MAP_TRAITS = ("kind", "layer", "heads", "unit", "aggregate", "sinks")
"""Traits that the frame of every view of a map depends on."""


class MapView(TraceView):
    """A view of an attention map; see :class:`~glasshead.trace_view.TraceView`."""

    aggregate = traitlets.Enum(
        ["mean", "max", "separate"],
        default_value="mean",
        help='How several heads are combined; "separate" = each is drawn by itself.',
    ).tag(sync=True)
    sinks = traitlets.Enum(
        ["auto", "aside", "shown", "hidden"],
        default_value="auto",
        help='Attention sinks: "aside" = beside the picture, "hidden" = dropped and the rest '
        'renormalised; "auto" sets them aside where they take a tenth of the attention.',
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = MAP_TRAITS

    @property
    def _selection(self) -> Selection:
        """What is shown, with its heads combined."""
        aggregate: Any = None if self.aggregate == "separate" else self.aggregate
        return replace(super()._selection, aggregate=aggregate)

    @property
    def _sinks(self) -> Any:
        """What is done with sinks as the frame's type; the trait holds a plain string."""
        return self.sinks
