"""In which order dimensions stand side by side: by size, or those that go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

MOST_CLUSTERED = 4096
"""Most dimensions, and most tokens, that a clustering compares."""

_MOST_TURNED = 256
"""Up to this many dimensions branches are turned so that neighbours are alike as far as can be."""

_ROUNDED = 6
"""Decimals of a correlation: beyond them is rounding, which would decide between equals."""


def by_size(rms: Float[Tensor, " dim"]) -> Int[Tensor, " dim"]:
    """Order dimensions by their root mean square, largest first; equals by their numbers."""
    return rms.nan_to_num(-1.0).argsort(descending=True, stable=True)


def by_likeness(
    values: Float[Tensor, "token dim"], rms: Float[Tensor, " dim"]
) -> tuple[Int[Tensor, " dim"], str]:
    """Order dimensions by hierarchical clustering: those that rise and fall together are near.

    Average linkage of ``1 - correlation`` over tokens. Dimensions that do not vary come last, by
    their numbers. The memory is bounded: of more than 4,096 tokens so many are compared, evenly
    spread; of more than 4,096 dimensions the largest, and the rest follows by size.

    Parameters
    ----------
    values : Tensor
    rms : Tensor
        ``[dims]``, on the CPU.

    Returns
    -------
    order : Tensor
    note : str
        What was left out of the comparison; "" = nothing.
    """
    n_tokens, n_dims = values.shape
    kept = by_size(rms)[:MOST_CLUSTERED].sort().values
    tokens = torch.arange(n_tokens)
    if n_tokens > MOST_CLUSTERED:
        tokens = torch.linspace(0, n_tokens - 1, MOST_CLUSTERED).round().long()
    device = values.device
    some = values[tokens.to(device)][:, kept.to(device)].float()
    away = some - some.mean(dim=0)
    length = away.norm(dim=0)
    # What is left of equal numbers by rounding is no variation.
    varies = (length > 1e-5 * some.norm(dim=0)) & length.isfinite()
    unit = away[:, varies] / length[varies]
    inside = kept[varies.cpu()]
    order = inside[_leaves((unit.T @ unit).cpu())]
    left = torch.ones(n_dims, dtype=torch.bool)
    left[kept] = False
    rest = by_size(rms)
    said = [
        f"{n:,} of {whole:,} {what}"
        for n, whole, what in (
            (len(tokens), n_tokens, "tokens"),
            (len(kept), n_dims, "dimensions, the largest"),
        )
        if n < whole
    ]
    note = f"Clustered by {' and '.join(said)}." if said else ""
    return torch.cat([order, rest[left[rest]], kept[~varies.cpu()]]), note


def _leaves(correlation: Float[Tensor, "dim dim"]) -> Int[Tensor, " dim"]:
    """Order by average linkage of one minus the correlation."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # noqa: PLC0415  slow to load

    n = len(correlation)
    if n <= 2:  # noqa: PLR2004  there is nothing to order
        return torch.arange(n)
    above = np.triu_indices(n, 1)
    apart = 1 - correlation.numpy()[above].astype(np.float64)
    apart = apart.round(_ROUNDED).clip(0, 2)
    tree = linkage(apart, method="average", optimal_ordering=n <= _MOST_TURNED)
    return torch.from_numpy(leaves_list(tree).astype(np.int64))
