"""Recording what goes into every softmax while a model runs as it always does.

A transformers model asks for the function that computes its attention (SDPA, eager, ...). While a
recording is open it is handed the very same function, wrapped so that the query and key it is
called with are kept by reference (:mod:`glasshead_backend.running.transformers_versions` gets
between). The model keeps its implementation name, its masks and its speed; nothing of size T x T is
stored. Weights are recomputed later, for the heads and rows somebody asks for (see
:mod:`glasshead_backend.capture.softmax`).

The model file's own eager function is kept with every call as the oracle of how its weights are
meant; what was put out decides whether that is what ran (:mod:`glasshead_backend.capture.oracle`).

Modules that do not ask for a function have their inputs kept instead (see
:mod:`glasshead_backend.capture.replay`).
"""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from glasshead_backend.capture.oracle import (
    Evidence,
    examine,
    gathers_by_weights,
    plain_attention,
    settle,
)
from glasshead_backend.capture.relative_bias import RelativeBias, relative
from glasshead_backend.capture.replay import Reader, Replay, keep_inputs
from glasshead_backend.capture.softmax import CapturedCall, default_scaling
from glasshead_backend.running.arena import Arena
from glasshead_backend.running.as_found import autocast_now
from glasshead_backend.running.hooks import version_of
from glasshead_backend.running.transformers_versions import eager_of, hook_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from contextlib import AbstractContextManager

    from torch import nn

    from glasshead_backend.capture.softmax import AttentionFunction


@dataclass(eq=False)
class Recording:
    """The attention calls of the forward passes made while the recording was open, in order."""

    calls: list[CapturedCall | Replay] = field(default_factory=list["CapturedCall | Replay"])
    thread: int = field(default_factory=threading.get_ident)
    arena: Arena = field(default_factory=Arena, repr=False)
    evidence: list[Evidence] = field(default_factory=list[Evidence], repr=False)
    # Opened while our own arithmetic runs.
    aside: Callable[[], AbstractContextManager[object]] = field(default=nullcontext, repr=False)
    _last: tuple[nn.Module, weakref.ref[Tensor], weakref.ref[Tensor]] | None = None
    # Layers share one position bias (T5): what it was recognised as, while the model holds it.
    _biases: list[tuple[weakref.ref[Tensor], RelativeBias | None]] = field(
        default_factory=list["tuple[weakref.ref[Tensor], RelativeBias | None]"]
    )

    def note(self, replay: Replay) -> None:
        """Keep a module's inputs, unless another thread is running the same model."""
        if _recording() is self:
            self.calls.append(replay)

    def hold(self, tensor: Tensor) -> Tensor:
        """Return a query or key as it is held from now on."""
        return self.arena.keep(tensor)

    def take(
        self,
        call: CapturedCall,
        function: AttentionFunction,
        value: Tensor,
        output: Tensor,
        weights: Tensor | None,
    ) -> None:
        """Keep a call, with what is known about it at once.

        That is now: all weights of the module are where it computes (offloaded models), and the
        values are there.
        """
        with self.aside():
            evidence = examine(call, function, value, output, weights)
        kept = self.arena.keep(evidence.differences)
        self.evidence.append(replace(evidence, differences=kept))
        self.calls.append(call)

    def settle(self) -> None:
        """Decide what the weights of the calls are, once the model has run."""
        settle(self.evidence)
        self.evidence.clear()

    def is_repeated(self, module: nn.Module, query: Tensor, key: Tensor) -> bool:
        """Whether the last call asked for this very attention, for other values (DiffLlama)."""
        last, self._last = self._last, (module, weakref.ref(query), weakref.ref(key))
        return last is not None and (last[0] is module and last[1]() is query and last[2]() is key)

    def compact(self, bias: Tensor) -> Tensor | RelativeBias:
        """Return a position bias as a vector by distance, where it is one."""
        for known, recognised in self._biases:
            if known() is bias:
                return bias if recognised is None else recognised
        recognised = relative(bias.detach())
        self._biases.append((weakref.ref(bias), recognised))
        return bias.detach() if recognised is None else recognised


@dataclass(eq=False)
class FirstLook(Recording):
    """Which calls there are, for a probe that asks of their weights only who looks ahead.

    By the causal flag no row does: those calls need not be compared with what the model computed,
    as they are whenever a text is traced.
    """

    def take(
        self,
        call: CapturedCall,
        function: AttentionFunction,
        value: Tensor,
        output: Tensor,
        weights: Tensor | None,
    ) -> None:
        """Keep a call; find out what its weights are where that is not known without."""
        if call.causal and call.mask is None:
            self.calls.append(call)
        else:
            super().take(call, function, value, output, weights)


class Gathered(NamedTuple):
    """What the heads of one attention call have gathered.

    Attributes
    ----------
    module : nn.Module
        The module that made the call.
    n_heads : int
        Query heads.
    lengths : tuple of int
        Queries and keys.
    value : Tensor or None
        ``[batch, key_heads, keys, head_dim]``; None where what was put out is not these values,
        summed by the weights.
    """

    module: nn.Module
    n_heads: int
    lengths: tuple[int, int]
    value: Tensor | None


