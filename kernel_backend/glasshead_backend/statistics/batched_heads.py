"""What single rows of attention look like, for a padded batch of texts at once.

The definitions are those of :class:`~glasshead_backend.statistics.heads.HeadStatistics`, row by row
instead of averaged.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import torch

from glasshead_backend.capture.batches import weights_together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.capture.call import AttentionCall
    from glasshead_backend.text.sequences import Sequence as Tokens
    from glasshead_backend.tracing.padded import PaddedCalls

    ByRow = Float[Tensor, "text head row"]


@lru_cache(maxsize=1 << 16)
def is_punctuation(text: str) -> bool:
    """Whether a token says nothing but punctuation: Unicode's categories P, space around it."""
    said = text.strip()
    return bool(said) and all(unicodedata.category(sign)[0] == "P" for sign in said)


@dataclass(frozen=True, eq=False)
class BatchTokens:
    """The tokens of a padded batch, as far as the metrics ask for them.

    Attributes
    ----------
    queries, keys : list of Sequence
        Each text's tokens that look, and that are looked at.
    rows, columns : list of range
        Where they lie in the batch.
    ids : Tensor
        ``[texts, rows]``: of the tokens that look.
    same_text : bool
        Whether a text looks at itself.
    causal : bool
        Whether a token looks only at itself and at what comes before.
    device : torch.device
        Where the weights are computed.
    """

    queries: list[Tokens]
    keys: list[Tokens]
    rows: list[range]
    columns: list[range]
    ids: Int[Tensor, "text row"]
    same_text: bool
    causal: bool
    device: torch.device

    @classmethod
    def of(cls, padded: PaddedCalls, kind: Kind) -> BatchTokens:
        """Return the tokens of a kind of attention."""
        rows, columns = padded.places(kind)
        queries = [sides.of("query", kind) for sides in padded.many]
        keys = [sides.of("key", kind) for sides in padded.many]
        decoded = kind in ("decoder", "cross") and "decoder_input_ids" in padded.batch.inputs
        ids = padded.batch.inputs["decoder_input_ids" if decoded else "input_ids"]
        call = next(iter(padded.calls[kind].values()))
        return cls(
            *(queries, keys, rows, columns, ids.cpu()),
            same_text=kind != "cross",
            causal=kind == "decoder" or (kind == "self" and padded.causal),
            device=call.device,
        )

    @property
    def n_rows(self) -> int:
        """Rows of the batch, padding and all."""
        return self.ids.shape[1]

    @property
    def n_columns(self) -> int:
        """Columns of the batch."""
        return max(own.stop for own in self.columns)

    @cached_property
    def first_row(self) -> Int[Tensor, " text"]:
        """Row of each text's first token."""
        return self._tensor([own.start for own in self.rows])

    @cached_property
    def first_column(self) -> Int[Tensor, " text"]:
        """Column of the first token that is looked at."""
        return self._tensor([own.start for own in self.columns])

    @cached_property
    def position(self) -> Int[Tensor, "text row"]:
        """Position of every row's token in its text; of padding some number out of range."""
        return torch.arange(self.n_rows, device=self.device) - self.first_row[:, None]

    @cached_property
    def there(self) -> Bool[Tensor, "text row"]:
        """Which rows are no padding."""
        sizes = self._tensor([len(own) for own in self.rows])
        return (self.position >= 0) & (self.position < sizes[:, None])

    @cached_property
    def _by_token(self) -> tuple[Int[Tensor, " token"], Int[Tensor, " token"]]:
        """Flat places of all tokens, equal ones of a text side by side; how many stand before."""
        there = self.there.cpu()
        text, _ = there.nonzero(as_tuple=True)
        places = there.flatten().nonzero()[:, 0]
        # One number for every text and token.
        order = (text * (int(self.ids.max()) + 1) + self.ids[there]).argsort(stable=True)
        texts, ids = text[order], self.ids[there][order]
        begins = torch.ones(len(order), dtype=torch.bool)
        begins[1:] = (texts[1:] != texts[:-1]) | (ids[1:] != ids[:-1])
        number = torch.arange(len(order))
        rank = number - torch.where(begins, number, 0).cummax(dim=0).values
        return places[order], rank

    @cached_property
    def behind(self) -> Int[Tensor, "text row"]:
        """Column behind the last earlier occurrence of every row's token; -1: there is none."""
        places, rank = self._by_token
        again = rank.nonzero()[:, 0]
        found = torch.full((self.ids.numel(),), -1)
        found[places[again]] = places[again - 1] % self.n_rows + 1
        return found.view_as(self.ids).to(self.device)

    def earlier(self, rows: range) -> tuple[Tensor, Tensor, Tensor]:
        """Text, row and column of all earlier occurrences of the tokens of some rows."""
        places, rank = self._by_token
        row = places % self.n_rows
        chosen = ((row >= rows.start) & (row < rows.stop)).nonzero()[:, 0]
        n_before = rank[chosen]
        of = torch.repeat_interleave(chosen, n_before)
        # 1 to n_before for each of them: so many places further up.
        ends = n_before.cumsum(0)
        up = torch.arange(len(of)) - torch.repeat_interleave(ends - n_before, n_before) + 1
        found = places[of] // self.n_rows, row[of], row[of - up]
        return found[0].to(self.device), found[1].to(self.device), found[2].to(self.device)

    @cached_property
    def punctuation(self) -> Float[Tensor, "text column"]:
        """1 for columns that are punctuation."""
        found = torch.zeros(len(self.keys), self.n_columns)
        for i, (own, place) in enumerate(zip(self.keys, self.columns, strict=True)):
            signs = [not one.special and is_punctuation(one.text) for one in own.tokens]
            found[i, place.start : place.stop] = torch.tensor(signs, dtype=torch.float32)
        return found.to(self.device)

    @cached_property
    def sees_punctuation(self) -> Bool[Tensor, "text row"]:
        """Which rows have punctuation at or before them; if not causal, anywhere."""
        if self.causal:
            return self.punctuation.cumsum(dim=1) > 0
        return (self.punctuation.sum(dim=1, keepdim=True) > 0).expand(-1, self.n_rows)

    def _tensor(self, numbers: list[int]) -> Int[Tensor, " text"]:
        return torch.tensor(numbers, device=self.device)


