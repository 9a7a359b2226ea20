"""Our arithmetic against what the model really computed, on a few rows of every call.

The model file's own eager function says how its weights are meant. But it is seldom what runs, and
not every function heeds all that it is given: SDPA leaves out Gemma 2's soft-cap on transformers
5.20 and older, without a word. What it did compute is what we show. Weights that an attention
function keeps to itself can be told by its output: it must be the values, summed by the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.capture.relative_bias import RelativeBias
from glasshead_backend.capture.softmax import (
    SINK_NAMES,
    attend_again,
    blind_rows,
    eager_rows,
    own_weights,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jaxtyping import Float
    from torch import nn

    from glasshead_backend.capture.softmax import AttentionFunction, CapturedCall

_LEFT_OUT = ("softcap", *SINK_NAMES)
"""What a function may be given and not heed."""

_ROUNDING = 1e-5
"""Differences up to here are no reason to look for a better explanation."""

_BETTER = 0.5
"""A better explanation leaves at most this share of the difference."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """How far explanations of a call are from what happened: numbers that nobody waits for yet.

    Attributes
    ----------
    call : CapturedCall
    function : callable
        What the model called.
    names : tuple of str
        "weights": of our arithmetic from those of the model's eager function, as a multiple of what
        rounding explains. The others from what was put out, relative to the largest of it: "eager",
        the eager function; "own", our arithmetic; "without", ours without what a function may not
        heed; "itself", what the called function makes of these rows alone.
    differences : Tensor
        One for every name; NaN where there was nothing to compare.
    """

    call: CapturedCall
    function: AttentionFunction
    names: tuple[str, ...]
    differences: Tensor


def examine(
    call: CapturedCall,
    function: AttentionFunction,
    value: Tensor,
    output: Tensor,
    weights: Tensor | None,
) -> Evidence:
    """Compare, on a few rows, what a call put out with what could explain it.

    Parameters
    ----------
    call : CapturedCall
    function : callable
        What the model called.
    value : Tensor
        ``[batch, key_heads, keys, size]``
    output : Tensor
        ``[batch, queries, heads, size]``
    weights : Tensor or None
        What the function returned beside its output.
    """
    rows = _few_rows(call)
    exact = call.query.dtype == call.dtype
    found: dict[str, Tensor] = {}
    if exact or function is not call.eager:
        own = _own(call, rows)
        theirs, their_weights = attend_again(call, call.eager, rows, value)
        if exact:
            found["weights"] = _of_weights(own, their_weights) / rounding(call, rows)
        if function is not call.eager:
            apart = _apart_from(call, rows, output)
            found["eager"] = apart(theirs)
            found["own"] = apart(_gathered(own, value))
            if any(call.options.get(name) is not None for name in _LEFT_OUT):
                less = _gathered(_own(_without(call), rows), value)
                found["without"] = apart(less)
            if weights is not None:
                by_itself = attend_again(call, function, rows, value)[0]
                found["itself"] = apart(by_itself)
    numbers = torch.stack(list(found.values())) if found else torch.empty(0)
    return Evidence(call, function, tuple(found), numbers)


def settle(evidence: Iterable[Evidence]) -> None:
    """Decide for calls what their weights are; waits for the devices that they were made on."""
    by_device: dict[torch.device, list[Evidence]] = {}
    for one in evidence:
        by_device.setdefault(one.differences.device, []).append(one)
    for some in by_device.values():
        numbers = iter(torch.cat([one.differences for one in some]).tolist())
        for one in some:
            _judge(one.call, one.function, {name: next(numbers) for name in one.names})


def _judge(call: CapturedCall, function: AttentionFunction, found: dict[str, float]) -> None:
    call.difference = found.pop("weights", 0.0)
    explained = {name: number for name, number in found.items() if number == number}  # noqa: PLR0124
    if not explained:  # it was the eager function itself, or what came out has another form
        return
    without = explained.pop("without", torch.inf)
    itself = explained.pop("itself", torch.inf)
    meant = min(explained.values(), default=torch.inf)
    tolerance = _tolerance(call)
    if meant > _ROUNDING and without < _BETTER * meant and without <= tolerance:
        call.options, call.eager, call.difference = _heeded(call), plain_attention, 0.0
    elif meant > tolerance >= itself:
        call.eager, call.difference = function, torch.inf
    elif meant > tolerance:
        name = getattr(function, "__name__", type(function).__name__)
        call.unexplained = (
            f"What the attention function {name!r} put out in {type(call.module).__name__} is not "
            f"its values weighted by any attention that Glasshead knows (relative difference "
            f"{meant:.1g}): its weights are not known. Load the model with "
            "attn_implementation='sdpa' or 'eager'."
        )


def _tolerance(call: CapturedCall) -> float:
    """Relative difference that rounding may make where dot products are large."""
    return 1e-2 if call.query.dtype.itemsize >= torch.float32.itemsize else 1e-1


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


def plain_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    *,
    scaling: float,
    position_bias: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, Tensor]:
    """Attention in the model's dtype, step by step, where there is no eager function to ask."""
    del module
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, dim=1), value.repeat_interleave(repeats, dim=1)
    scores = query @ key.transpose(-1, -2) * scaling
    for added in (position_bias, mask):
        scores = scores if added is None else scores + added
    weights = scores.softmax(dim=-1)
    return (weights @ value).transpose(1, 2), weights


