"""What one layer adds to the residual stream, and which modules write it; found without names.

Among the outputs of a layer's modules some few sum to what comes out of the layer minus what went
in. Where there is no such sum (the norm comes last), the attention block's writer is the linear
layer that reads the attention output from its very storage, and the MLP's is the last linear layer.
"""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from glasshead_backend.capture import Recording, record
from glasshead_backend.captured import CapturedCall
from glasshead_backend.hooks import first_tensor, here, hidden_states
from glasshead_backend.running import forward
from glasshead_backend.tap import SoftmaxTap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float

    from glasshead_backend.layers import Block, Stack
    from glasshead_backend.replay import Reader

_SUM_TOLERANCE = 1e-4
_MOST_WRITERS = 3


@dataclass
class _BlockRun:
    """What happened inside one residual block during the probe, in order of completion."""

    taken_in: Float[Tensor, "token hidden"] | None = None
    put_out: Float[Tensor, "token hidden"] | None = None
    # module, its output (when it has the block's shape), storage of its input, calls made so far
    events: list[tuple[nn.Module, Tensor | None, int, int]] = field(
        default_factory=list[tuple[nn.Module, "Tensor | None", int, int]]
    )
    calls: list[int] = field(default_factory=list[int])
    # Modules whose output has the tokens of the one sequence on its first axis.
    tokens_first: set[int] = field(default_factory=set[int])
    # How many events had been when each softmax was taken.
    softmaxes: list[int] = field(default_factory=list[int])


def find_writers(
    model: Any,
    inputs: dict[str, Tensor],
    stacks: dict[Stack, tuple[nn.Module, ...]],
    cross: frozenset[int],
    readers: tuple[Reader, ...],
) -> Iterator[tuple[Stack, int, Block, nn.Module, bool]]:
    """Yield the modules that write to the residual stream of every layer of some stacks.

    The last item says whether a module puts tokens before the batch.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        A batch of one short sequence, as keyword arguments of the model's forward.
    stacks : dict
        The layers of every stack.
    cross : frozenset of int
        Identities of the modules that make cross-attention calls.
    readers : tuple of Reader
        The modules that compute attention by themselves.
    """
    runs = {id(block): _BlockRun() for blocks in stacks.values() for block in blocks}
    entered: list[_BlockRun] = []

    def mark(*_: object) -> None:
        if entered:
            entered[-1].softmaxes.append(len(entered[-1].events))

    with ExitStack() as stack:
        recording = stack.enter_context(record(readers, model))
        for blocks in stacks.values():
            for block in blocks:
                _watch(block, runs[id(block)], recording, entered, stack)
        stack.enter_context(SoftmaxTap(mark, mark))
        forward(model, inputs)
    for name, blocks in stacks.items():
        for layer, block in enumerate(blocks):
            for kind, module in _solve(runs[id(block)], recording, cross).items():
                yield name, layer, kind, module, id(module) in runs[id(block)].tokens_first


