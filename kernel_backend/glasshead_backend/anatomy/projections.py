"""Where the heads of an attention call stand side by side: what the output projection is given.

No names are trusted, and no layout. One layer is run twice on the same few tokens: as it is, and
with what each head gathers multiplied with a number of its own. The first module whose input
changes so, slice by slice, is given the heads in their order; whatever is done between (a gate, a
dropout) keeps them apart. Where there is no such module, heads are mixed or normalised together
before they are projected, and "without head 3" has no exact meaning.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glasshead_backend.anatomy.contributions import Rows
from glasshead_backend.capture.replay import ReplayedCall
from glasshead_backend.capture.tap import FUSED, SOFTMAXES
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.edits import unedited
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here
from glasshead_backend.running.modules import modules_of
from glasshead_backend.running.transformers_versions import is_cache

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float
    from typing_extensions import Self

    from glasshead_backend.anatomy.structure import Structure
    from glasshead_backend.asking import Kind
    from glasshead_backend.capture.call import AttentionCall

_PROBE_TOKENS = 13
_LEAST_TOKENS = 2
_TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 6e-2}
_FLOAT32 = 1e-4
_MAP_DIMS = 4


@dataclass(frozen=True, eq=False)
class HeadSlice:
    """The module that is given the heads of one attention call side by side.

    Attributes
    ----------
    module : nn.Module
        The output projection, or what stands before it.
    run : int
        Which run of it within a forward.
    n_heads : int
    size : int
        Numbers of each head: head ``h`` is ``input[..., h * size : (h + 1) * size]``.
    rows : Rows
        Where the tokens are in its input.
    """

    module: nn.Module
    run: int
    n_heads: int
    size: int
    rows: Rows

    def split(self, given: Float[Tensor, "*rows gathered"]) -> Float[Tensor, "*rows head size"]:
        """View what the module is given head by head."""
        return given.unflatten(-1, (self.n_heads, self.size))


Slices = dict["Kind", dict[int, "HeadSlice | str"]]


def find_head_slices(
    model: Any,
    structure: Structure,
    inputs: dict[str, Tensor],
    located: dict[Kind, dict[int, AttentionCall]],
) -> Slices:
    """Find for every attention call where its heads stand side by side.

    Parameters
    ----------
    model : PreTrainedModel
    structure : Structure
    inputs : dict
        Keyword arguments of the model's forward over one sequence; its beginning is run.
    located : dict
        ``{kind: {layer: call}}`` of a recorded forward.

    Returns
    -------
    dict
        ``{kind: {layer: slice}}``; words that say why where there is none.
    """
    few = {
        name: one[:, :_PROBE_TOKENS] if one.dim() > 1 and one.shape[1] >= _LEAST_TOKENS else one
        for name, one in inputs.items()
    }
    with for_a_trace(model), unedited():
        layers = {id(one): one for stack in structure.stacks.values() for one in stack}
        modules = {id(call.module) for of in located.values() for call in of.values()}
        watched = _Watched(layers, modules)
        with watched.open(model):
            forward(model, few)
        turns: dict[int, Iterator[_Event]] = {
            module: iter([event for event in watched.events if id(event.module) == module])
            for module in modules
        }
        found: Slices = {}
        known: dict[tuple[int, int], _Event] = {}
        for kind, by_layer in located.items():
            n_before: Counter[int] = Counter()
            for layer, call in by_layer.items():
                module = id(call.module)
                turn = n_before[module]
                n_before[module] += 1
                # One module may make calls of two kinds at once (T5Gemma 2).
                if (module, turn) not in known and (event := next(turns[module], None)) is not None:
                    known[module, turn] = event
                event = known.get((module, turn))
                found.setdefault(kind, {})[layer] = _slice_of(call, event)
    return found


@dataclass(eq=False)
class _LayerCall:
    """What one run of a layer was given, and how often its modules had run before."""

    layer: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    runs: Counter[int]
    entered: list[_Entered] | None = None

    def again(self) -> list[_Entered]:
        """Run it once more, and keep what each module is given, in the order of the calls."""
        found: list[_Entered] = []
        runs: Counter[int] = Counter()

        def enter(module: nn.Module, args: tuple[Any, ...]) -> None:
            given = first_tensor(args)
            if given is not None and given.is_floating_point():
                run = self.runs[id(module)] + runs[id(module)]
                found.append(_Entered(module, run, given.clone()))
            runs[id(module)] += 1

        hook = here(enter)
        with ExitStack() as stack:
            for module in modules_of(self.layer):
                stack.callback(module.register_forward_pre_hook(hook).remove)
            self.layer(*map(_copied, self.args), **_all_copied(self.kwargs))
        return found


@dataclass(frozen=True, eq=False)
class _Entered:
    module: nn.Module
    run: int
    given: Tensor


@dataclass(frozen=True, eq=False)
class _Event:
    """One call of an attention module: in which run of a layer, and which call of it there."""

    module: nn.Module
    inside: _LayerCall | None
    turn: int


class _Watched:
    """The runs of layers in one forward, and the attention calls in them."""

    def __init__(self, layers: dict[int, nn.Module], modules: set[int]) -> None:
        self._layers, self._modules = layers, modules
        self._runs: Counter[int] = Counter()
        self._open: list[_LayerCall] = []
        self._turns: Counter[tuple[int, int]] = Counter()
        self.events: list[_Event] = []

    def open(self, model: Any) -> ExitStack:
        stack = ExitStack()
        enter, leave = here(self._enter), here(self._leave)
        for module in modules_of(model):
            handle = module.register_forward_pre_hook(enter, with_kwargs=True)
            stack.callback(handle.remove)
            if id(module) in self._layers:
                stack.callback(module.register_forward_hook(leave).remove)
        return stack

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if id(module) in self._layers:
            given = tuple(map(_copied, args)), _all_copied(kwargs)
            call = _LayerCall(module, *given, Counter(self._runs))
            self._open.append(call)
        if id(module) in self._modules:
            inside = self._open[-1] if self._open else None
            at = id(inside), id(module)
            self.events.append(_Event(module, inside, self._turns[at]))
            self._turns[at] += 1
        self._runs[id(module)] += 1

    def _leave(self, *_: object) -> None:
        self._open.pop()


def _copied(value: Any) -> Any:
    if is_cache("", value):
        return None
    return value.clone() if isinstance(value, Tensor) else value


def _all_copied(kwargs: dict[str, Any]) -> dict[str, Any]:
    # A second run would read what the first has put into a cache.
    copied = {n: None if is_cache(n, value) else _copied(value) for n, value in kwargs.items()}
    return copied | ({"use_cache": False} if copied.get("use_cache") else {})


def _slice_of(call: AttentionCall, event: _Event | None) -> HeadSlice | str:
    name = type(call.module).__name__
    if call.path in ("unfold", "given"):
        return f"{name} attends in bands or blocks: its heads cannot be told apart from outside"
    if event is None or event.inside is None:
        return f"{name} is not called in a layer as a module"
    inside = event.inside
    try:
        if inside.entered is None:
            inside.entered = inside.again()
        with _Scaled(call, event) as scaled:
            changed = inside.again()
    except Exception as error:  # noqa: BLE001  a layer that does not run by itself
        return f"a layer with {name} does not run by itself ({error})"
    factors = scaled.factors
    for before, after in zip(inside.entered, changed, strict=False):
        if scaled.seen and _is_scaled(before.given, after.given, factors):
            size = before.given.shape[-1] // call.n_heads
            tokens_first = before.given.dim() > 2 and before.given.shape[1] == 1 < len(before.given)  # noqa: PLR2004
            rows = Rows(tokens_first=tokens_first)
            return HeadSlice(before.module, before.run, call.n_heads, size, rows)
    return f"{name} mixes or normalises what its heads have gathered before it projects it"


def _is_scaled(before: Tensor, after: Tensor, factors: Tensor) -> bool:
    """Whether a tensor's last axis is slices, each of which was multiplied with its factor."""
    n_heads = len(factors)
    if before.shape != after.shape or before.shape[-1] % n_heads:
        return False
    one, other = (x.float().reshape(-1, n_heads, x.shape[-1] // n_heads) for x in (before, after))
    sizes = one.abs().amax(dim=(0, 2))
    if not bool((sizes > 0).all()):
        return False
    off = (other - one * factors.to(one)[:, None]).abs().amax(dim=(0, 2))
    return bool((off <= _TOLERANCE.get(before.dtype, _FLOAT32) * sizes).all())


class _Scaled(TorchFunctionMode):
    """Multiplies what each head of one attention call gathers with a number of its own.

    The output of torch's fused attention, or the weights of the module's first softmax.
    """

    def __init__(self, call: AttentionCall, event: _Event) -> None:
        super().__init__()
        self._event, self._n_heads = event, call.n_heads
        self._layout = call.replay.reader.layout if isinstance(call, ReplayedCall) else None
        self.factors = 1 + torch.linspace(0.25, 0.75, call.n_heads, device=call.device)
        self.seen = False
        self._turn, self._active = 0, False
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        module = self._event.module
        enter, leave = here(self._enter), here(self._leave)
        self._stack.callback(module.register_forward_pre_hook(enter).remove)
        self._stack.callback(module.register_forward_hook(leave).remove)
        super().__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        super().__exit__(*raised)
        self._stack.close()

    def _enter(self, *_: object) -> None:
        self._active = self._turn == self._event.turn
        self._turn += 1

    def _leave(self, *_: object) -> None:
        self._active = False

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run a function, and scale what comes out where it is attention."""
        del types
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self._active or self.seen or (func is not FUSED and func not in SOFTMAXES):
            return result
        if func is FUSED:
            return self._scaled(result, 1)
        axis = args[1] if len(args) > 1 else kwargs.get("dim")
        axis = -1 if axis is None else axis
        moved = result.movedim(axis, -1)
        if self._layout == "(bh)qk":
            apart = moved.unflatten(0, (-1, self._n_heads))
            return self._scaled(apart, 1).flatten(0, 1).movedim(-1, axis)
        return self._scaled(moved, (self._layout or "bhqk").index("h")).movedim(-1, axis)

    def _scaled(self, result: Tensor, axis: int) -> Tensor:
        if result.dim() < _MAP_DIMS or result.shape[axis] != self._n_heads:
            return result
        self.seen = True
        shape = [1] * result.dim()
        shape[axis] = self._n_heads
        return result * self.factors.to(result).view(shape)
