"""Exact attention weights, recomputed for the heads and rows that somebody looks at.

``A = softmax(scale * q k^T -> soft-cap -> + bias -> mask)``, with a sink column dropped where the
layer has one. All work goes through row blocks, so that no T x T matrix is ever needed unless the
caller asks for one; rows of a causal layer skip the keys to their right.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glasshead_backend.capture import eager_rows, row_index, visible

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from jaxtyping import Bool, Float, Int

    from glasshead_backend.capture import AttentionCall

ROW_BLOCK = 256
"""Query rows computed at once: 256 rows x 8,192 keys x 4 bytes = 8 MB a head."""

_PARITY = 1e-5
"""Largest difference between our own arithmetic and the model's eager function (float32)."""


def weights(
    call: AttentionCall, heads: Sequence[int], rows: Sequence[int], *, scores: bool = False
) -> Float[Tensor, "head query key"]:
    """Attention weights (or pre-softmax scores) of some heads and query rows.

    Parameters
    ----------
    call : AttentionCall
        A recorded call of batch size 1.
    heads : sequence of int
        Query heads.
    rows : range or sequence of int
        Query rows.
    scores : bool
        Return what enters the softmax instead: masked places are ``-inf``.

    Returns
    -------
    Tensor
        ``[heads, rows, keys]`` float32. A row that may look nowhere is NaN: undefined.

    Notes
    -----
    float32 calls use our own arithmetic when :func:`verify` found it equal to the model's eager
    function; anything else (half precision included) is computed by that function itself, so that
    the numbers are those which the model would report.
    """
    if scores:
        return _padded(call, _scores(call, heads, rows), value=-torch.inf)
    if call.own_math and call.query.dtype == torch.float32:
        return _own_weights(call, heads, rows)
    computed = eager_rows(call, rows)[0, list(heads)].float()
    blind = _blind_rows(call, heads, rows)
    return computed if blind is None else computed.masked_fill(blind[..., None], torch.nan)


def row_blocks(
    call: AttentionCall, heads: Sequence[int], *, block: int = ROW_BLOCK
) -> Iterator[tuple[int, int, Float[Tensor, "head query key"]]]:
    """Yield ``(start, stop, weights)`` over all query rows, in blocks.

    In a causal layer the last axis ends at ``stop``: the keys to its right have weight zero.
    """
    n_queries = call.query.shape[2]
    for start in range(0, n_queries, block):
        stop = min(start + block, n_queries)
        rows = range(start, stop)
        yield start, stop, weights(call, heads, rows)[..., : _visible_keys(call, rows)]


def columns(
    call: AttentionCall, heads: Sequence[int], keys: Sequence[int]
) -> Float[Tensor, "head query"]:
    """Weights with which every query token looks at some key tokens, summed over these.

    Returns
    -------
    Tensor
        ``[heads, queries]`` float32.
    """
    n_queries = call.query.shape[2]
    looked = torch.zeros(len(heads), n_queries, device=call.query.device)
    for start, stop, block in row_blocks(call, heads):
        seen = [key for key in keys if key < block.shape[-1]]
        looked[:, start:stop] = block[..., seen].sum(dim=-1)
    return looked


def verify(call: AttentionCall, *, n_rows: int = 3) -> float:
    """Compare our arithmetic with the model's eager function on a few rows; keep the verdict.

    Parameters
    ----------
    call : AttentionCall
        Its ``own_math`` is set to whether both agree within 1e-5 (float32 calls only: in half
        precision the eager function is used anyway).
    n_rows : int
        Rows checked: first, last and evenly between.

    Returns
    -------
    float
        Largest difference found; NaN when the two have different shapes or the check failed.
    """
    if call.query.dtype != torch.float32:
        return 0.0
    n_queries = call.query.shape[2]
    rows = sorted({round(i * (n_queries - 1) / max(n_rows - 1, 1)) for i in range(n_rows)})
    theirs = eager_rows(call, rows)[0].float()
    # Any failure of our own arithmetic (an unknown sink shape, say) means: use the model's.
    try:
        own = _own_weights(call, range(call.n_heads), rows)
    except (RuntimeError, IndexError, ValueError):
        own = theirs.new_empty(0)
    if own.shape == theirs.shape:
        defined = ~own.isnan().any(dim=-1, keepdim=True)
        difference = float(torch.where(defined, (own - theirs).abs(), 0.0).max())
    else:
        difference = float("nan")
    call.own_math = difference <= _PARITY
    return difference


