"""Checks of what a question is asked with: each error names the value and what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def positions(rows: Sequence[int], n_rows: int) -> Sequence[int]:
    """Check row positions; negative ones count from the end."""
    if isinstance(rows, range) and rows and min(rows) >= 0 and max(rows) < n_rows:
        return rows  # stays a range: its rows are then read without a copy
    wanted = [row + n_rows if row < 0 else row for row in rows]
    for asked, row in zip(rows, wanted, strict=True):
        if not 0 <= row < n_rows:
            raise ValueError(
                f"position {asked} is out of range: there are {n_rows} (0-{n_rows - 1})."
            )
    return wanted


def require(value: object, allowed: Sequence[object], name: str) -> None:
    """Refuse a value that is none of those allowed."""
    if value not in allowed:
        raise ValueError(f"{name} {value!r} is not one of {', '.join(map(repr, allowed))}.")


def run_of(ends: tuple[int, int] | None, n: int, name: str) -> range:
    """Check a run of positions, ``(first, end)``; None = all of them."""
    if ends is None:
        return range(n)
    first, end = ends
    if not 0 <= first < end <= n:
        raise ValueError(f"{name} {ends} is no part of 0-{n}: give (first, end), first below end.")
    return range(first, end)
