"""Many texts one after another: with their targets, with their numbers, in batches by length."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from glasshead_backend.anatomy.padding import same
from glasshead_backend.progress import steps
from glasshead_backend.running.body import Outcome
from glasshead_backend.tracing.together import trace_together

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from torch import Tensor

    from glasshead_backend.anatomy.padding import PadSide
    from glasshead_backend.lens import Lens
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.trace import Trace
    from glasshead_backend.tracing.given import TextLike


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


def trace_by_length(
    lens: Lens, sides: list[Sides], batch_size: int, *, first: int
) -> dict[int, Trace]:
    """Trace texts in batches of similar length; by their place in the list."""
    # The longest first: they show whether padding changes anything, and whether all fits.
    by_length = sorted(range(len(sides)), key=lambda i: _size(sides[i]), reverse=True)
    starts = range(0, len(sides), batch_size)
    what = f"running the model on texts {first}-{first + len(sides) - 1}"
    traces: dict[int, Trace] = {}
    for start in steps(starts, what, len(starts)):
        chosen = by_length[start : start + batch_size]
        together = trace_each(lens, [sides[i] for i in chosen])
        traces.update(zip(chosen, together, strict=True))
    return traces


def trace_each(lens: Lens, many: Sequence[Sides]) -> list[Trace]:
    """Record a trace of each of several texts, all in one forward pass if the model allows it.

    Parameters
    ----------
    lens : Lens
    many : sequence of Sides

    Returns
    -------
    list of Trace
        As if each text had been traced alone, but for rounding.
    """
    padding = lens.anatomy.padding
    wanted = getattr(lens.tokenizer, "padding_side", "right")
    while len(many) > 1 and (side := padding.side(wanted)) is not None:
        outcome = Outcome()
        traces = trace_together(lens, many, side, outcome)
        sizes = [_size(sides) for sides in many]
        unproved = padding.unproved(side, sizes)
        hidden = outcome.hidden
        if all(_as_alone(lens, many[i], _own_rows(hidden, sizes, i, side)) for i in unproved):
            padding.proved(side, sizes)
            return traces
        padding.rule_out(side)
        for trace in traces:
            trace.close()
    return [trace_together(lens, [sides])[0] for sides in many]


def _size(sides: Sides) -> tuple[int, ...]:
    """Tokens of a text, or of source and target."""
    return tuple(len(sequence.tokens) for sequence in sides.all)


def _as_alone(lens: Lens, sides: Sides, together: Tensor | None) -> bool:
    outcome = Outcome()
    trace_together(lens, [sides], outcome=outcome)[0].close()
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
