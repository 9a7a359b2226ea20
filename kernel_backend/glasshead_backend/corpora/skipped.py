"""Texts of a corpus that could not be read or measured: how many, and of the first ones why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glasshead_backend.memory import MemoryBudgetError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

SINGLE_TEXT_ERRORS = (ValueError, MemoryBudgetError)
"""What is wrong with one text, and no reason to end the work on the others."""

_KEPT = 100


@dataclass(frozen=True)
class Skipped:
    """What was left out.

    Attributes
    ----------
    n : int
        How many texts.
    first : tuple
        ``(number of the text, why)`` of the first 100.
    """

    n: int = 0
    first: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, why: Mapping[int, str]) -> Self:
        """Note texts by their numbers."""
        return cls(len(why), tuple(sorted(why.items())[:_KEPT]))

    def merged(self, other: Self) -> Self:
        """Return both, this one's first."""
        return type(self)(self.n + other.n, (self.first + other.first)[:_KEPT])

    def to_state(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"n": self.n, "first": [list(one) for one in self.first]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Self:
        """Return what :meth:`to_state` wrote down."""
        return cls(state["n"], tuple((number, why) for number, why in state["first"]))

    def require_some(self, n_measured: int, what: str = "could be measured") -> None:
        """Refuse a result of no text at all, with the first reason."""
        if n_measured == 0 and self.n:
            number, why = self.first[0]
            raise ValueError(f"None of the {self.n:,} texts {what}. Text {number}: {why}")
