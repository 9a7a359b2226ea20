"""What blocks add to the residual stream: norms, activations, the stream read out by layer."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, get_args

import torch

from glasshead_backend.anatomy.contributions import Rows, Writer, embedding_observed, observed
from glasshead_backend.answering import NotServedError, answered, answered_once
from glasshead_backend.asking import ActivationBlock
from glasshead_backend.checks import require
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.questions.attention import select
from glasshead_backend.questions.head_outputs import written_by_heads
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import device_of, forward
from glasshead_backend.running.reporting import layers_reported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.tracing.run import Run

    ByLayer = dict[int, Float[Tensor, "token hidden"]]

_STORE_AT_ONCE = (
    ", or record activations at once, right behind trace = lens.trace(...): "
    "trace.store_activations(...)"
)


@answered_once
def norms(run: Run, kind: Kind | None = None) -> dict[str, dict[int, Float[Tensor, " token"]]]:
    """Return the norms of what each block adds; see :meth:`Trace.norms`."""
    stack = run.stack(kind)
    found: dict[str, dict[int, Tensor]] = {}
    for (of_stack, layer, block), norm in run.norms.items():
        if of_stack == stack:
            found.setdefault(block, {})[layer] = norm
    return {block: dict(sorted(by_layer.items())) for block, by_layer in found.items()}


@answered_once
def unclear_blocks(run: Run, kind: Kind | None = None) -> dict[str, dict[int, str]]:
    """Say which blocks' contributions are not known; see :meth:`Trace.unclear_blocks`."""
    stack = run.stack(kind)
    found: dict[str, dict[int, str]] = {}
    for (of_stack, layer, block), why in run.anatomy.structure.contributions.unclear.items():
        if of_stack == stack:
            found.setdefault(block, {})[layer] = why
    return found


@answered
def activations(
    run: Run,
    layer: int,
    block: ActivationBlock,
    *,
    kind: Kind | None = None,
    heads: int | Sequence[int] | None = None,
) -> Float[Tensor, "token hidden"]:
    """Return what one block adds, or the stream itself; see :meth:`Trace.activations`."""
    require(block, get_args(ActivationBlock), "block")
    stack = run.stack(kind)
    if heads is not None:
        if block not in ("attention", "cross"):
            raise ValueError(f"A {block} block has no heads: leave heads out, or ask for another.")
        of_heads: Kind = "cross" if block == "cross" else stack
        return written_by_heads(run, select(run, layer, heads, kind=of_heads))
    by_layer = activations_by_layer(run, block, kind)
    place = 0 if block == "embedding" else layer
    if place not in by_layer:
        unclear = run.anatomy.structure.contributions.unclear
        has = ", ".join(map(str, sorted(by_layer))) or "no layer"
        nothing = f"Layer {layer} has no {block} block: {has} has one."
        raise ValueError(unclear.get((stack, place, block), nothing))
    return by_layer[place]


@answered_once
def layers_by_block(run: Run, kind: Kind | None = None) -> dict[ActivationBlock, list[int]]:
    """Return which layers of a stack have which block; the model does not run for it.

    The embedding belongs to no layer: it has those of the residual stream, or layer 0.
    """
    stack = run.stack(kind)
    known = run.anatomy.structure.contributions
    found: dict[ActivationBlock, list[int]] = {}
    for block in get_args(ActivationBlock):
        stored = _stored(run, stack, block)
        own = [
            one.layer
            for one in (*known.writers, *known.streams)
            if one.stack == stack and one.block == block
        ]
        if layers := sorted(own if stored is None else stored):
            found[block] = layers
    if "embedding" in found or stack in known.embeddings:
        found["embedding"] = found.get("residual", [0])
    return found


def sequence_of(run: Run, kind: Kind | None = None) -> TokenSequence:
    """Return the sequence whose tokens the rows of a stack's activations are."""
    return run.sequence_of(run.stack(kind))


def stored_activations(run: Run, block: ActivationBlock, kind: Kind | None = None) -> ByLayer:
    """Return what is stored of a block; empty = the model has to run for it."""
    return _stored(run, run.stack(kind), block) or {}


def is_known(run: Run, block: ActivationBlock) -> bool:
    """Whether activations of a block are stored, or can be had of the model."""
    return not run.given or _stored(run, run.stack(None), block) is not None


def _stored(run: Run, stack: Stack, block: ActivationBlock) -> ByLayer | None:
    """Return what was stored of a block; None where nobody has asked for it."""
    return run.store.get(("activations", stack, block))


