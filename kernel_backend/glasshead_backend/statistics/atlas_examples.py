"""Rows of attention kept as examples: a sample of every bucket, and the highest of every head.

Which rows are kept is decided by numbers that the rows have by themselves, so that keeping the best
of two collections is the same as keeping the best of all their rows: in any order, by any number of
workers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

WINDOW = 48
"""Most tokens of an example that are shown ..."""

BEFORE = 35
"""... and how many of them stand before the row's own, where there are so many."""

N_KEPT = 3
"""Rows that are kept of every bucket; and so many of the highest."""


class Example(NamedTuple):
    """A row of a head's attention.

    Attributes
    ----------
    text : int
        Number of its text in the corpus, from 0.
    query : int
        Position of the row's token in the text.
    value : float
        The row's own value of the metric.
    bucket : int
        Where that falls.
    start : int
        Position of the first token of the window: around the row's own token; in cross attention
        around the source token that it looks at most.
    tokens : tuple of str
        The tokens of the window, at most 48, spelled as :attr:`glasshead.Token.text`.
    weights : Tensor
        float32: what the row gives to each of them.
    outside : float
        What it gives to none of them.
    token : str
        The row's own token.
    """

    text: int
    query: int
    value: float
    bucket: int
    start: int
    tokens: tuple[str, ...]
    weights: Float[Tensor, " window"]
    outside: float
    token: str


@dataclass(frozen=True, eq=False)
class ExampleRows:
    """Rows that were kept, column by column; ordered by cell, group and rank.

    Attributes
    ----------
    cell : Tensor
        Which metric, layer and head: ``(metric * layers + layer) * heads + head``.
    group : Tensor
        The bucket that the row was drawn from; the number of buckets for one of the highest.
    rank : Tensor
        Of two rows of a group the one with the lower number is kept.
    text, query, bucket, start : Tensor
        As of an :class:`Example`.
    value : Tensor
        float32.
    weights : Tensor
        ``[rows, 48]`` float32.
    tokens : Tensor
        ``[rows, 48]`` int32: numbers in :attr:`spellings`; -1 behind the last token of a text.
    token : Tensor
        The row's own.
    spellings : tuple of str
    """

    cell: Int[Tensor, " row"]
    group: Int[Tensor, " row"]
    rank: Int[Tensor, " row"]
    text: Int[Tensor, " row"]
    query: Int[Tensor, " row"]
    bucket: Int[Tensor, " row"]
    start: Int[Tensor, " row"]
    token: Int[Tensor, " row"]
    value: Float[Tensor, " row"]
    weights: Float[Tensor, "row window"]
    tokens: Int[Tensor, "row window"]
    spellings: tuple[str, ...]

    @classmethod
    def none(cls) -> ExampleRows:
        """Return no rows."""
        numbers = {name: torch.zeros(0, dtype=torch.int64) for name in INTEGERS}
        return cls(
            **numbers,
            value=torch.zeros(0),
            weights=torch.zeros(0, WINDOW),
            tokens=torch.zeros(0, WINDOW, dtype=torch.int32),
            spellings=(),
        )

    def __len__(self) -> int:
        return len(self.cell)

    def columns(self) -> dict[str, Tensor]:
        """Return the columns by name."""
        return {name: getattr(self, name) for name in COLUMNS}

    def at(self, index: Int[Tensor, " some"]) -> ExampleRows:
        """Return some of the rows."""
        return replace(self, **{name: column[index] for name, column in self.columns().items()})

    def merged(self, other: ExampleRows) -> ExampleRows:
        """Keep the best of both, three of every cell's group."""
        if not len(other) or not len(self):
            return self if len(self) else other
        known = {text: i for i, text in enumerate(self.spellings)}
        number = [known.setdefault(text, len(known)) for text in other.spellings]
        theirs = other.renumbered(number).columns()
        both = {name: torch.cat([own, theirs[name]]) for name, own in self.columns().items()}
        return ExampleRows(**both, spellings=tuple(known)).best()

    def renumbered(self, numbers: list[int], spellings: tuple[str, ...] = ()) -> ExampleRows:
        """Number the spellings anew: with the new number of each of those that there were."""
        new = torch.tensor([*numbers, -1])  # the last one stands for -1, "no token"
        tokens = new.int()[self.tokens.long()]
        return replace(self, tokens=tokens, token=new[self.token], spellings=spellings)

    def best(self) -> ExampleRows:
        """Keep three rows of every cell's group: those of the lowest rank."""
        keys = (self.query, self.text, self.rank, self.group, self.cell)
        order = np.lexsort([key.numpy() for key in keys])
        cell, group = self.cell.numpy()[order], self.group.numpy()[order]
        begins = np.ones(len(order), dtype=bool)
        begins[1:] = (cell[1:] != cell[:-1]) | (group[1:] != group[:-1])
        first = np.flatnonzero(begins)
        place = np.arange(len(order)) - np.repeat(first, np.diff(np.append(first, len(order))))
        return self.at(torch.from_numpy(order[place < N_KEPT]))

    def tidied(self) -> ExampleRows:
        """Return the rows without those that were kept twice, and only their own spellings."""
        keys = (self.query, self.text, self.cell)
        order = np.lexsort([key.numpy() for key in keys])
        sorted_keys = np.stack([key.numpy()[order] for key in keys])
        new = np.ones(len(order), dtype=bool)
        new[1:] = (sorted_keys[:, 1:] != sorted_keys[:, :-1]).any(axis=0)
        own = self.at(torch.from_numpy(np.sort(order[new])))
        used = torch.cat([own.token, own.tokens.flatten().long()]).unique().tolist()
        number = {at: i for i, at in enumerate(at for at in used if at >= 0)}
        spellings = tuple(self.spellings[at] for at in number)
        return own.renumbered([number.get(i, -1) for i in range(len(self.spellings))], spellings)

    def examples(self, cell: int) -> list[Example]:
        """Return the rows of a cell, the highest value first."""
        first, last = torch.searchsorted(self.cell, torch.tensor([cell, cell + 1])).tolist()
        found = [self._example(i) for i in range(first, last)]
        return sorted(found, key=lambda one: (-one.value, one.text, one.query))

    def _example(self, row: int) -> Example:
        size = int((self.tokens[row] >= 0).sum())
        weights = self.weights[row, :size]
        return Example(
            text=int(self.text[row]),
            query=int(self.query[row]),
            value=float(self.value[row]),
            bucket=int(self.bucket[row]),
            start=int(self.start[row]),
            tokens=tuple(self.spellings[i] for i in self.tokens[row, :size].tolist()),
            weights=weights.clone(),
            outside=max(0.0, 1.0 - float(weights.double().sum())),
            token=self.spellings[int(self.token[row])],
        )


INTEGERS = ("cell", "group", "rank", "text", "query", "bucket", "start", "token")
COLUMNS = (*INTEGERS, "value", "weights", "tokens")
