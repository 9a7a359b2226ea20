"""Many texts one after another: with their targets, with their numbers, in batches by length."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar, cast

from glasshead_backend.anatomy.padding import same
from glasshead_backend.progress import steps
from glasshead_backend.running.body import Outcome
from glasshead_backend.tracing.together import run_together

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from torch import Tensor

    from glasshead_backend.anatomy.padding import PadSide
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.given import TextLike
    from glasshead_backend.tracing.run import Run
    from glasshead_backend.tracing.subject import Subject

    Found = TypeVar("Found")


def paired(
    texts: Iterable[TextLike], targets: Iterable[TextLike]
) -> Generator[tuple[TextLike, TextLike], None, None]:
    """Pair texts and targets; say which is missing where one ends before the other."""
    nothing = object()
    for number, (text, target) in enumerate(zip_longest(texts, targets, fillvalue=nothing)):
        if text is nothing or target is nothing:
            lacks = "text" if text is nothing else "target"
            raise ValueError(f"There is no {lacks} number {number}: give as many targets as texts.")
        yield cast("tuple[TextLike, TextLike]", (text, target))


def numbered_sides(
    sides_of: Callable[[TextLike, TextLike | None], Sides],
    number: int,
    text: TextLike,
    target: TextLike | None,
) -> Sides:
    """Read one text of many; what is wrong with it is told with its number."""
    try:
        return sides_of(text, target)
    except (TypeError, ValueError) as error:
        raise type(error)(f"Text {number}: {error}") from error


def run_by_length(
    subject: Subject, sides: list[Sides], batch_size: int, *, first: int
) -> dict[int, Run]:
    """Trace texts in batches of similar length; by their place in the list."""
    # The longest first: they show whether padding changes anything, and whether all fits.
    by_length = sorted(range(len(sides)), key=lambda i: _size(sides[i]), reverse=True)
    starts = range(0, len(sides), batch_size)
    what = f"running the model on texts {first}-{first + len(sides) - 1}"
    runs: dict[int, Run] = {}
    for start in steps(starts, what, len(starts)):
        chosen = by_length[start : start + batch_size]
        together = run_each(subject, [sides[i] for i in chosen])
        runs.update(zip(chosen, together, strict=True))
    return runs


def run_each(subject: Subject, many: Sequence[Sides]) -> list[Run]:
    """Record a run of each of several texts, all in one forward pass if the model allows it.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides

    Returns
    -------
    list of Run
        As if each text had been traced alone, but for rounding.
    """

    def run(chosen: Sequence[Sides], side: PadSide, outcome: Outcome | None) -> list[Run]:
        return run_together(subject, chosen, side, outcome)

    together = as_if_alone(subject, many, run)
    return [run_together(subject, [sides])[0] for sides in many] if together is None else together


def as_if_alone(
    subject: Subject,
    many: Sequence[Sides],
    run: Callable[[Sequence[Sides], PadSide, Outcome | None], Found],
) -> Found | None:
    """Run several texts padded together, if each is then what it is alone.

    Parameters
    ----------
    subject : Subject
    many : sequence of Sides
    run : callable
        Runs the model over texts padded on a side, and notes what it made of them.

    Returns
    -------
    object or None
        What `run` returned; None where the texts have to be run one by one.
    """
    padding = subject.anatomy.padding
    wanted = getattr(subject.tokenizer, "padding_side", "right")
    while len(many) > 1 and (side := padding.side(wanted)) is not None:
        outcome = Outcome()
        found = run(many, side, outcome)
        sizes = [_size(sides) for sides in many]
        unproved = padding.unproved(side, sizes)
        hidden = outcome.hidden
        if all(_as_alone(subject, many[i], _own_rows(hidden, sizes, i, side)) for i in unproved):
            padding.proved(side, sizes)
            return found
        padding.rule_out(side)
    return None


def _size(sides: Sides) -> tuple[int, ...]:
    """Tokens of a text, or of source and target."""
    return tuple(len(sequence.tokens) for sequence in sides.all)


def _as_alone(subject: Subject, sides: Sides, together: Tensor | None) -> bool:
    outcome = Outcome()
    run_together(subject, [sides], outcome=outcome)
    alone = outcome.hidden
    return together is not None and alone is not None and same(alone[0], together)


def _own_rows(
    hidden: Tensor | None, sizes: Sequence[tuple[int, ...]], index: int, side: PadSide
) -> Tensor | None:
    """Hidden states of one text; None where they are not those of the batch's tokens."""
    own, most = sizes[index][-1], max(size[-1] for size in sizes)
    if hidden is None or hidden.shape[:2] != (len(sizes), most):
        return None
    return hidden[index, most - own :] if side == "left" else hidden[index, :own]