def _few_rows(call: CapturedCall, n_rows: int = 3) -> list[int]:
    """First, last and evenly between."""
    last = call.n_queries - 1
    return sorted({round(i * last / max(n_rows - 1, 1)) for i in range(n_rows)})


def _heeded(call: CapturedCall) -> dict[str, Any]:
    return {name: option for name, option in call.options.items() if name not in _LEFT_OUT}


def _without(call: CapturedCall) -> CapturedCall:
    return replace(call, options=_heeded(call))


def _own(call: CapturedCall, rows: Sequence[int]) -> Float[Tensor, "batch head query visible"]:
    """Our arithmetic; empty where it fails (an unknown sink shape, say): then others explain."""
    try:
        return own_weights(call, range(call.n_heads), rows)
    except (RuntimeError, IndexError, ValueError):
        return call.query.new_empty(0)


def _of_weights(own: Tensor, theirs: Tensor) -> Float[Tensor, ""]:
    if own.shape[:-1] != theirs.shape[:-1]:
        return theirs.new_tensor(torch.nan, dtype=torch.float32)
    # The last of the rows sees all keys that any of them sees.
    theirs = theirs[..., : own.shape[-1]].to(own.dtype)
    defined = ~own.isnan().any(dim=-1, keepdim=True)
    return torch.where(defined, (own - theirs).abs(), 0.0).amax().float()


def _gathered(weights: Tensor, value: Tensor) -> Float[Tensor, "batch query head size"]:
    """Sum values by weights; values that heads share are never repeated."""
    if weights.numel() == 0:
        return weights
    batch, n_heads, n_rows, n_visible = weights.shape
    groups = value.shape[1]
    visible = value[:, :, :n_visible].to(weights.dtype)
    gathered = weights.view(batch, groups, -1, n_visible) @ visible
    return gathered.view(batch, n_heads, n_rows, -1).transpose(1, 2)


def _apart_from(
    call: CapturedCall, rows: Sequence[int], output: Tensor
) -> Callable[[Tensor], Float[Tensor, ""]]:
    """Return what measures the largest difference from some rows' output, relative to them."""
    there = output[:, rows].to(call.dtype)
    blind = blind_rows(call, range(call.n_heads), rows)
    blind = None if blind is None else blind.transpose(1, 2)[..., None]

    def largest(numbers: Tensor) -> Tensor:
        numbers = numbers.abs()
        return (numbers if blind is None else numbers.masked_fill(blind, 0.0)).amax()

    scale = largest(there).clamp_min(1e-6)

    def apart(explained: Tensor) -> Tensor:
        if there.shape != explained.shape:
            return there.new_tensor(torch.nan, dtype=torch.float32)
        return (largest(explained - there) / scale).float()

    return apart


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
