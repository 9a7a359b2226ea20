"""Where the layers, attention blocks and MLPs are, in any architecture, found without names.

A short probe forward shows everything needed: which modules make attention calls, which
``ModuleList`` they sit in (its positions are the layer numbers), which linear layer reads the
attention output from its very storage, and which sub-modules' outputs sum to what a block adds to
the residual stream. Names decide only one thing, as a second opinion: what is cross attention.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from glasshead_backend.capture import AttentionCall, Recording, record

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from jaxtyping import Float
    from transformers import PreTrainedModel

Kind = Literal["self", "encoder", "decoder", "cross"]
Stack = Literal["self", "encoder", "decoder"]
Block = Literal["attention", "cross", "mlp"]

_CROSS_PATH = re.compile(r"cross|encoder_attn|encdec|enc_dec", re.IGNORECASE)
_CROSS_ARGUMENTS = ("key_value_states", "encoder_hidden_states")
_SUM_TOLERANCE = 1e-4
_MOST_WRITERS = 3


class UnsupportedModelError(NotImplementedError):
    """The model works, but Glasshead cannot read its attention (yet); the message says why."""


@dataclass(frozen=True)
class Writer:
    """A module whose output one block adds to the residual stream."""

    stack: Stack
    layer: int
    block: Block
    module: nn.Module


@dataclass(frozen=True)
class Structure:
    """The layers of a model and what writes to its residual stream.

    Attributes
    ----------
    stacks : dict
        Per stack the residual blocks in order; the position is the layer number.
    cross_modules : frozenset of int
        Identities of the modules that make cross-attention calls.
    writers : tuple of Writer
        Sorted by stack, layer, block. A layer without an attention block simply has none.
    """

    stacks: dict[Stack, tuple[nn.Module, ...]]
    cross_modules: frozenset[int]
    writers: tuple[Writer, ...]


def locate_calls(
    model: PreTrainedModel, calls: Sequence[AttentionCall], cross_modules: frozenset[int]
) -> dict[Kind, dict[int, AttentionCall]]:
    """Say of every recorded call which kind of attention and which layer it is.

    Returns
    -------
    dict
        ``{kind: {layer: call}}`` in the order in which the model ran, with the model's own layer
        numbers: the position in the ``ModuleList``, also where only some layers have attention.

    Raises
    ------
    UnsupportedModelError
        When a layer makes several calls (differential attention): which one to show is not known.
    """
    paths = {id(module): path for path, module in model.named_modules()}
    encoder = _encoder_modules(model)
    makes_calls = Counter(id(call.module) for call in calls)
    seen: Counter[int] = Counter()
    located: dict[Kind, dict[int, AttentionCall]] = {}
    for call in calls:
        module = id(call.module)
        layer, _ = _place(model, paths[module])
        # A module that is shared by all layers (ALBERT) makes one call per layer, in order.
        if makes_calls[module] == getattr(model.config, "num_hidden_layers", None):
            layer = seen[module]
            seen[module] += 1
        kind = _kind(model, module, encoder, cross_modules)
        by_layer = located.setdefault(kind, {})
        if layer in by_layer:
            raise UnsupportedModelError(
                f"Layer {layer} of {type(model).__name__} computes attention more than once "
                "(differential attention?). Glasshead does not support this architecture yet."
            )
        by_layer[layer] = call
    return located


def probe(model: PreTrainedModel, inputs: dict[str, Tensor]) -> Structure:
    """Find the structure of a model by one recorded forward over a few tokens.

    Parameters
    ----------
    model : PreTrainedModel
        In evaluation mode.
    inputs : dict
        A batch of one short sequence, as keyword arguments of the model's forward.

    Raises
    ------
    UnsupportedModelError
        When no attention call, or no call of the encoder or of the decoder, could be recorded.
    """
    given: set[int] = set()

    def note_arguments(module: nn.Module, _: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if any(isinstance(kwargs.get(name), Tensor) for name in _CROSS_ARGUMENTS):
            given.add(id(module))

    with ExitStack() as stack:
        for module in model.modules():
            handle = module.register_forward_pre_hook(note_arguments, with_kwargs=True)
            stack.callback(handle.remove)
        recording = stack.enter_context(record())
        model(**inputs)
    paths = {id(module): path for path, module in model.named_modules()}
    cross = frozenset(
        id(call.module)
        for call in recording.calls
        if id(call.module) in given or _CROSS_PATH.search(paths[id(call.module)])
    )
    _require_all_kinds(model, locate_calls(model, recording.calls, cross))
    encoder = _encoder_modules(model)
    stacks: dict[Stack, tuple[nn.Module, ...]] = {}
    for call in recording.calls:
        kind = _kind(model, id(call.module), encoder, cross)
        _, siblings = _place(model, paths[id(call.module)])
        stacks.setdefault("decoder" if kind == "cross" else kind, siblings)
    return Structure(stacks, cross, tuple(_find_writers(model, inputs, stacks, cross)))


def first_tensor(value: object) -> Tensor | None:
    """The tensor that a module returned or got: itself, or the first one of a tuple or dict."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, (tuple, list)):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return None


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
        tensor = _hidden_states(args, kwargs)
        if tensor is not None:
            note(module, tensor)

    with ExitStack() as stack:
        for module in {id(module): module for module in modules}.values():
            stack.callback(module.register_forward_pre_hook(hook, with_kwargs=True).remove)
        yield