@dataclass(frozen=True, eq=False)
class RowBlock:
    """The weights of some rows of a batch.

    Attributes
    ----------
    tokens : BatchTokens
    rows : range
        Which rows of the batch.
    weights : Tensor
        ``[texts, heads, rows, columns]``; the last columns may be left out.
    """

    tokens: BatchTokens
    rows: range
    weights: Float[Tensor, "text head row column"]

    def of(self, by_row: Tensor) -> Tensor:
        """Return what some tensor by text and row says of these rows."""
        return by_row[:, self.rows.start : self.rows.stop]

    @cached_property
    def total(self) -> ByRow:
        """Sum of every row: 1, or less where a sink takes a part; NaN where it is undefined."""
        return self.weights.sum(dim=-1)

    def on(self, column: Int[Tensor, "text row"]) -> ByRow:
        """Weight on one column for each row; columns out of range are the caller's to drop."""
        index = column.clamp(0, self.weights.shape[-1] - 1)[:, None, :, None]
        return self.weights.gather(3, index.expand(-1, self.weights.shape[1], -1, -1))[..., 0]


_TINY = 1e-30


def _entropy(block: RowBlock) -> ByRow:
    # Of w / S: log2 S - (sum w log2 w) / S. A sum of zero has no shares: NaN. What is added keeps
    # the logarithm of 0 finite, and weights for which it matters add nothing that could be seen.
    bits = (block.weights + _TINY).log2_().mul_(block.weights).sum(dim=-1)
    return (block.total.log2() - bits / block.total).clamp_min(0.0)


def _distance(block: RowBlock) -> ByRow:
    row = torch.tensor(list(block.rows), device=block.weights.device)
    column = torch.arange(block.weights.shape[-1], device=row.device)
    apart = (row[:, None] - column).abs().to(block.weights.dtype)
    return (block.weights * apart).sum(dim=-1)


def _sink(block: RowBlock) -> ByRow:
    first = block.tokens.first_column[:, None].expand(-1, len(block.rows))
    return block.on(first)


def _previous_token(block: RowBlock) -> ByRow:
    row = torch.tensor(list(block.rows), device=block.weights.device)
    return block.on((row - 1).expand(len(block.weights), -1))


def _same_token(block: RowBlock) -> ByRow:
    text, row, column = block.tokens.earlier(block.rows)
    n_texts, n_heads, n_rows, _ = block.weights.shape
    place = row - block.rows.start
    found = torch.zeros(n_texts * n_rows, n_heads, dtype=block.weights.dtype, device=place.device)
    found.index_add_(0, text * n_rows + place, block.weights[text, :, place, column])
    return found.view(n_texts, n_rows, n_heads).transpose(1, 2)


def _induction(block: RowBlock) -> ByRow:
    return block.on(block.of(block.tokens.behind))


def _punctuation(block: RowBlock) -> ByRow:
    signs = block.tokens.punctuation[:, None, None, : block.weights.shape[-1]]
    return (block.weights * signs).sum(dim=-1)


_VALUES: dict[str, Callable[[RowBlock], ByRow]] = {
    "entropy": _entropy,
    "distance": _distance,
    "sink": _sink,
    "previous_token": _previous_token,
    "same_token": _same_token,
    "induction": _induction,
    "punctuation": _punctuation,
}


def _counted(name: str, tokens: BatchTokens) -> Bool[Tensor, "text row"]:
    """Which rows have a metric."""
    if name in ("sink", "previous_token") and tokens.same_text:
        return tokens.there & (tokens.position > 0)
    if name in ("same_token", "induction"):
        return tokens.there & (tokens.behind >= 0)
    if name == "punctuation":
        return tokens.there & tokens.sees_punctuation
    return tokens.there


def row_values(block: RowBlock, names: Sequence[str]) -> Float[Tensor, "metric text head row"]:
    """Return every metric of every row; NaN where a row has none."""
    found: list[Tensor] = []
    undefined = block.total.isnan()
    for name in names:
        counted = block.of(_counted(name, block.tokens))[:, None]
        values = _VALUES[name](block).float()
        found.append(values.masked_fill(~counted | undefined, torch.nan))
    return torch.stack(found)


_CELLS = 1 << 20
"""Most weights of a layer in one block, as long as it has more than one row: 4 MB, which the
processor still has at hand from one metric to the next."""


def row_blocks(tokens: BatchTokens, n_heads: int) -> list[range]:
    """Cut the rows of a batch into blocks."""
    of_row = len(tokens.rows) * n_heads * tokens.n_columns
    size = max(1, _CELLS // max(1, of_row))
    return [
        range(start, min(start + size, tokens.n_rows)) for start in range(0, tokens.n_rows, size)
    ]


def block_of(call: AttentionCall, tokens: BatchTokens, rows: range) -> RowBlock:
    """Compute the weights of some rows of a layer."""
    return RowBlock(tokens, rows, weights_together(call, tokens.rows, tokens.columns, rows))
