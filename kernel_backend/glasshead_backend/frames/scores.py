"""What enters the softmax, as a matrix draws it: masked cells have no number, zero is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.frames.drawn import TILE
from glasshead_backend.frames.pack import SIGNED_ZERO, pack, quantise_signed_rows
from glasshead_backend.maps.pooling import Pooling
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.frames.drawn import Drawn
    from glasshead_backend.frames.pack import Packed
    from glasshead_backend.trace import Trace

MASKED = 0
"""The byte of a cell, or of a pixel all of whose cells, the mask hides."""


class Scores:
    """Scores before the softmax of the rows and columns that a matrix draws, in blocks of rows.

    Parameters
    ----------
    trace : Trace
    drawn : Drawn
        The weights that they become.
    """

    def __init__(self, trace: Trace, drawn: Drawn) -> None:
        self._drawn = drawn
        self._of = attention_map(run_of(trace), drawn.asked.selection, scores=True)

    def blocks(
        self, rows: range | None = None
    ) -> Iterator[tuple[slice, Float[Tensor, "row visible"]]]:
        """Yield which of the drawn rows asked for, and their scores; masked ones are -inf."""
        units = self._drawn.rows if rows is None else self._drawn.rows[rows.start : rows.stop]
        for place, scores in self._of.blocks(units):
            yield place, self._drawn.narrowed(scores[0])

    def part(self, rows: range, columns: range) -> Float[Tensor, "row column"]:
        """Return some cells; masked ones are -inf."""
        like = self._drawn
        with undisturbed(like.device):
            found = torch.full(
                (len(rows), len(columns)), -torch.inf, dtype=torch.float32, device=like.device
            )
            for place, block in self.blocks(rows):
                seen = block[:, columns.start : columns.stop]
                found[place, : seen.shape[1]] = seen
        return found

    def picture(self, rows: range | None = None, columns: range | None = None) -> dict[str, Any]:
        """Return a part pooled to pixels, each the largest of its cells, as it travels.

        Number = (byte - 128) * scale of its row; byte 0 = masked.
        """
        pooling = self._pooling(rows, columns)
        with undisturbed(self._drawn.device):
            for place, block in self.blocks(pooling.rows):
                pooling.add(place, block[None])
        return _packed(pooling)

    def frame_part(self, n_largest: int, first_row: int) -> dict[str, Any]:
        """Return what a frame says of scores in place of weights: picture and largest cells.

        Parameters
        ----------
        n_largest : int
            Cells to name, largest first.
        first_row : int
            Rows before it have too few cells to name one.
        """
        pooling = self._pooling(None, None)
        found: list[tuple[Tensor, Tensor, Tensor]] = []
        most = torch.zeros((), device=self._drawn.device)
        with undisturbed(self._drawn.device):
            for place, block in self.blocks():
                pooling.add(place, block[None])
                sizes = block.abs().masked_fill(block.isinf(), 0.0)
                most = torch.maximum(most, sizes.amax().float())
                found.append(_largest_of(block, place.start, n_largest, first_row))
        score, row, key = (torch.cat(parts) for parts in zip(*found, strict=True))
        order = score.topk(min(n_largest, len(score))).indices
        order = order[score[order].isfinite()]
        return {
            **_packed(pooling),
            "scores": True,
            "max": float(most),
            "largest": {
                "query": pack(row[order], torch.uint32),
                "key": pack(key[order], torch.uint32),
                "weight": pack(score[order], torch.float32),
            },
        }

    def of_cells(self, row: int, column: int, together: dict[Any, int]) -> dict[str, Packed]:
        """Return the scores of a cell and its neighbours, and their ranks among those of their row.

        Parameters
        ----------
        row, column : int
            Among those that are drawn.
        together : dict
            How many rows and columns (see :func:`~glasshead_backend.frames.cells.cells_together`).

        Returns
        -------
        dict
            ``[rows, columns]``: ``weight``, the score, -inf where it is masked, and ``rank``.
            ``[rows]``: ``n``, how many cells of the row are not masked.
        """
        drawn = self._drawn
        rows = range(row, min(drawn.n_rows, row + together["query"]))
        scores = self.part(rows, range(drawn.n_columns))
        columns = slice(column, column + together["key"])
        return {
            "weight": pack(scores[:, columns], torch.float32),
            "rank": pack(ranks(scores, columns), torch.uint32),
            "n": pack(scores.isfinite().sum(dim=1), torch.uint32),
        }

    def _pooling(self, rows: range | None, columns: range | None) -> Pooling:
        of = self._drawn
        return Pooling(
            1,
            range(of.n_rows) if rows is None else rows,
            range(of.n_columns) if columns is None else columns,
            size=TILE,
            pool="max",
            like=torch.empty(0, dtype=of.of.dtype, device=of.device),
            least=-torch.inf,
        )


def ranks(values: Float[Tensor, "row column"], columns: slice) -> Int[Tensor, "row column"]:
    """Return the places of some columns in their rows, 1 = no other is larger."""
    ascending = values.sort(dim=1).values
    not_larger = torch.searchsorted(ascending, values[:, columns].contiguous(), right=True)
    return 1 + values.shape[1] - not_larger


def _largest_of(
    block: Float[Tensor, "row visible"], start: int, n: int, first_row: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest scores of a block, with their rows and columns."""
    flat = block.clone()
    flat[: max(0, first_row - start)] = -torch.inf
    top = flat.flatten().topk(min(n, flat.numel()))
    width = max(1, block.shape[1])
    return top.values, start + top.indices // width, top.indices % width


def _packed(pooling: Pooling) -> dict[str, Any]:
    pooled, per_pixel = pooling.result()
    masked = ~pooled[0].isfinite()
    stepped, scale = quantise_signed_rows(pooled[0].masked_fill(masked, 0.0))
    return {
        "pooled": "max" if per_pixel > 1 else "exact",
        "cells_per_pixel": per_pixel,
        "zero": SIGNED_ZERO,
        "values": pack(stepped.masked_fill(masked, MASKED), torch.uint8),
        "row_scale": pack(scale, torch.float32),
    }