def _hidden_states(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
    """What goes into a residual block: its first argument, by position or by name."""
    return first_tensor(args) if args else kwargs.get("hidden_states")


def _kind(
    model: PreTrainedModel, module: int, encoder: frozenset[int], cross: frozenset[int]
) -> Kind:
    if not model.config.is_encoder_decoder:
        return "self"
    if module in encoder:
        return "encoder"
    return "cross" if module in cross else "decoder"


def _encoder_modules(model: PreTrainedModel) -> frozenset[int]:
    if not model.config.is_encoder_decoder:
        return frozenset()
    encoder = model.get_encoder()
    # transformers answers with the model itself when it finds no encoder.
    return frozenset(map(id, encoder.modules())) if encoder is not model else frozenset()


def _place(model: nn.Module, path: str) -> tuple[int, tuple[nn.Module, ...]]:
    """Position in, and children of, the outermost ``ModuleList`` on the way to a module."""
    module = model
    for name in path.split("."):
        if isinstance(module, nn.ModuleList):
            return int(name), tuple(module)
        module = module.get_submodule(name)
    raise UnsupportedModelError(
        f"The attention module '{path}' of {type(model).__name__} does not sit in a list of "
        "layers. Glasshead does not support this architecture yet."
    )


def _require_all_kinds(
    model: PreTrainedModel, located: dict[Kind, dict[int, AttentionCall]]
) -> None:
    expected: tuple[Kind, ...] = (
        ("encoder", "decoder", "cross") if model.config.is_encoder_decoder else ("self",)
    )
    missing = [kind for kind in expected if kind not in located]
    if missing:
        raise UnsupportedModelError(
            f"{type(model).__name__} made no {' or '.join(missing)} attention call through the "
            "attention interface of transformers. Either it has no such attention (a state-space "
            "model, say), or it computes it by itself (GPT-J, GPT-Neo, BLOOM, Falcon, DeBERTa, "
            "XLNet, LongT5 ...), which Glasshead cannot record yet."
        )


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


def _find_writers(
    model: PreTrainedModel,
    inputs: dict[str, Tensor],
    stacks: dict[Stack, tuple[nn.Module, ...]],
    cross: frozenset[int],
) -> Iterator[Writer]:
    runs = {id(block): _BlockRun() for blocks in stacks.values() for block in blocks}
    with ExitStack() as stack:
        recording = stack.enter_context(record())
        for blocks in stacks.values():
            for block in blocks:
                _watch(block, runs[id(block)], recording, stack)
        model(**inputs)
    for name, blocks in stacks.items():
        for layer, block in enumerate(blocks):
            run = runs[id(block)]
            for kind, module in _solve(run, recording, cross).items():
                yield Writer(name, layer, kind, module)


def _watch(block: nn.Module, run: _BlockRun, recording: Recording, stack: ExitStack) -> None:
    """Hook a residual block and all its descendants for the time of the probe."""

    def entered(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        taken_in = _hidden_states(args, kwargs)
        run.taken_in = None if taken_in is None else _flat(taken_in)
        run.events.clear()
        run.calls.clear()
        run.calls.append(len(recording.calls))

    def left(_: nn.Module, __: object, output: object) -> None:
        put_out = first_tensor(output)
        run.put_out = None if put_out is None else _flat(put_out)
        run.calls.append(len(recording.calls))

    def inside(module: nn.Module, args: tuple[Any, ...], output: object) -> None:
        tensor, taken_in = first_tensor(output), first_tensor(args)
        same = tensor is not None and run.taken_in is not None
        fits = same and tensor.numel() == run.taken_in.numel()  # type: ignore[union-attr]
        flat = _flat(tensor) if fits and tensor is not None else None
        if flat is not None and run.taken_in is not None and flat.shape != run.taken_in.shape:
            flat = None
        storage = 0 if taken_in is None else taken_in.untyped_storage().data_ptr()
        run.events.append((module, flat, storage, len(recording.calls)))

    stack.callback(block.register_forward_pre_hook(entered, with_kwargs=True).remove)
    stack.callback(block.register_forward_hook(left).remove)
    for module in block.modules():
        if module is not block:
            stack.callback(module.register_forward_hook(inside).remove)


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
        block: Block = "cross" if id(recording.calls[index].module) in cross else "attention"
        projection = _projection(run, index, recording.calls[index].output_storage)
        after = [module for module, n_calls in summands if n_calls > index and module not in taken]
        module = after[0] if after else projection
        if module is not None:
            found[block] = module
            taken.append(module)
    rest = [module for module, _ in summands if module not in taken]
    if not summands:
        rest = [
            module for module, output, _, _ in run.events if output is not None and _linear(module)
        ]
        rest = [module for module in rest if module not in taken]
    # A lone summand of a layer without attention is its mixer (a state-space block), not an MLP.
    if rest and (calls or len(summands) > 1):
        found["mlp"] = rest[-1]
    return found


def _projection(run: _BlockRun, index: int, output_storage: int) -> nn.Module | None:
    """The output projection of an attention call: the linear layer that reads its output."""
    later = [event for event in run.events if event[3] > index and _linear(event[0])]
    reads = [event for event in later if event[2] == output_storage]
    return (reads or later)[0][0] if later else None


def _linear(module: nn.Module) -> bool:
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
