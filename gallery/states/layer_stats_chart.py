"""LayerStatsChart in the gallery."""

from __future__ import annotations

from functools import cache

import traces as of
from state import Page, State

from glasshead import LayerStatsChart, Lens, LogitContribution, Probed, Trace, probe
from glasshead_backend.demo import DECODER_TEXT

NOUNS = ("whale", "boat", "hand", "eye", "ship")


def number_of_the_first_noun(trace: Trace) -> Probed:
    """Return what probes read at the last word of a few sentences."""
    assert isinstance(trace.lens, Lens)
    ends = {"": "one", "s": "many"}
    pairs = [(first, last) for first in NOUNS for last in NOUNS if first != last]
    texts = {f"The {a}{end} near the {b}": many for a, b in pairs for end, many in ends.items()}
    return probe(trace.lens, list(texts), list(texts.values()), unit="text", take="last")


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
    State(
        name="probe",
        shown=of.short,
        traits={"metric": number_of_the_first_noun, "layer": 1},
        width=800,
        note="control hatched, majority flat; a layer by label",
    ),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=600),
    State(name="busy", shown=of.short, set={"busy": "computing norms"}, width=600),
    State(name="no-kernel", shown=of.short, status="no kernel", width=600),
]


def depends(_: LayerStatsChart) -> list[str]:
    """Name the trait that needs another chart: the stack."""
    return ["kind"]


PAGE = Page(LayerStatsChart, STATES, depends)
