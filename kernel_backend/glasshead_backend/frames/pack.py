"""Arrays as little-endian bytes with their dtype and shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import torch
from torch import Tensor

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

_NAMES = {
    torch.uint8: "uint8",
    torch.uint16: "uint16",
    torch.uint32: "uint32",
    torch.int32: "int32",
    torch.float16: "float16",
    torch.float32: "float32",
}


SIGNED_ZERO = 128
"""The byte of zero among numbers of either sign."""


class Packed(TypedDict):
    """A C-ordered little-endian array."""

    dtype: str
    shape: list[int]
    data: bytes


def pack(array: Tensor, dtype: torch.dtype) -> Packed:
    """Pack a tensor for the wire.

    Parameters
    ----------
    array : Tensor
        Any shape of at most four axes, on any device.
    dtype : torch.dtype
        uint8, uint16, uint32, int32, float16 or float32; the caller makes sure that it fits.
    """
    # Converted on the CPU: accelerators do not know all of these types (MPS: no uint16).
    dense = array.detach().cpu().to(dtype).contiguous()
    return Packed(dtype=_NAMES[dtype], shape=list(dense.shape), data=dense.numpy().tobytes())


def index_dtype(n: int) -> torch.dtype:
    """Return the smallest unsigned dtype that holds the indices ``0 ... n - 1``."""
    if n <= 1 << 8:
        return torch.uint8
    return torch.uint16 if n <= 1 << 16 else torch.uint32


def quantise_rows(
    weights: Float[Tensor, "row column"],
) -> tuple[UInt8[Tensor, "row column"], Float[Tensor, " row"]]:
    """Quantise non-negative weights to bytes with a scale per row; NaN becomes zero.

    Returns
    -------
    bytes : Tensor
        uint8, ``weight = byte * scale[row]``.
    scale : Tensor
        ``[rows]`` float32: the row's maximum / 255. The error is at most half of it, that is 1/510
        of the row's maximum.
    """
    weights = weights.nan_to_num(0.0)
    scale = weights.amax(dim=1) / 255
    stepped = (weights / scale.clamp_min(1e-30)[:, None]).round().clamp(max=255)
    return stepped.to(torch.uint8), scale


def quantise_signed_rows(
    values: Float[Tensor, "row column"],
) -> tuple[UInt8[Tensor, "row column"], Float[Tensor, " row"]]:
    """Quantise numbers of either sign to bytes with a scale per row; NaN becomes zero.

    Returns
    -------
    bytes : Tensor
        uint8, ``value = (byte - 128) * scale[row]``.
    scale : Tensor
        ``[rows]`` float32: the largest size in the row / 127. The error is at most half of it.
    """
    values = values.nan_to_num(0.0)
    scale = values.abs().amax(dim=1) / 127
    stepped = (values / scale.clamp_min(1e-30)[:, None]).round().clamp(-127, 127) + SIGNED_ZERO
    return stepped.to(torch.uint8), scale
