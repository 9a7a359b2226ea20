"""Attention weights that somebody gives: no query and key, the weights themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from glasshead_backend.capture.call import AttentionCall, answer_dtype
from glasshead_backend.capture.softmax import row_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.asking import Precision
    from glasshead_backend.capture.call import Path

_ROUNDING = 1e-2
"""How much less than 1 a row may sum to without anything missing: weights in bfloat16, say."""


@dataclass(eq=False)
class GivenWeights(AttentionCall):
    """The weights of one layer, and its scores where they are known.

    Parameters
    ----------
    given : Tensor
        ``[heads, queries, keys]``; a row of NaN may look nowhere.
    scores : Tensor or None
        What entered the softmax, of the same shape; masked places are ``-inf``.
    """

    given: Float[Tensor, "head query key"]
    scores: Float[Tensor, "head query key"] | None = None

    @property
    def path(self) -> Path:
        """They were given."""
        return "given"

    @property
    def n_heads(self) -> int:
        """Number of query heads."""
        return self.given.shape[0]

    @property
    def n_queries(self) -> int:
        """Number of tokens that look."""
        return self.given.shape[1]

    @property
    def n_keys(self) -> int:
        """Number of tokens that are looked at."""
        return self.given.shape[2]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.given.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are answered in."""
        return answer_dtype(self.given.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.given.nbytes + (0 if self.scores is None else self.scores.nbytes)

    @property
    def remainder(self) -> str:
        """What the rows lack to 1, if they do; nobody says what takes it."""
        sums = self.given.sum(dim=-1, dtype=torch.float32).nan_to_num(1.0)
        return "keys that were not given" if bool((sums < 1 - _ROUNDING).any()) else ""

    def visible_weights(
        self,
        heads: Sequence[int],
        rows: Sequence[int],
        *,
        scores: bool = False,
        precision: Precision = "model",  # noqa: ARG002  they are as they were given
    ) -> Float[Tensor, "head query key"]:
        """Weights or scores of some heads and rows, as a copy; see the base class."""
        of = self.given
        if scores:
            if self.scores is None:
                raise ValueError(
                    "These attention weights were given without the scores before the softmax."
                )
            of = self.scores
        # Rows first: a range of them is a view, and picking heads makes the copy.
        return of[:, row_index(rows, of.device)][list(heads)].to(self.dtype)

    def of_sequence(self, index: int, queries: range, keys: range) -> Self:  # noqa: ARG002
        """Return it: weights are given of one text."""
        return self
