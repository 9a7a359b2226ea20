"""Whether a model is still the one that a text was traced with.

A trace answers for the moment it was recorded. What it did not keep it has to compute with the
model once more, which is honest only if nothing about the model is different by then: see
:class:`ModelState` for what is looked at.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from glasshead_backend.running.as_found import lock_of
from glasshead_backend.running.hooks import is_own_hook, version_of
from glasshead_backend.running.modules import modules_of
from glasshead_backend.running.transformers_versions import registered_function

_PLAIN = frozenset({bool, int, float, str})
_GROUPS = frozenset({list, tuple, set, dict})
_NO_SETTINGS = frozenset(
    {
        *vars(nn.Module()),
        "forward",
        "_old_forward",
        "gradient_checkpointing",
        "_gradient_checkpointing_func",
        "_output_capturing_hooks_installed",
    }
)
"""Attributes of modules that are looked at in their own way, or change nothing in evaluation."""

_SET_BY_LENGTH = ("dynamic", "longrope")
"""Rotary embeddings that set themselves anew for a text of another length."""

_SHORT_ROW, _ROW, _SMALL = 16, 1 << 10, 1 << 12
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class ModelChangedError(ValueError):
    """A question needs the model as it was when the text was traced; by now it is another."""


class _Weight(NamedTuple):
    """Where a parameter or buffer lies, and how often it was written to."""

    address: int
    version: int
    dtype: torch.dtype
    device: torch.device


_Place = tuple[int, str]
"""Place of a module in ``model.modules()``, and the name of something that it has."""


@dataclass(frozen=True, eq=False)
class ModelState:
    """What a model is at one moment, as far as that can be told in a few milliseconds.

    Looked at are the modules, the hooks on their forwards, replaced forwards, the plain settings
    of every module (numbers, flags, names: an adapter that is switched, another scale), the
    attention implementation, and of all parameters and buffers place, dtype, device, torch's count
    of writes, and some of the values: one at least of every row and column of a matrix, because
    torch does not count what is written through ``parameter.data`` and by its fused optimizers.
    Not seen are such uncounted writes to single numbers, and what hooks and functions keep to
    themselves. No weight is kept alive.

    Attributes
    ----------
    modules : tuple of weakref.ref
        All modules, as ``model.modules()`` lists them; the model itself is the first.
    forwards : tuple
        The forward of each.
    hooks : dict
        Numbers of a module's forward hooks, by its place.
    settings, weights : dict
        By the module's place and the name.
    values : tuple of Tensor
        Some values of the weights, as bits.
    notepads : frozenset
        Settings and buffers that every run of the model changes: they are not looked at.
    """

    modules: tuple[weakref.ref[nn.Module], ...]
    forwards: tuple[object, ...]
    hooks: dict[int, tuple[int, ...]]
    settings: dict[_Place, object]
    weights: dict[_Place, _Weight]
    values: tuple[Tensor, ...]
    notepads: frozenset[_Place]

    @classmethod
    def of(
        cls, model: nn.Module, *, values: bool = True, notepads: frozenset[_Place] = frozenset()
    ) -> ModelState:
        """Look at a model.

        Parameters
        ----------
        model : nn.Module
        values : bool
            Whether some values of the weights are read, too.
        notepads : frozenset
            What is not looked at.
        """
        with lock_of(model), torch.inference_mode(mode=False), torch.no_grad():
            modules = modules_of(model)
            tensors = {at: one for at, one in _tensors(modules) if at not in notepads}
            return cls(
                modules=tuple(weakref.ref(module) for module in modules),
                forwards=tuple(_forward(module) for module in modules),
                hooks=dict(_hooks(modules)),
                settings={at: one for at, one in _settings(modules) if at not in notepads},
                weights={at: _weight(tensor) for at, tensor in tensors.items()},
                values=_some_values(tensors.values()) if values else (),
                notepads=notepads,
            )

    @property
    def model(self) -> nn.Module | None:
        """The model, if it is still there."""
        return self.modules[0]()

    def after_a_run(self) -> ModelState:
        """Return what the model is now, after it has run once since this state."""
        model = self.model
        assert model is not None
        known = frozenset(_notepads.get(model, ()))
        now = ModelState.of(model, notepads=known)
        new = {
            *_differing(self.settings, now.settings),
            *_differing(self.weights, now.weights),
        } - known
        if new:
            now = ModelState.of(model, notepads=known | new)
            _notepads.setdefault(model, set()).update(new)
        # Thousands of texts may be traced with one model: they share what it is.
        before = _last_states.get(model)
        if before is not None and before.notepads == now.notepads and not before.differs(now):
            return before
        _last_states[model] = now
        return now

    def require_same(self, way_out: str = "", *, values: bool = True) -> Any:
        """Return the model if it is still what it was.

        Parameters
        ----------
        way_out : str
            What else could have been done, for the message.
        values : bool
            Whether some values of the weights are compared, too.

        Raises
        ------
        ModelChangedError
            When it is not; the message says what is different.
        """
        model = self.model
        if model is None:
            different = "it was deleted"
        else:
            now = ModelState.of(model, values=values, notepads=self.notepads)
            different = self.differs(now)
        if different:
            raise ModelChangedError(
                f"The model has changed since this text was traced: {different}. Trace it again"
                f"{way_out}."
            )
        return model

    def differs(self, now: ModelState) -> str:
        """Say what is different now; empty = nothing."""
        if self.modules != now.modules:
            return "modules were added, removed or replaced"
        return next(self._differences(now), "")

    def _differences(self, now: ModelState) -> Iterator[str]:
        for at in _differing(dict(enumerate(self.forwards)), dict(enumerate(now.forwards))):
            yield f"the forward of {now.name((at, ''))} was replaced"
        for at in _differing(self.hooks, now.hooks):
            yield f"hooks on {now.name((at, ''))} were added or removed"
        model = self.model
        # A run over as many tokens as the one before leaves the notes as they were.
        known = set[_Place]() if model is None else _notepads.get(model, set[_Place]())
        for at in _differing(self.settings, now.settings):
            if at in known:
                continue
            before, after = self.settings.get(at), now.settings.get(at)
            if isinstance(before or after, weakref.ref):
                yield f"{now.name(at)} was replaced"
            else:
                yield f"{now.name(at)} is {after!r}, not {before!r} as it was"
        for at in _differing(self.weights, now.weights):
            yield f"{now.name(at)} {_how(self.weights.get(at), now.weights.get(at))}"
        if self.values and now.values and not all(map(torch.equal, self.values, now.values)):
            yield "its weights were written to"

    def name(self, place: _Place) -> str:
        """Name of a module, or of something that it has."""
        model = self.model
        assert model is not None
        path = [name for name, _ in model.named_modules()][place[0]]
        return ".".join(filter(None, (path, place[1]))) or type(model).__name__


_notepads: weakref.WeakKeyDictionary[nn.Module, set[_Place]] = weakref.WeakKeyDictionary()
_last_states: weakref.WeakKeyDictionary[nn.Module, ModelState] = weakref.WeakKeyDictionary()


def storages_of(model: nn.Module) -> frozenset[int]:
    """Addresses of the storages of all parameters and buffers."""
    tensors = (tensor for _, tensor in _tensors(modules_of(model)))
    strided = (one for one in tensors if not one.is_meta and one.layout is torch.strided)
    return frozenset(tensor.untyped_storage().data_ptr() for tensor in strided)


def _differing(before: Mapping[Any, object], after: Mapping[Any, object]) -> list[Any]:
    """Keys under which two mappings say different things, in order."""
    if before == after:
        return []
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _how(before: _Weight | None, after: _Weight | None) -> str:
    if before is None or after is None:
        return "was added" if before is None else "was removed"
    if before.dtype != after.dtype:
        return f"is {after.dtype}, not {before.dtype} as it was"
    if before.device != after.device:
        return f"lies on {after.device}, not on {before.device} as it did"
    return "was written to" if before.version != after.version else "was replaced"


def _hooks(modules: list[nn.Module]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Numbers of the users' hooks; torch gives no number twice."""
    for place, module in enumerate(modules):
        own = vars(module)
        before, behind = own["_forward_pre_hooks"], own["_forward_hooks"]
        if before or behind:
            hooks = (*before.items(), *behind.items())
            if numbers := tuple(number for number, hook in hooks if not _is_harmless(hook)):
                yield place, numbers


