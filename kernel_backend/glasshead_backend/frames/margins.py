"""What stands beside a matrix: how spread out rows are, what columns get, what is largest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.frames.pack import pack
from glasshead_backend.maps.entropy import row_entropy

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.frames.drawn import Block, Drawn
    from glasshead_backend.frames.pack import Packed

N_LARGEST = 12
"""Cells that a view names for a first look."""


class Margins:
    """What stands beside the matrix, summed over its blocks; all from the exact weights.

    Attributes
    ----------
    entropy : Tensor
        ``[rows]``, bits, of the row as a distribution; NaN where it may look nowhere.
    undefined : Tensor
        ``[rows]`` bool, rows that may look nowhere.
    max : Tensor
        The largest of all that is drawn; of differences the largest size.
    distance : Tensor
        ``[rows]``, of differences: half the sum of their sizes, the share of the row's attention
        that lies elsewhere.
    to_sinks : Tensor
        ``[rows]``, what each row gives to the sinks, of a maximum over heads the largest of it; NaN
        where it may look nowhere.
    """

    def __init__(self, of: Drawn) -> None:
        self.entropy = torch.full((of.n_rows,), torch.nan, dtype=torch.float32, device=of.device)
        self._sinks = of.sink_columns
        self._largest = of.asked.selection.aggregate == "max"
        self.to_sinks = torch.full_like(self.entropy, torch.nan)
        self.distance = torch.zeros(of.n_rows, dtype=torch.float32, device=of.device)
        self.undefined = torch.zeros(of.n_rows, dtype=torch.bool, device=of.device)
        self.max = torch.zeros((), dtype=torch.float32, device=of.device)
        self._ahead = torch.zeros((), dtype=torch.bool, device=of.device)
        self._cells: list[tuple[Tensor, Tensor, Tensor]] = []
        self._mass = torch.zeros(of.n_columns, dtype=torch.float32, device=of.device)
        self._change = torch.zeros(of.n_columns, dtype=torch.float32, device=of.device)
        self._total = torch.zeros((), dtype=torch.float32, device=of.device)

    @property
    def column_mass(self) -> Float[Tensor, " column"]:
        """Mean weight that every column gets, over the rows that look somewhere."""
        return self._mass / (~self.undefined).sum().clamp_min(1)

    @property
    def column_change(self) -> Float[Tensor, " column"]:
        """Mean of what is drawn in every column, over the rows that look somewhere."""
        return self._change / (~self.undefined).sum().clamp_min(1)

    @property
    def sinks_share(self) -> float:
        """Share that goes to sinks, of all attention of the rows that are drawn."""
        return float(self._mass[self._sinks].sum() / self._total.clamp_min(1e-30))

    @property
    def looks_ahead(self) -> bool:
        """Whether a row has weight on a later column."""
        return bool(self._ahead)

    def largest_cells(self, first_row: int) -> dict[str, Packed]:
        """Return the strongest cells from a row (0 or 1) on, strongest first."""
        weight, row, key = (torch.cat(parts) for parts in zip(*self._cells, strict=True))
        weight = weight.masked_fill(row < first_row, 0.0)
        order = weight.abs().topk(min(N_LARGEST, len(weight))).indices
        order = order[weight[order] != 0]
        return {
            "query": pack(row[order], torch.uint32),
            "key": pack(key[order], torch.uint32),
            "weight": pack(weight[order], torch.float32),
        }

    def add(self, place: slice, block: Block) -> None:
        """Take in one block of rows."""
        undefined = block.shown.isnan().any(dim=1)
        self.undefined[place] = undefined
        self.entropy[place] = row_entropy(block.true).masked_fill(undefined, torch.nan)
        true = block.true.masked_fill(undefined[:, None], 0.0)
        self._mass[: true.shape[1]] += true.sum(dim=0)
        self._total += block.total.nansum()
        given = true[:, self._sinks[: true.shape[1]]]
        if given.shape[1]:
            to_sinks = given.amax(dim=1) if self._largest else given.sum(dim=1)
            self.to_sinks[place] = to_sinks.masked_fill(undefined, torch.nan)
        said = block.said.nan_to_num(0.0)
        self._change[: said.shape[1]] += said.sum(dim=0)
        self.distance[place] = said.abs().sum(dim=1) / 2
        shown = block.shown.nan_to_num(0.0)
        sizes = shown.abs()
        strongest = sizes.amax(dim=1)
        self.max = torch.maximum(self.max, strongest.amax())
        self._ahead |= (said.abs().triu(place.start + 1) > 0).any()
        self._add_cells(place.start, shown, strongest)

    def _add_cells(
        self, start: int, shown: Float[Tensor, "row visible"], strongest: Float[Tensor, " row"]
    ) -> None:
        """Keep the strongest cells of a block: they are in the rows with the strongest cells."""
        # One more than named: the first row of a causal map has one weight, which is left out.
        n = N_LARGEST + 1
        rows = strongest.topk(min(n, len(strongest))).indices
        cells = shown[rows].flatten()
        top = cells.abs().topk(min(n, len(cells))).indices
        row, key = top // shown.shape[1], top % shown.shape[1]
        self._cells.append((cells[top], start + rows[row], key))
