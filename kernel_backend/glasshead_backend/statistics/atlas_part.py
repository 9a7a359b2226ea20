"""Collecting the rows of some texts: what the batches of one part of a corpus come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from glasshead_backend.corpora.sampling import hashed
from glasshead_backend.statistics.atlas_examples import BEFORE, N_KEPT, WINDOW, ExampleRows
from glasshead_backend.statistics.atlas_metrics import N_BUCKETS
from glasshead_backend.statistics.poisson_weights import ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from numpy.typing import NDArray
    from torch import Tensor

    from glasshead_backend.statistics.atlas_metrics import AtlasMetric
    from glasshead_backend.statistics.batched_heads import BatchTokens, RowBlock

_HIGHEST = N_BUCKETS
"""The group of the highest rows: behind the buckets."""
_NO_BUCKET = N_BUCKETS
"""The bucket of a row that has no such number."""
_MARGIN = 2
"""Tokens beyond the row's own and the one that it looks at most, where a window is moved."""
_LAST = np.iinfo(np.int64).max


class Shape(NamedTuple):
    """How many metrics, layers and heads (of the layer that has most) there are."""

    metrics: int
    layers: int
    heads: int

    @property
    def n_cells(self) -> int:
        """Numbers of a table of all of them."""
        return self.metrics * self.layers * self.heads


class _Batch(NamedTuple):
    """What rows of a batch are called."""

    places: Int[Tensor, " text"]
    """Places of its texts in the part."""
    numbers: NDArray[np.int64]
    """Their numbers in the corpus."""
    tokens: BatchTokens
    first_key: NDArray[np.int64]
    """Where each text's tokens that are looked at begin in the list of all of the part ..."""
    first_query: NDArray[np.int64]
    """... and those that look."""


class _Rows(NamedTuple):
    """The rows of a block that are no padding, in the order of their random numbers."""

    flat: NDArray[np.int64]
    """Their places, ``text * rows + row``."""
    random: NDArray[np.int64]
    """Those numbers, ascending."""
    order: NDArray[np.int64]
    """Their order by text and position."""


