"""Explorer in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces
from state import Page, State

from glasshead import Explorer, StoryStep

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURED = ("axes", "lines_frame", "matrix_frame", "strip_frame", "chart_frame", "chart_detail")


def depends(_: Explorer) -> list[str]:
    """Name the traits that need other pictures."""
    return ["kind", "layer", "heads", "unit", "off", "off_how"]


def questions(_: Explorer, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List what pointing at a token asks."""
    # A pane that is not shown has not been drawn.
    for side, together in synced["lines_frame"].get("together", {}).items():
        n_units = min(24, len(synced["axes"][side]["labels"]))
        for position in range(0, n_units, together):
            yield "lines.fan", {"position": position, "side": side}


STATES = [
    State(
        "short-1400",
        traces.short,
        width=1400,
        note="Two columns that end together.",
        watched=("light",),
    ),
    State("short-800", traces.short, width=800),
    State("short-420", traces.short, width=420, note="One below the other.", watched=("light",)),
    State("long-1400", traces.long, {"layer": 1}, width=1400),
    State("long-800", traces.long, {"layer": 1}, width=800),
    State(
        "translation-1400",
        traces.translated,
        {"layer": 1},
        width=1400,
        pictures=True,
        note="All layers, heads and units are recorded.",
    ),
    State("translation-420", traces.translated, {"layer": 1}, width=420),
    State("large", traces.translated, {"large": "lines"}, width=1000),
    State(
        "story",
        traces.translated,
        width=1000,
        told=(
            StoryStep(
                "Adjective and noun change places between English and French.\n\n"
                "Follow the lines between the two columns.",
                {"kind": "cross", "layer": 1, "panes": ["lines", "matrix"]},
                ask="Which source word does the first predicted word look at most?",
                answer=[0],
                where="source",
            ),
            StoryStep("The other layer.", {"kind": "cross", "layer": 0}),
        ),
        note="A question that waits for a click.",
        watched=("light", "dark"),
    ),
    State("two-panes", traces.short, {"panes": ["matrix", "strip"]}, width=1000),
    State("hovered", traces.translated, {"layer": 1, "hovered": 3, "selected": [5]}, width=1000),
    State(
        "heads-off-1400",
        traces.repeated,
        {"off": [(0, 1), (0, 4), (1, 3)]},
        width=1400,
        note="The run without three heads, one of them in the other layer.",
        watched=("light",),
    ),
    State(
        "heads-off-420",
        traces.repeated,
        {"off": [(0, 1), (0, 4), (1, 3)], "panes": ["strip"]},
        width=420,
        watched=("light",),
    ),
    State(
        "heads-off-translation",
        traces.translated,
        {"off": [("encoder", 0, 3), ("cross", 1, 2)], "layer": 1, "off_how": "mean"},
        width=1000,
    ),
    State("busy", traces.short, set={"busy": "drawing the matrix: 40%"}, width=1000),
    State("error", traces.short, set={"error": traces.WRONG_LAYER}, width=800),
    State("no-kernel", traces.short, width=800, status="no kernel"),
    State(
        "first",
        traces.short,
        set={
            "busy": "drawing the lines",
            "lines_frame": {},
            "matrix_frame": {},
            "strip_frame": {},
            "chart_frame": {},
            "chart_detail": {},
        },
        width=1000,
        note="Before the first pictures are there.",
    ),
]
PAGE = Page(Explorer, STATES, depends, questions, pictured=PICTURED)
