"""Running a model undisturbed, and leaving it and the process as they were found.

Whatever a trace changes for its time (evaluation mode, the attention implementation, compiled
layers) is put back on any way out. One thread at a time does this to one model: a second one waits.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from glasshead_backend.running.hooks import own_run
from glasshead_backend.running.modules import modules_of
from glasshead_backend.running.transformers_versions import masked_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import nn

_locks: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_locks_lock = threading.Lock()


def lock_of(model: nn.Module) -> threading.RLock:
    """Return the lock that whoever changes a model for a while holds; re-entrant."""
    with _locks_lock:
        return _locks.setdefault(model, threading.RLock())


def autocast_now(device: torch.device) -> Callable[[], torch.autocast]:
    """Return what makes the present state of autocast anew, for what is computed once more."""
    enabled = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type)
    return lambda: torch.autocast(device.type, dtype=dtype, enabled=enabled)


@contextmanager
def _evaluated(model: Any) -> Generator[None, None, None]:
    """Evaluation mode and no gradients; alone with the model; restored after.

    Inference mode is left: what is kept of a run is looked at later, in whatever mode.
    """
    with lock_of(model), torch.inference_mode(mode=False), torch.no_grad():
        training = [module for module in modules_of(model) if module.training]
        try:
            model.eval()
            yield
        finally:
            for module in training:
                module.training = True


@contextmanager
def for_a_trace(model: Any) -> Generator[None, None, None]:
    """Evaluate a model, such that its attention can be recorded and its modules observed.

    Flash and flex attention give way to SDPA (their masks leave out what lies in their arguments),
    and what was compiled runs as the Python code it was compiled from (compiled code calls no
    hooks).
    """
    with ExitStack() as stack:
        stack.enter_context(_evaluated(model))
        stack.enter_context(masked_attention(model))
        stack.enter_context(_with_names(model))
        stack.enter_context(_not_compiled())
        stack.enter_context(own_run())
        yield


@contextmanager
def _with_names(model: nn.Module) -> Generator[None, None, None]:
    """Let a model return its outputs by name, where its configuration asks for tuples."""
    there: list[Any] = [getattr(module, "config", None) for module in modules_of(model)]
    configs = {id(config): config for config in there}
    tuples = [one for one in configs.values() if getattr(one, "return_dict", True) is False]
    for config in tuples:
        config.return_dict = True
    try:
        yield
    finally:
        for config in tuples:
            config.return_dict = False


@contextmanager
def _not_compiled() -> Generator[None, None, None]:
    """Run compiled modules as they were before; restored when the last of several users ends."""
    global _users, _stance  # noqa: PLW0603  torch's stance is a setting of the whole process
    # Without the compiler loaded nothing is compiled, and loading it takes seconds.
    if "torch._dynamo" not in sys.modules:
        yield
        return
    with _stance_lock:
        if _users == 0:
            _stance = torch.compiler.set_stance("force_eager")
            _stance.__enter__()
        _users += 1
    try:
        yield
    finally:
        with _stance_lock:
            _users -= 1
            if _users == 0:
                _stance.__exit__(None, None, None)
                _stance = None


_stance_lock = threading.Lock()
_users = 0
_stance: Any = None
