"""Weights of all sequences that ran together, padding and all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.capture.softmax import CapturedCall, blind_rows, eager_rows, own_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.capture.call import AttentionCall


@torch.no_grad()
def weights_together(
    call: AttentionCall, queries: Sequence[range], keys: Sequence[range], rows: range
) -> Float[Tensor, "sequence head row key"]:
    """Attention weights of some rows of a batched call, of every head and sequence.

    Parameters
    ----------
    call : AttentionCall
        Of the whole batch.
    queries, keys : sequence of range
        Where each sequence lies in it.
    rows : range
        Rows of the batch.

    Returns
    -------
    Tensor
        ``[sequences, heads, rows, keys]``, as :meth:`AttentionCall.weights` has them. The last keys
        may be left out where all rows have weight zero there. Columns of the padding have weight
        zero; what stands in its rows is undefined.
    """
    if isinstance(call, CapturedCall):
        return _captured(call, rows)
    n_keys = max(own.stop for own in keys)
    found = torch.zeros(len(queries), call.n_heads, len(rows), n_keys, dtype=call.dtype)
    found = found.to(call.device)
    for i, (own, seen) in enumerate(zip(queries, keys, strict=True)):
        first, stop = max(own.start, rows.start), min(own.stop, rows.stop)
        if first < stop:
            part = call.of_sequence(i, own, seen)
            there = range(first - own.start, stop - own.start)
            weights = part.weights(range(call.n_heads), there)
            found[i, :, first - rows.start : stop - rows.start, seen.start : seen.stop] = weights
    return found


def _captured(call: CapturedCall, rows: range) -> Float[Tensor, "sequence head row visible"]:
    if call.unexplained:
        raise ValueError(call.unexplained)
    heads = range(call.n_heads)
    if call.own_math and call.query.dtype == call.dtype:
        return own_weights(call, heads, rows)
    computed = eager_rows(call, rows).to(call.dtype)
    blind = blind_rows(call, heads, rows)
    return computed if blind is None else computed.masked_fill(blind[..., None], torch.nan)
