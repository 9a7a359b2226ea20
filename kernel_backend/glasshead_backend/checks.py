"""Checks of what a question is asked with: each error names the value and what there is."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, SupportsIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def whole(value: SupportsIndex, name: str) -> int:
    """Return a whole number as a plain one, whatever library it comes from."""
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} {value!r} is no whole number.") from None


def at_least_one(value: SupportsIndex, name: str, of: str) -> int:
    """Return a whole number above zero."""
    number = whole(value, name)
    if number < 1:
        raise ValueError(f"{name} {number} is too small: at least 1 {of}.")
    return number


def several(values: SupportsIndex | Iterable[SupportsIndex], name: str) -> list[int]:
    """Return one number or several as a list of plain ones; arrays and tensors are welcome."""
    if not hasattr(values, "__iter__") or getattr(values, "ndim", 1) == 0:
        return [whole(values, name)]  # type: ignore[arg-type]
    return [whole(value, name) for value in values]  # type: ignore[union-attr]


def positions(rows: SupportsIndex | Iterable[SupportsIndex] | None, n_rows: int) -> Sequence[int]:
    """Check row positions; negative ones count from the end. None = all of them."""
    if rows is None:
        return range(n_rows)
    if isinstance(rows, range) and rows and min(rows) >= 0 and max(rows) < n_rows:
        return rows  # stays a range: its rows are then read without a copy
    asked = several(rows, "position")
    wanted = [row + n_rows if row < 0 else row for row in asked]
    for position, row in zip(asked, wanted, strict=True):
        if not 0 <= row < n_rows:
            raise ValueError(
                f"position {position} is out of range: there are {n_rows} (0-{n_rows - 1})."
            )
    return wanted


def require(value: object, allowed: Sequence[object], name: str) -> None:
    """Refuse a value that is none of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(map(repr, allowed))}.")


def stretch(ends: tuple[int, int] | None, n: int, name: str) -> range:
    """Check a run of positions, ``(first, end)``; None = all of them."""
    if ends is None:
        return range(n)
    first, end = (whole(edge, name) for edge in ends)
    if not 0 <= first < end <= n:
        raise ValueError(f"{name} {ends} is no part of 0-{n}: give (first, end), first below end.")
    return range(first, end)
