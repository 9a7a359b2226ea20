"""AttentionLines in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maps import MAPS
from state import Page

from glasshead import AttentionLines

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FANS = 160
"""Maps with more have no recorded answers: pointing at them shows what the picture itself holds."""


def depends(_: AttentionLines) -> list[str]:
    """Name the traits that need other lines."""
    return ["kind", "layer", "unit"]


def questions(_: AttentionLines, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the tokens that may be pointed at."""
    counts = {side: len(synced["axes"][side]["labels"]) for side in ("query", "key")}
    if sum(counts.values()) <= MAX_FANS:
        for side, count in counts.items():
            for position in range(count):
                yield "fan", {"position": position, "side": side}


PAGE = Page(AttentionLines, MAPS, depends, questions, all_heads=True)
