"""QueryKeyView in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traces as of
from state import Page, State

from glasshead import QueryKeyView

if TYPE_CHECKING:
    from glasshead_backend import Trace


def _looking(trace: Trace) -> int:
    """Find the token at which the induction head does most of what it does."""
    return of.induction_token(trace)


STATES = [
    State(
        name="self-attention",
        shown=of.repeated,
        traits={"layer": 1, "heads": of.induction_head, "query": _looking},
        pictures=True,
        watched=("light", "dark"),
    ),
    State(
        name="largest-first",
        shown=of.repeated,
        traits={
            "layer": 1,
            "heads": of.induction_head,
            "query": _looking,
            "sort": "largest",
            "rows": "strongest",
        },
        watched=("light",),
    ),
    State(
        name="cross-attention",
        shown=of.translated,
        traits={"kind": "cross", "layer": 1, "query": 4},
        watched=("light",),
    ),
    State(name="encoder", shown=of.translated, traits={"kind": "encoder", "query": 2}),
    State(
        name="several-heads",
        shown=of.short,
        traits={"layer": 1, "heads": [0, 1, 3]},
        watched=("dark",),
    ),
    State(name="all-heads", shown=of.translated, traits={"kind": "cross", "heads": []}),
    State(name="kept", shown=of.short, traits={"layer": 1, "query": 9, "key": 4}),
    State(name="hidden-keys", shown=of.short, traits={"layer": 1, "query": 5}),
    State(name="long", shown=of.long, traits={"layer": 1, "heads": [1]}),
    State(name="right-to-left", shown=of.rtl, traits={"layer": 1}),
    State(name="hostile", shown=of.hostile, traits={"layer": 1}),
    State(name="one-token", shown=of.one_token, width=600),
    State(name="wide", shown=of.repeated, traits={"layer": 1, "heads": [1, 2]}, width=1240),
    State(
        name="narrow",
        shown=of.repeated,
        traits={"layer": 1, "heads": of.induction_head, "query": _looking},
        width=420,
        watched=("light",),
    ),
    State(name="narrow-cross", shown=of.translated, traits={"kind": "cross"}, width=420),
    State(name="fixed-height", shown=of.long, traits={"layer": 1, "heads": [1, 2], "height": 420}),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=600),
    State(name="first-picture", shown=of.short, set={"busy": "computing scores: 40%", "frame": {}}),
    State(name="no-kernel", shown=of.short, status="no kernel", width=600),
]


def depends(_: QueryKeyView) -> list[str]:
    """Name the traits that need other products."""
    return ["kind", "layer", "heads", "query"]


PAGE = Page(QueryKeyView, STATES, depends)
