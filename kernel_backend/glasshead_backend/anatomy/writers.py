"""What the blocks of every layer add to the residual stream, and what puts it out; without names.

One forward is watched operation by operation (:mod:`glasshead_backend.anatomy.dataflow`). From the
output of a layer the stream is followed back to its input, through sums, scales and norms. What is
added on the way is what the layer's blocks add: it is traced back to the modules that put it out,
with what the model multiplies it with behind them, and compared with what was really added. It is
attention if attention went into it since it left the stream. Where nothing of this kind is found,
or the numbers disagree, the block is left out, with the reason.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from glasshead_backend.anatomy.alike import NotAlikeError, writers_like
from glasshead_backend.anatomy.contributions import Contributions, Part, Rows, Writer
from glasshead_backend.anatomy.dataflow import memory_of
from glasshead_backend.anatomy.first_token import first_row
from glasshead_backend.anatomy.locate import lengths_of
from glasshead_backend.anatomy.summands import UnclearError, additions, summands_of
from glasshead_backend.anatomy.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from glasshead_backend.anatomy.layer_runs import LayerRun
    from glasshead_backend.anatomy.summands import Addition, Summand
    from glasshead_backend.asking import Block, Kind, Stack
    from glasshead_backend.capture.call import AttentionCall

    Named = tuple[Block, tuple[Part, ...], str]

_WHAT = {"residual": "the residual stream behind it", "embedding": "what goes into it"}


def find_contributions(
    model: Any,
    inputs: dict[str, Tensor],
    stacks: dict[Stack, tuple[nn.Module, ...]],
    located: dict[Kind, dict[int, AttentionCall]],
    watch: Watch,
) -> Contributions:
    """Find out what the blocks of every layer add to the residual stream.

    Parameters
    ----------
    model : PreTrainedModel
    inputs : dict
        A batch of one short sequence, as keyword arguments of the model's forward.
    stacks : dict
        The layers of every stack.
    located : dict
        ``{kind: {layer: call}}`` of a recorded forward over the same inputs.
    watch : Watch
        Of these layers, when it has watched a forward over these inputs.
    """
    try:
        return _find(model, inputs, stacks, located, watch)
    except NotAlikeError:
        watch = Watch(stacks, located, every_layer=True)
        watch.watch(model, inputs)
        return _find(model, inputs, stacks, located, watch)


def _find(
    model: Any,
    inputs: dict[str, Tensor],
    stacks: dict[Stack, tuple[nn.Module, ...]],
    located: dict[Kind, dict[int, AttentionCall]],
    watch: Watch,
) -> Contributions:
    found = Contributions([], [], {}, {})
    for stack, layers in stacks.items():
        runs = [run for run in watch.runs if run.stack == stack]
        rows = _rows(model, inputs, stack, runs)
        if isinstance(rows, Rows):
            found.embeddings[stack] = runs[0].module, rows
        numbers = _numbers([run.module for run in runs], layers)
        followed = False
        for number, run in zip(numbers, runs, strict=True):
            if run.like is not None and isinstance(rows, Rows):
                _look_at_one_alike(run, run.like, number, found)
            else:
                followed |= _look_at(run, number, rows, watch, found)
        if not followed:
            _leave_out_stream(found, stack, rows, len(layers))
        elsewhere = "it is not in the list of layers that the others are in"
        why = rows if isinstance(rows, str) else elsewhere
        _name_those_elsewhere(found, stack, numbers, located, why)
    name = type(model).__name__
    for (stack, layer, block), why in found.unclear.items():
        what = _WHAT.get(block, f"what its {block} adds to the residual stream")
        found.unclear[stack, layer, block] = f"Layer {layer} of {name}: {what} is not known: {why}."
    return found


def _numbers(run: Sequence[nn.Module], layers: Sequence[nn.Module]) -> list[int]:
    """Layer numbers of the runs: places in the list, or turns where modules run more often."""
    places: dict[int, list[int]] = {}
    for place, layer in enumerate(layers):
        places.setdefault(id(layer), []).append(place)
    n_runs = Counter(map(id, run))
    if any(n_runs[key] != len(there) for key, there in places.items() if key in n_runs):
        return list(range(len(run)))
    turns: Counter[int] = Counter()
    numbers: list[int] = []
    for module in run:
        numbers.append(places[id(module)][turns[id(module)]])
        turns[id(module)] += 1
    return numbers


def _rows(
    model: Any, inputs: dict[str, Tensor], stack: Stack, runs: Sequence[LayerRun]
) -> Rows | str:
    """Where the tokens are in what goes from layer to layer; or why there are none."""
    if not runs:
        return "its layers are not called as modules"
    n_tokens = lengths_of(inputs)[stack][0]
    batch = inputs["input_ids"].shape[0]
    shapes = {run.shape for run in runs}
    if len(shapes) > 1:
        return "its layers work on sequences of different lengths"
    (shape,) = shapes
    if shape[:-1] in ((batch, n_tokens), (batch * n_tokens,)):
        return Rows()
    if shape[:-1] == (n_tokens, batch):
        return Rows(tokens_first=True)
    if len(shape) == 3 and shape[0] == batch and shape[1] > n_tokens:  # noqa: PLR2004
        name = "decoder_input_ids" if stack == "decoder" else "input_ids"
        first = first_row(model, inputs, name, runs[0].module)
        if first is not None:
            return Rows(first=first)
    sizes = " x ".join(map(str, shape)) or "no"
    return f"from layer to layer go {sizes} numbers for {n_tokens} tokens, not a vector for each"


def _look_at(
    run: LayerRun, number: int, rows: Rows | str, watch: Watch, found: Contributions
) -> bool:
    """Find the writers of one layer; return whether its output is its input and what is added."""
    blocks: set[str] = {"cross" if kind == "cross" else "attention" for kind, _ in run.calls}
    unclear: dict[str, str] = {}
    if isinstance(rows, str):
        unclear = dict.fromkeys(blocks | {"mlp"}, rows)
    else:
        part = Part(run.module, run.run)
        found.streams.append(Writer(run.stack, number, "residual", (part,), rows))
        try:
            steps = additions(run.put_out, run.given)
        except UnclearError as error:
            unclear = dict.fromkeys(blocks | {"mlp"}, str(error))
        else:
            why = _wrong_number(run, number)
            unclear = dict.fromkeys(blocks | {"mlp"}, why) if why else {}
            if not why:
                parts, unclear = _blocks_of(run, steps, rows, watch)
                unclear.update(_not_added(blocks, parts, unclear))
                found.writers.extend(
                    Writer(run.stack, number, block, tuple(of_block), rows)
                    for block, of_block in parts.items()
                    if block not in unclear
                )
            found.unclear.update({(run.stack, number, block): w for block, w in unclear.items()})
            return True
    found.unclear.update({(run.stack, number, block): why for block, why in unclear.items()})
    return False


def _look_at_one_alike(run: LayerRun, like: LayerRun, number: int, found: Contributions) -> None:
    """Find the writers of a layer that is built like one that was looked at."""
    watched = (like.module, like.run)
    (stream,) = [one for one in found.streams if _place(one) == watched]
    known = [one for one in found.writers if (one.stack, one.layer) == (like.stack, stream.layer)]
    unclear = any(place[:2] == (like.stack, stream.layer) for place in found.unclear)
    alike = {kind for kind, _ in run.calls} == {kind for kind, _ in like.calls}
    if unclear or not alike or _wrong_number(run, number):
        raise NotAlikeError
    found.streams.append(replace(stream, layer=number, parts=(Part(run.module, run.run),)))
    found.writers.extend(writers_like(known, run, like, number))


def _place(stream: Writer) -> tuple[nn.Module | None, int]:
    (part,) = stream.parts
    return part.module, part.run


def _wrong_number(run: LayerRun, number: int) -> str:
    """Say why a layer's attention cannot be told by the layer's number; nothing if it can."""
    numbers = sorted({of_call for _, of_call in run.calls})
    if not numbers or numbers == [number]:
        return ""
    named = " and ".join(map(str, numbers))
    if len(numbers) > 1:
        return f"it holds several attention blocks, which are counted as layers {named}"
    return f"its attention is counted as layer {named}"


def _blocks_of(
    run: LayerRun, steps: Sequence[Addition], rows: Rows, watch: Watch
) -> tuple[dict[Block, list[Part]], dict[str, str]]:
    """Parts of what each block adds, and reasons why that is not known of some."""
    owned = (*run.module.parameters(), *run.module.buffers())
    parameters = {memory_of(one): one for one in owned}
    reasons: dict[str, str] = {}
    known: list[Summand] = []
    for step in steps:
        try:
            known += summands_of(step, parameters)
        except UnclearError as error:  # noqa: PERF203  a few steps
            kinds = step.node.kinds or {"mlp"}
            reasons.update(dict.fromkeys(kinds, str(error)))
    parts: dict[Block, list[Part]] = {}
    for block, of_block, why in _named(known, watch, rows, apart=set(reasons)):
        if why:
            reasons[block] = why
        parts.setdefault(block, []).extend(of_block)
    if reasons and "mlp" not in parts:
        reasons.setdefault("mlp", next(iter(reasons.values())))
    return parts, reasons


def _not_added(
    blocks: set[str], parts: dict[Block, Any], reasons: dict[str, str]
) -> dict[str, str]:
    """Say why attention that is there adds nothing."""
    both = "one block attends to both sides, and is called attention"
    elsewhere = "it goes into another block there, not into the residual stream itself"
    return {
        block: both if block == "cross" and "attention" in parts else elsewhere
        for block in blocks - set(parts) - set(reasons)
    }


def _named(
    summands: Sequence[Summand], watch: Watch, rows: Rows, *, apart: set[str]
) -> list[Named]:
    """Say of every summand which block's it is, and of some why that is not known.

    `apart` are the blocks that are known to be there by what could not be traced back.
    """
    named: list[Named] = [
        (kind, one.parts, _why_not_attention(one)) for one in summands for kind in one.node.kinds
    ]
    rest = [one for one in summands if not one.node.kinds]
    # Beside attention there is only one thing that it can be.
    if len(rest) == 1 and (named or apart == {"attention"}):
        return [*named, ("mlp", rest[0].parts, "")]
    section: int | None = None
    for one in rest:
        try:
            mixes = watch.mixes_tokens(one.node.modules[-1][0], rows)
        except UnclearError as error:
            named.append(("mlp", (), str(error)))
            continue
        block: Block = "mixer" if mixes else "mlp"
        # What comes later, behind a norm, or is fed by more than the stream, is no MLP (adapters).
        if not mixes and (one.node.uses_given or section not in (None, one.section)):
            block = "other"
        elif not mixes:
            section = one.section
        named.append((block, one.parts, ""))
    return named


def _why_not_attention(one: Summand) -> str:
    """Say why what attention went into is not the attention block's; nothing if it is."""
    if one.node.bent:
        return "what attention gathers goes through an activation function before it is added"
    return "attention to both sides is added as one" if len(one.node.kinds) > 1 else ""


def _leave_out_stream(found: Contributions, stack: Stack, rows: Rows | str, n_layers: int) -> None:
    """Take the stream of a stack back whose layers add nothing to what they are given."""
    why = rows if isinstance(rows, str) else "its layers add nothing to what they are given"
    found.streams[:] = [stream for stream in found.streams if stream.stack != stack]
    found.embeddings.pop(stack, None)
    found.unclear.update({(stack, layer, "residual"): why for layer in range(n_layers)})
    found.unclear[stack, 0, "embedding"] = why


def _name_those_elsewhere(
    found: Contributions,
    stack: Stack,
    numbers: Sequence[int],
    located: dict[Kind, dict[int, AttentionCall]],
    why: str,
) -> None:
    """Say why nothing is known of attention that is not in the layers of its stack."""
    for kind, by_layer in located.items():
        if ("decoder" if kind == "cross" else kind) != stack:
            continue
        for layer in sorted(set(by_layer) - set(numbers)):
            block = "cross" if kind == "cross" else "attention"
            for one in (block, "mlp"):
                found.unclear.setdefault((stack, layer, one), why)
