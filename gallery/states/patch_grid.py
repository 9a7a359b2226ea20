"""PatchGrid in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import PatchGrid

if TYPE_CHECKING:
    from collections.abc import Iterator


def depends(_: PatchGrid) -> list[str]:
    """Name the traits that need other patched runs."""
    return ["kind", "what", "position", "token", "against", "quantity"]


def questions(_: PatchGrid, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List what the tokens that can be asked for need."""
    if "about" in synced["frame"]:
        yield "expected", {"position": synced["frame"]["about"]["position"], "k": 5}


STATES = [
    State(
        name="induction",
        shown=of.induction_pair,
        pictures=True,
        watched=("light",),
        note="A word of the first line is another one: what comes again in the second is, too.",
    ),
    State(
        name="heads",
        shown=of.induction_pair,
        traits={"what": "head"},
        watched=("light",),
        note="One head brings the answer back.",
    ),
    State(
        name="chosen",
        shown=of.induction_pair,
        traits={"what": "attention", "cell": [1, 20]},
        watched=("dark",),
    ),
    State(
        name="translation",
        shown=of.translated_pair,
        traits={"kind": "encoder", "what": "residual"},
        width=660,
        watched=("light",),
        note="Columns are the source's tokens: all of it passes the one that differs.",
    ),
    State(
        name="cross",
        shown=of.translated_pair,
        traits={"kind": "cross", "what": "head"},
        width=660,
    ),
    State(name="narrow", shown=of.induction_pair, width=420, watched=("light",)),
    State(
        name="some-tokens",
        shown=of.induction_pair,
        traits={"positions": [8, 9, 20], "token": " sea", "quantity": "logit"},
        width=660,
    ),
    State(name="many-layers", shown=of.deep_pair, width=900),
    State(name="rtl", shown=of.rtl_pair, width=660),
    State(name="hostile", shown=of.hostile_pair, width=660),
    State(name="fixed-height", shown=of.deep_pair, traits={"height": 520}),
    State(
        name="first-picture",
        shown=of.induction_pair,
        set={"busy": "patching: layer 1 of 2", "frame": {}},
        width=660,
    ),
    State(name="no-kernel", shown=of.induction_pair, status="no kernel", width=660),
]

PAGE = Page(PatchGrid, STATES, depends, questions)
