"""A view of a trace: what is shown of it, and how it comes to its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from glasshead.long_work import LongWork
from glasshead.view import View, valid_positions
from glasshead_backend import Cancelled, Trace
from glasshead_backend.asking import Selection
from glasshead_backend.frames import axes, scene
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Sized

    from glasshead_backend import Step


@dataclass(frozen=True)
class Picture:
    """A complete picture.

    Attributes
    ----------
    trace : Trace
        What it shows.
    state : dict
        The traits that it answers.
    labelled : tuple
        The traits that its labels are of: kind and unit, and what else a view names them by.
    axes, frame : dict
        What the browser draws.
    """

    trace: Trace
    state: dict[str, Any]
    labelled: tuple[Any, ...]
    axes: dict[str, Any]
    frame: dict[str, Any]


class TraceView(View):
    """A view of a trace whose state is traits: readable, settable, observable and linkable.

    A trait that the frame depends on has changed: the picture of the new state is computed at once,
    or, where that takes long, in a thread while the view says how far it is. When it is complete it
    is shown; when that fails, the error is. Whatever fails or is cancelled, the last complete
    picture stays, and cancelling goes back to the state that it answers::

        shown ──▶ computing ──▶ shown
                      ├───────▶ failed      the last picture, and what went wrong
                      └───────▶ shown       cancelled: the last picture and its state

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
    axes = traitlets.Dict(help="Labels of rows and columns.", read_only=True).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "layer", "heads", "unit")
    """Traits that the frame depends on."""
    _label_traits: ClassVar[tuple[str, ...]] = ("kind", "unit")
    """Traits that the labels of rows and columns depend on."""
    _busy_weights: ClassVar[int] = 30_000_000
    """From this many attention weights on, a frame takes long enough to be computed in the
    background, with words in the view that say how far it is."""
    _needs_attention: ClassVar[bool] = True
    """Whether a text that was scored without attention has nothing to show here."""
    _patience: ClassVar[float | None] = None
    """Seconds that the first picture is waited for; None = as long as it takes."""

    def __init__(self, trace: Trace, **state: Any) -> None:
        self._require_shown(trace)
        self._trace: Trace | None = trace
        self._long_work, self._tracing = LongWork(self._tell), LongWork(self._tell)
        self._picture: Picture | None = None
        self._failure: Exception | None = None
        self._tried: tuple[Any, ...] | None = None
        if trace.kinds:
            kind = state.setdefault("kind", trace.default_kind)
            # An unknown kind is refused where it is validated.
            layers = trace.layers(kind) if kind in trace.kinds else [0]
            state.setdefault("layer", layers[0])
        try:
            super().__init__(**state)
            self.set_trait("scene", self._scene(trace))
            self._show_first()
        except BaseException:
            # ipywidgets keeps every widget that was opened, and this one holds its trace.
            self.close()
            raise
        self.observe(self._on_state, names=sorted({*self._frame_traits, "kind", "layer", "unit"}))

    @property
    def trace(self) -> Trace:
        """The trace that is shown; set it to show another, of any model.

        Layer, heads and kind of attention stay where the other model has them. Where its picture
        cannot be drawn the view goes back to the last trace and its picture, and says why.
        """
        return self.shown_trace

    @trace.setter
    def trace(self, trace: Trace) -> None:
        with self._lock:
            self._require(trace)
            self._end_work()
            self._show(trace)

    @property
    def shown_trace(self) -> Trace:
        """What the picture is of: ``trace``, or what an explorer has made of it without heads."""
        trace = getattr(self, "_trace", None)
        if trace is None:
            name = type(self).__name__
            raise ValueError(f"This view is closed. Make a new one: {name}(trace).")
        return trace

    def close(self) -> None:
        """Close the view and let go of its trace."""
        super().close()
        if hasattr(self, "_trace"):  # a constructor that raised may have none
            self._end_work()
            self._trace = None

    def _finish(self) -> None:
        for work in (self._tracing, self._long_work):
            work.join()

    def _end_work(self) -> None:
        for work in (self._tracing, self._long_work):
            work.end()

    def _require(self, trace: object) -> None:
        """Refuse what cannot be shown here; a closed view says so."""
        self._require_shown(trace)
        self.shown_trace  # noqa: B018

    def _require_shown(self, trace: object) -> None:
        """Refuse what cannot be shown here."""
        require_trace(type(self), trace, attention=self._needs_attention)

    # ---- for subclasses -----------------------------------------------------------------------

    def _make_frame(self) -> dict[str, Any]:
        """Compute the frame that answers the current state."""
        raise NotImplementedError

    def _make_axes(self) -> dict[str, Any]:
        """Describe the labels of rows and columns."""
        of_text = "cross" if self.trace.family == "encoder-decoder" else "self"
        return axes(self.trace, self._kind or of_text, self._unit)

    def _layers(self) -> list[int]:
        """Return the numbers of the layers that can be shown."""
        return self.trace.layers(self._kind)

    def _require_layer(self, layer: int) -> None:
        """Refuse a layer that cannot be shown; the words say which there are."""
        run_of(self.trace).call(layer, self._kind)

    def _n_heads(self) -> int:
        """Return how many heads there are to choose from in the layer."""
        return self.trace.n_heads(self.layer, self._kind)

    def _state_key(self) -> dict[str, Any]:
        """Return the traits that the current frame should answer."""
        return {name: getattr(self, name) for name in self._frame_traits}

    def _is_long(self) -> bool:
        """Whether the frame takes long enough to be computed beside the kernel's own thread."""
        call = run_of(self.trace).call(self.layer, self._kind)
        return call.n_heads * call.n_queries * call.n_keys > self._busy_weights

    @property
    def _work(self) -> str:
        """What drawing takes, in words."""
        return f"computing layer {self.layer}"

    def _tell(self, step: Step) -> None:
        """Say how far the work is."""
        with self._lock:
            if self._long_work.is_running or self._tracing.is_running:
                self.busy = str(step)

    def _say(self, words: str, is_wanted: Callable[[], bool]) -> None:
        """Say what is done beside the pictures, if that is still wanted."""
        with self._lock:
            if is_wanted():
                self.busy = words

    def _trace_anew(
        self, words: str, make: Callable[[], Trace], pinned: Sequence[int] = ()
    ) -> None:
        """Show another trace, made beside the kernel's own thread; till then the last one stays.

        Parameters
        ----------
        words : str
            What is being done.
        make : callable
            Returns the trace.
        pinned : sequence of int
            Positions that are selected then.
        """

        def work(is_wanted: Callable[[], bool]) -> None:
            try:
                other = make()
            except Cancelled:
                raise
            except Exception as error:  # noqa: BLE001  whatever it was, the last picture stays
                with self._lock:
                    self._say("", is_wanted)
                    if is_wanted():
                        self.error = str(error) or type(error).__name__
                        self._on_no_trace()
                return
            with self._lock, self.hold_sync():
                self._say("", is_wanted)
                if is_wanted():
                    self._show(other)
                    if pinned:
                        self.selected = list(pinned)

        self._tracing.end()
        self._say(words, lambda: True)
        self._tracing.start(work)

    def _on_picture(self) -> None:
        """Bring what stands beside the picture in line with it: it was drawn, or gone back to."""

    def _on_trace(self) -> None:
        """Take over another trace, before anything of it is drawn."""

    def _on_no_trace(self) -> None:
        """Another trace could not be made: the last one stays."""

    @property
    def _whole(self) -> Trace:
        """The run that what is shown was made of."""
        return self._whole_of(self.shown_trace)

    def _whole_of(self, trace: Trace) -> Trace:
        """Return the run of the whole model: in an explorer heads may be off in what is shown."""
        return trace

    def _scene(self, trace: Trace) -> dict[str, Any]:
        """Describe the model; what was switched off before it came here is said beside its name."""
        described, off = scene(trace), self._whole_of(trace).ablated
        if off is None:
            return described
        return {**described, "model": f"{described['model']} · without {off.in_words()}"}

    def _baseline_of(self, trace: Trace) -> tuple[Trace, tuple[str, str]] | None:  # noqa: ARG002
        """That run, where a trace is compared with it, and what the two are called."""
        return None

    # ---- state and frames ---------------------------------------------------------------------

    def _show(self, trace: Trace) -> None:
        """Draw another trace, keeping of the state what it has."""
        described = self._scene(trace)
        same_text = is_same_text(trace, self.shown_trace)
        with self.hold_sync(), self.hold_trait_notifications():
            self._trace = trace
            self.set_trait("scene", described)
            if self.kind not in trace.kinds:
                self.kind = trace.default_kind if trace.kinds else ""
            self._fit()
            if not same_text:
                self._end_story()
                self.selected, self.hovered = [], None
                self.selected_source, self.hovered_source = [], None
            self._on_trace()
        if self._trace is trace:  # else it could not be drawn
            self._refresh()

    def _on_state(self, change: dict[str, Any]) -> None:
        with self._lock:
            if change["name"] in ("kind", "layer"):
                self._fit()
            self._refresh()

    def _fit(self) -> None:
        """Keep layer and heads within what the kind of attention, and then the layer, has."""
        if not self.trace.kinds:
            return
        layers = self._layers()
        with self.hold_trait_notifications():
            if self.layer not in layers:
                self.layer = min(layers, key=lambda layer: abs(layer - self.layer))
            n_heads = self._n_heads()
            self.heads = [head for head in self.heads if head < n_heads]

    def _show_first(self) -> None:
        """Draw the first picture. It is waited for: a cell that is done shows it."""
        self._tried = self._asked
        if self._patience is not None and self._is_long():
            self._start()
            self._long_work.join(self._patience)
        else:
            self._compute_and_show(lambda: True)
        if self._failure is not None:
            raise self._failure

    def _refresh(self) -> None:
        """Bring labels and frame in line with the state; on failure keep the last good ones."""
        with self._lock:
            if self._tried == self._asked:
                return  # several traits have changed at once
            self._tried = self._asked
            self._long_work.end()
            try:
                long = not self._answers(self._state_key()) and self._is_long()
            except ValueError as error:  # the trace was closed, say
                self._fail(error)
                return
            if long:
                self._start()
            else:
                self._compute_and_show(lambda: True)

    def _answers(self, state: dict[str, Any]) -> bool:
        """Whether the last picture is of this state."""
        picture = self._picture
        return picture is not None and picture.trace is self._trace and picture.state == state

    @property
    def _asked(self) -> tuple[Any, ...]:
        """What is to be drawn."""
        return self._trace, self.kind, self.unit, self._state_key()

    def _start(self) -> None:
        """Draw beside the kernel's own thread."""
        self.busy = self._work
        self._long_work.start(self._compute_and_show)

    def _compute_and_show(self, is_wanted: Callable[[], bool]) -> None:
        """Compute labels and frame, and show them if nobody has asked for others meanwhile."""
        # The view shows what went wrong, whatever it was, and keeps its last good picture.
        try:
            picture = self._make_picture()
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
            self._picture = picture
            with self.hold_sync():
                self.error, self.busy = "", ""
                self.set_trait("axes", picture.axes)
                self.set_trait("frame", picture.frame)
            self._failure = None
            self._on_picture()

    def _make_picture(self) -> Picture:
        """Return the picture of the current state; what has not changed is taken from the last."""
        trace, state = self.shown_trace, self._state_key()
        labelled = tuple(getattr(self, name) for name in self._label_traits)
        last = self._picture if self._picture and self._picture.trace is trace else None
        frame = last.frame if last and last.state == state else self._make_frame()
        same_labels = last is not None and last.labelled == labelled
        described = last.axes if last and same_labels else self._make_axes()
        return Picture(trace, state, labelled, described, frame)

    def _fail(self, error: Exception) -> None:
        self._failure = error
        if self._picture is not None and self._picture.trace is not self._trace:
            self._go_back(self._picture)
        self.error, self.busy = str(error) or type(error).__name__, ""

    def cancel(self) -> None:
        """End what is being computed, and go back to the state that the picture shows."""
        with self._lock:
            if not (self._long_work.is_running or self._tracing.is_running):
                return
            self._end_work()
            self.busy = ""
            if self._picture is not None:
                self._go_back(self._picture)

    def _go_back(self, picture: Picture) -> None:
        """Bring trace and state in line with the picture that is shown."""
        with self.hold_sync(), self.hold_trait_notifications():
            if self._trace is not picture.trace:
                self._trace = picture.trace
                self.set_trait("scene", self._scene(picture.trace))
                self._on_trace()
            labelled = dict(zip(self._label_traits, picture.labelled, strict=True))
            for name, value in {**labelled, **picture.state}.items():
                setattr(self, name, value)
            self._fit()
            self.set_trait("frame", picture.frame)
        self._on_picture()

    @property
    def _kind(self) -> Any:
        """The kind as the trace's type; the trait holds a plain string."""
        return self.kind

    @property
    def _selection(self) -> Selection:
        """What is shown, as the functions that make frames take it."""
        return Selection(self._kind, self.layer, tuple(self.heads), self._unit)

    @property
    def _unit(self) -> Any:
        """The unit as the trace's type; the trait holds a plain string."""
        return self.unit

    # ---- validation ---------------------------------------------------------------------------

    @traitlets.validate("kind")
    def _valid_kind(self, proposal: dict[str, Any]) -> str:
        if proposal["value"] not in (self.trace.kinds or ("",)):
            names = ", ".join(repr(kind) for kind in self.trace.kinds)
            raise traitlets.TraitError(
                f"kind {proposal['value']!r} is not there: {self.trace.lens.name} has {names}."
            )
        return proposal["value"]

    @traitlets.validate("layer")
    def _valid_layer(self, proposal: dict[str, Any]) -> int:
        # The trace knows which layers there are, and says so.
        if not self.trace.kinds and proposal["value"] == 0:
            return 0
        try:
            self._require_layer(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from None
        return proposal["value"]

    @traitlets.validate("heads")
    def _valid_heads(self, proposal: dict[str, Any]) -> list[int]:
        heads = sorted(set(proposal["value"]))
        if not (heads or self.trace.kinds):
            return []
        try:
            n_heads = self._n_heads()
        except ValueError as error:  # the layer may be as wrong, and is validated later
            raise traitlets.TraitError(str(error)) from None
        wrong = [head for head in heads if not 0 <= head < n_heads]
        if wrong:
            raise traitlets.TraitError(
                f"head {wrong[0]} is out of range: layer {self.layer} of {self.trace.lens.name} "
                f"has heads 0-{n_heads - 1}."
            )
        return heads

    @traitlets.validate("selected", "hovered")
    def _valid_positions(self, proposal: dict[str, Any]) -> Any:
        texts = self.trace.sequences
        return self._within(proposal, texts[-1].tokens if texts else ())

    @traitlets.validate("selected_source", "hovered_source")
    def _valid_source_positions(self, proposal: dict[str, Any]) -> Any:
        two = len(self.trace.sequences) > 1
        return self._within(proposal, self.trace.sequences[0].tokens if two else ())

    def _within(self, proposal: dict[str, Any], tokens: Sized) -> Any:
        n_tokens = len(tokens)
        none = "no source text" if self.trace.sequences else "no text"
        there = f"positions 0-{n_tokens - 1}" if n_tokens else none
        return valid_positions(proposal, n_tokens, f"this trace has {there}")


def require_trace(view: type[View], trace: object, *, attention: bool = True) -> None:
    """Refuse what is no trace, or one of a text that was scored without the attention needed."""
    if not isinstance(trace, Trace):
        raise TypeError(
            f"{view.__name__} shows a trace, got {type(trace).__name__}. Make one with "
            "trace = Lens(model, tokenizer).trace(text)."
        )
    if attention and not trace.kinds:
        trace.default_kind  # noqa: B018  says that there is none


def is_same_text(trace: Trace, other: Trace) -> bool:
    """Whether two traces are of the same tokens."""
    return _tokens(trace) == _tokens(other)


def _tokens(trace: Trace) -> list[list[tuple[int, str]]]:
    return [[(token.id, token.text) for token in sequence.tokens] for sequence in trace.sequences]