def _is_harmless(hook: Any) -> bool:
    """Ours, and those by which transformers collects hidden states or prepares for training."""
    return is_own_hook(hook) or str(getattr(hook, "__module__", "")).startswith("transformers.")


def _forward(module: nn.Module) -> tuple[type[nn.Module], object]:
    """A module's class, and the forward of its own (a patch), else its class's."""
    # Accelerate's moves weights and inputs to where they are needed: generate() puts one on an
    # encoder.
    own = vars(module).get("forward")
    mover = type(vars(module).get("_hf_hook"))
    if mover.__module__.startswith("accelerate."):
        own = vars(module).get("_old_forward")
    if own is None or getattr(own, "__func__", None) is type(module).forward:
        return type(module), type(module).forward
    return type(module), weakref.ref(own)


def _settings(modules: list[nn.Module]) -> Iterator[tuple[_Place, object]]:
    """Plain attributes and functions of modules, and how they compute attention."""
    implementations: dict[int, object] = {}
    # Torch's own two dictionaries of hooks on all modules have no public name.
    everywhere: Any = torch_module
    hooks = everywhere._global_forward_pre_hooks, everywhere._global_forward_hooks  # noqa: SLF001
    yield (0, "global hooks"), tuple(number for some in hooks for number in some)
    for place, module in enumerate(modules):
        own = vars(module)
        for name in () if _is_set_by_length(module) else own.keys() - _NO_SETTINGS:
            value = own[name]
            kind = type(value)
            if kind in _PLAIN:
                # generate() keeps accounts of its own at the model.
                if place or name[0] != "_":
                    yield (place, name), value
            elif kind in _GROUPS:
                # Adapters keep such: which are active, which merged, how each is scaled.
                items = (*value, *value.values()) if kind is dict else value
                if all(type(item) in _PLAIN for item in items):
                    yield (place, name), repr(value)
            elif callable(value) and (place or name[0] != "_"):
                # Activation functions, and methods that somebody has put in the place of others.
                yield (place, name), _identity(value)
        if (config := own.get("config")) is not None and id(config) not in implementations:
            implementation = getattr(config, "_attn_implementation", None)
            implementations[id(config)] = implementation
            yield (place, "attn_implementation"), implementation
            function = registered_function(implementation)
            if function is not None:
                yield (place, "attn_implementation function"), _identity(function)


