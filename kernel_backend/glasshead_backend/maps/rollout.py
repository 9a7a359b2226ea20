"""Attention through all layers: rollout and flow (Abnar & Zuidema 2020).

Both follow information back from a token of the last layer to the tokens that went into the first,
by ``Â = (A + I) / 2`` with rows normalised: half of what a layer passes on comes through attention,
half along the residual stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.running.threads import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float
    from scipy.sparse import csr_array
    from torch import Tensor

    from glasshead_backend.maps.attention_map import AttentionMap

_UNIT = 1 << 26
"""Capacities are whole numbers: 1 becomes this. The flow through any cut stays below 2^31."""

_MOST_VISITS = 3_000_000_000
"""Edges times keys: some minutes."""

_EDGE_BYTES = 48
"""Place and capacity of an edge, and of its reverse edge in the residual network."""


def rollout(maps: Sequence[AttentionMap], rows: Sequence[int]) -> Float[Tensor, "row token"]:
    """Multiply ``Â`` of all layers, for some rows of the last one.

    Parameters
    ----------
    maps : sequence of AttentionMap
        One combined map of tokens per layer, in the order of the layers.
    rows : sequence of int
        Tokens of the last layer.

    Returns
    -------
    Tensor
        ``[rows, tokens]`` of the maps' dtype, each row sums to 1. No other T x T matrix is ever
        whole.
    """
    *lower, last = maps
    n_tokens = last.n_columns
    require_room(
        2 * len(rows) * n_tokens * last.dtype.itemsize,
        budget_on(last.device, last.limits.budget),
        f"Rollout of {len(rows):,} x {n_tokens:,} tokens",
        ["Ask for fewer rows (rows=)."],
    )
    rolled = torch.zeros(len(rows), n_tokens, dtype=last.dtype, device=last.device)
    n_seen = 0
    with undisturbed(last.device):
        for layer in steps([last, *reversed(lower)], "rolling attention out", len(maps)):
            if layer is last:
                for place, mixed in _with_residual(last, rows):
                    n_seen = max(n_seen, mixed.shape[1])
                    rolled[place, : mixed.shape[1]] = mixed
                continue
            # What the rows do not see (behind them, in a causal model) passes nothing on.
            passed = rolled[:, :n_seen].to(layer.device)
            rolled = torch.zeros_like(rolled, device=layer.device)
            for place, mixed in _with_residual(layer, range(n_seen)):
                rolled[:, : mixed.shape[1]] += passed[:, place] @ mixed
    return rolled


def flow(maps: Sequence[AttentionMap], row: int, keys: Sequence[int]) -> Float[Tensor, " key"]:
    """Largest flow from a token of the last layer to single tokens below the first.

    Parameters
    ----------
    maps : sequence of AttentionMap
        As for :func:`rollout`.
    row : int
        Token of the last layer.
    keys : sequence of int
        Tokens below the first layer.

    Returns
    -------
    Tensor
        ``[keys]`` float32 on the CPU, 0 to 1. Capacities are rounded to 2^-26.
    """
    network = _network(maps, row)
    if network.nnz * len(keys) > _MOST_VISITS:
        raise ValueError(
            f"The flow to {len(keys):,} keys through {network.nnz:,} edges would take very long. "
            f"Name a few keys, up to {max(1, _MOST_VISITS // network.nnz):,} (keys=), or take "
            "rollout()."
        )
    from scipy.sparse.csgraph import maximum_flow  # noqa: PLC0415  loaded when it is needed

    n_tokens = maps[0].n_columns
    source = len(maps) * n_tokens + row
    flows = [
        maximum_flow(network, source, key).flow_value / _UNIT
        for key in steps(keys, "computing attention flow", len(keys))
    ]
    return torch.tensor(flows, dtype=torch.float32)


def _with_residual(
    of: AttentionMap, rows: Sequence[int]
) -> Iterator[tuple[slice, Float[Tensor, "row visible"]]]:
    """Yield rows of ``Â`` in blocks. A row that may look nowhere keeps its own token."""
    for place, block in of.blocks(rows):
        mixed = block[0].nan_to_num_(0.0)
        own = torch.as_tensor(list(rows[place]), device=mixed.device)
        mixed[torch.arange(len(own), device=mixed.device), own] += 1
        yield place, mixed.div_(mixed.sum(dim=1, keepdim=True))


def _network(maps: Sequence[AttentionMap], row: int) -> csr_array:
    """Edges from every token of a layer to those of the layer below; node = layer * T + token."""
    n_tokens = maps[0].n_columns
    n_nodes = (len(maps) + 1) * n_tokens
    device = maps[0].device
    tails: list[np.ndarray] = []
    heads: list[np.ndarray] = []
    capacities: list[np.ndarray] = []
    _require_room_for_edges(maps, row)
    reach = row + 1
    with undisturbed(device):
        for level in steps(range(len(maps), 0, -1), "reading all layers", len(maps)):
            rows = [row] if level == len(maps) else range(reach)
            for place, mixed in _with_residual(maps[level - 1], rows):
                reach = max(reach, mixed.shape[1])
                capacity = (mixed * _UNIT).round().int()
                tail, head = torch.nonzero(capacity, as_tuple=True)
                capacities.append(capacity[tail, head].cpu().numpy())
                first = rows[place][0]
                tails.append((tail + first + level * n_tokens).cpu().numpy())
                heads.append((head + (level - 1) * n_tokens).cpu().numpy())
    from scipy.sparse import coo_array  # noqa: PLC0415  loaded when it is needed

    edges = np.concatenate(tails), np.concatenate(heads)
    return coo_array((np.concatenate(capacities), edges), shape=(n_nodes, n_nodes)).tocsr()


def _require_room_for_edges(maps: Sequence[AttentionMap], row: int) -> None:
    """Refuse a network that would not fit, before its attention is computed."""
    n_tokens = maps[0].n_columns
    _, seen = next(maps[-1].blocks([row]))
    # In a causal model nothing behind the token takes part, and half of each map is empty.
    n_edges = (row + 1) * (row + 2) // 2 if seen.shape[-1] == row + 1 else n_tokens * n_tokens
    require_room(
        len(maps) * n_edges * _EDGE_BYTES,
        budget_on(maps[0].device, maps[0].limits.budget),
        f"Attention flow through {len(maps)} layers of {n_tokens:,} tokens",
        ["Cut the text."],
    )
