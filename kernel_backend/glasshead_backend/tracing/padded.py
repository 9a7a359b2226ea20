"""Attention of several sequences recorded in one forward pass, and left together.

What is asked of whole corpora is computed for a batch at once: a run of each text would be made for
nothing.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glasshead_backend.anatomy.locate import lengths_of, locate_calls
from glasshead_backend.capture.recording import record
from glasshead_backend.capture.replay import Replay
from glasshead_backend.running.as_found import for_a_trace, lock_of
from glasshead_backend.running.body import outcome_of, shortened
from glasshead_backend.running.forward import forward
from glasshead_backend.running.same_model import ModelState
from glasshead_backend.tracing.many_texts import as_if_alone
from glasshead_backend.tracing.room import require_room_to_record
from glasshead_backend.tracing.together import batch_of, places_of, require_layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.anatomy.padding import PadSide
    from glasshead_backend.asking import Kind
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.running.body import Outcome
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.subject import Subject
    from glasshead_backend.tracing.together import Batch


@dataclass(frozen=True, eq=False)
class PaddedCalls:
    """The attention calls of one forward pass over several sequences.

    Attributes
    ----------
    many : tuple of Sides
        The sequences.
    batch : Batch
        Where each lies.
    calls : dict
        ``{kind: {layer: call}}``, each of the whole batch.
    causal : bool
        Whether the tokens of a "self" map look only at themselves and at what comes before.
    """

    many: tuple[Sides, ...]
    batch: Batch
    calls: dict[Kind, dict[int, AttentionCall]]
    causal: bool

    def places(self, kind: Kind) -> tuple[list[range], list[range]]:
        """Rows and columns of every sequence in the maps of a kind of attention."""
        return places_of(self.batch, kind)


def record_padded(subject: Subject, many: Sequence[Sides]) -> list[PaddedCalls]:
    """Record the attention of several texts, in one forward pass if the model allows it.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides

    Returns
    -------
    list of PaddedCalls
        One of all texts; or one of each, where padding would change what the model makes of them.
    """

    def run(chosen: Sequence[Sides], side: PadSide, outcome: Outcome | None) -> PaddedCalls:
        return _record(subject, chosen, side, outcome)

    together = as_if_alone(subject, many, run)
    return [run([one], "right", None) for one in many] if together is None else [together]


def _record(
    subject: Subject, many: Sequence[Sides], side: PadSide, outcome: Outcome | None
) -> PaddedCalls:
    model, anatomy = subject.model, subject.anatomy
    structure = anatomy.structure
    expected = require_room_to_record(subject, many, "queries and keys")
    batch = batch_of(model, subject.tokenizer, many, side)
    with lock_of(model):
        before = ModelState.of(model, values=False) if structure.readers else None
        with (
            for_a_trace(model),
            nullcontext() if outcome is None else outcome_of(model, outcome),
            record(structure.readers, model, batch.size, expected_bytes=expected) as recording,
            shortened(model) if anatomy.plain_unembedding else nullcontext(),
        ):
            forward(model, batch.inputs)
        if before is not None:
            # Only what runs once more has to know whether it is still the same.
            state = before.after_a_run()
            for call in recording.calls:
                if isinstance(call, Replay):
                    call.belongs_to(state, ())
    located = locate_calls(
        model, recording.calls, structure.cross_modules, lengths_of(batch.inputs)
    )
    require_layers(model, structure, located, batch)
    return PaddedCalls(tuple(many), batch, located, causal=anatomy.family == "decoder")
