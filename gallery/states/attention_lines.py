"""AttentionLines in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces as of
from maps import MAPS
from state import Page, State

from glasshead import AttentionLines, StoryStep

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FANS = 160
"""Maps with more have no recorded answers: pointing at them shows what the picture itself holds."""


def depends(_: AttentionLines) -> list[str]:
    """Name the traits that need other lines."""
    return ["kind", "layer", "unit", "heads", "aggregate"]


def questions(_: AttentionLines, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the tokens that may be pointed at."""
    counts = {side: len(synced["axes"][side]["labels"]) for side in ("query", "key")}
    if sum(counts.values()) <= MAX_FANS:
        for side, count in counts.items():
            for position in range(0, count, synced["frame"]["together"][side]):
                yield "fan", {"position": position, "side": side}


OWN = [
    State(
        name="story",
        shown=of.short,
        told=(
            StoryStep("All heads of the first layer together.", {"layer": 0, "heads": []}),
            StoryStep(
                "One head of the second layer.",
                {"layer": 1, "heads": [0]},
                ask="What would you call it?",
                answer=["previous token", "previous-token head"],
            ),
        ),
        at=1,
    ),
    State(
        name="each-head",
        shown=of.short,
        traits={"layer": 1, "heads": [0, 1, 2, 3, 4, 5], "aggregate": "separate"},
    ),
    State(name="all-off", shown=of.short, traits={"layer": 1, "blank": True, "selected": [9, 20]}),
    State(
        name="two-pinned",
        shown=of.short,
        traits={"layer": 1, "unit": "word", "selected": [9, 20], "hovered": 30},
    ),
    State(name="hovered-key", shown=of.translated, traits={"kind": "cross", "hovered_source": 2}),
    State(
        name="rows",
        shown=of.short,
        traits={"layer": 1, "unit": "word", "orientation": "horizontal", "selected": [20]},
    ),
    State(name="one-sentence-to-one", shown=of.pair, traits={"sentences": "AB"}, width=700),
    State(name="sinks-shown", shown=of.short, traits={"layer": 1, "sinks": "shown"}),
]

PAGE = Page(AttentionLines, [*MAPS, *OWN], depends, questions)
