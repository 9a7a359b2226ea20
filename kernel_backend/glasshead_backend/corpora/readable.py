"""The texts of a part as the model gets them, and those that cannot be read with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.corpora.skipped import SINGLE_TEXT_ERRORS
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.many_texts import run_each
from glasshead_backend.tracing.reading import read

if TYPE_CHECKING:
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.lens import Lens
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.given import TextLike
    from glasshead_backend.tracing.run import Run


class Readable(NamedTuple):
    """What can be read of a part, by the numbers of the texts in the corpus.

    Attributes
    ----------
    sides : dict
        Tokens of each text.
    skipped : dict
        Why each of the others cannot be read.
    """

    sides: dict[int, Sides]
    skipped: dict[int, str]

    def batches(self, batch_size: int) -> list[list[int]]:
        """Put texts of similar length together, by their numbers; the longest first.

        The longest show whether padding changes anything, and whether all fits.
        """
        numbers = sorted(self.sides, key=lambda number: _size(self.sides[number]), reverse=True)
        return [numbers[start : start + batch_size] for start in range(0, len(numbers), batch_size)]


def readable(lens: Lens, part: Part) -> Readable:
    """Read the texts of a part, each as :meth:`Lens.trace` would."""
    found = Readable({}, {})
    for number, text, target in part.numbered():
        sides = _sides(lens, text, target)
        if isinstance(sides, str):
            found.skipped[number] = sides
        else:
            found.sides[number] = sides
    return found


def runs_of(lens: Lens, many: list[Sides]) -> list[Run | str]:
    """Record a run of each of several texts, in one forward pass if all fits; or say why not."""
    try:
        return [*run_each(lens, many)]
    except (*SINGLE_TEXT_ERRORS, UnsupportedModelError) as error:
        if len(many) == 1:
            return [str(error)]
    return [one for own in many for one in runs_of(lens, [own])]


def _sides(lens: Lens, text: TextLike, target: TextLike | None) -> Sides | str:
    """Read a text; or say why it cannot be read."""
    try:
        return read(lens, text, target, None, Reading())
    except (*SINGLE_TEXT_ERRORS, TypeError) as error:
        return str(error)


def _size(sides: Sides) -> tuple[int, ...]:
    return tuple(len(sequence.tokens) for sequence in sides.all)
