"""What happened in one run of one layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from glasshead_backend.anatomy.dataflow import Node
    from glasshead_backend.asking import Kind, Stack


@dataclass(eq=False)
class LayerRun:
    """What happened in one run of one layer.

    Attributes
    ----------
    stack, module
        Which layer.
    run : int
        Which run of the layer it is: one that stands at several places runs several times.
    shape : tuple of int
        Of the hidden states that it is given.
    given, put_out : Node or None
        What it is given and what it puts out.
    calls : set
        The attention calls inside: the kind, and the layer number that it goes by.
    like : LayerRun or None
        Of a layer that was not watched, a run of one that is built alike and was.
    taken_in, left, outputs : Tensor, Tensor, dict
        Copies, of a layer that was not watched: of what it was given and put out, and of the
        outputs of its modules that are of the same size and ran once.
    """

    stack: Stack
    module: nn.Module
    run: int
    shape: tuple[int, ...]
    given: Node | None
    put_out: Node | None = None
    calls: set[tuple[Kind, int]] = field(default_factory=set["tuple[Kind, int]"])
    like: LayerRun | None = None
    taken_in: Tensor | None = None
    left: Tensor | None = None
    outputs: dict[int, Tensor] = field(default_factory=dict[int, "Tensor"])
