"""HeadFinder in the gallery."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import HeadFinder, LogitContribution
from glasshead_backend.demo import DECODER_TEXT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glasshead import HeadAtlas, Trace

many = cache(lambda: of.untrained(24, 16).trace(DECODER_TEXT))


def _atlas_beside(_: Trace) -> HeadAtlas:
    return of.atlas()


STATES = [
    State(
        name="patterns",
        shown=of.long,
        traits={"layer": 1, "heads": [1]},
        pictures=True,
        watched=("light",),
    ),
    State(name="cross-attention", shown=of.translated, traits={"layer": 1}, pictures=True),
    State(name="encoder", shown=of.translated, traits={"kind": "encoder"}),
    State(name="many-heads", shown=many, traits={"layer": 7, "heads": [3]}),
    State(name="many-heads-wide", shown=many, traits={"layer": 7, "heads": [3, 4]}, width=1240),
    State(
        name="metric",
        shown=many,
        traits={"mode": "metric", "metric": "entropy", "layer": 2},
        watched=("light",),
    ),
    State(
        name="logit-contribution",
        shown=of.long,
        traits={
            "mode": "metric",
            "more_metrics": [LogitContribution()],
            "metric": "logit_contribution",
            "layer": 1,
        },
    ),
    State(
        name="metric-filtered",
        shown=many,
        traits={"mode": "metric", "metric": "distance", "at_least": 12.0, "layer": 2},
    ),
    State(name="highest-first", shown=many, traits={"metric": "induction", "sort": "highest"}),
    State(
        name="highest-first-metric",
        shown=many,
        traits={"mode": "metric", "sort": "highest", "only_layers": list(range(8))},
    ),
    State(
        name="scatter",
        shown=many,
        traits={"mode": "scatter", "layer": 7, "heads": [3]},
        watched=("dark",),
    ),
    State(name="scatter-without-values", shown=of.one_token, traits={"mode": "scatter"}),
    State(name="one-token", shown=of.one_token, width=600),
    State(name="narrow", shown=many, traits={"layer": 7, "heads": [3]}, width=420),
    State(name="narrow-scatter", shown=many, traits={"mode": "scatter"}, width=420),
    State(name="fixed-height", shown=many, traits={"height": 420}),
    State(
        name="atlas",
        shown=of.atlas,
        traits={"metric": "induction", "layer": 1, "heads": [3]},
        watched=("light", "dark"),
        note="Many texts: means with intervals, and rows of the head that is selected.",
    ),
    State(name="atlas-wide", shown=of.atlas, traits={"metric": "induction"}, width=1200),
    State(
        name="atlas-narrow",
        shown=of.atlas,
        traits={"metric": "induction", "layer": 1, "heads": [3]},
        width=420,
        watched=("light",),
    ),
    State(
        name="atlas-scatter",
        shown=of.atlas,
        traits={"mode": "scatter", "layer": 0, "heads": [5]},
        watched=("light",),
        note="Each dot with the interval of both numbers.",
    ),
    State(
        name="atlas-by-low-end",
        shown=of.atlas,
        traits={"metric": "induction", "sort": "highest", "by": "low", "at_least": 0.25},
    ),
    State(
        name="atlas-and-text",
        shown=of.repeated,
        traits={"atlas": _atlas_beside, "metric": "induction", "layer": 1, "heads": [4]},
        width=1200,
        note="Patterns of one text, numbers of many; a tick is this text.",
    ),
    State(name="atlas-cross", shown=of.crossing_atlas, traits={"layer": 1, "heads": [1]}),
    State(
        name="atlas-of-any-text",
        shown=of.hostile_atlas,
        traits={"metric": "previous_token", "layer": 0, "heads": [5]},
        note="Markup stays text, a text that cannot be read is said.",
    ),
    State(name="atlas-of-many-heads", shown=of.deep_atlas, traits={"metric": "sink"}),
    State(name="atlas-fixed-height", shown=of.atlas, traits={"height": 560}),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=600),
    State(
        name="first-picture", shown=of.short, set={"busy": "computing all heads: 40%", "frame": {}}
    ),
    State(name="no-kernel", shown=of.short, status="no kernel", width=600),
]


def depends(_: HeadFinder) -> list[str]:
    """Name the traits that need other patterns."""
    return ["kind", "unit"]


def questions(view: HeadFinder, _: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the heads that may be looked at, where they are few."""
    if view.mode != "patterns":
        return
    kind: Any = view.kind
    heads = [
        (n, head) for n in view.trace.layers(kind) for head in range(view.trace.n_heads(n, kind))
    ]
    if len(heads) <= 32:  # noqa: PLR2004
        for layer, head in heads:
            yield "pattern", {"layer": layer, "head": head}


PAGE = Page(HeadFinder, STATES, depends, questions)
