"""The states that both views of an attention map are shown in."""

from __future__ import annotations

import traces as of
from state import State

MAPS = [
    State(
        name="tokens",
        shown=of.short,
        traits={"layer": 1, "unit": "token"},
        pictures=True,
        note="All layers, heads and units are recorded here: try the controls.",
        watched=("light",),
    ),
    State(
        name="induction-head",
        shown=of.repeated,
        traits={
            "layer": 1,
            "heads": of.induction_head,
            "unit": "token",
            "hovered": of.induction_token,
        },
        note="A head that looks at what came after the same token last time.",
        watched=("light",),
    ),
    State(name="many-tokens", shown=of.long, traits={"layer": 1, "unit": "token"}, width=1200),
    State(
        name="words",
        shown=of.short,
        traits={"layer": 1, "unit": "word", "selected": [9]},
        watched=("dark",),
    ),
    State(name="one-head", shown=of.one_head, traits={"layer": 1, "unit": "word"}),
    State(
        name="cross-attention",
        shown=of.translated,
        traits={"kind": "cross", "layer": 1, "heads": [1], "selected": [3]},
        pictures=True,
        note="Rows are named by the word that they predict.",
        watched=("light",),
    ),
    State(name="encoder", shown=of.translated, traits={"kind": "encoder", "hovered_source": 2}),
    State(name="sentence-pair", shown=of.pair, traits={"unit": "word"}, width=700),
    State(name="right-to-left", shown=of.rtl, traits={"layer": 1, "unit": "word"}),
    State(name="cjk", shown=of.cjk, traits={"layer": 1, "unit": "word"}),
    State(name="untrusted-text", shown=of.hostile, traits={"layer": 1, "unit": "word"}),
    State(
        name="narrow",
        shown=of.short,
        traits={"layer": 1, "unit": "word"},
        width=420,
        watched=("light",),
    ),
    State(name="one-token", shown=of.one_token, width=600),
    State(name="error", shown=of.translated, set={"error": of.WRONG_LAYER}, width=600),
    State(name="busy", shown=of.translated, set={"busy": "computing layer 1"}, width=600),
    State(name="no-kernel", shown=of.translated, status="no kernel", width=600),
]
