"""Sinks: columns that take much of the attention of nearly every row.

A head that has nothing to say parks its attention on the first token, on special tokens or on
delimiters (Xiao et al. 2024, "attention sinks"). What it says of the text is in what is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from glasshead_backend.maps.attention_map import AttentionMap, Combine
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

MUCH = 0.05
"""Least weight that a row gives to a sink ..."""

EVEN = 2
"""... and at least so many times what it would give if it looked at all that it sees alike."""

MOST = 0.75
"""Share of the rows that see a column which must do so for it to be a sink."""

_FIRST_ROW = 4
"""Rows that see fewer columns say nothing: whatever they look at gets much."""
_ROWS = 8
"""Least number of rows that must see a column; half of that for the first and special tokens."""
_ROWS_SHARE = 0.1
"""The same as a share of all rows, up to a quarter of the rows that decide."""
_NEXT = 64
"""Rows behind a column that decide where rows look back only: in a long text every stretch has
sinks of its own."""
_LOOKED_AT = 2048
"""Rows that are looked at, spread evenly over the text; at least half of `_NEXT` decide."""


def rule(*, causal: bool) -> str:
    """Return the rule in words."""
    rows = f"the next {_NEXT} rows" if causal else "the rows that see it"
    return (
        f"a column to which at least {MOST:.0%} of {rows} give {MUCH:g} or more "
        "(in short rows twice an even share)"
    )


@dataclass(frozen=True, eq=False)
class Sinks:
    """The sinks of every map of a layer.

    Attributes
    ----------
    columns : Tensor
        ``[maps, columns]`` bool.
    mean : Tensor
        ``[maps, columns]``: mean weight that each column gets from the rows that see it; NaN where
        no row does.
    share : Tensor
        ``[maps]``: how much of its attention each map gives to its sinks. Of texts of over 2,048
        units this is found from so many rows, as the sinks are.
    """

    columns: Bool[Tensor, "map column"]
    mean: Float[Tensor, "map column"]
    share: Float[Tensor, " map"]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return self.columns.nbytes + self.mean.nbytes + self.share.nbytes

    @property
    def units(self) -> Int[Tensor, " sink"]:
        """Columns that are a sink of any map, ascending."""
        return self.columns.any(dim=0).nonzero()[:, 0]

    def weights(
        self, block: Float[Tensor, "map row visible"], *, largest: bool = False
    ) -> Float[Tensor, "map row"]:
        """What each row of a block gives to the sinks of its map; NaN where it looks nowhere.

        Parameters
        ----------
        block : Tensor
        largest : bool
            The largest of it instead of the sum: of a maximum over heads there is no sum.
        """
        given = block.masked_fill(~self.columns[:, None, : block.shape[-1]], 0.0)
        found = given.amax(dim=-1) if largest else given.sum(dim=-1)
        return found.masked_fill(block.isnan().any(dim=-1), torch.nan)

    def without(
        self, block: Float[Tensor, "map row visible"], *, renormalised: bool = False
    ) -> Float[Tensor, "map row visible"]:
        """Return a block whose sinks have no weight.

        Parameters
        ----------
        block : Tensor
        renormalised : bool
            What is left of a row sums to what the row did; a row that looks at nothing else is left
            without weight.
        """
        rest = block.masked_fill(self.columns[:, None, : block.shape[-1]], 0.0)
        if not renormalised:
            return rest
        before, after = block.sum(dim=-1, keepdim=True), rest.sum(dim=-1, keepdim=True)
        return torch.where(after > 0, rest * (before / after.clamp_min(1e-30)), rest)


@dataclass(frozen=True, eq=False)
class WithoutSinks(AttentionMap):
    """A map whose sinks have no weight; see :meth:`Sinks.without`."""

    sinks: Sinks | None = None
    renormalised: bool = False

    def _block(self, rows: Sequence[int]) -> Float[Tensor, "map row visible"]:
        block = super()._block(rows)
        if self.sinks is None:
            return block
        return self.sinks.without(block, renormalised=self.renormalised)


def without_sinks(of: AttentionMap, sinks: Sinks, *, renormalised: bool) -> WithoutSinks:
    """Return a map as it is when its sinks have no weight."""
    return WithoutSinks(
        *(of.call, of.heads, of.queries, of.keys, of.cell, of.combine, of.limits),
        sinks=sinks,
        renormalised=renormalised,
    )


def find_sinks(
    of: AttentionMap, *, causal: bool, own: bool, marked: Bool[Tensor, " column"]
) -> Sinks:
    """Find the sinks of every map, by the rule that :func:`rule` says in words.

    Rows of few columns (under 5) and columns that few rows see are left out: under 8 (under 4 for
    the first and for special tokens), under a tenth of all rows up to 16. A maximum over heads has
    the sinks of their mean.

    Parameters
    ----------
    of : AttentionMap
    causal : bool
        Whether rows see only themselves and what comes before.
    own : bool
        Whether rows and columns are the same units: what a row gives to itself is no sign of a
        sink.
    marked : Tensor
        Which columns stand for special tokens.
    """
    if of.combine.aggregate == "max":
        of = replace(of, combine=Combine("mean"))
    rows = _some_rows(of.n_rows)
    near = max(_NEXT, _NEXT // 2 * of.n_rows // max(1, len(rows))) if causal else of.n_rows
    seen, decided, much, given, mass = torch.zeros(
        5, of.n_maps, of.n_columns, dtype=torch.float32, device=of.device
    )
    column = torch.arange(of.n_columns, device=of.device)
    with undisturbed(of.device):
        for place, block in of.blocks(rows):
            row = torch.as_tensor(rows[place], device=of.device)[:, None]
            n = block.shape[-1]
            defined = ~block.isnan().any(dim=-1, keepdim=True)
            sees = _sees(row, column[:n], causal=causal, own=own) & defined
            decides = sees & (row <= column[:n].clamp_min(_FIRST_ROW - 1) + near)
            weights = block.nan_to_num_(0.0)
            visible = (row + 1 if causal else torch.full_like(row, of.n_columns)).float()
            enough = weights >= (EVEN / visible).clamp_min(MUCH)
            seen[:, :n] += sees.sum(dim=1)
            decided[:, :n] += decides.sum(dim=1)
            much[:, :n] += (decides & enough).sum(dim=1)
            given[:, :n] += weights.masked_fill(~sees, 0.0).sum(dim=1)
            mass[:, :n] += weights.sum(dim=1)
    needed = torch.full_like(column, _ROWS)
    needed[marked.to(column.device) | (column == 0)] = _ROWS // 2
    needed = needed.clamp_min(min(int(_ROWS_SHARE * len(rows)), _NEXT // 4))
    columns = (decided >= needed) & (much >= MOST * decided)
    share = (mass * columns).sum(dim=1) / mass.sum(dim=1).clamp_min(1e-30)
    return Sinks(columns, given / seen, share)


def _sees(
    row: Int[Tensor, "row 1"], column: Int[Tensor, " column"], *, causal: bool, own: bool
) -> Bool[Tensor, "row column"]:
    """Which rows have a say about which columns."""
    if causal:
        return (column < row) & (row >= _FIRST_ROW)
    return column != row if own else (column >= 0) & (row >= 0)


def _some_rows(n_rows: int) -> Sequence[int]:
    """All rows, or as many as decide, spread evenly."""
    if n_rows <= _LOOKED_AT:
        return range(n_rows)
    return torch.linspace(0, n_rows - 1, _LOOKED_AT).long().tolist()
