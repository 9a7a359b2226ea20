"""PerplexityStrip in the gallery."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import PerplexityStrip, StoryStep, fit_lens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glasshead import FittedLens, Trace


def after_others(trace: Trace) -> Trace:
    """Return the same words after others."""
    return trace.lens.trace(f"Stubb saw the boat. {trace.text}")


def gone_on(trace: Trace) -> Trace:
    """Return the text as the model goes on from another word."""
    return trace.continue_with(3, trace.top_k(3, 3)["id"].iloc[-1], max_new_tokens=12)


SENTENCES = [
    f"The {old} {whale} {saw} the {sea} and the {ship} at night."
    for old in ("old", "white", "great")
    for whale in ("whale", "captain", "sailor")
    for saw in ("saw", "left", "loved")
    for sea, ship in (("sea", "ship"), ("boat", "crew"))
]


@cache
def lenses() -> tuple[FittedLens, FittedLens]:
    """Fit a Jacobian lens and a tuned one to the demo model."""
    lens: Any = of.short().lens
    tuned = fit_lens(lens, SENTENCES, n_steps=25, learning_rate=0.01, batch_size=2)
    return fit_lens(lens, SENTENCES, "jacobian", n_samples=4), tuned


STATES = [
    State(name="tokens", shown=of.short),
    State(name="hovered", shown=of.short, traits={"hovered": 3}, watched=("light",)),
    State(name="pinned-rank", shown=of.short, traits={"measure": "rank", "selected": [3]}),
    State(name="first-token", shown=of.short, traits={"hovered": 0}, width=700),
    State(
        name="many-tokens",
        shown=of.long,
        traits={"measure": "perplexity"},
        width=1200,
        watched=("light",),
    ),
    State(name="lines", shown=of.lined, traits={"measure": "probability"}, width=700),
    State(name="generated", shown=of.generated, traits={"measure": "entropy"}, watched=("dark",)),
    State(
        name="cross-attention",
        shown=of.translated,
        traits={"kind": "cross", "layer": 1, "heads": [1], "hovered": 3},
        pictures=True,
        note="The hovered word of the target lights the source words that its row looks at.",
        watched=("light",),
    ),
    State(name="words", shown=of.short, traits={"unit": "word", "selected": [9]}),
    State(name="right-to-left", shown=of.rtl, traits={"hovered": 12}, width=700),
    State(name="cjk", shown=of.cjk, traits={"hovered": 12}, width=700),
    State(name="untrusted-text", shown=of.hostile, traits={"hovered": 5}, width=700),
    State(name="encoder", shown=of.encoder, width=700),
    State(name="sentence-pair", shown=of.pair, width=700),
    State(name="one-token", shown=of.one_token, width=600),
    State(name="narrow", shown=of.short, traits={"selected": [3]}, width=420, watched=("light",)),
    State(
        name="story",
        shown=of.short,
        told=(
            StoryStep(
                "Every token is coloured by how much it surprised the model: the more it stands "
                "out, the less it was expected.",
                ask="When the model gives the right token a probability of one half, how many bits "
                "is it surprised by?",
                answer="1 bit",
                choices=("0.5 bits", "1 bit", "2 bits"),
                because="The surprisal is minus the binary logarithm of the probability.",
            ),
            StoryStep(
                "The same by rank: 1 where the model's first guess was right.", {"measure": "rank"}
            ),
        ),
        width=420,
        watched=("light",),
    ),
    State(
        name="layers",
        shown=of.short,
        traits={"reading": "layers", "selected": [3]},
        watched=("light",),
    ),
    State(
        name="layers-fitted",
        shown=of.short,
        traits={"fitted": lambda _: lenses(), "reading": "layers", "selected": [3]},
        note="Layers read by a lens that was fitted to the model, beside the logit lens.",
    ),
    State(
        name="layers-fitted-narrow",
        shown=of.short,
        traits={
            "fitted": lambda _: lenses(),
            "reading": "layers",
            "reading_lens": "tuned",
            "selected": [3],
        },
        width=420,
    ),
    State(
        name="distribution",
        shown=of.short,
        traits={
            "reading": "distribution",
            "selected": [3],
            "temperature": 0.7,
            "sample_k": 50,
            "sample_p": 0.9,
        },
        watched=("light",),
    ),
    State(
        name="distribution-by-id",
        shown=of.short,
        traits={"reading": "distribution", "selected": [3], "by_id": True},
    ),
    State(
        name="layers-narrow",
        shown=of.short,
        traits={"reading": "layers", "trajectory": "rank", "selected": [3]},
        width=420,
    ),
    State(
        name="distribution-narrow",
        shown=of.short,
        traits={"reading": "distribution", "selected": [3], "sample_k": 10},
        width=420,
    ),
    State(
        name="continued",
        shown=lambda: gone_on(of.short()),
        traits={"reading": "distribution", "selected": [3], "temperature": 1.4, "sample_p": 0.5},
        set={"continued": [{"position": 3, "token": " sea"}]},
    ),
    State(
        name="fixed-height",
        shown=of.short,
        traits={"reading": "layers", "selected": [3], "height": 420},
        width=700,
    ),
    State(
        name="compared",
        shown=of.short,
        traits={"compare": after_others, "hovered": 6},
        watched=("light",),
    ),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=700),
    State(name="busy", shown=of.short, set={"busy": "scoring window 2 of 5"}, width=700),
    State(name="no-kernel", shown=of.short, status="no kernel", width=700),
]


def depends(view: PerplexityStrip) -> list[str]:
    """Name the traits that need another strip: with cross-attention, what lights the source."""
    return ["layer", "heads"] if "cross" in view.trace.kinds else []


def questions(_: PerplexityStrip, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List what the panel asks of the pinned token."""
    if not synced["selected"]:
        return
    position = synced["selected"][-1]
    if synced["reading"] == "layers":
        followed = ",".join(map(str, synced["followed"]))
        lens = synced["reading_lens"]
        yield "layer_readings", {"position": position, "followed": followed, "lens": lens}
    if synced["reading"] == "distribution":
        sampling = {name: synced[name] for name in ("temperature", "sample_k", "sample_p")}
        yield "distribution", {"position": position, **sampling}


PAGE = Page(PerplexityStrip, STATES, depends, questions)
