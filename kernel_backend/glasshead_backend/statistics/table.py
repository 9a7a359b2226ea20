"""Tables of what was found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd


def table(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Make a table of its columns; pandas is loaded with the first one, not with this package."""
    import pandas as pd  # noqa: PLC0415

    return pd.DataFrame(dict(columns))
