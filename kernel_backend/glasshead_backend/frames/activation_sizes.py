"""How large activations are, by dimension, by token and altogether."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, log10
from typing import TYPE_CHECKING

import torch

from glasshead_backend.tracing.store import bytes_of

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

_CELLS_AT_ONCE = 1 << 21
_QUANTILE = 0.99
_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class Sizes:
    """Sizes of the activations of a block, all on the CPU.

    Attributes
    ----------
    rms : Tensor
        ``[dims]`` float32: root mean square over tokens.
    norms : Tensor
        ``[tokens]`` float32: L2 norm over dimensions.
    largest_token : Tensor
        ``[dims]``: the token with the largest number.
    share_of_largest : Tensor
        ``[dims]``: share of that number's square in the sum of squares.
    bound : float
        A round number: next above the median, over tokens, of the 0.99 quantile of a token's sizes.
        One token with massive activations does not move it.
    beyond : float
        Share of numbers larger than that.
    largest : float
    n_undefined : int
        Numbers that are not finite; they count in ``rms`` and ``norms`` alone.
    """

    rms: Float[Tensor, " dim"]
    norms: Float[Tensor, " token"]
    largest_token: Int[Tensor, " dim"]
    share_of_largest: Float[Tensor, " dim"]
    bound: float
    beyond: float
    largest: float
    n_undefined: int

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return bytes_of((self.rms, self.norms, self.largest_token, self.share_of_largest))


def sizes_of(values: Float[Tensor, "token dim"]) -> Sizes:
    """Measure activations a few tokens at a time, in single precision whatever they are kept in."""
    n_tokens, n_dims = values.shape
    step = max(1, _CELLS_AT_ONCE // n_dims)
    squares = torch.zeros(n_dims, dtype=torch.float64)
    most, where = torch.zeros(n_dims), torch.zeros(n_dims, dtype=torch.long)
    beyond_quantile = n_dims - ceil(_QUANTILE * n_dims) + 1
    norms: list[Tensor] = []
    quantiles: list[Tensor] = []
    n_defined = 0
    for place in range(0, n_tokens, step):
        part = values[place : place + step].float()
        sizes = part.abs()
        n_defined += int(sizes.isfinite().sum())
        sizes = sizes.nan_to_num(0.0, 0.0)
        # A copy: a view would keep all that is beyond the quantile.
        quantiles.append(sizes.topk(beyond_quantile, dim=1).values[:, -1].clone().cpu())
        norms.append(part.norm(dim=1).cpu())
        squares += part.square().sum(dim=0).cpu().double()
        top = sizes.max(dim=0)
        newest, token = top.values.cpu(), top.indices.cpu() + place
        where = torch.where(newest > most, token, where)
        most = most.maximum(newest)
    bound = _round_up(float(torch.cat(quantiles).median())) or _round_up(float(most.max())) or 1.0
    beyond = sum(int((p.float().abs() > bound).sum()) for p in values.split(step))
    return Sizes(
        rms=(squares / n_tokens).sqrt().float(),
        norms=torch.cat(norms),
        largest_token=where,
        share_of_largest=(most.double().square() / squares).float(),
        bound=bound,
        beyond=beyond / values.numel(),
        largest=float(most.max()),
        n_undefined=values.numel() - n_defined,
    )


def _round_up(size: float) -> float:
    """Return the next round number; 0 stays."""
    if size <= 0:
        return 0.0
    power = floor(log10(size))
    # Written as it is read: 3 * 10**-1 is not 0.3.
    numbers = (float(f"{one}e{power}") for one in _ROUND)
    return next(one for one in numbers if one >= size * (1 - 1e-9))
