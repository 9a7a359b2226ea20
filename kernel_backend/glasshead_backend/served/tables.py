"""Tables as values that travel: numbers as arrays, text as lists, each column with its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from glasshead_backend.answering import NotServedError

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = Any

_NUMBERS = "biufc"

_TYPES = frozenset(
    {
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128", "object"),
        *("str", "string", "boolean", "Int64", "Float64"),
    }
)
"""Types of columns that are made of what came; pandas would make others of their names, too."""

_MOST_EMPTY = 1 << 22
"""Most rows of a table that has no columns."""


def of_table(value: Any, said: Callable[[object], Json]) -> Json:
    """Return a DataFrame, Series or missing value as JSON, its arrays by `said`."""
    import pandas as pd  # noqa: PLC0415

    if isinstance(value, pd.DataFrame):
        columns = [of_table(value.iloc[:, i], said) for i in range(value.shape[1])]
        names, index = _index(value.columns, said), _index(value.index, said)
        return {"is": "table", "columns": columns, "names": names, "index": index}
    if isinstance(value, pd.Series):
        return {"is": "series", "name": said(value.name), **_values(value, said)}
    if value is pd.NA:
        return {"is": "series", "of": None}
    raise NotServedError(f"A pandas {type(value).__name__} does not travel to a server.")


def _index(index: Any, said: Callable[[object], Json]) -> Json:
    import pandas as pd  # noqa: PLC0415

    name = said(index.name)
    if isinstance(index, pd.RangeIndex):
        return {"name": name, "of": [index.start, index.stop, index.step], "type": "range"}
    return {"name": name, **_values(index.to_series(), said)}


def _values(series: Any, said: Callable[[object], Json]) -> dict[str, Json]:
    kind = str(series.dtype)
    if series.dtype.kind in _NUMBERS and isinstance(series.dtype, np.dtype):
        return {"of": said(series.to_numpy()), "type": kind}
    if series.dtype.kind in _NUMBERS:  # with missing values beside the numbers
        missing = series.isna().to_numpy()
        plain = series.fillna(series.dtype.type(0)).to_numpy(dtype=series.dtype.numpy_dtype)
        return {"of": said(plain), "type": kind, "missing": said(missing)}
    return {"of": said(series.tolist()), "type": kind}


def table_of(told: dict[str, Json], value: Callable[[Json], Any]) -> Any:
    """Return what :func:`of_table` said."""
    import pandas as pd  # noqa: PLC0415

    if told["is"] == "series":
        return pd.NA if told["of"] is None else _series(told, value).rename(value(told["name"]))
    columns = {i: _series(one, value) for i, one in enumerate(told["columns"])}
    rows = _index_of(told["index"], value)
    # pandas would fill a short column up to the length of the index, which takes a few bytes.
    if any(len(column) != len(rows) for column in columns.values()):
        raise ValueError("columns of a table have to be as long as its index")
    if not columns and len(rows) > _MOST_EMPTY:
        raise ValueError(f"a table of {len(rows):,} rows without columns")
    made = pd.DataFrame(columns, index=range(len(rows)))
    made.index = rows
    made.columns = _index_of(told["names"], value)
    return made


def _index_of(told: dict[str, Json], value: Callable[[Json], Any]) -> Any:
    import pandas as pd  # noqa: PLC0415

    if told["type"] == "range":
        made: Any = pd.RangeIndex(*told["of"])  # takes no room, however long it is
    else:
        made = pd.Index(_series(told, value))
    return made.rename(value(told["name"]))


def _series(told: dict[str, Json], value: Callable[[Json], Any]) -> Any:
    import pandas as pd  # noqa: PLC0415

    if told["type"] not in _TYPES:
        raise ValueError(f"{told['type']!r} is no type of a column")
    made = pd.Series(value(told["of"]), dtype=None if "missing" in told else told["type"])
    if "missing" not in told:
        return made
    made = made.astype(told["type"])
    made[value(told["missing"])] = pd.NA
    return made
