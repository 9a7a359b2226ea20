"""Which keys a row may look at."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor


def may_look(rows: Sequence[int], keys: range, device: torch.device) -> Bool[Tensor, "query key"]:
    """Which of some keys rows of a causal call may look at."""
    queries = torch.as_tensor(list(rows), device=device)
    return torch.arange(keys.start, keys.stop, device=device) <= queries[:, None]


def later_keys(
    rows: Sequence[int], n_visible: int, *, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "query key"]:
    """Minus infinity where a key comes after its query, from the first of the rows on; else 0."""
    if isinstance(rows, range) and rows.step == 1 and rows.stop == n_visible:
        return _triangle(len(rows), dtype, device)
    hidden = ~may_look(rows, range(min(rows), n_visible), device)
    return torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)


@lru_cache(maxsize=8)
def _triangle(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "size size"]:
    # All full blocks of rows share one, and making it costs more than applying it.
    hidden = torch.full((size, size), -torch.inf, dtype=dtype, device=device)
    return hidden.triu(1)


def hides(additive: Float[Tensor, "*any"]) -> Bool[Tensor, "*any"]:
    """Where an additive mask hides a key: models write the dtype's minimum, or minus infinity."""
    return additive <= torch.finfo(additive.dtype).min / 2