def activations_by_layer(run: Run, block: ActivationBlock, kind: Kind | None = None) -> ByLayer:
    """Return the activations of a block in every layer that has it; stored by this."""
    known = _stored(run, run.stack(kind), block)
    return store_activations(run, [block], kind=kind)[block] if known is None else known


@answered
def layers_with(run: Run, block: ActivationBlock, kind: Kind | None = None) -> list[int]:
    """Return the layers that have a block; see :meth:`Trace.layers_with`."""
    return sorted(activations_by_layer(run, block, kind))


def store_activations(
    run: Run,
    blocks: Sequence[ActivationBlock],
    *,
    kind: Kind | None = None,
    dtype: torch.dtype | None = None,
) -> dict[ActivationBlock, ByLayer]:
    """Keep the activations of several blocks, and return those that were not kept before."""
    if run.server is not None:
        raise NotServedError(
            f"{run.subject.name} is with a server, which keeps activations itself once they were "
            "asked for: trace.activations(layer, block). To keep them here load the model in this "
            "notebook."
        )
    stack = run.stack(kind)
    for block in blocks:
        require(block, get_args(ActivationBlock), "block")
    missing: list[ActivationBlock] = [b for b in blocks if not _has(run, stack, b, dtype)]
    if missing:
        run.require_model()
    known = run.anatomy.structure.contributions
    wanted = [
        writer
        for writer in (*known.writers, *known.streams)
        if writer.stack == stack and writer.block in missing
    ]
    embedding = known.embeddings.get(stack) if "embedding" in missing else None
    found: dict[str, ByLayer] = {}
    if wanted or embedding:
        n_tensors = len(wanted) + (embedding is not None)
        with run.model_again(_STORE_AT_ONCE) as model:
            _require_room_for(run, model, missing, n_tensors, stack, dtype)
            stacks = run.anatomy.structure.stacks.values()
            with for_a_trace(model), layers_reported(stacks):
                found = _activations_of(
                    model,
                    wanted,
                    embedding,
                    run.inputs,
                    n_tokens=len(run.sequence_of(stack).tokens),
                    dtype=dtype,
                )
    return {
        block: run.store.keep(("activations", stack, block), found.get(block, {}))
        for block in missing
    }


def _has(run: Run, stack: Stack, block: ActivationBlock, dtype: torch.dtype | None) -> bool:
    stored = _stored(run, stack, block)
    return stored is not None and (
        dtype is None or all(tensor.dtype == dtype for tensor in stored.values())
    )


def _require_room_for(
    run: Run,
    model: Any,
    blocks: Sequence[ActivationBlock],
    n_tensors: int,
    stack: Stack,
    dtype: torch.dtype | None,
) -> None:
    n_tokens = len(run.sequence_of(stack).tokens)
    one = n_tokens * model.get_input_embeddings().weight.shape[-1]
    item = (dtype or model.dtype).itemsize
    require_room(
        n_tensors * one * item,
        budget_on(device_of(model), run.subject.memory_budget),
        f"Storing the {' and '.join(blocks)} activations of all layers",
        ["Store them in half precision: trace.store_activations(blocks, dtype=torch.float16)."]
        if item > torch.float16.itemsize
        else ["Trace a shorter text."],
    )


def _activations_of(
    model: Any,
    writers: Sequence[Writer],
    embedding: tuple[nn.Module, Rows] | None,
    inputs: dict[str, Tensor],
    *,
    n_tokens: int,
    dtype: torch.dtype | None = None,
) -> dict[str, dict[int, Float[Tensor, "token hidden"]]]:
    """Run the model and keep what blocks add, and what goes into the first layer.

    Parameters
    ----------
    model : PreTrainedModel
    writers : sequence of Writer
        Of one stack.
    embedding : tuple, optional
        The first layer with where its tokens are, if what goes into it is wanted.
    inputs : dict
        As :func:`inputs_of` makes them.
    n_tokens : int
        Of the sequence that the stack works on.
    dtype : torch.dtype, optional
        What to keep them in; default the model's own.

    Returns
    -------
    dict
        ``{block: {layer: [tokens, hidden]}}``.
    """
    kept: dict[str, dict[int, Tensor]] = {}

    def keep(block: str, layer: int, rows: Tensor) -> None:
        # A copy: the model may write into its output later on.
        own = rows[:n_tokens].to(dtype or rows.dtype, copy=True)
        kept.setdefault(block, {})[layer] = own

    with ExitStack() as stack:
        seen = observed(writers, 1, lambda one, rows: keep(one.block, one.layer, rows[0]))
        stack.enter_context(seen)
        if embedding is not None:
            taken_in = embedding_observed(*embedding, lambda rows: keep("embedding", 0, rows))
            stack.enter_context(taken_in)
        forward(model, inputs)
    return kept