def _identity(value: object) -> object:
    """Return what is equal for the very same function only; holds none alive."""
    try:
        return weakref.ref(value)
    except TypeError:
        return id(value)


def _is_set_by_length(module: nn.Module) -> bool:
    kind = vars(module).get("rope_type")
    if kind is None:
        return False
    kinds = kind.values() if isinstance(kind, dict) else (kind,)
    return any(one in _SET_BY_LENGTH for one in kinds)


def _tensors(modules: list[nn.Module]) -> Iterator[tuple[_Place, Tensor]]:
    """All parameters and buffers, each once; of offloaded ones what they are loaded from."""
    seen: set[int] = set()
    for place, module in enumerate(modules):
        own = vars(module)
        buffers = {} if _is_set_by_length(module) else own["_buffers"]
        for name, tensor in (*own["_parameters"].items(), *buffers.items()):
            if tensor is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                there = _offloaded(module, name) if tensor.is_meta else None
                for inner, one in _parts(tensor if there is None else there):
                    yield (place, name + inner), one


def _parts(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A tensor itself, or those that a quantised one consists of."""
    if not is_traceable_wrapper_subclass(tensor):
        yield "", tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        for inner, one in _parts(getattr(tensor, name)):
            yield f".{name}{inner}", one


def _offloaded(module: nn.Module, name: str) -> Tensor | None:
    """What accelerate loads a weight from, where that is in memory."""
    hook = getattr(module, "_hf_hook", None)
    for one in (hook, *getattr(hook, "hooks", ())):
        weights = getattr(one, "weights_map", None)
        stored = getattr(weights, "dataset", weights)
        stored = getattr(stored, "state_dict", stored)
        if isinstance(stored, Mapping):
            return stored.get(getattr(weights, "prefix", "") + name)
    return None


def stored_weight(model: nn.Module, name: str) -> Tensor | None:
    """What accelerate loads an offloaded weight from, in memory or on disk; None = nobody knows."""
    path = name.split(".")
    for depth in range(len(path)):
        hook = getattr(model.get_submodule(".".join(path[:depth])), "_hf_hook", None)
        for one in (hook, *getattr(hook, "hooks", ())):
            weights = getattr(one, "weights_map", None)
            if weights is not None:
                with suppress(KeyError):
                    return weights[".".join(path[depth:])]
    return None


def _weight(tensor: Tensor) -> _Weight:
    address = 0 if tensor.is_meta or tensor.layout is not torch.strided else tensor.data_ptr()
    return _Weight(address, version_of(tensor), tensor.dtype, tensor.device)


def _some_values(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """Values of weights, one at least of every row and column, as bits; a tensor per device."""
    found: dict[tuple[torch.device, int], list[Tensor]] = {}
    for tensor in tensors:
        size = tensor.itemsize
        readable = not tensor.is_meta and tensor.layout is torch.strided
        if readable and size in _BITS and tensor.numel():
            flat = tensor.detach().as_subclass(Tensor).reshape(-1)
            some = flat[:: _stride(tensor)].view(_BITS[size])
            found.setdefault((tensor.device, size), []).append(some)
    return tuple(torch.cat(some) for some in found.values())


def _stride(tensor: Tensor) -> int:
    """Step through a flat matrix that comes past every row and every column."""
    row = tensor.shape[-1] if tensor.dim() > 1 else 1
    if row < _SHORT_ROW:  # vectors, and matrices that are vectors (4-bit weights)
        if tensor.numel() <= _SMALL:
            return 1
        row = _ROW
    step = max(1, min(tensor.numel() // row, row - 1))
    while math.gcd(step, row) != 1:
        step -= 1
    return step