def _watch(
    block: nn.Module,
    run: _BlockRun,
    recording: Recording,
    entered: list[_BlockRun],
    stack: ExitStack,
) -> None:
    """Hook a residual block and all its descendants for the time of the probe."""

    def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken_in = hidden_states(args, kwargs)
        run.taken_in = None if taken_in is None else _flat(taken_in)
        run.events.clear()
        run.softmaxes.clear()
        run.calls.clear()
        run.calls.append(len(recording.calls))
        entered.append(run)

    def left(_: nn.Module, __: object, output: object) -> None:
        put_out = first_tensor(output)
        run.put_out = None if put_out is None else _flat(put_out)
        run.calls.append(len(recording.calls))
        entered.pop()

    def inside(module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        tensor, taken_in = first_tensor(output), first_tensor(args)
        if tensor is not None and tensor.dim() > 2 and tensor.shape[0] > tensor.shape[1]:  # noqa: PLR2004
            run.tokens_first.add(id(module))
        same = tensor is not None and run.taken_in is not None
        fits = same and tensor.numel() == run.taken_in.numel()  # type: ignore[union-attr]
        flat = _flat(tensor) if fits and tensor is not None else None
        if flat is not None and run.taken_in is not None and flat.shape != run.taken_in.shape:
            flat = None
        storage = 0 if taken_in is None else taken_in.untyped_storage().data_ptr()
        run.events.append((module, flat, storage, len(recording.calls)))

    stack.callback(block.register_forward_pre_hook(here(enter), with_kwargs=True).remove)
    stack.callback(block.register_forward_hook(here(left)).remove)
    for module in block.modules():
        if module is not block:
            stack.callback(module.register_forward_hook(here(inside)).remove)


def _flat(tensor: Tensor) -> Float[Tensor, "token hidden"]:
    return tensor.detach().reshape(-1, tensor.shape[-1]).float()


def _solve(run: _BlockRun, recording: Recording, cross: frozenset[int]) -> dict[Block, nn.Module]:
    """Say which module writes what a block's attention, cross attention and MLP add."""
    if len(run.calls) != 2:  # noqa: PLR2004  the block was not run (a layer the model skips)
        return {}
    calls = range(run.calls[0], run.calls[1])
    summands = _residual_summands(run)
    found: dict[Block, nn.Module] = {}
    taken: list[nn.Module] = []
    for index in calls:
        call = recording.calls[index]
        block: Block = "cross" if id(call.module) in cross else "attention"
        if block in found:  # the module asks twice for one attention (differential heads)
            continue
        if isinstance(call, CapturedCall):
            projection = _projection(run, index, call.output_storage)
        else:
            projection = _first_linear_after_softmax(run, index)
        after = [module for module, n_calls in summands if n_calls > index and module not in taken]
        module = after[0] if after else projection
        if module is not None:
            found[block] = module
            taken.append(module)
    rest = [module for module, _ in summands if module not in taken]
    if not summands:
        rest = [
            module
            for module, output, _, _ in run.events
            if output is not None and is_linear(module)
        ]
        rest = [module for module in rest if module not in taken]
    # A lone summand of a layer without attention is its mixer (a state-space block), not an MLP.
    if rest and (calls or len(summands) > 1):
        found["mlp"] = rest[-1]
    return found


def _projection(run: _BlockRun, index: int, output_storage: int) -> nn.Module | None:
    """The output projection of an attention call: the linear layer that reads its output."""
    later = [event for event in run.events if event[3] > index and is_linear(event[0])]
    reads = [event for event in later if event[2] == output_storage]
    return (reads or later)[0][0] if later else None


def _first_linear_after_softmax(run: _BlockRun, index: int) -> nn.Module | None:
    """The output projection of a module that computes attention by itself."""
    begin = next((i for i, event in enumerate(run.events) if event[3] > index), len(run.events))
    softmax = next((at for at in run.softmaxes if at >= begin), None)
    later = run.events[softmax:] if softmax is not None else []
    return next((module for module, *_ in later if is_linear(module)), None)


def is_linear(module: nn.Module) -> bool:
    """Whether a module multiplies by a matrix."""
    weight = getattr(module, "weight", None)
    is_leaf = next(module.children(), None) is None
    return (
        is_leaf
        and isinstance(weight, Tensor)
        and weight.dim() > 1
        and not isinstance(module, nn.Embedding)
    )


def _residual_summands(run: _BlockRun) -> list[tuple[nn.Module, int]]:
    """At most three modules of the block whose outputs sum to what the block adds, in order.

    Of modules with the same output (a projection, the dropout behind it, the block around both) the
    first to finish stands for all. Empty for post-norm blocks, which have no such sum.
    """
    if run.taken_in is None or run.put_out is None or run.put_out.shape != run.taken_in.shape:
        return []
    added = run.put_out - run.taken_in
    scale = float(added.abs().max())
    candidates: list[tuple[nn.Module, Tensor, int]] = []
    for module, output, _, n_calls in run.events:
        if output is not None and not any(torch.equal(output, other) for _, other, _ in candidates):
            candidates.append((module, output, n_calls))
    for size in range(1, _MOST_WRITERS + 1):
        for chosen in itertools.combinations(candidates, size):
            total = sum((output for _, output, _ in chosen[1:]), start=chosen[0][1])
            if float((total - added).abs().max()) <= _SUM_TOLERANCE * scale:
                return [(module, n_calls) for module, _, n_calls in chosen]
    return []
