"""Devices that are not there: tensors of theirs lie in memory, but no operation mixes two of them.

What goes wrong with a model on several GPUs goes wrong here, on any machine: torch refuses an
operation on tensors of two devices, unless it moves one, or the one on the CPU is a single number
or an index. Gradients are computed on the CPU and the first of them only (torch asks how many
devices there are, and is told one).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

if TYPE_CHECKING:
    from collections.abc import Generator

NAME = "board"
THERE = hasattr(backend_registration, "_setup_privateuseone_for_python_backend")
"""Whether this torch lets Python make up devices."""

_aten = torch.ops.aten
_MOVES = {_aten.copy_.default, _aten._to_copy.default}
_INDEXED = {
    _aten.index.Tensor,
    _aten.index_put.default,
    _aten.index_put_.default,
    _aten._index_put_impl_.default,
    _aten._unsafe_index.Tensor,
}
_MAKERS = {torch.tensor, torch.as_tensor, torch.asarray}
_TAKERS = {Tensor.__getitem__, Tensor.__setitem__}


class OnBoard(Tensor):
    """A tensor that says it lies on such a device."""

    raw: Tensor

    @staticmethod
    def __new__(cls: type[OnBoard], raw: Tensor, device: torch.device) -> OnBoard:  # noqa: PYI034
        """Wrap a tensor."""
        one = Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=device,
        )
        one.raw = raw
        return one

    def __init__(self, raw: Tensor, device: torch.device) -> None:
        """Leave all as it is: it was made."""

    def __repr__(self) -> str:
        return f"OnBoard({self.raw}, {self.device})"

    def untyped_storage(self) -> torch.UntypedStorage:
        """Memory that it lies in."""
        return self.raw.untyped_storage()

    def data_ptr(self) -> int:
        """Address of its first number."""
        return self.raw.data_ptr()

    def tolist(self) -> Any:
        """Its numbers."""
        return self.raw.tolist()

    def numpy(self, **_: Any) -> Any:
        """Refuse, as torch does."""
        raise TypeError(f"can't convert {self.device} device type tensor to numpy.")

    __array__ = numpy
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation."""
        return _run(func, args, kwargs or {})


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run an operation in memory, if it could be run on the devices of its tensors."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    asked = None if kwargs.get("device") is None else torch.device(kwargs["device"])
    boards = [one.device for one in tensors if isinstance(one, OnBoard)]
    if not boards and (asked is None or asked.type != NAME):
        return func(*args, **kwargs)
    _require_one_device(func, args, tensors)
    target = tensors[0].device if func is _aten.copy_.default else asked or boards[0]
    out = func(*tree_map(_in_memory, args), **tree_map(_in_memory, kwargs))
    if func is _aten._to_copy.default and out is _in_memory(args[0]):
        out = out.clone()
    if target.type != NAME:
        return out
    place = torch.device(NAME, target.index or 0)
    wrapped = tree_map(lambda one: OnBoard(one, place) if isinstance(one, Tensor) else one, out)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)


def _require_one_device(func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> None:
    if func in _MOVES:
        return
    values = [args[0], *args[2:3]] if func in _INDEXED else tensors
    there = {one.device for one in values if one.dim() or one.device.type != "cpu"}
    if len(there) > 1:
        names = ", ".join(sorted(map(str, there)))
        raise RuntimeError(f"Expected all tensors to be on the same device: {names} ({func}).")


def _in_memory(value: Any) -> Any:
    if isinstance(value, OnBoard):
        return value.raw
    is_board = isinstance(value, torch.device) and value.type == NAME
    return torch.device("cpu") if is_board else value


class _Dispatch(TorchDispatchMode):
    """Sees what makes tensors on such a device of none."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation."""
        return _run(func, args, kwargs or {})


class _Made(TorchFunctionMode):
    """What torch makes of lists in C++, past all dispatch, is made in memory and moved."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run a function."""
        kwargs = kwargs or {}
        device = kwargs.get("device")
        if func in _MAKERS and device is not None and torch.device(device).type == NAME:
            return func(*args, **{**kwargs, "device": "cpu"}).to(device)
        if func in _TAKERS and isinstance(args[0], OnBoard):
            at = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(map(_index, at)), *args[2:])
        return func(*args, **kwargs)


def _index(at: Any) -> Any:
    if not isinstance(at, (list, range)):
        return at
    flags = bool(at) and isinstance(at[0], bool)
    return torch.tensor(list(at), dtype=torch.bool if flags else torch.long)


class _Backend:
    """What torch asks of a device's module."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 2

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        del seed

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16, torch.bfloat16]

    def is_autocast_enabled(self) -> bool:
        return False


_known: list[_Backend] = []


@contextmanager
def boards() -> Generator[None, None, None]:
    """Two such devices, ``board:0`` and ``board:1``, are there in this context."""
    if not _known:
        _known.append(_Backend())
        backend_registration._setup_privateuseone_for_python_backend(NAME, _known[0])
    with _Dispatch(), _Made():
        yield
