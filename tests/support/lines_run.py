"""How much work Python code does: lines run, the same number on every machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def lines_run(work: Callable[[], object]) -> int:
    """Count the lines of the package that run while something is done."""
    n_lines = 0

    def count(_: FrameType, event: str, __: object) -> Any:
        nonlocal n_lines
        n_lines += event == "line"
        return count

    def enter(frame: FrameType, _: str, __: object) -> Any:
        return count if "glasshead_backend" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        work()
    finally:
        sys.settrace(before)
    return n_lines
