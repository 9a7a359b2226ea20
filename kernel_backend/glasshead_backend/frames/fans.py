"""What lit tokens look at: exact rows and columns of a map, neighbours together.

A pointer moves from a token to the next one. So an answer has as many neighbours as fit in it, and
most of its moves need none.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import positions
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.sentences import between
from glasshead_backend.frames.sinks import SinksPart
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Selection, Side
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.frames.sentences import Between, Sentences
    from glasshead_backend.frames.sinks import Wanted
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

ANSWER_BYTES = 128 << 10
"""Bytes that the answer to a pointer may take, unless a single unit takes more."""

_WEIGHT_BYTES = 4


def units_together(heads: AttentionMap, n_maps: int) -> dict[Side, int]:
    """Return of how many units of either side an answer has the fans.

    Parameters
    ----------
    heads : AttentionMap
        Each head by itself.
    n_maps : int
        Maps that are drawn of them.
    """
    rows, columns = heads.n_rows, heads.n_columns
    most = ANSWER_BYTES // (_WEIGHT_BYTES * (heads.n_maps + n_maps))
    return {
        "query": min(rows, max(1, most // max(1, columns))),
        "key": min(columns, max(1, most // max(1, rows))),
    }


@answered
def fans(
    trace: Trace,
    asked: Selection,
    sinks: Wanted,
    position: int,
    side: Side,
    sentences: Sentences = "all",
    *,
    most: int | None = None,
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Return the exact weights of a unit, and of those after it that fit into the answer.

    Only the rows of these units are computed, or all rows in blocks for columns. For words the same
    rule holds as for whole maps: sum over a word's key tokens, mean over its query tokens.

    Parameters
    ----------
    trace : Trace
    asked : Selection
    sinks : {"auto", "aside", "shown", "hidden"}
        What the picture does with sinks.
    position : int
        The first unit.
    side : {"query", "key"}
        Rows, what units look at, or columns, what looks at them.
    sentences : {"all", "AA", "BB", "AB", "BA"}
        Of a pair, whose attention to which is drawn; all else has no weight.
    most : int, optional
        Units at most, where fewer are wanted than fit.

    Returns
    -------
    result : dict
        ``position`` and ``side`` as they were asked for.
    arrays : dict
        ``weights`` ``[units, heads, others]`` of each head by itself, ``drawn`` ``[units, maps,
        others]`` as lines are drawn, with heads combined and sinks taken out; ``heads``.
    """
    heads = attention_map(run_of(trace), replace(asked, aggregate=None))
    drawn = SinksPart(trace, asked, sinks).as_drawn()
    pair = between(trace, asked.kind, asked.unit, sentences, heads.device)
    (first,) = positions([position], heads.n_rows if side == "query" else heads.n_columns)
    units = _together(heads, drawn, first, side)[:most]
    return {"position": first, "side": side}, {
        "weights": pack(_fans(heads, units, side, pair), torch.float32),
        "drawn": pack(_fans(drawn, units, side, pair), torch.float32),
        "heads": pack(torch.tensor(list(heads.heads)), torch.uint16),
    }


def _together(heads: AttentionMap, drawn: AttentionMap, first: int, side: Side) -> range:
    n = heads.n_rows if side == "query" else heads.n_columns
    return range(first, min(n, first + units_together(heads, drawn.n_maps)[side]))


def _fans(
    of: AttentionMap, units: range, side: Side, pair: Between | None
) -> Float[Tensor, "unit map other"]:
    if side == "query":
        rows = of.whole(units)
        return (rows if pair is None else pair.of(rows, units)).transpose(0, 1)
    columns = of.columns(units)
    if pair is not None:
        kept = pair.rows[:, None] & pair.columns[units.start : units.stop]
        columns = columns * kept.to(columns.dtype)
    return columns.permute(2, 0, 1)
