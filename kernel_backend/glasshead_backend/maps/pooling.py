"""A map as a picture: its rows and columns pooled to pixels, while its blocks come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from glasshead_backend.answering import travels

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Pool


@travels
class Pooled(NamedTuple):
    """A part of a map with at most so many pixels on an axis.

    Attributes
    ----------
    values : Tensor
        ``[maps, rows, columns]`` of the map's dtype; NaN where no row of a pixel is defined.
    per_pixel : int
        Rows and columns of the map that one pixel stands for, fewer at the last ones.
    """

    values: Float[Tensor, "map row column"]
    per_pixel: int


class Pooling:
    """Pools the blocks of a map to pixels, as they come.

    Parameters
    ----------
    n_maps : int
    rows, columns : range
        The part of the maps that is wanted.
    size : int
        Most pixels on an axis.
    pool : {"max", "mean"}
    like : Tensor
        What the maps are computed as, and where: its dtype and device.
    least : float
        What is not there counts as this: nothing of a map is smaller.
    """

    def __init__(
        self,
        n_maps: int,
        rows: range,
        columns: range,
        *,
        size: int,
        pool: Pool,
        like: Tensor,
        least: float = 0.0,
    ) -> None:
        self.rows, self.columns = rows, columns
        self.per_pixel = max(1, -(-max(len(self.rows), len(self.columns)) // size))
        self._pool = pool
        height, width = (-(-len(side) // self.per_pixel) for side in (self.rows, self.columns))
        self._least = least
        self._values = like.new_full((n_maps, height, width), least)
        self._n_defined = like.new_zeros(n_maps, height)

    def add(self, place: slice, weights: Float[Tensor, "map row visible"]) -> None:
        """Take in one block of rows."""
        defined = (~weights.isnan().any(dim=-1)).to(weights.dtype)
        part = weights[..., self.columns.start : self.columns.stop].nan_to_num(
            self._least, neginf=self._least
        )
        # Rows first: their pooling is cheap, and leaves few to pool the columns of.
        by_row = self._by_row(part, place)
        by_pixel = self._by_column(by_row)
        first = place.start // self.per_pixel
        into = self._values[:, first : first + by_row.shape[1], : by_pixel.shape[-1]]
        if self._pool == "max":
            torch.maximum(into, by_pixel, out=into)
        else:
            into += by_pixel
        n_defined = self._grouped(defined[..., None], place, 0.0).sum(dim=2)[..., 0]
        self._n_defined[:, first : first + by_row.shape[1]] += n_defined

    def result(self) -> Pooled:
        """Return what was pooled."""
        values = self._values
        if self._pool == "mean":
            values = values / self._n_defined[..., None]
        return Pooled(
            values.masked_fill((self._n_defined == 0)[..., None], torch.nan), self.per_pixel
        )

    def _grouped(
        self, rows: Float[Tensor, "map row key"], place: slice, missing: float
    ) -> Float[Tensor, "map pixel row_of_pixel key"]:
        """Rows of each pixel. Pixels that reach into other blocks are filled up."""
        before, after = place.start % self.per_pixel, -place.stop % self.per_pixel
        if before or after:
            # Rows may see no column at all, and torch 2.6 pads nothing of size 0.
            n_rows = before + rows.shape[1] + after
            whole = rows.new_full((rows.shape[0], n_rows, rows.shape[2]), missing)
            whole[:, before : before + rows.shape[1]] = rows
            rows = whole
        return rows.unflatten(1, (-1, self.per_pixel))

    def _by_row(
        self, part: Float[Tensor, "map row key"], place: slice
    ) -> Float[Tensor, "map pixel key"]:
        """Pool the rows."""
        if self.per_pixel == 1:
            return part
        grouped = self._grouped(part, place, self._least)
        return grouped.amax(dim=2) if self._pool == "max" else grouped.sum(dim=2)

    def _by_column(self, part: Float[Tensor, "map row key"]) -> Float[Tensor, "map row pixel"]:
        """Pool the columns; a mean is over those that the last pixel has."""
        per_pixel, n_columns = self.per_pixel, part.shape[-1]
        if per_pixel == 1:
            return part
        missing = -n_columns % per_pixel
        if missing:
            part = torch.nn.functional.pad(part, (0, missing), value=self._least)
        pixels = part.unflatten(-1, (-1, per_pixel))
        if self._pool == "max":
            return pixels.amax(dim=-1)
        at = torch.arange(pixels.shape[-2], device=part.device) * per_pixel
        return pixels.sum(dim=-1) / (len(self.columns) - at).clamp_max(per_pixel)
