"""Attention that eager reports in bands or blocks, laid out as tokens by tokens with numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

_MAP_DIMS, _BLOCK_DIMS = 4, 5


def unfolded(reported: Any, n_tokens: int, layer: int, layout: str) -> Any:
    """Return ``[batch, heads, queries, keys]``; what is no known band or block comes back as it is.

    Parameters
    ----------
    reported : Tensor or dict
        ``[batch, heads, queries, 2 * reach + 1]`` (Longformer, LED: column ``j`` of row ``i`` is
        key ``i - reach + j``); ``[batch, blocks, heads, size, 3 * size]`` (LongT5: the block's
        own keys between those of its neighbours); or a dict whose "local" is
        ``[batch, heads, blocks, size, n_global + size]`` (Pegasus-X: global tokens, then the
        block's own; in every second layer the blocks begin half a block before the text).
    n_tokens : int
        Size of the map.
    layer : int
        Which layer it is.
    layout : str
        What another width than that of a map means: "band", or "summaries" behind the tokens' own
        columns (DeepSeek-V4).
    """
    if isinstance(reported, dict):
        local = reported["local"].numpy()
        return torch.from_numpy(_from_own_blocks(local, n_tokens, staggered=layer % 2 == 1))
    if not isinstance(reported, Tensor):
        return reported
    shape = reported.shape
    if layout == "summaries":
        return reported[..., :n_tokens]
    if layout == "band" and len(shape) == _MAP_DIMS and shape[3] != n_tokens:
        return torch.from_numpy(_from_band(reported.numpy()))
    if len(shape) == _BLOCK_DIMS and shape[4] == 3 * shape[3]:
        return torch.from_numpy(_from_blocks(reported.numpy(), n_tokens))
    return reported


def _from_band(band: np.ndarray) -> np.ndarray:
    batch, heads, n_tokens, width = band.shape
    rows, columns = np.indices((n_tokens, width))
    keys = rows - width // 2 + columns
    there = (keys >= 0) & (keys < n_tokens)
    whole = np.zeros((batch, heads, n_tokens, n_tokens), dtype=band.dtype)
    whole[:, :, rows[there], keys[there]] = band[:, :, there]
    return whole


def _from_blocks(blocks: np.ndarray, n_tokens: int) -> np.ndarray:
    batch, n_blocks, heads, size, width = blocks.shape
    block, row, column = np.indices((n_blocks, size, width))
    queries, keys = block * size + row, (block - 1) * size + column
    there = (queries < n_tokens) & (keys >= 0) & (keys < n_tokens)
    whole = np.zeros((batch, heads, n_tokens, n_tokens), dtype=blocks.dtype)
    by_head = blocks.transpose(0, 2, 1, 3, 4)
    whole[:, :, queries[there], keys[there]] = by_head[:, :, there]
    return whole


def _from_own_blocks(blocks: np.ndarray, n_tokens: int, *, staggered: bool) -> np.ndarray:
    batch, heads, n_blocks, size, width = blocks.shape
    block, row, column = np.indices((n_blocks, size, size))
    shift = size // 2 if staggered else 0
    queries, keys = block * size + row - shift, block * size + column - shift
    there = (queries >= 0) & (queries < n_tokens) & (keys >= 0) & (keys < n_tokens)
    whole = np.zeros((batch, heads, n_tokens, n_tokens), dtype=blocks.dtype)
    whole[:, :, queries[there], keys[there]] = blocks[..., width - size :][:, :, there]
    return whole
