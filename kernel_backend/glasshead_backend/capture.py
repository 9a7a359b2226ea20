"""Recording what goes into every softmax while a model runs as it always does.

A transformers model asks one method, ``AttentionInterface.get_interface``, for the function that
computes its attention (SDPA, eager, ...). While a recording is open that method hands out the very
same function wrapped so that the query and key it is called with are kept by reference. The model
keeps its implementation name, its masks and its speed; nothing of size T x T is stored. Weights are
recomputed later, for the heads and rows somebody asks for (see :mod:`glasshead_backend.captured`).

The method also receives the model file's own eager function. It is kept with every call as the
oracle against which our own arithmetic is checked, and as the fall-back where the two differ.

Modules that do not ask for a function have their inputs kept instead (see
:mod:`glasshead_backend.replay`).
"""

from __future__ import annotations

import functools
import threading
import weakref
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers.modeling_utils import AttentionInterface

from glasshead_backend.arena import Arena
from glasshead_backend.captured import CapturedCall, default_scaling
from glasshead_backend.hooks import version_of
from glasshead_backend.oracle import gathers_by_weights, verify
from glasshead_backend.relative_bias import RelativeBias, relative
from glasshead_backend.replay import Reader, Replay, keep_inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import nn

    from glasshead_backend.captured import AttentionFunction


@dataclass(eq=False)
class Recording:
    """The attention calls of the forward passes made while the recording was open, in order."""

    calls: list[CapturedCall | Replay] = field(default_factory=list["CapturedCall | Replay"])
    thread: int = field(default_factory=threading.get_ident)
    arena: Arena = field(default_factory=Arena, repr=False)
    keep_values: bool = False
    # With the values: what the last call put out, until its projection is found.
    output: Tensor | None = field(default=None, repr=False)
    version: int = 0
    _last: tuple[nn.Module, weakref.ref[Tensor], weakref.ref[Tensor]] | None = None
    # Layers share one position bias (T5): what it was recognised as, while the model holds it.
    _biases: list[tuple[weakref.ref[Tensor], RelativeBias | None]] = field(
        default_factory=list["tuple[weakref.ref[Tensor], RelativeBias | None]"]
    )

    def note(self, replay: Replay) -> None:
        """Keep a module's inputs, unless another thread is running the same model."""
        if _recording() is self:
            self.calls.append(replay)

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


_active: ContextVar[Recording | None] = ContextVar("glasshead_recording", default=None)
_install_lock = threading.Lock()
_open_recordings = 0
_stock_get_interface: Callable[..., AttentionFunction] | None = None


@contextmanager
def record(
    readers: Sequence[Reader] = (),
    model: Any = None,
    batch: int = 1,
    *,
    keep_values: bool = False,
    expected_bytes: int = 0,
) -> Generator[Recording, None, None]:
    """Record the attention calls of every forward pass made in this context.

    Only forwards of the calling context are recorded (a ``ContextVar``): other threads run
    untouched. The hook is installed while at least one recording is open, and removed on any exit.

    Parameters
    ----------
    readers : sequence of Reader
        Modules of `model` that compute attention by themselves: their inputs are kept.
    model : PreTrainedModel, optional
        Needed with `readers`.
    batch : int
        Sequences in a forward pass.
    keep_values : bool
        Keep the values of every call instead of its query and key, and the last one's output.
    expected_bytes : int
        What queries and keys will take, as far as is known.

    Yields
    ------
    Recording
        Filled as the model runs.
    """
    recording = Recording(arena=Arena(expected_bytes), keep_values=keep_values)
    _install()
    token = _active.set(recording)
    try:
        with ExitStack() as stack:
            if readers:
                stack.enter_context(keep_inputs(readers, model, batch, recording.note))
            yield recording
    finally:
        _active.reset(token)
        _uninstall()


def _recording() -> Recording | None:
    """The recording that is open here; a thread may inherit the context, but not the recording."""
    recording = _active.get()
    return recording if recording and recording.thread == threading.get_ident() else None


def _install() -> None:
    global _open_recordings, _stock_get_interface  # noqa: PLW0603  one hook for the whole process
    with _install_lock:
        if _open_recordings == 0:
            if "get_interface" not in vars(AttentionInterface):
                raise RuntimeError(
                    "This version of transformers has no AttentionInterface.get_interface, which "
                    "Glasshead records through. Install a version of the range in Glasshead's "
                    "requirements: pip install 'glasshead'."
                )
            _stock_get_interface = AttentionInterface.get_interface
            AttentionInterface.get_interface = _wrap(_stock_get_interface)  # type: ignore[method-assign]
        _open_recordings += 1


def _uninstall() -> None:
    global _open_recordings, _stock_get_interface  # noqa: PLW0603  see _install
    with _install_lock:
        _open_recordings -= 1
        if _open_recordings == 0 and _stock_get_interface is not None:
            AttentionInterface.get_interface = _stock_get_interface  # type: ignore[method-assign]
            _stock_get_interface = None


def _wrap(stock: Callable[..., AttentionFunction]) -> Callable[..., AttentionFunction]:
    @functools.wraps(stock)
    def get_interface(
        self: AttentionInterface, attn_implementation: str, default: AttentionFunction
    ) -> AttentionFunction:
        function = stock(self, attn_implementation, default)
        recording = _recording()
        if recording is None:
            return function
        return _capturing(function, default, recording)

    return get_interface


def _capturing(
    function: AttentionFunction, eager: AttentionFunction, recording: Recording
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
        if recording.is_repeated(module, query, key):
            return output, weights
        # The stock SDPA function is causal by flag when it gets no mask; eager functions never are.
        flag = options.get("is_causal")
        by_flag = getattr(module, "is_causal", True) if flag is None else flag
        causal = function is not eager and attention_mask is None and query.shape[2] > 1 and by_flag
        scaling = options.get("scaling")
        keep = {
            name: option.detach() if isinstance(option, Tensor) else option
            for name, option in options.items()
            if name not in ("scaling", "dropout", "is_causal")
        }
        if isinstance(options.get("position_bias"), Tensor):
            keep["position_bias"] = recording.compact(options["position_bias"])
        call = CapturedCall(
            module=module,
            query=query.detach() if recording.keep_values else recording.arena.keep(query),
            key=key.detach() if recording.keep_values else recording.arena.keep(key),
            mask=attention_mask,
            causal=bool(causal),
            scaling=default_scaling(query) if scaling is None else float(scaling),
            eager=eager,
            options=keep,
            output_storage=output.untyped_storage().data_ptr(),
        )
        # Right now, while all weights of the module are where it computes (offloaded models).
        verify(call)
        if isinstance(call.difference, Tensor):
            call.difference = recording.arena.keep(call.difference)
        if recording.keep_values:
            gathers = gathers_by_weights(call, value, output)
            call.value = recording.arena.keep(value) if gathers else None
            # The trace has them already; what is needed here is their number.
            call.query, call.key = _shape_of(query), _shape_of(key)
            recording.output, recording.version = output, version_of(output)
        recording.calls.append(call)
        return output, weights

    return attend


def _shape_of(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape that takes no memory."""
    return tensor.new_empty(1).expand(tensor.shape)
