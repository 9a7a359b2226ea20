"""On which side texts of different length may be padded, so that each stays what it is alone.

Most models heed the mask, so that what stands behind or before a text changes nothing about it.
Some do not: a convolution reads on into the padding (ConvBERT), landmarks are means over it
(Nystromformer), a selection of the best keys picks from it, or among equal ones other keys than
without it (DeepSeek-V3.2, HY-V4): a model that is seen to select reads every text alone. Some
select in long texts only (Doge). So every batch that is longer than those before it is checked by
running two of its texts alone; where that shows another result the side is ruled out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.running.body import difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PadSide = Literal["left", "right"]
Size = tuple[int, ...]

_TOLERANCE = {torch.float16: 1e-2, torch.bfloat16: 5e-2}
_FLOAT32 = 1e-3
"""Largest relative difference of hidden states that rounding makes, in deep models."""


@dataclass
class Padding:
    """What is known about a model's padding.

    Attributes
    ----------
    sides : list
        Sides on which padding has changed nothing so far; empty = texts are run one by one.
    tried : dict
        By side, the longest batch that was checked, and the longest padded text in one.
    """

    sides: list[PadSide]
    tried: dict[PadSide, tuple[int, int]] = field(default_factory=dict["PadSide", tuple[int, int]])

    @classmethod
    def of(cls, *, may_be_left: bool) -> Padding:
        """Begin with every side that may do.

        Parameters
        ----------
        may_be_left : bool
            Whether positions can be counted from the first token behind the padding.
        """
        return cls(["right", "left"] if may_be_left else ["right"])

    def side(self, wanted: str) -> PadSide | None:
        """Return the side that is wanted, if it may be; else the other one, or None."""
        by_wish = sorted(self.sides, key=lambda side: side != wanted)
        return by_wish[0] if by_wish else None

    def rule_out(self, side: PadSide) -> None:
        """Pad on this side no more."""
        self.sides = [other for other in self.sides if other != side]

    def unproved(self, side: PadSide, sizes: Sequence[Size]) -> list[int]:
        """Which texts of a batch have to be run alone, before its results are believed.

        Parameters
        ----------
        side : PadSide
        sizes : sequence of tuple of int
            Tokens of each text, or of each source and target.

        Returns
        -------
        list of int
            The shortest and the longest of those that are padded (of texts of one length, the
            first); none for a batch that is no longer than others that were checked.
        """
        padded = _padded(sizes)
        most, longest = _extent(sizes, padded)
        known = self.tried.get(side, (0, 0))
        if most <= known[0] and longest <= known[1]:
            return []
        by_size = sorted(padded, key=lambda i: sum(sizes[i]))
        return list(dict.fromkeys([by_size[0], by_size[-1]]))

    def proved(self, side: PadSide, sizes: Sequence[Size]) -> None:
        """Note that padding has changed nothing about a batch."""
        most, longest = _extent(sizes, _padded(sizes))
        known = self.tried.get(side, (0, 0))
        self.tried[side] = max(most, known[0]), max(longest, known[1])


def _padded(sizes: Sequence[Size]) -> list[int]:
    """Which texts are padded; the first where none is."""
    most = tuple(map(max, zip(*sizes, strict=True)))
    return [i for i, size in enumerate(sizes) if size != most] or [0]


def _extent(sizes: Sequence[Size], padded: Sequence[int]) -> tuple[int, int]:
    """Length of a batch, and of the longest padded text in it."""
    return sum(map(max, zip(*sizes, strict=True))), max(sum(sizes[i]) for i in padded)


def same(alone: Tensor | None, together: Tensor | None) -> bool:
    """Whether a text's hidden states are those of the text alone, but for rounding."""
    tolerance = _FLOAT32 if alone is None else _TOLERANCE.get(alone.dtype, _FLOAT32)
    return difference(alone, together) <= tolerance