@dataclass(eq=False)
class ValueRecording(Recording):
    """The values of the attention calls; queries and keys are let go with each call.

    Attributes
    ----------
    gathered : list of Gathered
        In the order of the calls.
    output, version
        What the last call put out, until its projection is found, and how often it was written to.
    """

    gathered: list[Gathered] = field(default_factory=list["Gathered"])
    output: Tensor | None = field(default=None, repr=False)
    version: int = 0

    def hold(self, tensor: Tensor) -> Tensor:
        """Return the tensor itself: it is needed as long as the call is looked at."""
        return tensor.detach()

    def take(
        self,
        call: CapturedCall,
        function: AttentionFunction,
        value: Tensor,
        output: Tensor,
        weights: Tensor | None,
    ) -> None:
        """Keep the values, if they are what was gathered."""
        settle([examine(call, function, value, output, weights)])
        gathers = not call.unexplained and gathers_by_weights(call, value, output)
        lengths = call.n_queries, call.n_keys
        kept = self.arena.keep(value) if gathers else None
        self.gathered.append(Gathered(call.module, call.n_heads, lengths, kept))
        self.output, self.version = output, version_of(output)


@dataclass(eq=False)
class GraphRecording(ValueRecording):
    """The values of the attention calls, and what each has put out as a part of the graph.

    Attributes
    ----------
    outputs : list of Tensor
        ``[batch, queries, heads, head_dim]``, as long as :attr:`gathered`.
    """

    outputs: list[Tensor] = field(default_factory=list[Tensor], repr=False)

    @torch.no_grad()
    def take(
        self,
        call: CapturedCall,
        function: AttentionFunction,
        value: Tensor,
        output: Tensor,
        weights: Tensor | None,
    ) -> None:
        """Keep values and output; what is compared with what is no part of the graph."""
        super().take(call, function, value.detach(), output.detach(), weights)
        self.outputs.append(output)


_active: ContextVar[Recording | None] = ContextVar("glasshead_recording", default=None)


@contextmanager
def record(
    readers: Sequence[Reader],
    model: Any,
    batch: int = 1,
    *,
    expected_bytes: int = 0,
) -> Generator[Recording, None, None]:
    """Record the attention calls of every forward pass made in this context.

    Only forwards of the calling context are recorded (a ``ContextVar``): other threads run
    untouched. The hook is installed while at least one recording is open, and removed on any exit.

    Parameters
    ----------
    readers : sequence of Reader
        Modules of `model` that compute attention by themselves: their inputs are kept.
    model : PreTrainedModel
    batch : int
        Sequences in a forward pass.
    expected_bytes : int
        What queries and keys will take, as far as is known.

    Yields
    ------
    Recording
        Filled as the model runs.
    """
    recording = Recording(arena=Arena(expected_bytes))
    with _open(recording, model), ExitStack() as stack:
        if readers:
            stack.enter_context(keep_inputs(readers, model, batch, recording.note))
        yield recording
    recording.settle()


@contextmanager
def first_look(
    model: Any, aside: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Generator[FirstLook, None, None]:
    """Record which attention calls there are; see :func:`record`.

    Parameters
    ----------
    model : PreTrainedModel
    aside : callable
        Opened while our own arithmetic runs, for who watches the model's.
    """
    recording = FirstLook(aside=aside)
    with _open(recording, model):
        yield recording
    recording.settle()


@contextmanager
def record_values(model: Any) -> Generator[ValueRecording, None, None]:
    """Record the values of the attention calls, and what each has put out; see :func:`record`."""
    recording = ValueRecording()
    with _open(recording, model):
        yield recording


@contextmanager
def record_graph(model: Any) -> Generator[GraphRecording, None, None]:
    """Record values, and outputs to take gradients with respect to; see :func:`record`."""
    recording = GraphRecording()
    with _open(recording, model):
        yield recording


@contextmanager
def _open(recording: Recording, model: Any) -> Generator[None, None, None]:
    token = _active.set(recording)
    try:
        with hook_attention(model, _recorded):
            yield
    finally:
        _active.reset(token)


def _recording() -> Recording | None:
    """The recording that is open here; a thread may inherit the context, but not the recording."""
    recording = _active.get()
    return recording if recording and recording.thread == threading.get_ident() else None


def _recorded(function: AttentionFunction, eager: AttentionFunction | None) -> AttentionFunction:
    """What the model calls instead of a function: the same, and recorded where a recording is."""
    recording = _recording()
    return function if recording is None else _capturing(function, eager, recording)


def _capturing(
    function: AttentionFunction, known_eager: AttentionFunction | None, recording: Recording
) -> AttentionFunction:
    """Wrap the model's attention function so that it also keeps what it was called with."""

    @functools.wraps(function)
    def attend(
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        output, weights = function(module, query, key, value, attention_mask, **options)
        if not recording.is_repeated(module, query, key):
            eager = known_eager or eager_of(module) or plain_attention
            masked = attention_mask is not None or function is eager
            scaling = options.get("scaling")
            call = CapturedCall(
                module=module,
                query=recording.hold(query),
                key=recording.hold(key),
                mask=attention_mask,
                causal=not masked and _is_causal(module, query, options),
                scaling=default_scaling(query) if scaling is None else float(scaling),
                eager=eager,
                options=_kept_options(options, recording),
                autocast=autocast_now(query.device),
            )
            recording.take(call, function, value, output, weights)
        return output, weights

    return attend


def _is_causal(module: nn.Module, query: Tensor, options: dict[str, Any]) -> bool:
    """Whether the stock SDPA function hides later keys: by flag, when it gets no mask.

    Eager functions never do by themselves.
    """
    flag = options.get("is_causal")
    by_flag = getattr(module, "is_causal", True) if flag is None else flag
    return query.shape[2] > 1 and bool(by_flag)


def _kept_options(options: dict[str, Any], recording: Recording) -> dict[str, Any]:
    """Return what else enters the softmax: soft-cap, position bias, sinks."""
    kept = {
        name: option.detach() if isinstance(option, Tensor) else option
        for name, option in options.items()
        if name not in ("scaling", "dropout", "is_causal")
    }
    if isinstance(options.get("position_bias"), Tensor):
        kept["position_bias"] = recording.compact(options["position_bias"])
    return kept
