"""One statistic per layer, with its spread over the tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from jaxtyping import Float

    from glasshead_backend.layers import Kind
    from glasshead_backend.trace import Trace

_TOKEN_VALUES = 1 << 17
"""Most single values (series x layers x tokens) that travel with a frame."""

_LABELS = {"attention": "attention", "cross": "cross-attention", "mlp": "MLP"}


def norms_frame(trace: Trace, kind: Kind) -> dict[str, Any]:
    """Make the frame of LayerStatsChart for norms.

    Parameters
    ----------
    trace : Trace
    kind : str
        Picks the stack of an encoder-decoder model.

    Returns
    -------
    dict
        Mean and quartiles over the tokens, per block and layer, of the L2 norm of what the block
        adds to the residual stream; NaN where a layer has no such block. Single tokens' values
        travel too while they are few.
    """
    layers, series, values = block_norms(trace, kind)
    n_tokens = values.shape[-1]
    quartiles = values.quantile(torch.tensor([0.25, 0.75], dtype=values.dtype), dim=-1)
    missing = [
        f"layer {layers[j]} has no {_LABELS[name]} block"
        for i, name in enumerate(series)
        for j in torch.nonzero(values[i, :, 0].isnan())[:, 0].tolist()
    ]
    # A decoder of an encoder-decoder model is measured at its rows; the rows' own labels name them.
    sequence = trace.sequences[0] if kind in ("self", "encoder") else trace.sequences[-1]
    fits = values.numel() <= _TOKEN_VALUES
    return {
        "key": {"kind": kind, "metric": "norm"},
        "kind": "chart",
        "metric": "norm",
        "title": "Size of what each block adds to the residual stream",
        "unit": "L2 norm",
        "interval": f"quartiles over {n_tokens} tokens",
        "layers": pack(torch.tensor(layers), torch.int32),
        "series": [{"name": name, "label": _LABELS[name]} for name in series],
        "mean": pack(values.mean(dim=-1), torch.float32),
        "low": pack(quartiles[0], torch.float32),
        "high": pack(quartiles[1], torch.float32),
        "tokens": pack(values, torch.float32) if fits else None,
        "token_labels": [token.text for token in sequence.tokens],
        "sequence": sequence.name,
        "note": _sentence(missing),
    }


def block_norms(
    trace: Trace, kind: Kind
) -> tuple[list[int], list[str], Float[Tensor, "series layer token"]]:
    """Norms of all blocks of a stack as one tensor on the CPU, NaN where a layer has no block."""
    by_block = trace.norms(kind)
    series = [name for name in _LABELS if name in by_block]
    layers = sorted({layer for by_layer in by_block.values() for layer in by_layer})
    n_tokens = len(next(iter(by_block[series[0]].values())))
    nothing = torch.full((n_tokens,), torch.nan, dtype=torch.float32)
    rows = [
        torch.stack([by_block[name].get(layer, nothing).cpu() for layer in layers])
        for name in series
    ]
    return layers, series, torch.stack(rows)


def _sentence(parts: list[str]) -> str:
    if not parts:
        return ""
    text = "; ".join(parts)
    return text[0].upper() + text[1:] + "."
