"""AttributionStrip in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import AttributionStrip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glasshead_backend import Trace


def _copied(trace: Trace) -> int:
    """Return a token that the induction head finds by its first time."""
    return of.induction_token(trace) + 1


def _second(trace: Trace) -> int:
    """Return the id of what the model would rather have said at token 9."""
    top = trace.top_k(9, 2)["id"].tolist()
    came = trace.tokens[9].id
    return next(one for one in top if one != came)


_INTEGRATED = {"method": "integrated_gradients", "steps": 20}

STATES = [
    State(
        name="next-token",
        shown=of.short,
        traits={"hovered": 3},
        pictures=True,
        watched=("light", "dark"),
    ),
    State(
        name="one-that-came",
        shown=of.repeated,
        traits={"position": _copied},
        note="A word that is said a second time: what stands before it counts, both times.",
        watched=("light",),
    ),
    State(
        name="several-targets",
        shown=of.short,
        traits={"targets": [3, 6], "position": 9, "hovered": 2},
        watched=("light",),
    ),
    State(name="against", shown=of.short, traits={"position": 9, "against": _second}),
    State(name="instead", shown=of.short, traits={"position": 9, "token": _second}),
    State(
        name="integrated",
        shown=of.short,
        traits={**_INTEGRATED, "position": 9},
        watched=("light",),
    ),
    State(
        name="does-not-add-up",
        shown=of.short,
        traits={**_INTEGRATED, "steps": 1, "position": 9},
        note="One step is too few: what is missing is said.",
        watched=("dark",),
    ),
    State(name="words", shown=of.short, traits={"unit": "word", "position": 9, "hovered": 4}),
    State(
        name="two-texts",
        shown=of.translated,
        traits={"position": 3, "quantity": "logit", "hovered_source": 2},
        watched=("light",),
    ),
    State(name="matrix", shown=of.short, traits={"show": "matrix"}, watched=("light",)),
    State(
        name="matrix-two-texts",
        shown=of.translated,
        traits={"show": "matrix", "quantity": "logit", "position": 3},
        watched=("light",),
    ),
    State(name="matrix-words", shown=of.short, traits={"show": "matrix", "unit": "word"}),
    State(name="long", shown=of.long, traits={"position": 60}),
    State(name="long-matrix", shown=of.long, traits={"show": "matrix"}),
    State(name="lines", shown=of.lined, width=700),
    State(name="generated", shown=of.generated, traits={"position": 12}),
    State(name="right-to-left", shown=of.rtl, width=700),
    State(name="cjk", shown=of.cjk, width=700),
    State(name="hostile", shown=of.hostile, traits={"position": 9}, width=700),
    State(name="one-token", shown=of.one_token, width=600),
    State(
        name="narrow",
        shown=of.repeated,
        traits={"position": _copied, "hovered": 2},
        width=420,
        watched=("light",),
    ),
    State(
        name="narrow-matrix",
        shown=of.translated,
        traits={"show": "matrix", "quantity": "logit"},
        width=420,
    ),
    State(name="fixed-height", shown=of.long, traits={"position": 60, "height": 320}),
    State(
        name="fixed-height-matrix",
        shown=of.short,
        traits={"show": "matrix", "height": 360},
    ),
    State(name="error", shown=of.short, set={"error": of.WRONG_LAYER}, width=700),
    State(
        name="busy", shown=of.short, set={"busy": "integrated gradients: step 20 of 50"}, width=700
    ),
    State(
        name="first-picture",
        shown=of.short,
        set={"busy": "integrated gradients: step 20 of 50", "frame": {}},
        width=700,
    ),
    State(name="no-kernel", shown=of.short, status="no kernel", width=700),
]


def depends(view: AttributionStrip) -> list[str]:
    """Name the traits that need other numbers."""
    return list(view.frame["key"])


def questions(_: AttributionStrip, state: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ask what else the model might have said, for the lists over the text."""
    frame = state["frame"]
    if frame:
        yield "top_k", {"position": frame["targets"][frame["current"]]["position"], "k": 10}


PAGE = Page(AttributionStrip, STATES, depends, questions)
