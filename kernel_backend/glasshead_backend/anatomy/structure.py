"""The layers of a model, what computes their attention, and what writes to its residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from glasshead_backend.anatomy.contributions import Contributions
    from glasshead_backend.asking import Kind, Stack
    from glasshead_backend.capture.replay import Reader


class UnsupportedModelError(NotImplementedError):
    """The model works, but Glasshead cannot read its attention (yet); the message says why."""


@dataclass(frozen=True)
class Structure:
    """The layers of a model, what computes their attention, and what writes to its residual stream.

    Attributes
    ----------
    stacks : dict
        Per stack the residual blocks in order; the position is the layer number.
    cross_modules : frozenset of int
        Identities of the modules that make cross-attention calls.
    readers : tuple of Reader
        The modules that compute attention by themselves.
    unreadable : dict
        Kinds of attention that the model has and that cannot be read, with the reason.
    contributions : Contributions
        What the blocks add to the residual stream.
    layers : dict
        The layers that have attention, by kind.
    token_bytes : int
        Bytes of the queries and keys that a recording keeps of one token, in all layers.
    """

    stacks: dict[Stack, tuple[nn.Module, ...]]
    cross_modules: frozenset[int]
    readers: tuple[Reader, ...]
    unreadable: dict[Kind, str]
    contributions: Contributions
    layers: dict[Kind, tuple[int, ...]]
    token_bytes: int
