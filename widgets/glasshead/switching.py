"""Heads that are switched off: the run without them is shown in place of the whole model's.

The trace that a view was given stays what it is; what is shown is made of it beside the kernel's
own thread, and the whole run is there again when all heads are on::

    whole ──off──▶ running ──▶ without them
      ▲               └──────▶ failed or cancelled: what was shown, and its switches
      └─ off=[] ─────────────  the same run as before: nothing is run anew
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import traitlets

from glasshead.map_view import MapView
from glasshead.switches import (
    Without,
    fitting_heads,
    fixed_heads,
    run_without,
    valid_heads,
    which_heads,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from weakref import WeakKeyDictionary

    from glasshead_backend import Trace


class Switching(MapView):
    """A view of a trace in which heads can be switched off."""

    off = traitlets.List(
        help="Heads that are switched off, [kind, layer, head] each; (layer, head) is one of the "
        "kind that is meant where none is named."
    ).tag(sync=True)
    off_how = traitlets.Enum(
        ["zero", "mean"],
        default_value="zero",
        help='What stands in the place of a head that is off: nothing ("zero"), or what it puts '
        'out on average over the text ("mean").',
    ).tag(sync=True)
    fixed_heads = traitlets.Dict(
        help="Why heads cannot be switched off: {kind: {layer: words}}.", read_only=True
    ).tag(sync=True)

    _without: WeakKeyDictionary[Trace, Without]
    """What runs without heads were made of; to be there before panes are."""
    _coming: tuple[list[Any], str] | None = None
    """The switches of the run that is being made, if one is."""
    _making: Callable[[], Trace] | None = None
    """What makes the whole run that this begins with."""

    def __init__(self, trace: Trace, **state: Any) -> None:
        super().__init__(trace, **state)
        self.set_trait("fixed_heads", fixed_heads(trace))
        self.observe(self._on_off, names=["off", "off_how"])

    @property
    def trace(self) -> Trace:
        """The trace that is shown, as the whole model made it; set it to show another.

        Layer, heads, kind of attention and what is switched off stay where the other model has
        them. Where its picture cannot be drawn the view goes back to the last trace and its
        picture, and says why.
        """
        return self.whole_of(self.shown_trace)

    @trace.setter
    def trace(self, trace: Trace) -> None:
        with self._lock:
            self._require(trace)
            self._end_work()
            try:
                shown = self._run(lambda: trace, fitting_heads(trace, self.off), self.off_how)
            except Exception:
                self._keep_switches()
                raise
            self._show(shown)

    def whole_of(self, trace: Trace) -> Trace:
        """Return the run of the whole model that a trace which is shown was made of."""
        without = self._without.get(trace)
        return trace if without is None else without.whole

    def _whole_of(self, trace: Trace) -> Trace:
        return self.whole_of(trace)

    def baseline_of(self, trace: Trace) -> tuple[Trace, tuple[str, str]] | None:
        """Return what a trace without heads is compared with, and what the two are called."""
        without = self._without.get(trace)
        if without is None or not without.is_scored:
            return None
        return without.whole, (without.words, "the whole model")

    @property
    def _now(self) -> Without | None:
        """What is off in what is shown."""
        return self._without.get(self.shown_trace)

    @property
    def _shown_switches(self) -> tuple[list[Any], str]:
        now = self._now
        return ([], "") if now is None else (now.off, now.how)

    @property
    def _wanted_switches(self) -> tuple[list[Any], str]:
        return (self.off, self.off_how) if self.off else ([], "")

    def page_runs(self) -> list[tuple[Trace, Without | None]]:
        """Return the other runs that a page has: the whole one, and those of a story's steps."""
        shown = self._shown_switches
        asked = [
            (state["off"], state["off_how"] if state["off"] else "")
            for step in self.story
            for state in (step["state"], step["reveal"])
            if "off" in state
        ]
        whole: tuple[list[Any], str] = ([], "")
        # Not by a set: heads are lists.
        others = [one for i, one in enumerate(asked) if one not in (whole, *asked[:i])]
        wanted = [one for one in (whole, *others) if one != shown]
        traces = [self._run(lambda: self.trace, *one) for one in wanted]
        return [(trace, self._without.get(trace)) for trace in traces]

    # ---- making runs --------------------------------------------------------------------------

    def _on_off(self, _: object = None) -> None:
        with self._lock:
            wanted, making = self._wanted_switches, self._making
            if wanted == (self._coming or self._shown_switches):
                return
            whole = self.trace
            if making is not None:  # another text is on its way: with these switches, then
                self._trace_anew("tracing the text", making)
            elif wanted == self._shown_switches:
                self._end_making()
            elif self.off:
                words = f"running the model without {which_heads(whole, self.off)}"
                self._trace_anew(words, lambda: whole)
                self._making = None
            else:
                self._end_making()
                self._show(whole)

    def _trace_anew(
        self, words: str, make: Callable[[], Trace], pinned: Sequence[int] = ()
    ) -> None:
        wanted = self._wanted_switches
        self._coming, self._making = wanted, make
        super()._trace_anew(words, partial(self._run, make, *wanted), pinned)

    def _run(self, make: Callable[[], Trace], off: list[Any], how: Any) -> Trace:
        """Make a run of the whole model, and of it the one without some heads."""
        whole = make()
        if not off:
            return whole
        trace, without = run_without(whole, off, how)
        self._without[trace] = without
        return trace

    def _end_making(self) -> None:
        """End what is being made, and say that the switches are those of what is shown."""
        self._tracing.end()
        self._say("", lambda: True)
        self._keep_switches()

    def _keep_switches(self) -> None:
        self._coming = self._making = None
        off, how = self._shown_switches
        with self.hold_sync():
            self.off = off
            if how:
                self.off_how = how

    def _on_no_trace(self) -> None:
        self._keep_switches()
        self.set_trait("fixed_heads", fixed_heads(self.trace))

    def _on_trace(self) -> None:
        super()._on_trace()
        self._keep_switches()
        self.set_trait("fixed_heads", fixed_heads(self.trace))

    # ---- validation ---------------------------------------------------------------------------

    @traitlets.validate("off")
    def _valid_off(self, proposal: dict[str, Any]) -> list[list[Any]]:
        try:
            return valid_heads(self.trace, proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
