"""Recording what goes into every softmax while a model runs as it always does.

A transformers model asks one method, ``AttentionInterface.get_interface``, for the function that
computes its attention (SDPA, eager, ...). While a recording is open that method hands out the very
same function wrapped so that the query and key it is called with are kept by reference. The model
keeps its implementation name, its masks and its speed; nothing of size T x T is stored. Weights are
recomputed later, for the heads and rows somebody asks for (see :mod:`glasshead_backend.attention`).

The method also receives the model file's own eager function. It is kept with every call as the
oracle against which our own arithmetic is checked, and as the fall-back where the two differ.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.modeling_utils import AttentionInterface

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import nn

    AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]

# Names that architectures give to the extra scores of attention sinks.
_SINK_NAMES = ("s_aux", "sinks")


@dataclass(eq=False)
class AttentionCall:
    """What one attention module fed into its softmax, by reference.

    Parameters
    ----------
    module : nn.Module
        The module that made the call.
    query : Tensor
        ``[batch, heads, queries, head_dim]``, after rotary embedding.
    key : Tensor
        ``[batch, key_heads, keys, head_dim]``; key heads are not repeated for grouped queries.
    mask : Tensor or None
        As the model gave it: boolean (True = may look) or additive, broadcastable to
        ``[batch, heads, queries, keys]``.
    causal : bool
        True when the attention function itself hides the keys right of the query.
    scaling : float
        Factor on the dot products.
    eager : callable
        The model file's own eager attention function.
    options : dict
        The remaining keyword arguments of the call (soft-cap, position bias, sinks, ...).
    output_storage : int
        Address of the storage of the call's output: how the output projection is recognised.
    own_math : bool
        Whether our own arithmetic reproduces `eager` on this call. Decided once, by
        :func:`glasshead_backend.attention.verify`.
    """

    module: nn.Module
    query: Tensor
    key: Tensor
    mask: Tensor | None
    causal: bool
    scaling: float
    eager: AttentionFunction
    options: dict[str, Any] = field(repr=False)
    output_storage: int = 0
    own_math: bool = True

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.query.shape[1]

    @property
    def softcap(self) -> float | None:
        """Bound of the scores by ``softcap * tanh(score / softcap)``, if the layer has one."""
        return self.options.get("softcap")

    @property
    def position_bias(self) -> Tensor | None:
        """Additive bias ``[1 or batch, heads, queries, keys]`` (T5 family), if any."""
        return self.options.get("position_bias")

    @property
    def sinks(self) -> Tensor | None:
        """Extra score per head that takes part in the softmax and is dropped, ``[heads]``."""
        for name in _SINK_NAMES:
            if self.options.get(name) is not None:
                return self.options[name]
        return None

    @property
    def nbytes(self) -> int:
        """Bytes held by this call's query and key."""
        return self.query.nbytes + self.key.nbytes


@dataclass(eq=False)
class Recording:
    """The attention calls of the forward passes made while the recording was open, in order."""

    calls: list[AttentionCall] = field(default_factory=list[AttentionCall])


_active: ContextVar[Recording | None] = ContextVar("glasshead_recording", default=None)
_install_lock = threading.Lock()
_open_recordings = 0
_stock_get_interface: Callable[..., AttentionFunction] | None = None


@contextmanager
def record() -> Generator[Recording, None, None]:
    """Record the attention calls of every forward pass made in this context.

    Only forwards of the calling context are recorded (a ``ContextVar``): other threads run
    untouched. The hook is installed while at least one recording is open, and removed on any exit.

    Yields
    ------
    Recording
        Filled as the model runs.
    """
    _install()
    recording = Recording()
    token = _active.set(recording)
    try:
        yield recording
    finally:
        _active.reset(token)
        _uninstall()


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
        recording = _active.get()
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
        recording.calls.append(
            AttentionCall(
                module=module,
                query=query.detach(),
                key=key.detach(),
                mask=attention_mask,
                causal=bool(causal),
                scaling=query.shape[-1] ** -0.5 if scaling is None else float(scaling),
                eager=eager,
                options=keep,
                output_storage=output.untyped_storage().data_ptr(),
            )
        )
        return output, weights

    return attend


@torch.no_grad()
def eager_rows(call: AttentionCall, rows: Sequence[int]) -> Tensor:
    """Attention weights of some query rows by the model's own eager function, for all heads.

    Parameters
    ----------
    call : AttentionCall
        The recorded call; batch 1 or more.
    rows : range or sequence of int
        Query rows.

    Returns
    -------
    Tensor
        ``[batch, heads, rows, keys]`` in the dtype that the model computes in.
    """
    index = row_index(rows, call.query.device)
    options = dict(call.options)
    if call.position_bias is not None:
        options["position_bias"] = call.position_bias[:, :, index]
    # The values do not enter the weights: the keys stand in for them, so none need be kept.
    _, weights = call.eager(
        call.module,
        call.query[:, :, index],
        call.key,
        call.key,
        _additive_mask(call, rows),
        scaling=call.scaling,
        dropout=0.0,
        **options,
    )
    if weights is None:
        raise RuntimeError(
            f"{type(call.module).__name__}'s own eager attention function returns no weights; "
            "Glasshead cannot show attention of this model."
        )
    return weights


def row_index(rows: Sequence[int], device: torch.device) -> slice | Tensor:
    """Index for some rows: a slice (a view, no copy) where they are a plain range."""
    if isinstance(rows, range) and rows.step == 1:
        return slice(rows.start, rows.stop)
    return torch.as_tensor(list(rows), device=device)


def visible(call: AttentionCall, rows: Sequence[int], n_keys: int) -> Tensor:
    """Which of the first `n_keys` keys rows of a causal call may look at, ``[rows, n_keys]``."""
    queries = torch.as_tensor(list(rows), device=call.query.device)
    return torch.arange(n_keys, device=call.query.device) <= queries[:, None]


def _additive_mask(call: AttentionCall, rows: Sequence[int]) -> Tensor | None:
    """Rows of a call's mask as eager functions expect it: 0 = may look, dtype's minimum = not."""
    query, n_keys = call.query, call.key.shape[2]
    if call.mask is None:
        if not call.causal:
            return None
        may_look = visible(call, rows, n_keys)[None, None]
    else:
        mask = call.mask[..., :n_keys]
        mask = mask[:, :, row_index(rows, query.device)] if mask.shape[2] > 1 else mask
        if mask.dtype != torch.bool:
            return mask
        may_look = mask
    nothing = torch.zeros(may_look.shape, dtype=query.dtype, device=query.device)
    return nothing.masked_fill(~may_look, torch.finfo(query.dtype).min)
