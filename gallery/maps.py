"""The states that both views of an attention map are shown in."""

from __future__ import annotations

import traces as of
from state import State

MAPS = [
    State(
        name="tokens",
        trace=of.short,
        traits={"layer": 1, "unit": "token"},
        pictures=True,
        note="All layers, heads and units are recorded here: try the controls.",
    ),
    State(
        name="induction-head",
        trace=of.repeated,
        traits={
            "layer": 1,
            "heads": of.induction_head,
            "unit": "token",
            "hovered": of.induction_token,
        },
        note="A head that looks at what came after the same token last time.",
    ),
    State(name="many-tokens", trace=of.long, traits={"layer": 1, "unit": "token"}, width=1200),
    State(name="words", trace=of.short, traits={"layer": 1, "unit": "word", "selected": [9]}),
    State(name="one-head", trace=of.one_head, traits={"layer": 1, "unit": "word"}),
    State(
        name="cross-attention",
        trace=of.translated,
        traits={"kind": "cross", "layer": 1, "heads": [1], "selected": [3]},
        pictures=True,
        note="Rows are named by the word that they predict.",
    ),
    State(name="encoder", trace=of.translated, traits={"kind": "encoder", "hovered_source": 2}),
    State(name="sentence-pair", trace=of.pair, traits={"unit": "word"}, width=700),
    State(name="right-to-left", trace=of.rtl, traits={"layer": 1, "unit": "word"}),
    State(name="cjk", trace=of.cjk, traits={"layer": 1, "unit": "word"}),
    State(name="untrusted-text", trace=of.hostile, traits={"layer": 1, "unit": "word"}),
    State(name="narrow", trace=of.short, traits={"layer": 1, "unit": "word"}, width=420),
    State(name="one-token", trace=of.one_token, width=600),
    State(name="error", trace=of.translated, set={"error": of.WRONG_LAYER}, width=600),
    State(name="busy", trace=of.translated, set={"busy": "computing layer 1"}, width=600),
    State(name="no-kernel", trace=of.translated, status="no kernel", width=600),
]
