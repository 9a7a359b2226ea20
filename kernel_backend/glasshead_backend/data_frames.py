"""Tables of what was found."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape
from typing import TYPE_CHECKING, Any, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pandas as pd


def table(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Make a table of its columns; pandas is loaded with the first one, not with this package."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(dict(columns))


def nullable(numbers: np.ndarray[Any, Any], dtype: Literal["Int64", "boolean"]) -> pd.Series[Any]:
    """Make a column of whole numbers or truths in which NaN is a missing value."""
    import pandas as pd  # noqa: PLC0415

    return pd.Series(numbers).astype(dtype)


class ShownAsTable(ABC):
    """What shows itself as a line that says what it is, and the table of its numbers.

    A dataclass would write a ``repr`` of all its tensors: tell it ``repr=False``.
    """

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return the numbers."""

    def _what(self) -> str:
        """Say in a line what it is."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"{self._what()}\n{self.to_frame()!r}"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows; None where pandas is told to show no HTML."""
        shown = cast("Any", self.to_frame())._repr_html_()
        return None if shown is None else f"<p>{escape(self._what())}</p>\n{shown}"
