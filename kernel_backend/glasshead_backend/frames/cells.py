"""Cells of a matrix that are pointed at: all there is to know of them, neighbours together."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.checks import positions
from glasshead_backend.frames.drawn import Drawn
from glasshead_backend.frames.fans import ANSWER_BYTES
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.scores import Scores, ranks
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend.asking import Side
    from glasshead_backend.frames.drawn import MatrixAsked
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace

_NUMBER_BYTES = 4
_NUMBERS = 5
"""Numbers of a cell beside its weight in each head."""


def cells_together(drawn: Drawn) -> dict[Side, int]:
    """Return of how many rows and columns an answer has the cells: about as many of both."""
    most = ANSWER_BYTES // (_NUMBER_BYTES * (len(drawn.of.heads) + _NUMBERS))
    columns = max(1, min(drawn.n_columns, isqrt(most)))
    rows = max(1, min(drawn.n_rows, most // columns))
    return {"query": rows, "key": max(1, min(drawn.n_columns, most // rows))}


@answered
def matrix_cell(
    trace: Trace, asked: MatrixAsked, query: int, key: int, other: Trace | None = None
) -> tuple[dict[str, Any], dict[str, Packed]]:
    """Everything there is to know of a cell, and of those right and below that fit in the answer.

    Returns
    -------
    result : dict
        ``query`` and ``key`` as they were asked for.
    arrays : dict
        ``[rows, columns]``: ``weight`` as drawn; ``share`` of all attention of the row, the model's
        own weight; ``rank`` of the cell among those of its row that are drawn (differences by
        size); of a comparison ``first`` and ``second``, what is compared. ``[rows]``: ``row_sum``
        of the model's row, and ``n``, how many of its drawn cells are not zero. Of weights:
        ``weights`` ``[rows, columns, heads]`` and ``heads``, the model's own weight in every head.
        Of scores: ``weight``, ``rank`` and ``n`` are theirs
        (:meth:`~glasshead_backend.frames.scores.Scores.of_cells`), ``share`` and ``weights`` what
        they become, and there is no ``row_sum``.
    """
    drawn = Drawn(trace, asked, other)
    together = cells_together(drawn)
    (row,) = positions([query], drawn.n_rows)
    (column,) = positions([key], drawn.n_columns)
    units = drawn.rows[row : row + together["query"]]
    columns = slice(column, column + together["key"])
    heads = attention_map(run_of(trace), replace(asked.selection, aggregate=None))
    of_heads = heads.whole(units)
    mean = asked.selection.aggregate == "mean"
    rows = of_heads.mean(dim=0) if mean else of_heads.amax(dim=0)
    block = drawn.dressed(rows, units)
    true, first, said = block.true, block.first, block.said
    ranked = said.abs()
    at = torch.tensor(list(drawn.columns[columns]), device=of_heads.device)
    arrays = {
        "weight": pack(said[:, columns], torch.float32),
        "share": pack(true[:, columns], torch.float32),
        "rank": pack(ranks(ranked, columns), torch.uint32),
        "n": pack((ranked > 0).sum(dim=1), torch.uint32),
        "row_sum": pack(rows.sum(dim=1), torch.float32),
        "weights": pack(of_heads[:, :, at].permute(1, 2, 0), torch.float32),
        "heads": pack(torch.tensor(list(heads.heads)), torch.uint16),
    }
    if drawn.away is not None:
        arrays["first"] = pack(first[:, columns], torch.float32)
        arrays["second"] = pack((first - said)[:, columns], torch.float32)
    if asked.scores:
        del arrays["row_sum"]  # a sum of scores says nothing
        arrays |= Scores(trace, drawn).of_cells(row, column, together)
    return {"query": row, "key": column}, arrays
