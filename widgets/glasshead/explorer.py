"""Several views of one trace as one instrument."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

import traitlets

from glasshead.attention_lines import AttentionLines
from glasshead.code import named
from glasshead.fused_attention_matrix import FusedAttentionMatrix
from glasshead.head_finder import HeadFinder
from glasshead.layer_stats_chart import LayerStatsChart
from glasshead.links import SHARED, Links
from glasshead.long_work import LongWork
from glasshead.messages import question, reply
from glasshead.names import no_such_name, settable_traits
from glasshead.pane import Carried, carried_traits, own_traits, pane_class
from glasshead.perplexity_strip import PerplexityStrip
from glasshead.prompt import prompt_of, trace_again
from glasshead.switches import switching_code
from glasshead.switching import Switching
from glasshead.trace_view import require_trace
from glasshead.values import required
from glasshead.view import View, bundle, require_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from glasshead.messages import Answer
    from glasshead.trace_view import Picture, TraceView
    from glasshead_backend import Step, Trace

PANES: dict[str, type[TraceView]] = {
    "lines": AttentionLines,
    "matrix": FusedAttentionMatrix,
    "strip": PerplexityStrip,
    "chart": LayerStatsChart,
    "finder": HeadFinder,
}
"""The views that are panes, by their names on an explorer, in the order in which they are shown."""

_DECIDE = ("kind", "layer", "heads", "unit", "aggregate", "sinks")
"""Shared traits that pictures depend on."""
_PATIENCE = 0.5
"""Seconds that the constructor waits for the first pictures."""
_MOST_EARLIER = 20

_CARRIED = carried_traits(PANES)
_TITLES = {
    "lines": "the lines",
    "matrix": "the matrix",
    "strip": "the text",
    "chart": "the layers",
    "finder": "all heads",
}

_Carrier: Any = type(View)("_Carrier", (Switching,), dict(_CARRIED))


class Explorer(_Carrier):
    """Views of one trace as one instrument: ``lines``, ``matrix``, ``strip`` and ``chart``.

    What they share is set here, or on any of them, and holds for all: ``explorer.layer = 3``. What
    is a pane's own is set on the pane, ``explorer.lines.threshold = 0.3``, or under its name here,
    ``explorer.lines_threshold = 0.3``.

    Parameters
    ----------
    trace : Trace
        What is shown.
    panes : sequence of str
        The panes that are shown, of "lines", "matrix", "strip" and "chart".
    **state
        Initial values of traits, e.g. ``layer=3, heads=[0, 4], chart_metric="induction"``.

    Raises
    ------
    TypeError
        For something that is no trace, or a keyword that is no trait.
    traitlets.TraitError
        For a value that the model does not have; the message says which there are.
    """

    _esm = bundle("explorer.js")
    _css = bundle("explorer.css")

    unit = traitlets.Enum(
        ["token", "word"], default_value="word", help="What rows and columns stand for."
    ).tag(sync=True)
    panes = traitlets.List(
        traitlets.Enum(list(PANES)),
        default_value=["lines", "matrix", "strip", "chart"],
        help="The panes that are shown.",
    ).tag(sync=True)
    large = traitlets.Enum(
        ["", *PANES], default_value="", help="The pane that has all the room; empty = none."
    ).tag(sync=True)
    prompt = traitlets.Dict(
        help='What was traced: {"text": ..., "target": ...}.', read_only=True
    ).tag(sync=True)
    earlier = traitlets.List(help="What was traced before, oldest first.", read_only=True).tag(
        sync=True
    )

    _picture_traits: ClassVar[tuple[str, ...]] = (
        *("axes", "frame", "busy", "error"),
        *(name for name in _CARRIED if name.endswith(("_axes", "_frame", "_detail"))),
    )

    page_parts: ClassVar[frozenset[str]] = frozenset({"weights", "heads", "strip", "chart"})

    def __init__(self, trace: Trace, **state: Any) -> None:
        self._views: dict[str, Any] = {}
        self._without = WeakKeyDictionary()
        self._drawing = LongWork(self._tell)
        require_trace(type(self), trace)
        require_names(type(self), state)
        state = {name: self._required(name, value) for name, value in state.items()}
        self._has_begun = self._is_pane_error = False
        self._doing = ""
        # The pictures of the explorer and its panes when they last agreed.
        self._settled: dict[Any, Picture] = {}
        self._settled_self: Picture | None = None
        with ExitStack() as made:
            for name, view in PANES.items():
                self._views[name] = self._make_pane(name, view, trace, state)
                made.callback(self._views[name].close)
            own = {name: value for name, value in state.items() if name not in _CARRIED}
            super().__init__(trace, **own)
            made.pop_all()  # all are there: none is closed
        self.set_trait("prompt", prompt_of(trace))
        self._links = Links([self, *self.views])
        self._note_observers()
        for name, view in self._views.items():
            view.observe(self._gather, names=["busy", "error", "frame"])
            tell = partial(self._tell_of, name)
            view.observe(tell, names=sorted(own_traits(PANES[name])))
        for view in (self, *self.views):
            # After the links: by now all have followed.
            view.observe(self._gather, names=[n for n in _DECIDE if view.has_trait(n)])
        self.observe(self._show_panes, names=["panes", "large"])
        self._has_begun = True
        self._on_off()
        self._tracing.join(_PATIENCE)
        self._show_panes()
        self._drawing.join(_PATIENCE)

    @property
    def lines(self) -> AttentionLines:
        """The lines."""
        return self._views["lines"]

    @property
    def matrix(self) -> FusedAttentionMatrix:
        """The matrix."""
        return self._views["matrix"]

    @property
    def strip(self) -> PerplexityStrip:
        """The text, coloured by how well it was predicted."""
        return self._views["strip"]

    @property
    def chart(self) -> LayerStatsChart:
        """The statistic by layer."""
        return self._views["chart"]

    @property
    def finder(self) -> HeadFinder:
        """All heads at a glance."""
        return self._views["finder"]

    def pane(self, name: str) -> Any:
        """Return a pane by its name."""
        return self._views[name]

    @property
    def views(self) -> tuple[Any, ...]:
        """All panes, shown or not."""
        return tuple(self._views.values())

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            known = {*PANES, *settable_traits(type(self), View)}
            raise AttributeError(no_such_name(type(self), name, known))
        raise AttributeError(name)

    def _required(self, name: str, value: Any) -> Any:
        """What is a pane's is refused under the name that it has here."""
        trait = getattr(type(self), name, None)
        if isinstance(trait, Carried) and not trait.read_only:
            return required(self, trait.like, name, value)
        return super()._required(name, value)

    @traitlets.validate("panes")
    def _valid_panes(self, proposal: dict[str, Any]) -> list[str]:
        panes: list[str] = proposal["value"]
        twice = next((name for name in panes if panes.count(name) > 1), None)
        if twice is not None:
            raise traitlets.TraitError(
                f"panes has {twice!r} twice: an explorer shows each pane once. For two pictures "
                "side by side take two views and link_views()."
            )
        return panes

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture of the first pane that is shown."""
        return (self.in_view or self.views)[0].to_frame()

    def in_words(self) -> list[str]:
        """Return what the panes that are shown say."""
        now = self._now
        said = dict.fromkeys([] if now is None else [now.sentence])
        for view in self.in_view:
            # Lines and matrix have much in common.
            said |= dict.fromkeys(view.in_words())
        return list(said)

    def code(self) -> str:
        """Return the Python that gives the numbers behind the panes that are shown.

        Each are kept under the pane's name: ``lines``, ``matrix`` ... Of a ``trace``, and where
        the matrix is compared with another one of that, as ``other``. Where heads are switched
        off, it begins with the run without them.
        """
        compare = self.matrix.compare or {}
        notes = (
            {"matrix": "; other: the trace that it is compared with"} if "trace" in compare else {}
        )
        parts = [
            f"# {_TITLES[name]}{notes.get(name, '')}\n{named(name, view.code())}"
            for name, view in self._views.items()
            if view in self.in_view
        ]
        if (now := self._now) is not None:
            code = switching_code(now.whole, now.off, now.how)
            parts.insert(0, f"# {now.words}\nwhole, trace = trace, {code}")
        return "\n\n".join(parts)

    def close(self) -> None:
        """Close the explorer and its panes."""
        super().close()
        self._drawing.end()
        for view in self.views:
            view.close()

    def _finish(self) -> None:
        for work in (self._tracing, self._drawing):
            work.join()
        # Their work takes the lock that whoever makes a page of them holds.
        for view in self.views:
            view._finish()  # noqa: SLF001  a view of ours

    # ---- panes --------------------------------------------------------------------------------

    def _make_pane(
        self, name: str, view: type[TraceView], trace: Trace, state: dict[str, Any]
    ) -> Any:
        shared = {key: state[key] for key in SHARED if key in state and hasattr(view, key)}
        own = {key: state[f"{name}_{key}"] for key in own_traits(view) if f"{name}_{key}" in state}
        return pane_class(view)(trace, draws=self, **shared, **own)

    def _tell_of(self, name: str, change: Any) -> None:
        """Something of a pane's own has changed: so has the explorer's trait of it."""
        told = traitlets.Bunch(change, owner=self, name=f"{name}_{change['name']}")
        self.notify_change(told)

    @property
    def in_view(self) -> list[Any]:
        """The panes that are in view now."""
        names = [self.large] if self.large else self.panes
        return [view for name, view in self._views.items() if name in names]

    def _shown(self) -> list[Any]:
        return [view for view in self.views if view.is_shown]

    def _show_panes(self, _: object = None) -> None:
        """Draw the panes that are in view now, where they are not up to date."""
        with self._lock:
            in_view = self.in_view
            for name, view in self._views.items():
                # The layer slider lies on the chart's picture, whether or not that is in view.
                view.is_shown = view in in_view or (name == "chart" and not view.is_slow)
            self.draw()

    def note_observers(self) -> None:
        """Somebody observes a pane, or no longer does."""
        if hasattr(self, "_links"):
            self._note_observers()

    def _observers_of_pointer(self) -> list[Any]:
        """Return those of the explorer and its panes, without what links these to each other."""
        links = getattr(self, "_links", None)  # traitlets asks before anything is made
        own = () if links is None else (links.follow,)
        panes: dict[str, Any] = getattr(self, "_views", {})
        of_panes = (each for view in panes.values() for each in view.observers_of_pointer())
        return [each for each in (*super()._observers_of_pointer(), *of_panes) if each not in own]

    # ---- drawing ------------------------------------------------------------------------------

    @property
    def is_drawing(self) -> bool:
        """Whether panes are being drawn, or that has not yet begun."""
        with self._lock:  # not between another text and its drawing
            return not self._has_begun or self._drawing.is_running

    def draw(self) -> None:
        """Draw the panes that are due, beside the kernel's own thread."""
        if self._has_begun and any(view.is_due for view in self._shown()):
            self._drawing.start(self._draw_panes)

    def _draw_panes(self, is_wanted: Callable[[], bool]) -> None:
        for name, view in self._views.items():
            if not (view.is_shown and view.is_due):
                continue
            self._say(f"drawing {_TITLES[name]}", is_wanted)
            view.show(is_wanted)
        self._say("", is_wanted)

    def _tell(self, step: Step) -> None:
        with self._lock:
            if self._drawing.is_running or self._tracing.is_running:
                self._say(str(step), lambda: True)

    def _say(self, words: str, is_wanted: Callable[[], bool]) -> None:
        """Say what the explorer itself does, if that is still wanted."""
        with self._lock:
            if is_wanted():
                self._doing = words
                self._gather()

    def _gather(self, _: object = None) -> None:
        """Say together what is being done and what went wrong; remember pictures that agree."""
        with self._lock:
            shown = self._shown()
            words = [self._doing, *(view.busy for view in shown)]
            self.busy = " · ".join(filter(None, dict.fromkeys(words)))
            errors = [view.error for view in shown if view.error]
            # An error of the explorer itself is no pane's to take back.
            if errors or self._is_pane_error:
                self.error = errors[0] if errors else ""
            self._is_pane_error = bool(errors)
            if all(view.is_current for view in shown) and self._links.agree():
                self._settled = {view: view.picture for view in shown}
                self._settled_self = self._picture

    def cancel(self) -> None:
        """End what is being computed, and go back to the last pictures that agreed."""
        with self._lock, self.hold_sync():
            was_drawing = self._drawing.is_running
            if self._tracing.is_running:
                self._end_making()
            self._drawing.end()
            ended = [view.end() for view in self.views]
            self._doing = ""
            if self._settled and (was_drawing or any(ended)):
                with self._links.paused():
                    if self._settled_self is not None:
                        self._go_back(self._settled_self)
                    for view, picture in self._settled.items():
                        view.go_back(picture)
            self._gather()

    def _show(self, trace: Trace) -> None:
        with self.hold_sync():
            self._has_begun = False  # all panes first, then their pictures
            try:
                with self._links.paused():
                    super()._show(trace)
                    for view in self.views:
                        view.trace = trace
            finally:
                self._has_begun = True
            self._show_panes()

    def _on_trace(self) -> None:
        super()._on_trace()
        shown, was = prompt_of(self.trace), self.prompt
        others = [text for text in self.earlier if text not in (shown, was)]
        self.set_trait("prompt", shown)
        if was and was != shown:
            self.set_trait("earlier", [*others, was][-_MOST_EARLIER:])

    def _make_frame(self) -> dict[str, Any]:
        now = self._now
        off, how = self._shown_switches
        key = {**self._state_key(), "off": off, "off_how": how or self.off_how}
        without = {} if now is None else {"without": now.as_json()}
        return {"kind": "explorer", "key": key, **without}

    def _is_long(self) -> bool:
        return False

    # ---- the browser --------------------------------------------------------------------------

    @question
    def retrace(self, text: str, target: str | None = None) -> Answer:
        """Trace another text with the same model, beside the kernel's own thread."""
        trace = self.trace
        self._trace_anew("tracing the text", lambda: trace_again(trace, text, target))
        return {}, {}

    @question
    def redraw(self) -> Answer:
        """Draw what has no picture: its drawing was cancelled."""
        with self._lock:
            self.draw()
        return {}, {}

    def trace_anew(self, words: str, make: Callable[[], Trace], pinned: Sequence[int]) -> None:
        """Show another trace in all panes, made beside the kernel's own thread."""
        self._trace_anew(words, make, pinned)

    def send_for(self, pane: Any, content: Any) -> None:
        """Send the page a message that is for a pane."""
        name = next(name for name, view in self._views.items() if view is pane)
        self.send({**content, "pane": name})

    def comm_id(self) -> str | None:
        """Return the id of the way to the page."""
        return self._comm_id()

    def _on_message(self, widget: object, content: object, buffers: list[Any]) -> None:
        if isinstance(content, dict) and content.get("kind") in ("drawing", "drawn"):
            for view in self.views:
                view.receive(content, buffers)
        super()._on_message(widget, content, buffers)

    def _reply(self, content: object) -> tuple[dict[str, Any], list[bytes]] | None:
        """A question to a pane goes to the pane: "lines.fan"."""
        asked = content if isinstance(content, dict) else {}
        pane, dot, name = str(asked.get("question", "")).partition(".")
        if dot and pane in self._views:
            return reply(self._views[pane], {**asked, "question": name})
        return reply(self, content)
