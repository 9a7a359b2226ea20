"""Watching one forward operation by operation inside the layers."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from glasshead_backend.anatomy.alike import build_of, copy_of, only_adds
from glasshead_backend.anatomy.dataflow import Dataflow, tensors_in
from glasshead_backend.anatomy.layer_runs import LayerRun
from glasshead_backend.anatomy.summands import UnclearError
from glasshead_backend.capture.key_part import KeyPart
from glasshead_backend.capture.softmax import CapturedCall
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import first_tensor, here, hidden_states
from glasshead_backend.running.modules import modules_of

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor, nn

    from glasshead_backend.anatomy.contributions import Rows
    from glasshead_backend.asking import Block, Kind, Stack
    from glasshead_backend.capture.call import AttentionCall

_MIXING_TOLERANCE = 1e-4
"""Relative change of one row by another that is no rounding."""


class Watch:
    """Watches the layers of a model.

    Parameters
    ----------
    stacks : dict
        The layers of every stack.
    located : dict
        ``{kind: {layer: call}}`` of a recorded forward over the same inputs.
    every_layer : bool
        Watch also those that are built like one that was watched.

    Attributes
    ----------
    runs : list of LayerRun
        In the order in which the model ran.
    """

    def __init__(
        self,
        stacks: dict[Stack, tuple[nn.Module, ...]],
        located: dict[Kind, dict[int, AttentionCall]],
        *,
        every_layer: bool = False,
    ) -> None:
        self.runs: list[LayerRun] = []
        self._every_layer = every_layer
        self._watched: dict[Hashable, LayerRun] = {}
        self._only_adds: dict[int, bool] = {}
        # The run of a layer that is being made, and what closes the watch on it.
        self._open: LayerRun | None = None
        self._closing = ExitStack()
        self._stack_of: dict[int, Stack] = {
            id(layer): stack for stack, layers in stacks.items() for layer in layers
        }
        # Of every attention module its block, and whether all that it computes is attention.
        self._attention: dict[int, tuple[Block, bool]] = {}
        self._numbers: dict[int, list[list[tuple[Kind, int]]]] = {}
        for kind, by_layer in located.items():
            turns: Counter[int] = Counter()
            for number, call in by_layer.items():
                key = id(call.module)
                wholly = isinstance(call, (CapturedCall, KeyPart))
                # A module that attends to both sides at once is the attention block.
                if kind != "cross" or key not in self._attention:
                    self._attention[key] = ("cross" if kind == "cross" else "attention", wholly)
                of_module = self._numbers.setdefault(key, [])
                if turns[key] == len(of_module):
                    of_module.append([])
                of_module[turns[key]].append((kind, number))
                turns[key] += 1
        self._n_runs: Counter[int] = Counter()
        self._inside: list[int] = []
        self._given_to: dict[int, tuple[Any, Any]] = {}
        self._mixing: dict[type, bool | None] = {}
        self._flow = Dataflow(lambda: self._attention[self._inside[-1]] if self._inside else None)

    def watch(self, model: nn.Module, inputs: dict[str, Tensor]) -> None:
        """Run the model, and see where what comes out of its layers comes from."""
        inner = {
            id(module): module
            for layer in _modules(model, self._stack_of)
            for module in layer.modules()
        }
        enter, leave = here(self._enter), here(self._leave)
        with ExitStack() as stack:
            for module in inner.values():
                handle = module.register_forward_pre_hook(enter, with_kwargs=True)
                stack.callback(handle.remove)
                stack.callback(module.register_forward_hook(leave).remove)
            stack.callback(self._close)
            forward(model, inputs)

    def _enter(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        key = id(module)
        if key in self._stack_of:
            self._begin(module, args, kwargs)
        if key in self._attention:
            self._inside.append(key)
            numbers, turn = self._numbers[key], self._n_runs[key]
            if self._open is not None and turn < len(numbers):
                self._open.calls.update(numbers[turn])
        if self._flow.active:
            self._given_to[key] = args, kwargs

    def _begin(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        key, given = id(layer), hidden_states(args, kwargs)
        shape = () if given is None else tuple(given.shape)
        run = LayerRun(self._stack_of[key], layer, self._n_runs[key], shape, None)
        self.runs.append(run)
        self._open = run
        run.like = None if given is None else self._like(run)
        if given is not None and run.like is not None:
            run.taken_in = copy_of(given)
        elif given is not None:
            self._closing.enter_context(self._flow)
            others = [one for one in tensors_in((args, kwargs)) if one is not given]
            run.given = self._flow.begin(given, others)

    def _like(self, run: LayerRun) -> LayerRun | None:
        """Return a watched run of another layer that is built alike and only adds to its input."""
        if self._every_layer:
            return None
        like = self._watched.setdefault((run.stack, run.shape, build_of(run.module)), run)
        if like is run or like.module is run.module:
            return None
        if id(like) not in self._only_adds:
            self._only_adds[id(like)] = only_adds(like)
        return like if self._only_adds[id(like)] else None

    def _close(self) -> None:
        self._flow.end()
        self._closing.close()
        self._open = None

    def _leave(self, module: nn.Module, _: object, output: object) -> None:
        key = id(module)
        if self._inside and self._inside[-1] == key:
            self._inside.pop()
        tensor, run = first_tensor(output), self._open
        if run is not None and run.like is not None:
            self._keep(run, module, tensor)
        elif run is not None:
            self._note(run, module, tensor)
        if key in self._stack_of:
            self._close()
        self._n_runs[key] += 1

    def _note(self, run: LayerRun, module: nn.Module, tensor: Tensor | None) -> None:
        """Note in a watched layer which tensor a module has put out."""
        node = self._flow.node_of(tensor) if self._flow.active else None
        if module is run.module:
            run.put_out = node
        elif node is not None and tensor is not None and not node.in_stream:
            node.modules.append((module, self._n_runs[id(module)]))
            if node.value is None:
                with self._flow.paused():
                    node.value = copy_of(tensor)

    def _keep(self, run: LayerRun, module: nn.Module, tensor: Tensor | None) -> None:
        """Keep what a module of another layer has put out, if that may be what a block adds."""
        if tensor is None or run.taken_in is None or tensor.numel() != run.taken_in.numel():
            return
        if module is run.module:
            run.left = copy_of(tensor)
        elif self._n_runs[id(module)] == 0:
            run.outputs[id(module)] = copy_of(tensor)
        else:
            run.outputs.pop(id(module), None)

    def mixes_tokens(self, module: nn.Module, rows: Rows) -> bool:
        """Whether a module lets one token change what it puts out at the next one."""
        kind = type(module)
        if kind not in self._mixing:
            self._mixing[kind] = self._changes_neighbour(module, rows)
        found = self._mixing[kind]
        if found is None:
            raise UnclearError("it cannot be told apart from other blocks of the layer")
        return found

    def _changes_neighbour(self, module: nn.Module, rows: Rows) -> bool | None:
        args, kwargs = self._given_to[id(module)]
        given = hidden_states(args, kwargs)
        if given is None:
            return None
        axis = 0 if rows.tokens_first or given.dim() == 2 else 1  # noqa: PLR2004
        changed = given.clone()
        row = changed.select(axis, -2)
        row.copy_(-row)

        def run(hidden: Tensor) -> Tensor | None:
            swapped = [hidden if one is given else one for one in args]
            named = {key: hidden if one is given else one for key, one in kwargs.items()}
            return first_tensor(module(*swapped, **named))

        plain, other = run(given), run(changed)
        if plain is None or other is None:
            return None
        change = (plain - other).select(axis, -1).abs().amax()
        return bool(change > _MIXING_TOLERANCE * plain.abs().amax())


def _modules(model: nn.Module, wanted: dict[int, Any]) -> list[nn.Module]:
    return [module for module in modules_of(model) if id(module) in wanted]
