"""Position biases that depend on the distance only (T5), kept as one vector per head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

MAP_DIMS = 4
"""Masks, biases and the like are ``[batch, heads, queries, keys]``."""


@dataclass(frozen=True, eq=False)
class RelativeBias:
    """A position bias that depends on the distance only: kept as one vector per head.

    Attributes
    ----------
    by_distance : Tensor
        ``[1, heads, queries + keys - 1]``; element ``key - query + queries - 1``.
    n_queries : int
        Rows of the bias.
    first_query, first_key : int
        Where the part that is looked at begins, in the run that was recorded.
    """

    by_distance: Float[Tensor, "1 head distance"]
    n_queries: int
    first_query: int = 0
    first_key: int = 0

    def rows(self, rows: Sequence[int], n_keys: int) -> Float[Tensor, "1 head query key"]:
        """Return the bias of some rows for the first `n_keys` keys."""
        device = self.by_distance.device
        query = torch.as_tensor(list(rows), device=device) + self.first_query
        key = torch.arange(n_keys, device=device) + self.first_key
        return self.by_distance[:, :, key - query[:, None] + self.n_queries - 1]


def relative(bias: Float[Tensor, "one head query key"]) -> RelativeBias | None:
    """Keep a bias as a vector by distance; None when it is not the same along every diagonal."""
    if bias.dim() != MAP_DIMS or bias.shape[0] != 1:
        return None
    n_queries, n_keys = bias.shape[2:]
    # From the bottom of the first column up to its top, then along the first row.
    by_distance = torch.cat([bias[..., 0].flip(-1), bias[:, :, 0, 1:]], dim=-1).contiguous()
    windows = by_distance.unfold(-1, n_keys, 1)
    block = max(1, 2**22 // max(1, bias.shape[1] * n_keys))
    for start in range(0, n_queries, block):
        stop = min(start + block, n_queries)
        expected = windows[:, :, n_queries - stop : n_queries - start].flip(2)
        if not torch.equal(bias[:, :, start:stop], expected):
            return None
    return RelativeBias(by_distance, n_queries)
