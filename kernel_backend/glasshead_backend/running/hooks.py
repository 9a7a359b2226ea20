"""Watching what goes into and comes out of modules while a model runs."""

from __future__ import annotations

import functools
import threading
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, cast

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import nn

_run: ContextVar[object] = ContextVar("glasshead_run", default=None)


@contextmanager
def own_run() -> Generator[None, None, None]:
    """What :func:`here` made outside stays quiet in this context: it is a run of its own."""
    token = _run.set(object())
    try:
        yield
    finally:
        _run.reset(token)


def here(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Let a hook act only in the thread and the run that it was made in.

    Hooks belong to a module, whoever calls it: the user's own forward in another thread, or another
    trace of the same model that is made inside this one, is none of ours.
    """
    run, thread = _run.get(), threading.get_ident()

    @functools.wraps(hook)
    def only_here(*args: Any, **kwargs: Any) -> Any:
        ours = _run.get() is run and threading.get_ident() == thread
        return hook(*args, **kwargs) if ours else None

    return marked_as_own(only_here)


def marked_as_own(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Say of a hook that it changes nothing about the model itself."""
    hook.__glasshead_hook__ = True  # type: ignore[attr-defined]
    return hook


def is_own_hook(hook: Callable[..., Any]) -> bool:
    """Whether a hook is one of ours: it is not there for anybody else's forward."""
    return getattr(hook, "__glasshead_hook__", False)


def version_of(tensor: Tensor) -> int:
    """How often a tensor was written into; inference tensors keep no count."""
    return -1 if tensor.is_inference() else tensor._version  # noqa: SLF001


def first_tensor(value: object) -> Tensor | None:
    """The tensor that a module returned or got: itself, or the first one of a tuple or dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


def with_first_tensor(value: Any, tensor: Tensor) -> Any:
    """Put another tensor in the place of the one that :func:`first_tensor` finds."""
    if isinstance(value, Tensor):
        return tensor
    if isinstance(value, dict):
        named = cast("dict[str, Any]", value)
        first = next(name for name, one in named.items() if isinstance(one, Tensor))
        return type(named)({**named, first: tensor})
    at = next(i for i, one in enumerate(value) if isinstance(one, Tensor))
    return type(value)([*value[:at], tensor, *value[at + 1 :]])


def hidden_states(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """What goes into a residual block: its first argument, by position or by name."""
    return first_tensor(args) if args else kwargs.get("hidden_states")


@contextmanager
def on_output(
    modules: Sequence[nn.Module], note: Callable[[nn.Module, Tensor], None]
) -> Generator[None, None, None]:
    """Call `note` with every output tensor of some modules while the context is open."""

    def hook(module: nn.Module, _: object, output: object) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            note(module, tensor)

    own = here(hook)
    with ExitStack() as stack:
        for module in {id(module): module for module in modules}.values():
            stack.callback(module.register_forward_hook(own).remove)
        yield


@contextmanager
def on_input(
    modules: Sequence[nn.Module], note: Callable[[nn.Module, Tensor], None]
) -> Generator[None, None, None]:
    """Call `note` with the hidden states that go into some modules while the context is open."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensor = hidden_states(args, kwargs)
        if tensor is not None:
            note(module, tensor)

    own = here(hook)
    with ExitStack() as stack:
        for module in {id(module): module for module in modules}.values():
            handle = module.register_forward_pre_hook(own, with_kwargs=True)
            stack.callback(handle.remove)
        yield
