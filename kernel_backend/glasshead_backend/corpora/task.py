"""What is done with the texts of a corpus, and what comes of it: two protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.lens import Lens


class Tally(Protocol):
    """What came of some texts: sums that merge."""

    def merged(self, other: Self) -> Self:
        """Return what came of both; `other` is of the texts that follow."""
        ...

    def to_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return it as tensors and JSON, exactly: nothing is rounded."""
        ...

    @classmethod
    def from_state(cls, tensors: dict[str, Tensor], state: dict[str, Any]) -> Self:
        """Return what :meth:`to_state` wrote down."""
        ...


T = TypeVar("T", bound=Tally)
T_co = TypeVar("T_co", bound=Tally, covariant=True)


class Task(Protocol[T_co]):
    """What is done with a part of a corpus: a frozen dataclass that can be pickled.

    Attributes
    ----------
    tally : type
        Of what comes of it.
    """

    @property
    def tally(self) -> type[T_co]:
        """What comes of it."""
        ...

    def key(self) -> str:
        """Say what it is, so that the checkpoint of another task is not taken for its own."""
        ...

    def of_part(self, lens: Lens, part: Part) -> T_co:
        """Return what comes of a part.

        A text that cannot be read or measured (ValueError, MemoryBudgetError) does not end the
        work: its number and why go into the tally.
        """
        ...


@runtime_checkable
class Growing(Protocol[T_co]):
    """A task that can show what comes of a part while it works on it."""

    def growing(self, lens: Lens, part: Part) -> Iterator[tuple[int, Callable[[], T_co]]]:
        """Yield how many texts are done, and a function that returns what came of them.

        Last of all, of the whole part. The function is called before the work goes on, or not.
        """
        ...
