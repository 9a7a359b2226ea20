"""A pane: a view that is a part of an explorer, and has no way of its own to the browser."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import anywidget
import traitlets

from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.map_view import MapView
from glasshead.trace_view import TraceView, is_same_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from glasshead.trace_view import Picture
    from glasshead_backend import Trace

_OF_THE_EXPLORER = frozenset(
    {*MapView.class_traits(sync=True), *anywidget.AnyWidget.class_traits(sync=True)} - {"frame"}
)


class Draws(Protocol):
    """What draws panes: the explorer that they are in."""

    @property
    def is_drawing(self) -> bool:
        """Whether it draws panes at the moment, or has not yet begun to."""
        ...

    def draw(self) -> None:
        """Draw what is due, where it is shown."""

    def trace_anew(self, words: str, make: Callable[[], Trace], pinned: Sequence[int]) -> None:
        """Show another trace in all panes, made beside the kernel's own thread."""

    def send_for(self, pane: Any, content: Any) -> None:
        """Send the page a message that is for a pane."""

    def comm_id(self) -> str | None:
        """Return the id of the way to the page."""
        ...

    def note_observers(self) -> None:
        """Somebody observes a pane, or no longer does."""

    def whole_of(self, trace: Trace) -> Trace:
        """Return the run of the whole model that a trace which is shown was made of."""
        ...

    def baseline_of(self, trace: Trace) -> tuple[Trace, tuple[str, str]] | None:
        """Return what a trace without heads is compared with, and what the two are called."""


class Pane(TraceView):
    """Stands below a view in place of TraceView, and makes it a part of an explorer.

    It has no comm: what the browser sees of it are the explorer's traits. A pane that is not shown
    draws nothing; it is *due* until it is shown.
    """

    _busy_weights: ClassVar[int] = 3_000_000
    """Several panes are drawn at a change."""
    is_shown: bool = True
    is_due: bool = True
    _draws: Draws

    def __init__(self, trace: Trace, *, draws: Draws, **state: Any) -> None:
        self._draws = draws
        super().__init__(trace, **state)

    @property
    def picture(self) -> Picture | None:
        """The last complete picture."""
        return self._picture

    @property
    def is_current(self) -> bool:
        """Whether that picture is of the present state."""
        return not self.is_due and self._answers(self._state_key())

    @property
    def is_slow(self) -> bool:
        """Whether its picture takes long."""
        return self._is_long()

    def open(self) -> None:
        """Open no comm: nothing is sent."""

    def send(self, content: Any, buffers: Any = None) -> None:  # noqa: ARG002
        """Send the page a message, by the explorer."""
        self._draws.send_for(self, content)

    def receive(self, content: Any, buffers: Any) -> None:
        """Take a part of a picture that the page was asked for."""
        self._drawings.receive(content, buffers)

    def _comm_id(self) -> str | None:
        return self._draws.comm_id()

    def _note_observers(self) -> None:
        super()._note_observers()
        if hasattr(self, "_draws"):
            self._draws.note_observers()

    def observers_of_pointer(self) -> list[Any]:
        """Return what is called when the pointer moves."""
        return self._observers_of_pointer()

    def show(self, is_wanted: Callable[[], bool]) -> None:
        """Draw what is due, unless nobody wants it any more."""
        self._tried = self._asked
        if self._patience is not None and self._is_long():
            with self._lock:
                if is_wanted():
                    self._start()
        else:
            self._compute_and_show(is_wanted)
        with self._lock:
            self.is_due = not is_wanted()

    def end(self) -> bool:
        """End what is being computed, and say whether there was anything."""
        was_running = self._long_work.is_running
        self._long_work.end()
        self.busy = ""
        self.is_due = self.is_due or was_running
        return was_running

    def go_back(self, picture: Picture) -> None:
        """Go back to a picture that was shown before, and to its state."""
        self._picture, self.is_due = picture, False
        self._go_back(picture)

    def _show_first(self) -> None:
        """Draw nothing yet: the explorer says when."""

    def _trace_anew(
        self, words: str, make: Callable[[], Trace], pinned: Sequence[int] = ()
    ) -> None:
        # The trace is the explorer's.
        self._draws.trace_anew(words, make, pinned)

    def _refresh(self) -> None:
        with self._lock:
            if self._tried == self._asked:
                return
            if self.is_shown and not self._draws.is_drawing:
                super()._refresh()
                return
            self._tried = self._asked
            self._long_work.end()
            self.is_due = True
            self._forget_another_text()
            self._draws.draw()

    def _start(self) -> None:
        if self._patience is not None:  # results that stream in
            super()._start()
            return
        self.is_due = True
        self._draws.draw()

    def _fail(self, error: Exception) -> None:
        # The trace is the explorer's: a pane alone does not go back to the last one.
        self._forget_another_trace()
        super()._fail(error)

    def _forget_another_text(self) -> None:
        """Take away a picture of another text: the labels are of this one already."""
        if self._picture is not None and not is_same_text(self._picture.trace, self.shown_trace):
            self._forget_another_trace()

    def _forget_another_trace(self) -> None:
        if self._picture is not None and self._picture.trace is not self._trace:
            self._picture = None
            self.set_trait("frame", {})

    def _whole_of(self, trace: Trace) -> Trace:
        return self._draws.whole_of(trace)

    def _baseline_of(self, trace: Trace) -> tuple[Trace, tuple[str, str]] | None:
        return self._draws.baseline_of(trace)


