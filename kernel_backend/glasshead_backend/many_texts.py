"""Many texts one after another: with their targets, with their numbers, in batches by length."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, cast

from glasshead_backend.batching import trace_together
from glasshead_backend.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from glasshead_backend.given import TextLike
    from glasshead_backend.lens import Lens
    from glasshead_backend.sides import Sides
    from glasshead_backend.trace import Trace


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
    by_length = sorted(range(len(sides)), key=lambda i: _size(sides[i]))
    starts = range(0, len(sides), batch_size)
    what = f"running the model on texts {first}-{first + len(sides) - 1}"
    traces: dict[int, Trace] = {}
    for start in steps(starts, what, len(starts)):
        chosen = by_length[start : start + batch_size]
        together = trace_together(lens, [sides[i] for i in chosen])
        traces.update(zip(chosen, together, strict=True))
    return traces


def _size(sides: Sides) -> tuple[int, ...]:
    return tuple(len(sequence.tokens) for sequence in sides.all)
