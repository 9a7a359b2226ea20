"""Our arithmetic against the model file's own eager function, on a few rows of every call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.captured import eager_rows, own_weights

if TYPE_CHECKING:
    from torch import Tensor

    from glasshead_backend.captured import CapturedCall


def gathers_by_weights(call: CapturedCall, value: Tensor, output: Tensor) -> bool:
    """Whether what a call puts out, ``[batch, queries, heads, size]``, is its weights times values.

    Some scale it besides (sinks that act on the output), which the weights do not show.
    """
    rows = _few_rows(call)
    weights = eager_rows(call, rows).float()
    gathered = weights @ value.repeat_interleave(call.n_heads // value.shape[1], dim=1).float()
    there = output[:, rows].transpose(1, 2).float()
    if gathered.shape != there.shape:
        return False
    tolerance = 1e-3 if value.dtype == torch.float32 else 5e-2
    scale = gathered.abs().amax().clamp_min(1e-6)
    return bool((gathered - there).abs().amax() <= tolerance * scale)


def _few_rows(call: CapturedCall, n_rows: int = 3) -> list[int]:
    """First, last and evenly between."""
    last = call.n_queries - 1
    return sorted({round(i * last / max(n_rows - 1, 1)) for i in range(n_rows)})


def verify(call: CapturedCall) -> None:
    """Compare our arithmetic with the model's eager function on a few rows; note the difference.

    It is NaN when the two have different shapes or our arithmetic failed. float32 calls only: in
    half precision the eager function is used anyway, unless float32 is asked for.

    Parameters
    ----------
    call : CapturedCall
    """
    if call.query.dtype != torch.float32:
        return
    rows = _few_rows(call)
    theirs = eager_rows(call, rows).float()
    # Any failure of our own arithmetic (an unknown sink shape, say) means: use the model's.
    try:
        own = own_weights(call, range(call.n_heads), rows)
    except (RuntimeError, IndexError, ValueError):
        own = theirs.new_empty(0)
    if own.shape[:-1] == theirs.shape[:-1]:
        # The last of the rows sees all keys that any of them sees.
        theirs = theirs[..., : own.shape[-1]]
        defined = ~own.isnan().any(dim=-1, keepdim=True)
        call.difference = torch.where(defined, (own - theirs).abs(), 0.0).max()
    else:
        call.difference = float("nan")
