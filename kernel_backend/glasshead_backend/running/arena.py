"""Keeping many tensors of one recording together in memory."""

from __future__ import annotations

import torch
from torch import Tensor

_FIRST_BYTES = 1 << 20
_MOST_BYTES = 64 << 20


class Arena:
    """Copies tensors into large chunks of memory of their own, one behind the other.

    What stays alive between the many short-lived tensors of a forward pass keeps their memory from
    being used again: the peak grows by more than is kept. And a query is often a view of a larger
    tensor (query, key and value in one projection), all of which would be kept with it. Tensors on
    other devices than the CPU are kept by reference: their allocators work in blocks.

    Parameters
    ----------
    expected : int
        Bytes that will come, as far as is known: they get one chunk. What comes beyond gets chunks
        that double in size, up to 64 MB.
    """

    def __init__(self, expected: int = 0) -> None:
        self._chunk: Tensor | None = None
        self._used = 0
        self._next = max(expected, _FIRST_BYTES)

    def keep(self, tensor: Tensor) -> Tensor:
        """Return a tensor of the same values that can be kept."""
        tensor = tensor.detach()
        if tensor.device.type != "cpu":
            return tensor
        room = 0 if self._chunk is None else self._chunk.nbytes - self._used
        if self._chunk is None or room < tensor.nbytes:
            self._chunk = torch.empty(max(self._next, tensor.nbytes), dtype=torch.uint8)
            self._next = min(2 * self._next, _MOST_BYTES)
            self._used = 0
        kept = self._chunk[self._used : self._used + tensor.nbytes].view(tensor.dtype)
        # The next one begins where any dtype may begin.
        self._used += -(-tensor.nbytes // 64) * 64
        return kept.view(tensor.shape).copy_(tensor)
