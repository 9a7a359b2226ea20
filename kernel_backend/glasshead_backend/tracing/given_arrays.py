"""Attention weights as people have them: tuples, stacked arrays, of any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor

from glasshead_backend.checks import whole

Attentions: TypeAlias = Any
"""Attention weights of some layers: a sequence with ``[heads, queries, keys]`` or ``[1, heads,
queries, keys]`` for each layer (None for a layer without), a dict of such by layer number, or one
array of all layers, ``[layers, heads, queries, keys]`` or ``[layers, 1, heads, queries, keys]``; of
torch, numpy, jax, or whatever numpy can read."""

_MAP_DIMS = 3
_ROUNDING = 1e-2
"""How far above 1 a weight may lie, in half precision."""
_ROUNDING_OF_SUMS = 3e-2
"""How far above 1 a row may sum to, in half precision."""


def weights_by_layer(attentions: Attentions, what: str) -> dict[int, Tensor]:
    """Return ``{layer: [heads, queries, keys]}`` of what was handed over as attention weights.

    Parameters
    ----------
    attentions : Attentions
    what : str
        Its name, for errors.

    Raises
    ------
    TypeError
        For what holds no arrays of numbers.
    ValueError
        For nothing at all, several texts, and numbers that are no attention weights.
    """
    found = arrays_by_layer(attentions, what)
    for layer, weights in found.items():
        _require_weights(weights, f"{what} of layer {layer}")
    return found


def arrays_by_layer(arrays: Attentions, what: str) -> dict[int, Tensor]:
    """Return arrays as :func:`weights_by_layer`, whatever numbers they hold (scores, say)."""
    if hasattr(arrays, "attentions") or hasattr(arrays, "cross_attentions"):
        raise TypeError(
            f"{what} is what a model returned, a {type(arrays).__name__}. Give the weights in it: "
            "outputs.attentions."
        )
    named = _numbered(arrays, what)
    given = {layer: one for layer, one in sorted(named.items()) if one is not None}
    if not given:
        raise ValueError(
            f"{what} is empty. Give outputs.attentions: outputs[-1] is something else since "
            "transformers 5. Where that is empty, the model ran with an attention function that "
            'returns no weights: load it with attn_implementation="eager", or let Glasshead record '
            "them, whichever function runs: Lens(model, tokenizer).trace(text)."
        )
    return {layer: _of_layer(one, f"{what} of layer {layer}") for layer, one in given.items()}


def _numbered(arrays: Attentions, what: str) -> dict[int, Any]:
    """Return what there is of each layer, by its number."""
    if isinstance(arrays, Mapping):
        return {whole(layer, "layer"): one for layer, one in cast("Any", arrays).items()}
    if isinstance(arrays, Sequence) and not isinstance(arrays, (str, bytes)):
        return dict(enumerate(cast("Sequence[Any]", arrays)))
    of_all = array(arrays, what)
    if of_all.dim() == _MAP_DIMS:
        of_all = of_all[None]  # a single layer
    if of_all.dim() not in (_MAP_DIMS + 1, _MAP_DIMS + 2):
        raise ValueError(
            f"{what} has the shape {list(of_all.shape)}: all layers in one array are "
            "[layers, heads, queries, keys]."
        )
    return dict(enumerate(of_all))


def _of_layer(value: Any, what: str) -> Tensor:
    """Return ``[heads, queries, keys]``."""
    if isinstance(value, (tuple, list)) and value and getattr(value[0], "ndim", 0) > 1:
        raise TypeError(
            f"{what} is a {type(value).__name__} of arrays, as generate(...) returns them by step. "
            "Run the model once over the whole text: model(ids, output_attentions=True).attentions."
        )
    weights = array(value, what)
    if weights.dim() == _MAP_DIMS + 1:
        if len(weights) != 1:
            raise ValueError(
                f"{what} is of {len(weights)} texts, shape {list(weights.shape)}. A trace shows "
                "one: take it out, [layer[:1] for layer in attentions]."
            )
        weights = weights[0]
    if weights.dim() != _MAP_DIMS or not weights.numel():
        raise ValueError(
            f"{what} has the shape {list(weights.shape)}: a layer is [heads, queries, keys]."
        )
    return weights


def array(value: Any, what: str) -> Tensor:
    """Return an array of any library as a tensor of floating point numbers."""
    if isinstance(value, Tensor):
        found = value.detach()
    else:
        try:
            read = np.asarray(value)
            # numpy has no bfloat16 of its own; jax has.
            known = read.dtype.kind in "fiub"
            read = read if known else read.astype(np.float32)
            # torch shares no memory that nobody may write to (jax).
            found = torch.as_tensor(read if read.flags.writeable else read.copy())
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"{what} is no array of numbers but {type(value).__name__} ({error})."
            ) from None
    return found if found.is_floating_point() else found.float()


def _require_weights(weights: Tensor, what: str) -> None:
    least, most = torch.aminmax(weights.float().nan_to_num(nan=0.0))
    low, high = float(least), float(most)
    if low < 0 or high > 1 + _ROUNDING:
        raise ValueError(
            f"{what} has values from {low:.3g} to {high:.3g}: attention weights lie from 0 to 1. "
            "Scores become weights by a softmax over the last axis."
        )
    most_of_a_row = float(weights.sum(dim=-1, dtype=torch.float32).nan_to_num(0.0).max())
    if most_of_a_row > 1 + _ROUNDING_OF_SUMS:
        raise ValueError(
            f"{what} has rows that sum to {most_of_a_row:.3g}: what a token gives to all keys is "
            "1, or less. Rows are the tokens that look: transpose it if its columns sum to 1, and "
            "make weights of scores by a softmax over the last axis."
        )
    undefined = weights.isnan()
    if bool(undefined.all()):
        raise ValueError(f"{what} has no number in it: all of it is NaN.")
    if bool((undefined.any(dim=-1) & ~undefined.all(dim=-1)).any()):
        raise ValueError(
            f"{what} has rows in which some weights are NaN: only a row that may look nowhere is, "
            "all of it."
        )
