"""What the rows and columns of a map stand for: tokens, or the words that they make."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Units:
    """What the rows or columns of a map stand for: tokens, or the words that they make.

    Attributes
    ----------
    n_tokens : int
    word_of_token : Tensor or None
        int64 on the CPU, ascending; None where the units are the tokens themselves.
    """

    n_tokens: int
    word_of_token: Int[Tensor, " token"] | None = None

    @cached_property
    def starts(self) -> Int[Tensor, " unit_and_end"]:
        """Position of the first token of every unit, and the number of tokens."""
        if self.word_of_token is None:
            return torch.arange(self.n_tokens + 1)
        return torch.nn.functional.pad(torch.bincount(self.word_of_token).cumsum(0), (1, 0))

    def __len__(self) -> int:
        if self.word_of_token is None or not self.n_tokens:
            return self.n_tokens
        return int(self.word_of_token[-1]) + 1

    def tokens(self, units: Sequence[int]) -> Sequence[int]:
        """Tokens of some units, in their order."""
        if self.word_of_token is None:
            return units
        if _is_run(units):
            return range(int(self.starts[units[0]]), int(self.starts[units[-1] + 1]))
        chosen = torch.as_tensor(list(units), dtype=torch.int64)
        runs = map(range, self.starts[chosen].tolist(), self.starts[chosen + 1].tolist())
        return list(itertools.chain.from_iterable(runs))

    def sizes(self, units: Sequence[int]) -> Int[Tensor, " unit"]:
        """How many tokens some units have."""
        if _is_run(units):
            return self.starts[units[0] : units[-1] + 2].diff()
        chosen = torch.as_tensor(list(units), dtype=torch.int64)
        return self.starts[chosen + 1] - self.starts[chosen]


def fuse(
    weights: Float[Tensor, "map token key"],
    rows: Sequence[int],
    queries: Units,
    keys: Units,
) -> Float[Tensor, "map row column"]:
    """Fuse rows of tokens, of all the words asked for, to these words: ``F = R A C``."""
    # Rows first: they are fewer then, and adding whole rows is cheap.
    if queries.word_of_token is not None:
        sizes = queries.sizes(rows)
        word = torch.repeat_interleave(sizes).to(weights.device)
        fused = weights.new_zeros(weights.shape[0], len(rows), weights.shape[-1])
        weights = fused.index_add_(1, word, weights).div_(sizes.to(weights.device)[:, None])
    if keys.word_of_token is not None:
        word = keys.word_of_token[: weights.shape[-1]]
        n_words = int(word[-1]) + 1 if len(word) else 0
        fused = weights.new_zeros(*weights.shape[:-1], n_words)
        weights = fused.index_add_(2, word.to(weights.device), weights)
    return weights


def _is_run(units: Sequence[int]) -> bool:
    return isinstance(units, range) and units.step == 1 and len(units) > 0
