"""Where versions of transformers differ, and nowhere else.

Models ask transformers for the function that computes their attention. Since 5.1 they call
``AttentionInterface.get_interface(name, their own eager function)``. Before, they look the name up
in the interface as in a dictionary; and where it is "eager" they call the function
``eager_attention_forward`` of their own file and ask nobody. :func:`hook_attention` gets in between
either way.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import transformers

from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import Tensor, nn
    from transformers.modeling_utils import AttentionInterface

    AttentionFunction = Callable[..., tuple[Tensor, Tensor | None]]
    Wrap = Callable[[AttentionFunction, AttentionFunction | None], AttentionFunction]

_CACHES = ("past_key_value", "past_key_values", "layer_past", "past", "cache")
"""Names of the cache among the arguments of attention modules."""

_HIDES_BY_ARGUMENTS = re.compile(r"flash|flex|paged|/")
"""Names of attention implementations whose masks leave out who may look where: hub kernels, too."""

_ASKS = "get_interface"
_LOOKS_UP = "__getitem__"
_EAGER = "eager_attention_forward"


@contextmanager
def hook_attention(model: Any, wrap: Wrap) -> Generator[None, None, None]:
    """Put something of one's own in the place of the attention functions that a model calls.

    The hook is one of the whole process, set while at least one such context is open. Whether a
    call is any business of one's own is for `wrap` to say.

    Parameters
    ----------
    model : PreTrainedModel
    wrap : callable
        Gets the function that the model would call and the eager function of the model's file (None
        where it is not known yet: ask :func:`eager_of`); returns what is called instead. The same
        for all contexts.
    """
    interface = _interface()
    with ExitStack() as stack:
        if hasattr(interface, _ASKS):
            stack.enter_context(_bound(interface, _ASKS, _asking(wrap)))
        else:
            stack.enter_context(_bound(interface, _LOOKS_UP, _looking_up(wrap)))
            for file in {_file_of(type(module)) for module in modules_of(model)}:
                if hasattr(file, _EAGER):
                    stack.enter_context(_bound(file, _EAGER, _called_directly(wrap)))
        yield


def _interface() -> type[AttentionInterface]:
    """Return what models ask; only here, since loading it takes a second and a half."""
    try:
        from transformers.modeling_utils import AttentionInterface  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "Glasshead needs transformers 4.57 or newer, whose models ask for their attention; "
            f"this is {transformers.__version__}. Install a newer one: pip install -U transformers"
        ) from error
    return AttentionInterface


def registered_function(implementation: str | None) -> object:
    """Return what stands for the name of an attention implementation; None for "eager"."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS  # noqa: PLC0415

    return ALL_ATTENTION_FUNCTIONS.get(implementation or "")


def eager_of(module: nn.Module) -> AttentionFunction | None:
    """Return the eager attention function of the file that a module's code stands in, if any."""
    file = _file_of(type(module))
    bound = _bound_now.get((file, _EAGER))
    return getattr(file, _EAGER, None) if bound is None else bound.stock


def _file_of(module_class: type[nn.Module]) -> Any:
    """Return the Python module whose global names a class's forward sees."""
    return sys.modules.get(inspect.unwrap(module_class.forward).__module__)


def _asking(wrap: Wrap) -> Callable[[Any], Any]:
    def replace(stock: Callable[..., AttentionFunction]) -> Callable[..., AttentionFunction]:
        @functools.wraps(stock)
        def get_interface(
            self: AttentionInterface, attn_implementation: str, default: AttentionFunction
        ) -> AttentionFunction:
            return wrap(stock(self, attn_implementation, default), default)

        return get_interface

    return replace


def _looking_up(wrap: Wrap) -> Callable[[Any], Any]:
    def replace(stock: Callable[..., AttentionFunction]) -> Callable[..., AttentionFunction]:
        @functools.wraps(stock)
        def getitem(self: AttentionInterface, key: str) -> AttentionFunction:
            return wrap(stock(self, key), None)

        return getitem

    return replace


def _called_directly(wrap: Wrap) -> Callable[[Any], Any]:
    def replace(stock: AttentionFunction) -> AttentionFunction:
        @functools.wraps(stock)
        def eager_attention_forward(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
            return wrap(stock, stock)(*args, **kwargs)

        return eager_attention_forward

    return replace


@contextmanager
def masked_attention(model: Any) -> Generator[None, None, None]:
    """Let flash and flex attention give way to SDPA: masks then say who may look where."""
    there: list[Any] = [module.config for module in modules_of(model) if _has_config(module)]
    configs = {id(config): config for config in there}
    found = {key: config._attn_implementation for key, config in configs.items()}  # noqa: SLF001
    if not any(_HIDES_BY_ARGUMENTS.search(name or "") for name in found.values()):
        yield
        return
    try:
        try:
            model.set_attn_implementation("sdpa")
        except ValueError:  # a model without SDPA (sinks, soft-caps)
            model.set_attn_implementation("eager")
        yield
    finally:
        # Not by the method: it asks for the package that the implementation comes from.
        for key, config in configs.items():
            config._attn_implementation_internal = found[key]  # noqa: SLF001


def _has_config(module: nn.Module) -> bool:
    return hasattr(getattr(module, "config", None), "_attn_implementation_internal")


def is_cache(name: str, value: object) -> bool:
    """Whether an argument of an attention module is a cache, by its name or its type."""
    return name in _CACHES or isinstance(value, transformers.Cache)


@dataclass
class _Bound:
    """What a name stood for before something else was put in its place."""

    stock: Any
    inherited: bool
    users: int = 0


_bound_now: dict[tuple[Any, str], _Bound] = {}
_lock = threading.Lock()


@contextmanager
def _bound(owner: Any, name: str, replace: Callable[[Any], Any]) -> Generator[None, None, None]:
    """Bind an attribute to what `replace` makes of it, until the last of several users ends."""
    with _lock:
        bound = _bound_now.get((owner, name))
        if bound is None:
            bound = _Bound(getattr(owner, name), inherited=name not in vars(owner))
            _bound_now[owner, name] = bound
            setattr(owner, name, replace(bound.stock))
        bound.users += 1
    try:
        yield
    finally:
        with _lock:
            bound.users -= 1
            if bound.users == 0:
                del _bound_now[owner, name]
                if bound.inherited:
                    delattr(owner, name)
                else:
                    setattr(owner, name, bound.stock)