class PartRows:
    """Adds up the rows of a part, and keeps the examples among them.

    Parameters
    ----------
    metrics : sequence of AtlasMetric
    shape : Shape
    n_texts : int
        Texts of the part.
    seed : int
    """

    def __init__(
        self, metrics: Sequence[AtlasMetric], shape: Shape, n_texts: int, seed: int
    ) -> None:
        self.shape, self.seed = shape, seed
        # Between the buckets: whatever lies beyond the first or last edge is theirs, too.
        self.edges = torch.tensor([one.edges[1:-1] for one in metrics], dtype=torch.float32)
        self.sums = torch.zeros(n_texts, *shape, dtype=torch.float64)
        self.counts = torch.zeros(n_texts, *shape, dtype=torch.float64)
        self.rows = torch.zeros(*shape, N_BUCKETS, dtype=torch.int64)
        # Rank of the last row that is kept of a cell's group: what ranks behind it need not come.
        self._worst = np.full((shape.n_cells, N_BUCKETS + 1), _LAST)
        self._kept: list[ExampleRows] = []
        self._spellings: list[str] = []

    # ---- a batch -------------------------------------------------------------------------------

    def begin(self, tokens: BatchTokens, places: Sequence[int], numbers: Sequence[int]) -> None:
        """Begin with a batch: its texts' places in the part, and their numbers in the corpus."""
        first_key = self._spelled(tokens, "keys")
        first_query = first_key if tokens.same_text else self._spelled(tokens, "queries")
        self._batch = _Batch(
            torch.tensor(list(places)), np.array(numbers), tokens, first_key, first_query
        )

    def _spelled(self, tokens: BatchTokens, side: str) -> NDArray[np.int64]:
        """Put the tokens of a side into the list of all; return where each text's begin."""
        begins: list[int] = []
        for sequence in getattr(tokens, side):
            begins.append(len(self._spellings))
            self._spellings.extend(token.text for token in sequence.tokens)
        return np.array(begins)

    def in_order(self, rows: range) -> _Rows:
        """Put rows of the batch into the order of their random numbers."""
        tokens = self._batch.tokens
        there = tokens.there[:, rows.start : rows.stop].cpu().numpy()
        flat = np.flatnonzero(there)
        position = tokens.position[:, rows.start : rows.stop].cpu().numpy().ravel()[flat]
        number = self._batch.numbers[flat // len(rows)]
        random = hashed(self.seed, ROWS, number, position)
        order = np.argsort(random, kind="stable")
        by_text = np.empty_like(order)
        by_text[np.lexsort((position, number))] = np.arange(len(flat))
        return _Rows(flat[order], random[order], by_text[order])

    # ---- a layer's block -----------------------------------------------------------------------

    def add(
        self,
        layer: int,
        block: RowBlock,
        values: Float[Tensor, "metric text head row"],
        ordered: _Rows,
    ) -> None:
        """Add the rows of one block of a layer."""
        values = values.cpu()
        n_metrics, _, n_heads, _ = values.shape
        there = ~values.isnan()
        at = self._batch.places
        self.sums[at, :, layer, :n_heads] += (
            torch.where(there, values, 0.0).sum(dim=-1).double().transpose(0, 1)
        )
        self.counts[at, :, layer, :n_heads] += there.sum(dim=-1).double().transpose(0, 1)
        # [metric and head, row], rows in random order.
        by_row = values.transpose(1, 2).flatten(2)[..., torch.from_numpy(ordered.flat)]
        bucket = self._buckets(by_row).flatten(0, 1).numpy()
        value = by_row.flatten(0, 1).numpy()
        n_of = _counts(bucket)
        self.rows[:, layer, :n_heads] += torch.from_numpy(n_of[:, :N_BUCKETS]).view(
            n_metrics, n_heads, N_BUCKETS
        )
        metric, head = np.divmod(np.arange(n_metrics * n_heads), n_heads)
        cell = (metric * self.shape.layers + layer) * self.shape.heads + head
        self._keep(_sampled(bucket, n_of, cell, ordered), block, value, bucket, ordered, head)
        self._keep(_highest(value, cell, ordered), block, value, bucket, ordered, head)

    def _buckets(self, values: Float[Tensor, "metric head row"]) -> Int[Tensor, "metric head row"]:
        """Return the bucket of every value, as bytes: as many as there are edges at or below it."""
        found = torch.zeros(values.shape, dtype=torch.uint8)
        for edge in self.edges.T:
            found += values >= edge[:, None, None]
        return found.masked_fill_(values.isnan(), _NO_BUCKET)

    def _keep(
        self,
        chosen: _Chosen,
        block: RowBlock,
        value: NDArray[np.float32],
        bucket: NDArray[np.uint8],
        ordered: _Rows,
        head: NDArray[np.int64],
    ) -> None:
        """Keep those of some rows that rank high enough, with the weights around them."""
        worst = self._worst[chosen.cell, chosen.group]
        chosen = chosen.where(chosen.rank <= worst)
        if not len(chosen.cell):
            return
        batch, n_rows = self._batch, len(block.rows)
        text, row = np.divmod(ordered.flat[chosen.column], n_rows)
        tokens = batch.tokens
        query = row + block.rows.start - tokens.first_row.cpu().numpy()[text]
        start, size, weights = _window(block, text, head[chosen.line], row, query)
        inside = np.arange(WINDOW) < size[:, None]
        key = batch.first_key[text] + start
        numbers = {
            "cell": chosen.cell,
            "group": chosen.group,
            "rank": chosen.rank,
            "text": batch.numbers[text],
            "query": query,
            "bucket": bucket[chosen.line, chosen.column].astype(np.int64),
            "start": start,
            "token": batch.first_query[text] + query,
            "tokens": np.where(inside, key[:, None] + np.arange(WINDOW), -1).astype(np.int32),
        }
        self._kept.append(
            ExampleRows(
                **{name: torch.from_numpy(column) for name, column in numbers.items()},
                value=torch.from_numpy(value[chosen.line, chosen.column]),
                weights=weights,
                spellings=(),
            )
        )
        self._worsen(chosen)

    def _worsen(self, chosen: _Chosen) -> None:
        """Note the rank of the last of three, where there are so many in what has just come."""
        key = chosen.cell * (N_BUCKETS + 1) + chosen.group
        order = np.lexsort((chosen.rank, key))
        key, rank = key[order], chosen.rank[order]
        begins = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
        sizes = np.diff(np.r_[begins, len(key)])
        full = begins[sizes >= N_KEPT]
        at = np.divmod(key[full], N_BUCKETS + 1)
        self._worst[at] = np.minimum(self._worst[at], rank[full + N_KEPT - 1])

    # ---- the part ------------------------------------------------------------------------------

    def examples(self) -> ExampleRows:
        """Return the rows that are kept of the part."""
        if not self._kept:
            return ExampleRows.none()
        columns = {
            name: torch.cat([getattr(one, name) for one in self._kept])
            for name in self._kept[0].columns()
        }
        best = ExampleRows(**columns, spellings=()).best()
        # Until now every token of the part had a number of its own.
        known: dict[str, int] = {}
        numbers = [known.setdefault(text, len(known)) for text in self._spellings]
        return best.renumbered(numbers, tuple(known))


class _Chosen(NamedTuple):
    """Some rows of some heads."""

    line: NDArray[np.int64]
    """Which metric and head ..."""
    column: NDArray[np.int64]
    """... and which row, of all in random order."""
    cell: NDArray[np.int64]
    group: NDArray[np.int64]
    rank: NDArray[np.int64]

    def where(self, wanted: NDArray[np.bool_]) -> _Chosen:
        return _Chosen(*(one[wanted] for one in self))


def _counts(bucket: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many rows of each line fall in each bucket, and in none: ``[lines, buckets + 1]``."""
    n_lines = len(bucket)
    flat = bucket + (np.arange(n_lines) * (N_BUCKETS + 1))[:, None]
    return np.bincount(flat.ravel(), minlength=n_lines * (N_BUCKETS + 1)).reshape(n_lines, -1)


def _sampled(
    bucket: NDArray[np.uint8], n_of: NDArray[np.int64], cell: NDArray[np.int64], ordered: _Rows
) -> _Chosen:
    """Choose of every bucket the rows with the lowest random numbers."""
    # Bytes are sorted by counting: rows of a bucket come together, their order stays.
    by_bucket = np.argsort(bucket, axis=1, kind="stable")
    begins = n_of.cumsum(axis=1) - n_of
    turn = np.arange(N_KEPT)
    line, group, nth = np.nonzero(turn < n_of[:, :N_BUCKETS, None])
    column = by_bucket[line, begins[line, group] + nth]
    return _Chosen(line, column, cell[line], group, ordered.random[column])


def _highest(value: NDArray[np.float32], cell: NDArray[np.int64], ordered: _Rows) -> _Chosen:
    """Choose of every metric and head the rows with the highest values; of equal ones the first."""
    # Floats above zero are ordered as the whole numbers that their bits are; NaN comes last.
    bits = np.where(np.isnan(value), -1, value.view(np.int32)).astype(np.int64)
    keys = torch.from_numpy((bits << 32) | (len(ordered.flat) - 1 - ordered.order))
    top = keys.topk(min(N_KEPT, keys.shape[1]), dim=1)
    line, nth = np.nonzero(top.values.numpy() >= 0)
    column = top.indices.numpy()[line, nth]
    rank = np.iinfo(np.int32).max - bits[line, column]
    return _Chosen(line, column, cell[line], np.full(len(line), _HIGHEST), rank)


def _window(
    block: RowBlock,
    text: NDArray[np.int64],
    head: NDArray[np.int64],
    row: NDArray[np.int64],
    row_of: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float[Tensor, "example window"]]:
    """Return where windows begin in their texts, their sizes, and the weights in them."""
    tokens, weights = block.tokens, block.weights
    at = [torch.from_numpy(one).to(weights.device) for one in (text, head, row)]
    first = tokens.first_column[at[0]]
    n_keys = torch.tensor([len(own) for own in tokens.columns], device=weights.device)[at[0]]
    own = weights[at[0], at[1], at[2]]
    most = own.argmax(dim=-1) - first
    query = torch.from_numpy(row_of).to(weights.device) if tokens.same_text else most
    # Both the row's own token and what it looks at, where they are not too far apart.
    earliest = query.maximum(most) - (WINDOW - 1 - _MARGIN)
    latest = query.minimum(most) - _MARGIN
    usual = query - BEFORE
    start = torch.where(earliest <= latest, usual.clamp(earliest, latest), usual)
    start = start.minimum(n_keys - WINDOW).clamp_min(0)
    size = (n_keys - start).clamp_max(WINDOW)
    place = torch.arange(WINDOW, device=weights.device)
    column = (first + start)[:, None] + place
    inside = (place < size[:, None]) & (column < own.shape[-1])
    found = own.gather(1, column.clamp_max(own.shape[-1] - 1)).float()
    found = torch.where(inside, found, 0.0).cpu()
    return start.cpu().numpy(), size.cpu().numpy(), found
