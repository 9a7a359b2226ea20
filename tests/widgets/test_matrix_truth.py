"""What the built matrix says of cells, read out of its page, against the model's own weights."""

from __future__ import annotations

import random
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from glasshead import FusedAttentionMatrix
from widgets.aloud import Page, holds, said_by

if TYPE_CHECKING:
    from glasshead import Trace

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not here")

N_CELLS = 67
"""Of each of three models: two hundred in all."""


@pytest.mark.parametrize("name", ["decoder_trace", "translation", "encoder_trace"])
def test_what_is_said_of_random_cells_is_what_the_model_computes(
    name: str, request: pytest.FixtureRequest
) -> None:
    trace: Trace = request.getfixturevalue(name)
    dice = random.Random(4)  # noqa: S311  no secrets here
    pages, true = [], []
    for _ in range(N_CELLS):
        kind = dice.choice(trace.kinds)
        layer = dice.choice(trace.layers(kind))
        head = dice.randrange(trace.n_heads(layer, kind))
        weights = trace.attention(layer, [head], kind=kind)[0]
        row = dice.randrange(weights.shape[0])
        column = dice.randrange(int((weights[row] > 0).sum()))
        view = FusedAttentionMatrix(trace, kind=kind, layer=layer, heads=[head], unit="token")
        true.append((weights[row].double().numpy(), column))
        pages.append(pinned_page(view, row, column))
    for said, (weights, column) in zip(said_by(pages), true, strict=True):
        (value,), facts = said[-1]["value"], " ".join(said[-1]["facts"])
        assert holds(value, weights[column]), (value, weights[column])
        rank, n = re.findall(r"rank (\d+) of (\d+)", facts)[0]
        assert int(rank) == 1 + (weights > weights[column]).sum()
        assert int(n) == (weights > 0).sum()


def pinned_page(view: FusedAttentionMatrix, row: int, column: int) -> Page:
    """A page on which a cell is pinned."""
    view.pinned = [row, column]
    # The page asks for the block of cells that it is in.
    first = {
        side: at - at % view.frame["together"][side]
        for side, at in (("query", row), ("key", column))
    }
    read: dict[str, Any] = {"value": ".fm-value", "facts": ".fm-cell .gh-caption"}
    return Page(view, read, [{"set": {}}], [("cell", first)])
