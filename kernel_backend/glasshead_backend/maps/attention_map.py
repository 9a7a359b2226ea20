"""The attention map of one layer, never held whole: its rows come in blocks.

Fusing tokens into words, combining heads, pooling to the pixels of a screen, picking the strongest
or the notable weights: all of it happens on the device inside the block loop, so that memory is
bounded by one block and by the answer. What an answer takes is known before it is computed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from glasshead_backend.answering import travels
from glasshead_backend.maps.pooling import Pooling
from glasshead_backend.maps.units import fuse
from glasshead_backend.memory import budget_on, in_words, require_room
from glasshead_backend.progress import steps
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Aggregate, Pool, Precision
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.maps.pooling import Pooled
    from glasshead_backend.maps.units import Units

ROW_BLOCK = 256
"""Most query tokens computed at once: 256 rows x 8,192 keys x 4 bytes = 8 MB a head (float32)."""

_BLOCK_BYTES = 64 << 20
"""Most bytes of weights in one block, as long as it has more than one row."""

_POSITION_BYTES = 8

Narrow = Literal["heads", "rows", "mean", "picture"]


@travels
class Strongest(NamedTuple):
    """The strongest weights of every row, strongest first; ``[maps, rows, k]``."""

    weights: Float[Tensor, "map row k"]
    keys: Int[Tensor, "map row k"]


class Cells(NamedTuple):
    """Single cells of a map, in the order of maps, rows, columns."""

    map: Int[Tensor, " cell"]
    row: Int[Tensor, " cell"]
    column: Int[Tensor, " cell"]
    weight: Float[Tensor, " cell"]


class Moved(NamedTuple):
    """What turns weights ``a`` into norms of what is moved, ``|| a v W_O ||``.

    Attributes
    ----------
    gram : Tensor
        ``[key tokens, heads, heads]``: scalar products of what the heads would move from each key
        (see :mod:`glasshead_backend.questions.values`).
    row_scale : Tensor or None
        ``[query tokens]``: what the rows are multiplied with (a norm behind the block).
    """

    gram: Float[Tensor, "key head head"]
    row_scale: Float[Tensor, " query"] | None


class Cell(NamedTuple):
    """What a cell of a map says.

    Attributes
    ----------
    scores : bool
        What enters the softmax instead of what leaves it.
    precision : {"model", "float32"}
        See :meth:`AttentionCall.weights`.
    moved : Moved or None
        Norms of what is moved instead of weights.
    """

    scores: bool = False
    precision: Precision = "model"
    moved: Moved | None = None


class Combine(NamedTuple):
    """How the heads of a map are combined.

    Attributes
    ----------
    aggregate : {"mean", "max", "sum"} or None
        To a single map; None = each head is a map of its own. "sum": the norm of what all heads
        move together.
    ignore_zeros : bool
        Average over the heads whose weight is not exactly zero (aggregate "mean" only).
    """

    aggregate: Aggregate | Literal["sum"] | None = None
    ignore_zeros: bool = False


class Limits(NamedTuple):
    """What the map is called, and what an answer about it may take.

    Attributes
    ----------
    what : str
        The map in words, for progress and errors: "layer 3".
    budget : int or None
        Bytes; None = half of what is free.
    narrows : tuple of str
        What whoever asks can ask less of: "heads", "rows", "mean" (over heads), "picture".
    """

    what: str = "a layer"
    budget: int | None = None
    narrows: tuple[Narrow, ...] = ()


_WEIGHTS, _EACH, _ANY = Cell(), Combine(), Limits()


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """Attention of some heads of one layer, by tokens or by words, each head alone or combined.

    Parameters
    ----------
    call : AttentionCall
        The recorded call.
    heads : sequence of int
        Query heads.
    queries, keys : Units
        What rows and columns stand for. Of words: the sum over a word's key tokens, the mean over
        its query tokens (``F = R A C``), so that a row keeps its sum.
    cell : Cell
        What the weights of the softmax are turned into before rows are units.
    combine : Combine
        How heads are combined.
    limits : Limits
        What an answer may take, and how it is called.
    """

    call: AttentionCall
    heads: Sequence[int]
    queries: Units
    keys: Units
    cell: Cell = _WEIGHTS
    combine: Combine = _EACH
    limits: Limits = _ANY

    @property
    def n_maps(self) -> int:
        """One for every head, or a single one of all."""
        return len(self.heads) if self.combine.aggregate is None else 1

    @property
    def n_rows(self) -> int:
        """Units that look."""
        return len(self.queries)

    @property
    def n_columns(self) -> int:
        """Units that are looked at."""
        return len(self.keys)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return self.call.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights: float64 where the model computes in float64, else float32."""
        return self.call.dtype

    def narrowing(self, *ways: Narrow) -> AttentionMap:
        """Return the map for somebody who can ask less of it in these ways."""
        return replace(self, limits=self.limits._replace(narrows=ways))

    def blocks(
        self, rows: Sequence[int] | None = None
    ) -> Iterator[tuple[slice, Float[Tensor, "map row visible"]]]:
        """Yield ``(place, weights)``: which of the rows asked for, and their weights.

        In a causal layer the last axis may be shorter than the map: columns to its right have
        weight zero (a score of minus infinity). A block is the caller's own: it may be written to.
        """
        self._require_room_to_run()
        rows = range(self.n_rows) if rows is None else rows
        cuts = self._cuts(rows)
        pairs = itertools.pairwise(cuts)
        for start, stop in steps(pairs, f"computing {self.limits.what}", len(cuts) - 1):
            yield slice(start, stop), self._block(rows[start:stop])

    def whole(self, rows: Sequence[int] | None = None) -> Float[Tensor, "map row column"]:
        """All weights of some rows, or of all.

        Raises
        ------
        MemoryBudgetError
            When they take more memory than one answer may.
        """
        rows = range(self.n_rows) if rows is None else rows
        self.require_room_for(len(rows))
        nothing = -torch.inf if self.cell.scores else 0.0
        shape = (self.n_maps, len(rows), self.n_columns)
        with undisturbed(self.device):
            found = torch.empty(shape, dtype=self.dtype, device=self.device)
            for place, weights in self.blocks(rows):
                found[:, place, : weights.shape[-1]] = weights
                found[:, place, weights.shape[-1] :] = nothing
                del weights  # the next block takes its place, which the processor still has at hand
        return found

    def column(self, columns: Sequence[int]) -> Float[Tensor, "map row"]:
        """Weights with which every row looks at some columns, summed over these."""
        found = torch.zeros(self.n_maps, self.n_rows, dtype=self.dtype, device=self.device)
        with undisturbed(self.device):
            for place, weights in self.blocks():
                seen = [column for column in columns if column < weights.shape[-1]]
                found[:, place] = weights[..., seen].sum(dim=-1)
        return found

    def columns(self, columns: range) -> Float[Tensor, "map row column"]:
        """Weights with which every row looks at each of some neighbouring columns."""
        shape = (self.n_maps, self.n_rows, len(columns))
        found = torch.zeros(shape, dtype=self.dtype, device=self.device)
        with undisturbed(self.device):
            for place, weights in self.blocks():
                seen = weights[..., columns.start : columns.stop]
                found[:, place, : seen.shape[-1]] = seen
        return found

    def pooled(
        self,
        rows: range | None = None,
        columns: range | None = None,
        *,
        size: int = 512,
        pool: Pool = "max",
    ) -> Pooled:
        """A part of the map, pooled to at most `size` pixels on an axis.

        Parameters
        ----------
        rows, columns : range, optional
            The part; default all.
        size : int
            Most pixels on an axis.
        pool : {"max", "mean"}
            What a pixel says of the cells that it stands for. Rows that may look nowhere are left
            out.
        """
        pooling = self.pooling(rows, columns, size=size, pool=pool)
        with undisturbed(self.device):
            for place, weights in self.blocks(pooling.rows):
                pooling.add(place, weights)
        return pooling.result()

    def pooling(
        self,
        rows: range | None = None,
        columns: range | None = None,
        *,
        size: int = 512,
        pool: Pool = "max",
    ) -> Pooling:
        """Return what pools the blocks of these rows as they come; see :meth:`pooled`."""
        return Pooling(
            self.n_maps,
            range(self.n_rows) if rows is None else rows,
            range(self.n_columns) if columns is None else columns,
            size=size,
            pool=pool,
            like=torch.empty(0, dtype=self.dtype, device=self.device),
        )

    def strongest(self, k: int, rows: Sequence[int] | None = None) -> Strongest:
        """The k largest weights of every row and their columns; zeros where there are fewer."""
        rows = range(self.n_rows) if rows is None else rows
        k = min(k, self.n_columns)
        self.require_room_for(len(rows), k, self.dtype.itemsize + _POSITION_BYTES)
        shape = (self.n_maps, len(rows), k)
        weights = torch.zeros(shape, dtype=self.dtype, device=self.device)
        keys = torch.zeros(shape, dtype=torch.int64, device=self.device)
        with undisturbed(self.device):
            for place, block in self.blocks(rows):
                top = block.nan_to_num_(0.0).topk(min(k, block.shape[-1]), dim=-1)
                weights[:, place, : top.values.shape[-1]] = top.values
                keys[:, place, : top.values.shape[-1]] = top.indices
        return Strongest(weights, keys)

    def at_least(self, threshold: float) -> Cells:
        """All cells whose weight reaches a threshold.

        Raises
        ------
        MemoryBudgetError
            When they are more than one answer may hold.
        """
        allowed = budget_on(self.device, self.limits.budget)
        found: list[tuple[Tensor, ...]] = []
        n_found = 0
        with undisturbed(self.device):
            for place, weights in self.blocks():
                seen = weights if threshold > 0 else self._with_hidden(weights)
                of_map, row, column = torch.nonzero(seen >= threshold, as_tuple=True)
                found.append((of_map, row + place.start, column, seen[of_map, row, column]))
                n_found += len(row)
                require_room(
                    n_found * (self.dtype.itemsize + 3 * _POSITION_BYTES),
                    allowed,
                    f"{self.limits.what}: over {n_found:,} weights reach {threshold:g}, which",
                    ["Raise the threshold."],
                )
        of_map, row, column, weight = (torch.cat(parts) for parts in zip(*found, strict=True))
        order = (of_map * self.n_rows + row).argsort(stable=True)
        return Cells(of_map[order], row[order], column[order], weight[order])

    def _with_hidden(self, weights: Float[Tensor, "map row visible"]) -> Tensor:
        """A block with the zeros of the columns that it does not see."""
        return torch.nn.functional.pad(weights, (0, self.n_columns - weights.shape[-1]))

    # ---- blocks --------------------------------------------------------------------------------

    def _cuts(self, rows: Sequence[int]) -> list[int]:
        """Where the blocks begin, and the number of rows: whole units, few enough tokens."""
        n_heads = self.call.n_heads if self.call.computes_all_heads else len(self.heads)
        row_bytes = n_heads * self.keys.n_tokens * self.dtype.itemsize
        most = max(1, min(ROW_BLOCK, _BLOCK_BYTES // max(1, row_bytes)))
        if self.queries.word_of_token is None:
            return [*range(0, len(rows), most), len(rows)]
        n_before = self.queries.sizes(rows).cumsum(0)
        cuts = [0]
        while cuts[-1] < len(rows):
            done = int(n_before[cuts[-1] - 1]) if cuts[-1] else 0
            stop = int(torch.searchsorted(n_before, done + most, right=True))
            cuts.append(max(stop, cuts[-1] + 1))
        return cuts

    @torch.no_grad()
    def _block(self, rows: Sequence[int]) -> Float[Tensor, "map row visible"]:
        with torch.autocast(self.device.type, enabled=False):
            return self._combined(self._by_unit(rows))

    def _by_unit(self, rows: Sequence[int]) -> Float[Tensor, "head row visible"]:
        tokens, cell = self.queries.tokens(rows), self.cell
        weights = self.call.visible_weights(
            self.heads, tokens, scores=cell.scores, precision=cell.precision
        )
        if cell.moved is not None:
            together = self.combine.aggregate == "sum"
            weights = _moved(weights, cell.moved.gram, together=together)
            scale = cell.moved.row_scale
            if scale is not None:
                weights = weights * scale.to(weights.device)[list(tokens), None]
        return fuse(weights, rows, self.queries, self.keys)

    def _combined(self, weights: Float[Tensor, "head row key"]) -> Float[Tensor, "map row key"]:
        aggregate, ignore_zeros = self.combine  # "sum" is done: of norms there is no sum
        if aggregate == "max":
            return weights.amax(dim=0, keepdim=True)
        if aggregate == "mean" and ignore_zeros:
            n_looking = (weights != 0).sum(dim=0, keepdim=True)
            return weights.sum(dim=0, keepdim=True) / n_looking.clamp_min(1)
        return weights.mean(dim=0, keepdim=True) if aggregate == "mean" else weights

    # ---- memory --------------------------------------------------------------------------------

    def _require_room_to_run(self) -> None:
        """Refuse a module that has to run once more and would need too much for that."""
        if not self.call.working_bytes:
            return
        require_room(
            self.call.working_bytes,
            budget_on(self.device, self.limits.budget),
            f"{type(self.call.module).__name__} computes attention by itself, all heads and rows "
            f"of a layer at once: {self.limits.what}",
            ["Trace a shorter text."],
        )

    def require_room_for(
        self, n_rows: int, n_columns: int | None = None, cell_bytes: int | None = None
    ) -> None:
        """Refuse an answer that is too large, and say which would fit."""
        row = (n_columns or self.n_columns) * (cell_bytes or self.dtype.itemsize)
        needed = self.n_maps * n_rows * row
        allowed = budget_on(self.device, self.limits.budget)
        if needed <= allowed:
            return
        size = f"{n_rows:,} x {n_columns or self.n_columns:,} weights"
        heads = f"{self.n_maps} heads of " if self.n_maps > 1 else ""
        fits = allowed // (n_rows * row), allowed // (self.n_maps * row)
        ways_out: dict[Narrow, str] = {"picture": "A picture takes less: pooled_attention()."}
        if fits[0] and self.n_maps > 1:
            ways_out["heads"] = f"{fits[0]} of the heads would fit (heads=)."
            ways_out["mean"] = "A mean over the heads would fit (aggregate='mean')."
        if fits[1]:
            ways_out["rows"] = f"{fits[1]:,} of the rows would fit (rows=)."
        said = [ways_out[way] for way in self.limits.narrows if way in ways_out]
        require_room(needed, allowed, f"{self.limits.what}: {heads}{size}", said)

    def __repr__(self) -> str:
        size = self.n_maps * self.n_rows * self.n_columns * self.dtype.itemsize
        return (
            f"AttentionMap({self.limits.what}: {self.n_maps} x {self.n_rows} x {self.n_columns}, "
            f"{in_words(size)} if it were whole)"
        )


def _moved(
    weights: Float[Tensor, "head row key"], gram: Float[Tensor, "key head head"], *, together: bool
) -> Float[Tensor, "head row key"]:
    """Norm of what each head moves, or of what all move together: ``|| sum_h a_h f_h ||``."""
    of_key = gram[: weights.shape[-1]].to(weights)
    if not together:
        norms = of_key.diagonal(dim1=1, dim2=2).clamp_min(0.0).sqrt()
        return weights * norms.T[:, None]
    by_key = weights.permute(2, 1, 0)
    squared = ((by_key @ of_key) * by_key).sum(dim=-1)
    return squared.clamp_min(0.0).sqrt().T[None]
