"""ActivationMap in the gallery."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traces as of
from state import Page, State

from glasshead import ActivationMap

if TYPE_CHECKING:
    from collections.abc import Iterator


def depends(_: ActivationMap) -> list[str]:
    """Name the traits that need another map."""
    return ["kind", "layer", "block", "sort"]


def questions(_: ActivationMap, synced: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the columns of pinned dimensions where the picture is pooled."""
    frame = synced["frame"]
    if frame["per_row"] * frame["per_column"] == 1 or synced["sort"] != "dimension":
        return
    for dimension in synced["dimensions"]:
        place = {"column0": dimension, "column1": dimension + 1}
        yield "tile", {"row0": 0, "row1": frame["tokens"], **place}


STATES = [
    State(
        name="decoder",
        shown=of.short,
        traits={"layer": 1},
        pictures=True,
        watched=("dark",),
        note="Tokens × dimensions of the residual stream; bars above and beside it.",
    ),
    State(
        name="pinned",
        shown=of.short,
        traits={"layer": 1, "sort": "largest", "selected": [3], "dimensions": [5, 40]},
        watched=("light",),
        note="Pinned dimensions are drawn along the text.",
    ),
    State(
        name="clustered",
        shown=of.long,
        traits={"layer": 1, "block": "mlp", "sort": "cluster"},
        width=1200,
        note="Dimensions that rise and fall together stand side by side.",
    ),
    State(
        name="narrow",
        shown=of.short,
        traits={"layer": 1, "dimensions": [7]},
        width=420,
        watched=("light",),
    ),
    State(
        name="translation",
        shown=of.translated,
        traits={"kind": "encoder", "block": "embedding", "selected_source": [2]},
        width=660,
        note="Rows are the source's tokens.",
    ),
    State(name="long", shown=of.long, traits={"layer": 0, "dimensions": [3]}, width=900),
    State(name="rtl", shown=of.rtl, traits={"layer": 1, "dimensions": [3]}, width=660),
    State(name="hostile", shown=of.hostile, traits={"layer": 0, "dimensions": [0]}, width=660),
    State(name="one-token", shown=of.one_token, traits={"layer": 0}, width=660),
    State(name="fixed-height", shown=of.long, traits={"height": 420, "dimensions": [1]}),
    State(
        name="no-kernel",
        shown=of.short,
        traits={"layer": 1},
        status="no kernel",
        width=660,
    ),
]

PAGE = Page(ActivationMap, STATES, depends, questions)
