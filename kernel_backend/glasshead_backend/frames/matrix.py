"""The picture of an attention matrix: never more cells than a screen shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from glasshead_backend.frames.pack import pack, quantise_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float

    from glasshead_backend.layers import Kind
    from glasshead_backend.sides import Unit
    from glasshead_backend.trace import Aggregate, Trace

TILE = 512
"""Most cells on an axis of a frame or tile."""


def matrix_frame(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    aggregate: Aggregate,
) -> dict[str, Any]:
    """Make the frame of FusedAttentionMatrix: one head, or the mean or maximum of several.

    Returns
    -------
    dict
        ``values`` (uint8) and ``row_scale``: weight = byte * scale of its row. Maps with more than
        512 units on an axis are max-pooled; ``cells_per_pixel`` says by how much. ``row_entropy``
        is in bits, ``column_mass`` the mean weight that a column gets; both from the exact weights.
    """
    weights = combined(trace, layer, heads, kind, unit, aggregate)
    defined = ~weights.isnan().any(dim=1)
    clean = weights.nan_to_num(0.0)
    pooled, per_pixel = _pool(clean)
    stepped, scale = quantise_rows(pooled)
    share = clean / clean.sum(dim=1, keepdim=True).clamp_min(1e-30)
    entropy = -(share * share.clamp_min(1e-30).log2()).sum(dim=1)
    n_heads = trace.n_heads(layer, kind)
    return {
        "key": {
            "kind": kind,
            "layer": layer,
            "heads": list(heads),
            "unit": unit,
            "aggregate": aggregate,
        },
        "kind": "matrix",
        "rows": weights.shape[0],
        "cols": weights.shape[1],
        "pooled": "max" if per_pixel > 1 else "exact",
        "cells_per_pixel": per_pixel,
        "values": pack(stepped, torch.uint8),
        "row_scale": pack(scale, torch.float32),
        "max": float(clean.max()),
        "row_entropy": pack(torch.where(defined, entropy, torch.nan), torch.float32),
        "column_mass": pack(
            clean[defined].mean(dim=0) if bool(defined.any()) else clean.mean(dim=0), torch.float32
        ),
        "undefined_rows": pack(~defined, torch.uint8),
        "title": _title(list(heads), n_heads, aggregate),
    }


def matrix_tile(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    aggregate: Aggregate,
    queries: tuple[int, int],
    keys: tuple[int, int],
) -> tuple[Tensor, Tensor, Literal["exact", "max"], int]:
    """One viewport of the matrix at the best resolution that fits 512 x 512.

    Parameters
    ----------
    queries, keys : tuple of int
        Half-open ranges of units.

    Returns
    -------
    values, row_scale, pooled, cells_per_pixel
        As in :func:`matrix_frame`.
    """
    rows = range(*queries)
    weights = combined(trace, layer, heads, kind, unit, aggregate, rows=rows)
    pooled, per_pixel = _pool(weights[:, keys[0] : keys[1]].nan_to_num(0.0))
    stepped, scale = quantise_rows(pooled)
    return stepped, scale, "max" if per_pixel > 1 else "exact", per_pixel


def combined(
    trace: Trace,
    layer: int,
    heads: Sequence[int],
    kind: Kind,
    unit: Unit,
    aggregate: Aggregate,
    *,
    rows: Sequence[int] | None = None,
) -> Float[Tensor, "query key"]:
    """Weights of one head, or the mean or maximum over several (none named = all)."""
    chosen = list(heads) or None
    return trace.attention(layer, chosen, kind=kind, unit=unit, aggregate=aggregate, rows=rows)


def _pool(weights: Float[Tensor, "query key"]) -> tuple[Float[Tensor, "row column"], int]:
    """Max-pool square patches so that both axes fit a tile."""
    per_pixel = max(1, -(-max(weights.shape) // TILE))
    if per_pixel == 1:
        return weights, 1
    pool = torch.nn.functional.max_pool2d
    return pool(weights[None, None], per_pixel, ceil_mode=True)[0, 0], per_pixel


def _title(heads: list[int], n_heads: int, aggregate: Aggregate) -> str:
    if len(heads) == 1 or n_heads == 1:
        return f"head {heads[0] if heads else 0}"
    word = "mean" if aggregate == "mean" else "maximum"
    if not heads or len(heads) == n_heads:
        return f"{word} of all {n_heads} heads"
    names = ", ".join(map(str, heads))
    return f"{word} of heads {names}" if len(heads) <= 6 else f"{word} of {len(heads)} heads"  # noqa: PLR2004
