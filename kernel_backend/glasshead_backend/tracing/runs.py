"""From texts to runs in one step each: what a lens is asked for, here or at a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glasshead_backend.answering import answered, travels
from glasshead_backend.running.generation import writing
from glasshead_backend.tracing.given import Reading, given, given_pair
from glasshead_backend.tracing.many_texts import numbered_sides, run_by_length
from glasshead_backend.tracing.masked import score_masked
from glasshead_backend.tracing.reading import read, read_any_length, write
from glasshead_backend.tracing.together import run_together
from glasshead_backend.tracing.windows import score_in_one_pass, score_in_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.tracing.given import TextLike
    from glasshead_backend.tracing.run import Run
    from glasshead_backend.tracing.subject import Subject

travels(Reading)


@answered
def tokenized(subject: Subject, text: TextLike, pair: str | None, reading: Reading) -> list[Token]:
    """Return the tokens of a text, or of a pair; see :meth:`Lens.tokenize`."""
    if pair is not None:
        return list(given_pair(subject, text, pair, reading).tokens)
    return list(given(subject, text, "text", reading).tokens)


@answered
def traced(
    subject: Subject,
    text: TextLike,
    target: TextLike | None,
    max_new_tokens: int | None,
    reading: Reading,
) -> Run:
    """Record a run of a text; see :meth:`Lens.trace`."""
    return run_together(subject, [read(subject, text, target, max_new_tokens, reading)])[0]


@answered
def traced_by_length(
    subject: Subject,
    pairs: Sequence[tuple[TextLike, TextLike | None]],
    max_new_tokens: int | None,
    reading: Reading,
    *,
    batch_size: int,
    first: int,
) -> dict[int, Run]:
    """Record runs of some of many texts, by their place here; see :meth:`Lens.trace_many`."""

    def sides_of(text: TextLike, target: TextLike | None) -> Sides:
        return read(subject, text, target, max_new_tokens, reading)

    sides = [numbered_sides(sides_of, first + i, *pair) for i, pair in enumerate(pairs)]
    return run_by_length(subject, sides, batch_size, first=first)


@answered
def scored(
    subject: Subject,
    text: TextLike,
    target: TextLike | None,
    max_new_tokens: int | None,
    reading: Reading,
    *,
    window: int | None,
    stride: int | None,
) -> Run:
    """Score a text without its attention; see :meth:`Lens.score`."""
    if subject.family == "decoder" and target is None and max_new_tokens is None:
        sides = read_any_length(subject, text, reading)
        return score_in_windows(subject, sides, window=window, stride=stride)
    if window is not None or stride is not None:
        raise ValueError(
            f"{subject.name} is no decoder-only model and reads a text at once: window and "
            "stride are for those."
        )
    sides = read(subject, text, target, max_new_tokens, reading)
    if subject.family == "encoder":
        return score_masked(subject, sides)
    return score_in_one_pass(subject, sides)


@answered
def written(subject: Subject, prompt: TextLike, reading: Reading, **told: Any) -> Run:
    """Let the model continue a prompt, and record a run of it; see :meth:`Lens.generate`."""
    sides = write(subject, prompt, writing(subject.model, **told), reading)
    return run_together(subject, [sides])[0]
