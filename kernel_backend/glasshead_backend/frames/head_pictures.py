"""A small picture of every head of a layer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from glasshead_backend.answering import answered
from glasshead_backend.questions.attention import attention_map
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8
    from torch import Tensor

    from glasshead_backend.asking import Selection
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

_SIZE = 32
_FULL = 0.9
"""Quantile of a head's pixels that is drawn in full: a few strong ones leave the rest readable."""


@answered
def head_pictures(trace: Trace, asked: Selection) -> UInt8[Tensor, "head thumb thumb"]:
    """Max-pooled pattern of every head of a layer, whichever of them are drawn.

    255 = what nine of ten of that head's pixels do not exceed, so that a flat head can be read, and
    a single strong column leaves the rest visible.
    """
    run, every = run_of(trace), replace(asked, heads=(), aggregate=None)
    return run.store.remember(
        ("thumbnails", every), lambda: _in_range(_pooled(attention_map(run, every)))
    )


def _pooled(heads: AttentionMap) -> Float[Tensor, "head thumb thumb"]:
    n_heads, n_rows, n_columns = heads.n_maps, heads.n_rows, heads.n_columns
    size = min(_SIZE, max(n_rows, n_columns))
    column = torch.arange(n_columns, device=heads.device) * size // n_columns
    pooled = torch.zeros(n_heads, size, size, dtype=heads.dtype, device=heads.device)
    with undisturbed(heads.device):
        for place, block in heads.blocks():
            clean = block.nan_to_num_(0.0)
            by_column = clean.new_zeros(n_heads, clean.shape[1], size)
            index = column[: clean.shape[2]].expand_as(clean)
            by_column.scatter_reduce_(2, index, clean, "amax")
            row = torch.arange(place.start, place.stop, device=heads.device) * size // n_rows
            pooled.scatter_reduce_(1, row[None, :, None].expand_as(by_column), by_column, "amax")
    return pooled


def _in_range(pooled: Float[Tensor, "head thumb thumb"]) -> UInt8[Tensor, "head thumb thumb"]:
    flat = pooled.flatten(1).float()
    seen = flat.masked_fill(flat == 0, torch.nan)
    full = seen.nanquantile(_FULL, dim=1).nan_to_num(1.0)[:, None, None]
    return (pooled / full.clamp_min(1e-30) * 255).round().clamp(max=255).to(torch.uint8)
