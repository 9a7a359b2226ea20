"""What can be asked for: the words of a question, and the question itself as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["self", "encoder", "decoder", "cross"]
"""A kind of attention. Models of one text have "self", encoder-decoder models the other three."""

Stack = Literal["self", "encoder", "decoder"]
"""A stack of layers; that of "cross" attention is the decoder's."""

Family = Literal["decoder", "encoder-decoder", "encoder"]

Block = Literal["attention", "cross", "mlp", "mixer", "other"]
"""What adds to the residual stream. "mixer": mixes tokens without attention (a state space, a
convolution, linear attention); "other": none of these (adapters, Gemma 4's per-layer inputs)."""

ActivationBlock = Literal["attention", "cross", "mlp", "mixer", "other", "residual", "embedding"]
"""A block, the residual stream behind a layer, or what goes into the first layer."""

Side = Literal["query", "key"]
"""Of an attention map: rows look, columns are looked at."""

Unit = Literal["token", "word"]
Aggregate = Literal["mean", "max"]
"""How heads are combined."""

Pool = Literal["max", "mean"]
"""What a pixel says of the cells that it stands for."""

Precision = Literal["model", "float32"]


@dataclass(frozen=True)
class Selection:
    """The attention that a view shows: what it asks for, and the key of the frame that answers.

    Attributes
    ----------
    kind : str
        Kind of attention.
    layer : int
        The model's own layer number.
    heads : tuple of int
        Ascending; empty = all heads of the layer.
    unit : {"token", "word"}
        What rows and columns stand for.
    aggregate : {"mean", "max"} or None
        How heads are combined to one map; None = each is a map of its own.
    """

    kind: Kind
    layer: int
    heads: tuple[int, ...] = ()
    unit: Unit = "token"
    aggregate: Aggregate | None = None

    @property
    def key(self) -> dict[str, Any]:
        """Return it as it travels with a frame."""
        named = {
            "kind": self.kind,
            "layer": self.layer,
            "heads": list(self.heads),
            "unit": self.unit,
        }
        return named if self.aggregate is None else {**named, "aggregate": self.aggregate}