@cache
def pane_class(view: type[TraceView]) -> type[TraceView]:
    """Return the class of a view's panes: the view, with :class:`Pane` where TraceView was."""
    return type(view)(view.__name__, (view, Pane), {"__module__": view.__module__})


def own_traits(view: type[TraceView]) -> dict[str, traitlets.TraitType[Any, Any]]:
    """Return the synced traits of a view that are its own, its picture among them.

    A matrix has labels of its own: it may leave out special tokens.
    """
    own_labels = {"axes"} if issubclass(view, FusedAttentionMatrix) else set[str]()
    return {
        name: trait
        for name, trait in view.class_traits(sync=True).items()
        if name not in _OF_THE_EXPLORER - own_labels and not name.startswith("_")
    }


class Carried(traitlets.TraitType[Any, Any]):
    """A pane's trait under the explorer's name: kept, checked and told of by the pane.

    Parameters
    ----------
    pane : str
        The pane's name.
    like : TraitType
        The pane's own trait.
    """

    def __init__(self, pane: str, like: traitlets.TraitType[Any, Any]) -> None:
        super().__init__(help=str(like.metadata.get("help", "")), read_only=like.read_only)
        self.pane, self.like = pane, like
        self.tag(**{k: v for k, v in like.metadata.items() if k != "help"})
        for name in ("to_json", "from_json"):
            if convert := like.metadata.get(name):
                self.tag(**{name: self._of_pane(convert)})

    def _of_pane(self, convert: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """What converts for the pane is asked with the pane."""
        return lambda value, explorer: convert(value, explorer.pane(self.pane))

    def get(self, obj: Any, cls: Any = None) -> Any:  # noqa: ARG002  traitlets' own signature
        """Return the pane's value."""
        return getattr(obj.pane(self.pane), str(self.like.name))

    def set(self, obj: Any, value: Any) -> None:
        """Set it on the pane, which checks it, and tells."""
        if value is not self.get(obj):
            obj.pane(self.pane).set_trait(self.like.name, value)


def carried_traits(panes: dict[str, type[TraceView]]) -> dict[str, Carried]:
    """Return all that an explorer carries for its panes: ``{"lines_threshold": ...}``."""
    return {
        f"{pane}_{name}": Carried(pane, trait)
        for pane, view in panes.items()
        for name, trait in own_traits(view).items()
    }
