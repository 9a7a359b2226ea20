"""How spread out a row of attention is: one definition for charts, matrices and tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def row_entropy(weights: Float[Tensor, "*any row key"]) -> Float[Tensor, "*any row"]:
    r"""Entropy of rows of attention, bits.

    ``H = -sum_k p_k log2 p_k`` with ``p = w / sum(w)``: of the row as a distribution over the keys
    that it looks at. Where an attention sink takes a part of a row (its weights sum to less than
    1), that part is left out: the entropy says how the rest is spread, whatever the sink takes, so
    that a row with one visible key has exactly 0 bits. The same holds for rows in half precision,
    which sum to 1 only nearly.

    Parameters
    ----------
    weights : Tensor
        Weights, zero or more.

    Returns
    -------
    Tensor
        NaN where a row is undefined (NaN), or has no weight at all.
    """
    total = weights.sum(dim=-1, keepdim=True)
    # A sum of zero has no shares: 0 / 0 is NaN.
    nats = torch.special.entr(weights / total).sum(dim=-1)
    return nats / math.log(2) + 0.0  # no minus before the zero
