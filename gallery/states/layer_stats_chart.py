"""LayerStatsChart in the gallery."""

from __future__ import annotations

from functools import cache

import traces as of
from state import Page, State

from glasshead import LayerStatsChart
from glasshead_backend.demo import DECODER_TEXT

STATES = [
    State(name="two-layers", trace=of.short, width=600),
    State(name="two-layers-hovered", trace=of.short, traits={"hovered": 3}, width=600),
    State(name="twelve-layers", trace=cache(lambda: of.untrained(12, 12).trace(DECODER_TEXT))),
    State(name="many-layers", trace=of.many_layers, traits={"layer": 17}, width=1200),
    State(name="many-layers-log", trace=of.many_layers, traits={"layer": 17, "scale": "log"}),
    State(name="many-layers-token", trace=of.many_layers, traits={"layer": 3, "selected": [0]}),
    State(
        name="decoder-with-cross",
        trace=of.translated,
        traits={"kind": "cross", "layer": 1},
        pictures=True,
    ),
    State(name="narrow", trace=of.translated, traits={"kind": "cross"}, width=420),
    State(name="narrow-many", trace=of.many_layers, traits={"layer": 17}, width=420),
    State(name="error", trace=of.short, set={"error": of.WRONG_LAYER}, width=600),
    State(name="busy", trace=of.short, set={"busy": "computing norms"}, width=600),
    State(name="no-kernel", trace=of.short, status="no kernel", width=600),
]


def depends(_: LayerStatsChart) -> list[str]:
    """Name the trait that needs another chart: the stack."""
    return ["kind"]


PAGE = Page(LayerStatsChart, STATES, depends)
