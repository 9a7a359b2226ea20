"""The picture of an attention matrix: never more cells than a screen shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.answering import answered
from glasshead_backend.frames.cells import cells_together
from glasshead_backend.frames.drawn import TILE, Drawn, map_title
from glasshead_backend.frames.margins import N_LARGEST, Margins
from glasshead_backend.frames.pack import SIGNED_ZERO, pack, quantise_rows, quantise_signed_rows
from glasshead_backend.frames.scores import Scores
from glasshead_backend.maps.pooling import Pooling
from glasshead_backend.maps.sinks import rule
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Side
    from glasshead_backend.frames.drawn import MatrixAsked
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace

_EXACT_CELLS = 64 * 64
"""A matrix with at most so many cells travels with all its numbers."""

MOST_EXACT = 128
"""Most cells on an axis that are handed out exactly at once."""


@answered
def matrix_frame(trace: Trace, asked: MatrixAsked, other: Trace | None = None) -> dict[str, Any]:
    """Make the frame of FusedAttentionMatrix.

    Parameters
    ----------
    trace : Trace
    asked : MatrixAsked
    other : Trace, optional
        Another trace of the same tokens, whose map is taken away.

    Returns
    -------
    dict
        ``values`` (uint8) and ``row_scale``: number = (byte - ``zero``) * scale of its row. Maps
        with more than 512 units on an axis are pooled to the largest (of differences: the largest
        in size); ``cells_per_pixel`` says by how much. ``exact`` (float32) has all numbers of a
        small map. ``row_entropy`` is in bits
        (:func:`~glasshead_backend.maps.entropy.row_entropy`), ``column_mass`` the mean weight that
        a column gets, ``largest`` the strongest cells, strongest first; all from the exact
        weights. ``causal``: no row looks ahead. The first row of such a map can look only at
        itself, which says nothing: ``largest`` is without it. ``compare``: what is taken away, and
        how far the rows are apart; None where nothing is. ``sinks``: as in
        :meth:`~glasshead_backend.frames.sinks.SinksPart.part`, by drawn rows and columns.
        ``hidden``: how many rows and columns are left out. ``together``: of how many rows and
        columns an answer has the cells. ``scores``: picture, ``exact``, ``max`` and ``largest`` are
        of what enters the softmax (see :class:`~glasshead_backend.frames.scores.Scores`), all else
        of the weights that it becomes.
    """
    drawn = Drawn(trace, asked, other)
    picture, margins = _Picture(drawn), Margins(drawn)
    with undisturbed(drawn.device):
        for place, block in drawn.blocks():
            picture.add(place, block.shown)
            margins.add(place, block)
    # What is hatched as masked has no weight, whatever kind of model this is.
    causal = run_of(trace).is_causal(asked.selection.kind) and not margins.looks_ahead
    rows, columns = drawn.n_hidden
    frame = {
        "key": asked.key,
        "kind": "matrix",
        "rows": drawn.n_rows,
        "cols": drawn.n_columns,
        **picture.packed(),
        "exact": _exact(trace, drawn),
        "max": float(margins.max),
        "causal": causal,
        "largest": margins.largest_cells(first_row=int(causal)),
        "row_entropy": pack(margins.entropy, torch.float32),
        "column_mass": pack(margins.column_mass, torch.float32),
        "undefined_rows": pack(margins.undefined, torch.uint8),
        "title": map_title(drawn.of, asked.selection),
        "compare": _compared(drawn, margins, other),
        "sinks": _sinks(drawn, margins, rule(causal=run_of(trace).is_causal(asked.selection.kind))),
        "hidden": {"rows": rows, "cols": columns},
        "together": cells_together(drawn),
        "scores": False,
    }
    if not asked.scores:
        return frame
    return {**frame, **Scores(trace, drawn).frame_part(N_LARGEST, first_row=int(causal))}


@answered
def matrix_tile(
    trace: Trace,
    asked: MatrixAsked,
    queries: tuple[int, int],
    keys: tuple[int, int],
    other: Trace | None = None,
) -> dict[str, Any]:
    """One viewport of the matrix at the best resolution that fits 512 x 512.

    Parameters
    ----------
    queries, keys : tuple of int
        Half-open ranges of drawn rows and columns.

    Returns
    -------
    dict
        ``values``, ``row_scale``, ``zero``, ``pooled``, ``cells_per_pixel`` as in
        :func:`matrix_frame`.
    """
    drawn = Drawn(trace, asked, other)
    rows, columns = range(*queries), range(*keys)
    if asked.scores:
        return Scores(trace, drawn).picture(rows, columns)
    picture = _Picture(drawn, rows, columns)
    with undisturbed(drawn.device):
        for place, block in drawn.blocks(rows):
            picture.add(place, block.shown)
    return picture.packed()


@answered
def matrix_table(trace: Trace, asked: MatrixAsked, other: Trace | None = None) -> pd.DataFrame:
    """Return all numbers drawn, with their words (or tokens) as index and columns."""
    import pandas as pd  # noqa: PLC0415  loaded when it is needed

    drawn = Drawn(trace, asked, other)
    drawn.of.narrowing("heads", "mean", "rows", "picture").require_room_for(drawn.n_rows)

    def labels(side: Side, units: Any) -> list[str]:
        selection = asked.selection
        said = run_of(trace).sides.labels(side, selection.kind, selection.unit)
        return [said[unit] for unit in units]

    return pd.DataFrame(
        _part(trace, drawn, range(drawn.n_rows), range(drawn.n_columns)).cpu().numpy(),
        index=pd.Index(labels("query", drawn.rows), name="looks"),
        columns=pd.Index(labels("key", drawn.columns), name="at"),
    )


@answered
def matrix_cells(
    trace: Trace,
    asked: MatrixAsked,
    queries: tuple[int, int],
    keys: tuple[int, int],
    other: Trace | None = None,
) -> Float[Tensor, "row column"]:
    """Return some cells exactly as drawn; of each side at most 128.

    Raises
    ------
    ValueError
        For more cells than that.
    """
    rows, columns = range(*queries), range(*keys)
    if max(len(rows), len(columns)) > MOST_EXACT:
        raise ValueError(
            f"{len(rows)} x {len(columns)} cells are too many at once: at most {MOST_EXACT} of "
            "each side. Zoom in further."
        )
    return _part(trace, Drawn(trace, asked, other), rows, columns)


class _Picture:
    """What is drawn, pooled to pixels while its blocks come."""

    def __init__(self, of: Drawn, rows: range | None = None, columns: range | None = None) -> None:
        self._signed = of.away is not None
        self._pooling = Pooling(
            # What is above and what is below zero are pooled apart: the larger one is drawn.
            2 if self._signed else 1,
            range(of.n_rows) if rows is None else rows,
            range(of.n_columns) if columns is None else columns,
            size=TILE,
            pool="max",
            like=torch.empty(0, dtype=of.of.dtype, device=of.device),
        )

    def add(self, place: slice, shown: Float[Tensor, "row visible"]) -> None:
        """Take in one block of rows."""
        signs = [shown.clamp_min(0), (-shown).clamp_min(0)] if self._signed else [shown]
        self._pooling.add(place, torch.stack(signs))

    def packed(self) -> dict[str, Any]:
        """Return it as it travels."""
        pooled, per_pixel = self._pooling.result()
        if self._signed:
            above, below = pooled
            stepped, scale = quantise_signed_rows(torch.where(above >= below, above, -below))
        else:
            stepped, scale = quantise_rows(pooled[0])
        return {
            "pooled": "max" if per_pixel > 1 else "exact",
            "cells_per_pixel": per_pixel,
            "zero": SIGNED_ZERO if self._signed else 0,
            "values": pack(stepped, torch.uint8),
            "row_scale": pack(scale, torch.float32),
        }


def _part(trace: Trace, drawn: Drawn, rows: range, columns: range) -> Float[Tensor, "row column"]:
    """Return some cells exactly: weights, or the scores that become them."""
    of = Scores(trace, drawn) if drawn.asked.scores else drawn
    return of.part(rows, columns)


def _exact(trace: Trace, drawn: Drawn) -> Packed | None:
    if drawn.n_rows * drawn.n_columns > _EXACT_CELLS:
        return None
    whole = range(drawn.n_rows), range(drawn.n_columns)
    return pack(_part(trace, drawn, *whole), torch.float32)


def _sinks(drawn: Drawn, margins: Margins, words: str) -> dict[str, Any]:
    units = drawn.sink_columns.nonzero()[:, 0]
    return {
        "mode": drawn.mode,
        "words": words,
        "share": margins.sinks_share,
        "units": pack(units, torch.uint32),
        "of_map": pack(torch.ones(1, len(units)), torch.uint8),
        "to": pack(margins.to_sinks[None], torch.float32),
    }


def _compared(drawn: Drawn, margins: Margins, other: Trace | None) -> dict[str, Any] | None:
    asked = drawn.asked.other
    if asked is None or drawn.away is None:
        return None
    return {
        "layer": asked.layer,
        "title": map_title(drawn.away, asked),
        "trace": "" if other is None else other.lens.name,
        "row_distance": pack(margins.distance, torch.float32),
        "column_change": pack(margins.column_change, torch.float32),
    }
