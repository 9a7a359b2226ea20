"""Watching what goes into and comes out of modules while a model runs."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from torch import nn


def first_tensor(value: object) -> Tensor | None:
    """The tensor that a module returned or got: itself, or the first one of a tuple or dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


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

    with ExitStack() as stack:
        for module in {id(module): module for module in modules}.values():
            stack.callback(module.register_forward_hook(hook).remove)
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

    with ExitStack() as stack:
        for module in {id(module): module for module in modules}.values():
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield
