"""FusedAttentionMatrix in the gallery."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import traces as of
from maps import MAPS
from state import Page, State

from glasshead import FusedAttentionMatrix

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CELLS = 256
"""Maps with more have no recorded answers: pointing at them shows what the picture itself holds."""


def depends(_: FusedAttentionMatrix) -> list[str]:
    """Name the traits that need another matrix."""
    shown = ["kind", "layer", "heads", "unit", "aggregate", "sinks"]
    return [*shown, "normalise", "hide_special", "scores", "compare"]


def questions(
    _: FusedAttentionMatrix, synced: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the cells that may be pointed at."""
    counts = {side: len(synced["axes"][side]["labels"]) for side in ("query", "key")}
    if counts["query"] * counts["key"] <= MAX_CELLS:
        together = synced["frame"]["together"]
        parts = (range(0, n, together[side]) for side, n in counts.items())
        for row, column in itertools.product(*parts):
            yield "cell", {"query": row, "key": column}


OWN = [
    State(
        name="compared-heads",
        shown=of.short,
        traits={"layer": 1, "heads": [0], "compare": {"heads": [1]}},
        note="Orange: more in the first head; blue: more in the second.",
    ),
    State(
        name="pinned-pair",
        shown=of.long,
        traits={"layer": 1, "unit": "word", "pinned": [40, 36]},
        width=660,
        note="Its row and its column are one mark, and its value stays.",
    ),
    State(
        name="sinks-aside",
        shown=of.long,
        traits={"layer": 0, "unit": "word", "sinks": "aside"},
        width=1200,
        note="Columns that nearly every row looks at stand apart.",
    ),
    State(
        name="without-special-tokens",
        shown=of.pair,
        traits={"unit": "token", "hide_special": True, "normalise": True},
        width=660,
    ),
    State(
        name="scores",
        shown=of.short,
        traits={"unit": "token", "layer": 1, "heads": [3], "scores": True},
        width=660,
    ),
    State(
        name="colours-to-one",
        shown=of.short,
        traits={"layer": 1, "value_range": "fixed", "scale": "log"},
        width=660,
    ),
]

PAGE = Page(FusedAttentionMatrix, [*MAPS, *OWN], depends, questions)
