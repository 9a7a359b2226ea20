"""LayerStatsChart in the gallery."""

from __future__ import annotations

from functools import cache

import traces as of
from state import Page, State

from glasshead import LayerStatsChart, LogitContribution
from glasshead_backend.demo import DECODER_TEXT

STATES = [
    State(name="two-layers", shown=of.short, width=600),
    State(
        name="two-layers-hovered",
        shown=of.short,
        traits={"hovered": 3},
        width=600,
        watched=("light",),
    ),
    State(
        name="twelve-layers",
        shown=cache(lambda: of.untrained(12, 12).trace(DECODER_TEXT)),
        watched=("dark",),
    ),
    State(name="many-layers", shown=of.many_layers, traits={"layer": 17}, width=1200),
    State(
        name="many-layers-log",
        shown=of.many_layers,
        traits={"layer": 17, "scale": "log"},
        watched=("light",),
    ),
    State(name="many-layers-token", shown=of.many_layers, traits={"layer": 3, "selected": [0]}),
    State(name="logit", shown=of.many_layers, traits={"metric": LogitContribution(), "layer": 17}),
    State(
        name="logit-heads",
        shown=of.many_layers,
        traits={"metric": LogitContribution(), "quantity": "heads", "layer": 17},
    ),
    State(
        name="decoder-with-cross",
        shown=of.translated,
        traits={"kind": "cross", "layer": 1},
        pictures=True,
    ),
    State(
        name="narrow", shown=of.translated, traits={"kind": "cross"}, width=420, watched=("light",)
    ),
    State(name="narrow-many", shown=of.many_layers, traits={"layer": 17}, width=420),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=600),
    State(name="busy", shown=of.short, set={"busy": "computing norms"}, width=600),
    State(name="no-kernel", shown=of.short, status="no kernel", width=600),
]


def depends(_: LayerStatsChart) -> list[str]:
    """Name the trait that needs another chart: the stack."""
    return ["kind"]


PAGE = Page(LayerStatsChart, STATES, depends)
