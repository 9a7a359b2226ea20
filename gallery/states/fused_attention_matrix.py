"""FusedAttentionMatrix in the gallery."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from maps import MAPS
from state import Page

from glasshead import FusedAttentionMatrix

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CELLS = 256
"""Maps with more have no recorded answers: pointing at them shows what the picture itself holds."""


def depends(_: FusedAttentionMatrix) -> list[str]:
    """Name the traits that need another matrix."""
    return ["kind", "layer", "heads", "unit", "aggregate"]


def questions(
    _: FusedAttentionMatrix, synced: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the cells that may be pointed at."""
    rows, columns = (range(len(synced["axes"][side]["labels"])) for side in ("query", "key"))
    if len(rows) * len(columns) <= MAX_CELLS:
        for row, column in itertools.product(rows, columns):
            yield "cell", {"query": row, "key": column}


PAGE = Page(FusedAttentionMatrix, MAPS, depends, questions)
