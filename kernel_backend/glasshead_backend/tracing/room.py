"""Refusing to record more than there is memory for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.running.forward import device_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.subject import Subject


def require_room_to_record(subject: Subject, many: Sequence[Sides], what: str) -> int:
    """Refuse to record more than there is memory for; return the bytes that it will take.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides
        What is run.
    what : str
        What is kept, in words; values take no more than the queries and keys that are counted.
    """
    token_bytes = subject.anatomy.structure.token_bytes
    # Token bytes are those of a source token with what the decoder keeps of one beside it.
    n_tokens = sum(max(len(sequence.tokens) for sequence in sides.all) for sides in many)
    allowed = budget_on(device_of(subject.model), subject.memory_budget)
    require_room(
        n_tokens * token_bytes,
        allowed,
        f"Recording {what} of {n_tokens:,} tokens",
        [f"{allowed // max(1, token_bytes):,} tokens would fit."],
    )
    return n_tokens * token_bytes
