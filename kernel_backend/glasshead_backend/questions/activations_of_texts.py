"""Activations of many texts, handed over while the model runs: texts of one length run together."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from glasshead_backend.anatomy.contributions import observed
from glasshead_backend.anatomy.padding import same
from glasshead_backend.running.as_found import for_a_trace
from glasshead_backend.running.forward import forward
from glasshead_backend.running.hooks import on_input
from glasshead_backend.tracing.together import batch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Float
    from torch import Tensor, nn

    from glasshead_backend.asking import ActivationBlock, Stack
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.subject import Subject

    Note = Callable[[int, Float[Tensor, "text token hidden"]], None]


def batches_of_one_length(many: Sequence[Sides], most: int) -> list[list[int]]:
    """Put texts of one length together, by their places in the list: nothing need be padded."""
    by_length: dict[tuple[int, ...], list[int]] = {}
    for i, sides in enumerate(many):
        by_length.setdefault(tuple(len(one.tokens) for one in sides.all), []).append(i)
    return [
        alike[start : start + most]
        for alike in by_length.values()
        for start in range(0, len(alike), most)
    ]


def run_over_texts(
    subject: Subject, many: Sequence[Sides], block: ActivationBlock, stack: Stack, note: Note
) -> None:
    """Run the model once over texts of one length, and hand over what a block adds in each layer.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides
    block, stack : str
        As for :meth:`Trace.activations`; what the model does not have is not handed over.
    note : callable
        Gets the number of each layer (of the embedding 0), and ``[texts, tokens, hidden]``, which
        the model may write into later on.
    """
    model, known = subject.model, subject.anatomy.structure.contributions
    batch = batch_of(model, subject.tokenizer, many, "right")
    n_tokens = len((batch.decoder if stack == "decoder" else batch.first)[0])
    begun: list[nn.Module] = []

    def enter(module: nn.Module, tensor: Tensor) -> None:
        # A layer that stands at several places runs several times.
        if not begun:
            rows = known.embeddings[stack][1]
            note(0, rows.of(tensor.detach(), batch.size)[:, :n_tokens])
        begun.append(module)

    with for_a_trace(model), ExitStack() as watched:
        if block == "embedding":
            watched.enter_context(on_input([known.embeddings[stack][0]], enter))
        else:
            writers = [
                one
                for one in (*known.writers, *known.streams)
                if one.stack == stack and one.block == block
            ]
            seen = observed(
                writers, batch.size, lambda one, rows: note(one.layer, rows[:, :n_tokens])
            )
            watched.enter_context(seen)
        forward(model, batch.inputs)


def batches_of(
    subject: Subject, many: Sequence[Sides], block: ActivationBlock, stack: Stack, most: int
) -> list[list[int]]:
    """Put texts together that can be run together, by their places in the list.

    They are of one length, and single texts where being together changes them: experts with room
    for so many tokens, say, drop others then.
    """
    batches = batches_of_one_length(many, most)
    sizes = [len(own) * len(many[own[0]].first.tokens) for own in batches]
    largest = [many[i] for i in batches[sizes.index(max(sizes))]]
    if len(largest) == 1 or _is_as_alone(subject, largest, block, stack):
        return batches
    return [[i] for i in range(len(many))]


def _is_as_alone(
    subject: Subject, many: Sequence[Sides], block: ActivationBlock, stack: Stack
) -> bool:
    """Whether the first text has the same activations alone and beside the others, to rounding."""
    found: list[dict[int, Tensor]] = []
    for texts in (many[:1], many):
        own: dict[int, Tensor] = {}
        run_over_texts(
            subject, texts, block, stack, lambda i, rows, own=own: own.update({i: rows[0].clone()})
        )
        found.append(own)
    alone, together = found
    return all(same(alone[layer], together[layer]) for layer in alone)
