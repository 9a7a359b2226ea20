"""Running a model with something in it replaced, and nothing of it changed.

A head that is switched off, an activation put in from another run: the forward is the model's own,
but for what some modules are given or put out. Hooks do that, in one thread and while a context is
open; the modules, their weights and what anybody else runs meanwhile stay as they are.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from glasshead_backend.running.body import body_of
from glasshead_backend.running.hooks import first_tensor, marked_as_own, with_first_tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Edit:
    """What is put in the place of a module's input or output.

    Attributes
    ----------
    module : nn.Module
    edit : callable
        Gets the first tensor that the module is given, or puts out, and returns what takes its
        place; it may not write into it.
    side : {"input", "output"}
    run : int or None
        Which run of the module within a forward of the model: those at several places run several
        times. None = every one.
    """

    module: nn.Module
    edit: Callable[[Tensor], Tensor]
    side: Literal["input", "output"] = "output"
    run: int | None = 0


_open: ContextVar[object] = ContextVar("glasshead_edits", default=None)


@contextmanager
def edited(model: Any, edits: Iterable[Edit]) -> Generator[None, None, None]:
    """Run a model with edits while this context is open, in this thread.

    Open it before what observes the model: whoever looks later sees what is put in. Another such
    context inside takes the place of this one.

    Parameters
    ----------
    model : PreTrainedModel
    edits : iterable of Edit
        Several of one module are made in their order.
    """
    edits = tuple(edits)
    token = _open.set(edits)
    try:
        with ExitStack() as stack:
            if edits:
                _hook(model, edits, stack)
            yield
    finally:
        _open.reset(token)


@contextmanager
def unedited() -> Generator[None, None, None]:
    """Run what is run in this context as if no edits were open."""
    token = _open.set(None)
    try:
        yield
    finally:
        _open.reset(token)


def _hook(model: Any, edits: tuple[Edit, ...], stack: ExitStack) -> None:
    thread = threading.get_ident()
    by_module: dict[nn.Module, list[Edit]] = {}
    for one in edits:
        by_module.setdefault(one.module, []).append(one)
    entered: Counter[nn.Module] = Counter()
    left: Counter[nn.Module] = Counter()

    def ours(hook: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(hook)
        def only_ours(*args: Any) -> Any:
            here = _open.get() is edits and threading.get_ident() == thread
            return hook(*args) if here else None

        return marked_as_own(only_ours)

    def begin(*_: object) -> None:
        entered.clear()
        left.clear()

    def enter(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        run = entered[module]
        entered[module] += 1
        mine = [one for one in by_module[module] if one.side == "input" and one.run in (None, run)]
        if not mine:
            return None
        given = first_tensor(args)
        if given is not None:
            return with_first_tensor(args, _made(mine, given)), kwargs
        name, given = next((n, v) for n, v in kwargs.items() if first_tensor(v) is v)
        return args, {**kwargs, name: _made(mine, given)}

    def leave(module: nn.Module, _: object, output: Any) -> Any:
        run = left[module]
        left[module] += 1
        mine = [one for one in by_module[module] if one.side == "output" and one.run in (None, run)]
        given = first_tensor(output) if mine else None
        return None if given is None else with_first_tensor(output, _made(mine, given))

    stack.callback(body_of(model).register_forward_pre_hook(ours(begin)).remove)
    for module in by_module:
        handle = module.register_forward_pre_hook(ours(enter), with_kwargs=True)
        stack.callback(handle.remove)
        stack.callback(module.register_forward_hook(ours(leave)).remove)


def _made(edits: Iterable[Edit], tensor: Tensor) -> Tensor:
    for one in edits:
        tensor = one.edit(tensor)
    return tensor
