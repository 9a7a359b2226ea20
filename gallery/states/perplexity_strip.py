"""PerplexityStrip in the gallery."""

from __future__ import annotations

import traces as of
from state import Page, State

from glasshead import PerplexityStrip

STATES = [
    State(name="tokens", trace=of.short),
    State(name="hovered", trace=of.short, traits={"hovered": 3}),
    State(name="pinned-rank", trace=of.short, traits={"measure": "rank", "selected": [3]}),
    State(name="first-token", trace=of.short, traits={"hovered": 0}, width=700),
    State(name="many-tokens", trace=of.long, traits={"measure": "perplexity"}, width=1200),
    State(name="lines", trace=of.lined, traits={"measure": "probability"}, width=700),
    State(name="generated", trace=of.generated, traits={"measure": "entropy"}),
    State(
        name="cross-attention",
        trace=of.translated,
        traits={"kind": "cross", "layer": 1, "heads": [1], "hovered": 3},
        pictures=True,
        note="The hovered word of the target lights the source words that its row looks at.",
    ),
    State(name="words", trace=of.short, traits={"unit": "word", "selected": [9]}),
    State(name="right-to-left", trace=of.rtl, traits={"hovered": 12}, width=700),
    State(name="cjk", trace=of.cjk, traits={"hovered": 12}, width=700),
    State(name="untrusted-text", trace=of.hostile, traits={"hovered": 5}, width=700),
    State(name="encoder", trace=of.encoder, width=700),
    State(name="sentence-pair", trace=of.pair, width=700),
    State(name="one-token", trace=of.one_token, width=600),
    State(name="narrow", trace=of.short, traits={"selected": [3]}, width=420),
    State(name="error", trace=of.short, set={"error": of.WRONG_LAYER}, width=700),
    State(name="busy", trace=of.short, set={"busy": "scoring window 2 of 5"}, width=700),
    State(name="no-kernel", trace=of.short, status="no kernel", width=700),
]


def depends(view: PerplexityStrip) -> list[str]:
    """Name the traits that need another strip: with cross-attention, what lights the source."""
    return ["layer", "heads"] if "cross" in view.trace.kinds else []


PAGE = Page(PerplexityStrip, STATES, depends)
