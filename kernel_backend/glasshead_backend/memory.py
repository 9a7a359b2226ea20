"""How much memory an answer may take, and what to say when it would take more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_SHARE = 0.5
"""Of the memory that is free, what one answer may take where the user set no budget."""


class MemoryBudgetError(MemoryError):
    """An answer would take more memory than it may; the message says what would fit."""


def free_memory(device: torch.device) -> int:
    """Bytes that are free on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    return psutil.virtual_memory().available


def budget_on(device: torch.device, budget: int | None) -> int:
    """Return the bytes that one answer may take: the user's budget, else half of what is free."""
    return int(free_memory(device) * _SHARE) if budget is None else budget


def in_words(n_bytes: float) -> str:
    """Bytes as people say them: "2.4 GB"."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"


def require_room(needed: int, allowed: int, what: str, ways_out: Sequence[str]) -> None:
    """Refuse what would take more memory than it may.

    Raises
    ------
    MemoryBudgetError
        With what is asked for, the sizes, and the ways out.
    """
    if needed > allowed:
        raise MemoryBudgetError(
            f"{what} takes {in_words(needed)}, more than the {in_words(allowed)} that one answer "
            f"may take. {' '.join([*ways_out, 'Or allow'])} more: lens.memory_budget = {needed:_} "
            "(bytes)."
        )
