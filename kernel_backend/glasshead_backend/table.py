"""Tables of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

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