def fuse(
    blocks: Iterator[tuple[int, int, Float[Tensor, "head query key"]]],
    n_heads: int,
    query_words: Int[Tensor, " query"],
    key_words: Int[Tensor, " key"],
) -> Float[Tensor, "head query_word key_word"]:
    """Fuse token attention into word attention, ``F = R A C``, inside the block loop.

    Sum over the key tokens of a word, mean over its query tokens: each row keeps its sum.

    Parameters
    ----------
    blocks : iterator
        As :func:`row_blocks` yields them.
    n_heads : int
        Heads in every block.
    query_words, key_words : Tensor
        int64, the word index of every token, ascending.

    Returns
    -------
    Tensor
        ``[n_heads, query words, key words]`` float32.
    """
    n_query_words = int(query_words[-1]) + 1
    n_key_words = int(key_words[-1]) + 1
    device = query_words.device
    fused = torch.zeros(n_heads, n_query_words, n_key_words, device=device)
    for start, stop, block in blocks:
        by_key = torch.zeros(n_heads, stop - start, n_key_words, device=device)
        by_key.index_add_(2, key_words[: block.shape[-1]], block)
        fused.index_add_(1, query_words[start:stop], by_key)
    counts = torch.bincount(query_words, minlength=n_query_words)
    return fused / counts[:, None]


@contextlib.contextmanager
def single_threaded() -> Generator[None, None, None]:
    """Run the small matrix products of on-demand work on one intra-op thread.

    With several threads on a busy machine they get 10-20 times slower (barrier waits). The user's
    setting is restored when the last of nested or concurrent uses ends.
    """
    global _users, _threads  # noqa: PLW0603  torch's thread count is a process-wide setting
    with _threads_lock:
        if _users == 0:
            _threads = torch.get_num_threads()
            torch.set_num_threads(1)
        _users += 1
    try:
        yield
    finally:
        with _threads_lock:
            _users -= 1
            if _users == 0:
                torch.set_num_threads(_threads)


_threads_lock = threading.Lock()
_users = 0
_threads = 1


def _own_weights(
    call: AttentionCall, heads: Sequence[int], rows: Sequence[int]
) -> Float[Tensor, "head query key"]:
    scores = _scores(call, heads, rows)
    if call.sinks is None:
        return _padded(call, scores.softmax(dim=-1), value=0.0)
    sink = call.sinks.float().reshape(-1)[list(heads)].view(-1, 1, 1)
    scores = torch.cat([scores, sink.expand(-1, len(rows), 1)], dim=-1)
    return _padded(call, scores.softmax(dim=-1)[..., :-1], value=0.0)


def _padded(
    call: AttentionCall, rows: Float[Tensor, "head query visible"], *, value: float
) -> Float[Tensor, "head query key"]:
    """Append the keys that a causal layer hides from all of these rows."""
    n_hidden = call.key.shape[2] - rows.shape[-1]
    return torch.nn.functional.pad(rows, (0, n_hidden), value=value) if n_hidden else rows


def _scores(
    call: AttentionCall, heads: Sequence[int], rows: Sequence[int]
) -> Float[Tensor, "head query visible"]:
    """Everything up to the softmax, for the keys that these rows can see."""
    chosen = torch.as_tensor(list(heads), device=call.query.device)
    index = row_index(rows, call.query.device)
    group = call.n_heads // call.key.shape[1]
    n_visible = _visible_keys(call, rows)
    query = call.query[0, chosen][:, index].float()
    key = call.key[0, chosen // group, :n_visible].float()
    scores = (query @ key.transpose(-1, -2)) * call.scaling
    if call.softcap is not None:
        scores = torch.tanh(scores / call.softcap) * call.softcap
    if call.position_bias is not None:
        bias = call.position_bias[0, :, index, :n_visible]
        scores = scores + bias[chosen].float()
    if call.mask is None:
        hidden = ~visible(call, rows, n_visible) if call.causal else None
        return scores if hidden is None else scores.masked_fill(hidden, -torch.inf)
    mask = _mask_rows(call, heads, rows)
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -torch.inf)
    # Models write the dtype's minimum for "hidden"; as -inf a row that sees nothing becomes NaN
    # (undefined) instead of a uniform row that the model never meant.
    return (scores + mask.float()).masked_fill(_hidden(mask), -torch.inf)


def _mask_rows(
    call: AttentionCall, heads: Sequence[int], rows: Sequence[int]
) -> Bool[Tensor, "#head #query key"] | Float[Tensor, "#head #query key"]:
    assert call.mask is not None
    mask = call.mask[0, :, :, : call.key.shape[2]]
    mask = mask[list(heads)] if mask.shape[0] > 1 else mask
    return mask[:, row_index(rows, mask.device)] if mask.shape[1] > 1 else mask


def _hidden(additive: Float[Tensor, "*any"]) -> Bool[Tensor, "*any"]:
    return additive <= torch.finfo(additive.dtype).min / 2


def _visible_keys(call: AttentionCall, rows: Sequence[int]) -> int:
    """Keys that these rows can see by the causal flag alone."""
    n_keys = call.key.shape[2]
    return min(max(rows) + 1, n_keys) if call.causal and call.mask is None else n_keys


def _blind_rows(
    call: AttentionCall, heads: Sequence[int], rows: Sequence[int]
) -> Bool[Tensor, "#head query"] | None:
    """Rows whose mask hides every key; None when no mask is given."""
    if call.mask is None:
        return None
    mask = _mask_rows(call, heads, rows)
    hidden = ~mask if mask.dtype == torch.bool else _hidden(mask)
    return hidden.all(dim=-1)
