"""Our arithmetic against the model file's own eager function, on a few rows of every call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.captured import eager_rows, own_weights
from glasshead_backend.relative_bias import RelativeBias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.captured import CapturedCall

_ROUNDINGS = 16
"""Roundings of a score that two sound ways to compute the same weight may lie apart."""


def gathers_by_weights(call: CapturedCall, value: Tensor, output: Tensor) -> bool:
    """Whether what a call puts out, ``[batch, queries, heads, size]``, is its weights times values.

    Some scale it besides (sinks that act on the output), which the weights do not show.
    """
    rows = _few_rows(call)
    weights = eager_rows(call, rows).to(call.dtype)
    values = value.repeat_interleave(call.n_heads // value.shape[1], dim=1).to(call.dtype)
    gathered = weights @ values
    there = output[:, rows].transpose(1, 2).to(call.dtype)
    if gathered.shape != there.shape:
        return False
    tolerance = 1e-3 if value.dtype == call.dtype else 5e-2
    scale = gathered.abs().amax().clamp_min(1e-6)
    return bool((gathered - there).abs().amax() <= tolerance * scale)


def _few_rows(call: CapturedCall, n_rows: int = 3) -> list[int]:
    """First, last and evenly between."""
    last = call.n_queries - 1
    return sorted({round(i * last / max(n_rows - 1, 1)) for i in range(n_rows)})


def verify(call: CapturedCall) -> None:
    """Compare our arithmetic with the model's eager function on a few rows; note the difference.

    It is a multiple of what rounding explains, NaN when the two have different shapes or our
    arithmetic failed. Not in half precision: there the eager function is used anyway, unless
    float32 is asked for.

    Parameters
    ----------
    call : CapturedCall
    """
    if call.query.dtype != call.dtype:
        return
    rows = _few_rows(call)
    theirs = eager_rows(call, rows).to(call.dtype)
    # Any failure of our own arithmetic (an unknown sink shape, say) means: use the model's.
    try:
        own = own_weights(call, range(call.n_heads), rows)
    except (RuntimeError, IndexError, ValueError):
        own = theirs.new_empty(0)
    if own.shape[:-1] == theirs.shape[:-1]:
        # The last of the rows sees all keys that any of them sees.
        theirs = theirs[..., : own.shape[-1]]
        defined = ~own.isnan().any(dim=-1, keepdim=True)
        difference = torch.where(defined, (own - theirs).abs(), 0.0).max()
        call.difference = difference.float() / rounding(call, rows)
    else:
        call.difference = float("nan")


def rounding(call: CapturedCall, rows: Sequence[int]) -> Float[Tensor, ""]:
    """How far apart two sound ways to compute the weights of some rows may lie.

    A weight is as uncertain as its scores, ``|dA| <= max |ds|``; a score as the terms it is summed
    from, ``scale |q| |k|`` and its bias. Rounded in float32 whatever the model computes in: most
    that run in float64 cast their softmax to float32 all the same.
    """
    query = call.query[:, :, list(rows)]
    longest = [torch.linalg.vector_norm(one, dim=-1).amax() for one in (query, call.key)]
    largest = abs(call.scaling) * longest[0] * longest[1]
    bias = call.options.get("position_bias")
    if bias is not None:
        added = bias.by_distance if isinstance(bias, RelativeBias) else bias
        # What hides keys is no score.
        hides = added <= torch.finfo(added.dtype).min / 2
        largest = largest + added.masked_fill(hides, 0.0).abs().amax()
    return _ROUNDINGS * torch.finfo(torch.float32).eps * (1 + largest.float())
