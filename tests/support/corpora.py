"""Tasks over a corpus that worker processes of the tests can import."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasshead_backend import Lens

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.corpora.parts import Part

TEXTS = [
    f"The {('whale', 'fox', 'dog')[n % 3]} swam {'far ' * (n % 7)}in sea {n}." for n in range(60)
]


@dataclass(frozen=True)
class Texts:
    """Which texts were worked on, in which order, and what they are."""

    numbers: tuple[int, ...] = ()
    texts: tuple[str, ...] = ()
    processes: frozenset[int] = frozenset()

    def merged(self, other: Texts) -> Texts:
        return Texts(
            self.numbers + other.numbers,
            self.texts + other.texts,
            self.processes | other.processes,
        )

    def to_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        return {}, {"numbers": self.numbers, "texts": self.texts, "at": sorted(self.processes)}

    @classmethod
    def from_state(cls, tensors: dict[str, Tensor], state: dict[str, Any]) -> Texts:
        assert tensors == {}
        return cls(tuple(state["numbers"]), tuple(state["texts"]), frozenset(state["at"]))


@dataclass(frozen=True)
class NoteTexts:
    """Note each text, in whose process; and end that process at one of them, the first time.

    Attributes
    ----------
    ends_at : int
        Number of the text at which the process is ended.
    mark : str
        File that says that it was.
    """

    ends_at: int = -1
    mark: str = ""

    @property
    def tally(self) -> type[Texts]:
        return Texts

    def key(self) -> str:
        return "note texts"

    def of_part(self, lens: Lens, part: Part) -> Texts:
        assert isinstance(lens, Lens)
        numbers = tuple(number for number, *_ in part.numbered())
        if self.ends_at in numbers and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Texts(numbers, tuple(str(one) for one in part.texts), frozenset([os.getpid()]))


@dataclass(frozen=True)
class MakeChanged:
    """Makes the demo model, with one weight moved."""

    by: float

    def __call__(self) -> Lens:
        lens = Lens.demo("decoder")
        next(lens.model.parameters()).data.add_(self.by)
        return lens
