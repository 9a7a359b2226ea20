"""What every view shares: its state, its frames, its errors and its way to the browser."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import anywidget
import traitlets

from glasshead.long_work import LongWork
from glasshead.names import did_you_mean, is_declared, no_such_name, settable_traits
from glasshead.questions import reply
from glasshead_backend import Cancelled, Trace
from glasshead_backend.asking import Selection
from glasshead_backend.frames import axes, scene
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from glasshead_backend import Step

_STATIC = Path(__file__).parent / "static"
_BUSY_WEIGHTS = 30_000_000
"""From this many attention weights on, a frame takes long enough to be computed in the background,
with words in the view that say how far it is."""


def bundle(file: str) -> str | Path:
    """Return a built front-end file: its text, or its path for hot reload (``ANYWIDGET_HMR=1``).

    A path would keep every widget alive after ``close()``, so it is for developing only.
    """
    path = _STATIC / file
    if not path.exists():
        raise ImportError(
            f"Glasshead's front end is not built ({file} is missing). In a clone of the repository "
            "run: npm ci && npm run build"
        )
    return path if os.environ.get("ANYWIDGET_HMR") == "1" else path.read_text(encoding="utf-8")


class TraceView(anywidget.AnyWidget):
    """A view of a trace whose state is traits: readable, settable, observable and linkable.

    Parameters
    ----------
    trace : Trace
        What is shown.
    **state
        Initial values of the view's traits, e.g. ``layer=3, heads=[0, 4]``.

    Raises
    ------
    TypeError
        For something that is no trace, or a keyword that is no trait of the view.
    traitlets.TraitError
        For a value that the model does not have; the message says which there are.
    """

    layer = traitlets.Int(help="Layer shown, by the model's own number.").tag(sync=True)
    heads = traitlets.List(
        traitlets.Int(), help="Heads shown, ascending; empty = all heads of the layer."
    ).tag(sync=True)
    kind = traitlets.Unicode(
        help='Attention shown: "self", or "encoder", "decoder" or "cross".'
    ).tag(sync=True)
    unit = traitlets.Enum(
        ["token", "word"], default_value="token", help="What rows and columns stand for."
    ).tag(sync=True)
    selected = traitlets.List(
        traitlets.Int(), help="Pinned token positions of the text (or target)."
    ).tag(sync=True)
    hovered = traitlets.Int(
        None, allow_none=True, help="Token position under the pointer, if any."
    ).tag(sync=True, echo_update=False)
    selected_source = traitlets.List(
        traitlets.Int(), help="Pinned token positions of an encoder-decoder model's source."
    ).tag(sync=True)
    hovered_source = traitlets.Int(
        None, allow_none=True, help="Token position of the source under the pointer, if any."
    ).tag(sync=True, echo_update=False)
    theme = traitlets.Enum(
        ["auto", "light", "dark"], default_value="auto", help='"auto" follows the notebook.'
    ).tag(sync=True)
    height = traitlets.Int(0, min=0, help="Height in pixels; 0 = as high as the content.").tag(
        sync=True
    )
    scene = traitlets.Dict(help="The model, its layers and heads.", read_only=True).tag(sync=True)
    axes = traitlets.Dict(help="Labels of rows and columns.", read_only=True).tag(sync=True)
    frame = traitlets.Dict(help="The current picture, as binary arrays.", read_only=True).tag(
        sync=True
    )
    error = traitlets.Unicode("", help="What went wrong, and the way out; empty = nothing.").tag(
        sync=True
    )
    busy = traitlets.Unicode("", help="What is being computed; empty = nothing.").tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads", "unit")
    """Traits that the frame depends on."""
    _patience: ClassVar[float | None] = None
    """Seconds that the first picture is waited for; None = as long as it takes."""

    def __init__(self, trace: Trace, **state: Any) -> None:
        if not isinstance(trace, Trace):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"{type(self).__name__} shows a trace, got {type(trace).__name__}. Make one with "
                "trace = Lens(model, tokenizer).trace(text)."
            )
        _require_names(type(self), state)
        self._trace: Trace | None = trace
        self._lock = threading.RLock()
        self._long_work = LongWork(self._tell)
        # The last complete frame, the state that it answers, and kind and unit of the labels.
        self._drawn: dict[str, Any] | None = None
        self._whole: dict[str, Any] = {}
        self._labelled: tuple[Any, Any] | None = None
        self._failure: Exception | None = None
        kind = state.setdefault("kind", trace.default_kind)
        layers = trace.layers(kind) if kind in trace.kinds else [0]
        state.setdefault("layer", layers[0])
        try:
            super().__init__(**state)
            self.set_trait("scene", scene(trace))
            self._show_first()
        except BaseException:
            # ipywidgets keeps every widget that was opened, and this one holds its trace.
            self.close()
            raise
        self.observe(self._on_state, names=sorted({*self._frame_traits, "kind", "unit"}))
        self.on_msg(self._on_message)

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelt trait would be set in vain: nothing moves, and nobody says why.
        if not is_declared(self, name):
            known = settable_traits(type(self), TraceView)
            raise AttributeError(no_such_name(type(self), name, known))
        super().__setattr__(name, value)

    @property
    def trace(self) -> Trace:
        """The trace that is shown."""
        trace = getattr(self, "_trace", None)
        if trace is None:
            name = type(self).__name__
            raise ValueError(f"This view is closed. Make a new one: {name}(trace).")
        return trace

    def close(self) -> None:
        """Close the view and let go of its trace."""
        super().close()
        if hasattr(self, "_trace"):  # a constructor that raised may have none
            self._long_work.end()
            self._trace = None

    def to_frame(self) -> pd.DataFrame:
        """Return the numbers behind the picture."""
        raise NotImplementedError

    # ---- for subclasses -----------------------------------------------------------------------

    def _make_frame(self) -> dict[str, Any]:
        """Compute the frame that answers the current state."""
        raise NotImplementedError

    def _state_key(self) -> dict[str, Any]:
        """Return the state that the current frame should answer."""
        return {name: getattr(self, name) for name in self._frame_traits}

    # ---- state and frames ---------------------------------------------------------------------

    def _on_state(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["name"] == "kind":
                self._fit_to_kind()
            self._refresh()

    def _fit_to_kind(self) -> None:
        """Keep layer and heads within what the newly chosen kind of attention has."""
        layers = self.trace.layers(self._kind)
        with self.hold_trait_notifications():
            if self.layer not in layers:
                self.layer = min(layers, key=lambda layer: abs(layer - self.layer))
            n_heads = self.trace.n_heads(self.layer, self._kind)
            self.heads = [head for head in self.heads if head < n_heads]

    def _show_first(self) -> None:
        """Draw the first picture. It is waited for: a cell that is done shows it."""
        if self._patience is not None and self._is_long():
            self._start()
            self._long_work.join(self._patience)
        else:
            self._draw(lambda: True)
        if self._failure is not None:
            raise self._failure

    def _refresh(self) -> None:
        """Bring labels and frame in line with the state; on failure keep the last good ones."""
        with self._lock:
            self._long_work.end()
            try:
                long = self._drawn != self._state_key() and self._is_long()
            except ValueError as error:  # the trace was closed, say
                self._fail(error)
                return
            if long:
                self._start()
            else:
                self._draw(lambda: True)

    def _start(self) -> None:
        """Draw beside the kernel's own thread."""
        self.busy = self._work
        self._long_work.start(self._draw)

    @property
    def _work(self) -> str:
        """What drawing takes, in words."""
        return f"computing layer {self.layer}"

    def _draw(self, is_wanted: Callable[[], bool]) -> None:
        """Compute labels and frame, and show them if nobody has asked for others meanwhile."""
        key, labelled = self._state_key(), (self._kind, self._unit)
        # The view shows what went wrong, whatever it was, and keeps its last good picture.
        try:
            frame = self._make_frame() if self._drawn != key else self._whole
            same_labels = self._labelled == labelled
            described = self.axes if same_labels else axes(self.trace, *labelled)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001
            with self._lock:
                if is_wanted():
                    self._fail(error)
            return
        with self._lock:
            if not is_wanted():
                return
            # First: whatever observers do with the frame, it is the one that is shown.
            self._drawn, self._labelled, self._whole = key, labelled, frame
            with self.hold_sync():
                self.error, self.busy = "", ""
                self.set_trait("axes", described)
                self.set_trait("frame", frame)
            self._failure = None

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self.error, self.busy = str(error) or type(error).__name__, ""

    def _tell(self, step: Step) -> None:
        with self._lock:
            if self._long_work.is_running:
                self.busy = str(step)

    def cancel(self) -> None:
        """End what is being computed, and go back to the state that the picture shows."""
        with self._lock:
            if not self._long_work.is_running:
                return
            self._long_work.end()
            with self.hold_sync(), self.hold_trait_notifications():
                for name, value in (self._drawn or {}).items():
                    setattr(self, name, value)
                self.busy = ""
                if self._whole:
                    self.set_trait("frame", self._whole)

    def _is_long(self) -> bool:
        call = run_of(self.trace).call(self.layer, self._kind)
        return call.n_heads * call.n_queries * call.n_keys > _BUSY_WEIGHTS

    @property
    def _kind(self) -> Any:
        """The kind as the trace's type; the trait holds a plain string."""
        return self.kind

    @property
    def _selection(self) -> Selection:
        """What is shown, as the functions that make frames take it."""
        aggregate = getattr(self, "aggregate", None)
        return Selection(self._kind, self.layer, tuple(self.heads), self._unit, aggregate)

    @property
    def _unit(self) -> Any:
        """The unit as the trace's type; the trait holds a plain string."""
        return self.unit

    # ---- validation ---------------------------------------------------------------------------

    @traitlets.validate("kind")
    def _valid_kind(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] not in self.trace.kinds:
            names = ", ".join(repr(kind) for kind in self.trace.kinds)
            raise traitlets.TraitError(
                f"kind {proposal['value']!r} is not there: {self.trace.lens.name} has {names}."
            )
        return proposal["value"]

    @traitlets.validate("layer")
    def _valid_layer(self, proposal: dict[str, Any]) -> int:
        # The trace knows which layers there are, and says so.
        try:
            run_of(self.trace).call(proposal["value"], self._kind)
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal["value"]

    @traitlets.validate("heads")
    def _valid_heads(self, proposal: dict[str, Any]) -> list[int]:
        heads = sorted(set(proposal["value"]))
        n_heads = self.trace.n_heads(self.layer, self._kind)
        wrong = [head for head in heads if not 0 <= head < n_heads]
        if wrong:
            raise traitlets.TraitError(
                f"head {wrong[0]} is out of range: layer {self.layer} of {self.trace.lens.name} "
                f"has heads 0-{n_heads - 1}."
            )
        return heads

    @traitlets.validate("selected", "hovered")
    def _valid_positions(self, proposal: dict[str, Any]) -> Any:
        return self._within(proposal, self.trace.sequences[-1].tokens)

    @traitlets.validate("selected_source", "hovered_source")
    def _valid_source_positions(self, proposal: dict[str, Any]) -> Any:
        two = len(self.trace.sequences) > 1
        return self._within(proposal, self.trace.sequences[0].tokens if two else ())

    def _within(self, proposal: dict[str, Any], tokens: Iterable[object]) -> Any:
        n_tokens = len(tuple(tokens))
        name, value = proposal["trait"].name, proposal["value"]
        positions: list[int] = (
            [] if value is None else value if isinstance(value, list) else [value]
        )
        for position in positions:
            if not 0 <= position < n_tokens:
                there = f"positions 0-{n_tokens - 1}" if n_tokens else "no source text"
                raise traitlets.TraitError(
                    f"{name} {position} is out of range: this trace has {there}."
                )
        return sorted(set(positions)) if isinstance(value, list) else value

    # ---- the browser --------------------------------------------------------------------------

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over state from the browser; a value that is not valid is undone there and said."""
        try:
            super().set_state(sync_data)
        except (traitlets.TraitError, ValueError) as error:
            self.error = str(error)
            self.send_state(set(sync_data) & set(self.keys))

    def _on_message(self, _: object, content: object, __: object) -> None:
        if isinstance(content, dict) and content.get("kind") == "stop":
            self.cancel()
            return
        with self._lock:
            answer = reply(self, content)
        if answer is not None:
            message, buffers = answer
            self.send(message, buffers)


def _require_names(view: type[TraceView], state: Iterable[str]) -> None:
    """Refuse keywords that are no settable trait: ipywidgets would only warn."""
    known = {*settable_traits(view, TraceView), "layout"} - {"error", "busy"}
    for name in state:
        if name not in known:
            raise TypeError(
                f"{view.__name__} has no {name!r}. It takes: {', '.join(sorted(known))}."
                + did_you_mean(name, known)
            )
