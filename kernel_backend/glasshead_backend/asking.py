"""What can be asked for: the words of a question, and the question itself as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from glasshead_backend.answering import travels

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


@travels
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


Off = Literal["zero", "mean"]
"""What stands in the place of what is switched off: nothing, or what it is on average."""


@travels
@dataclass(frozen=True)
class Ablated:
    """What of a model is switched off.

    Attributes
    ----------
    heads : tuple
        ``(kind, layer, head)`` each, in order.
    blocks : tuple
        ``(stack, layer, block)`` each, in order.
    how : {"zero", "mean"}
        What stands in its place.
    n_texts : int
        Texts that the mean is over; 0 = the positions of the text itself.
    """

    heads: tuple[tuple[Kind, int, int], ...] = ()
    blocks: tuple[tuple[Stack, int, Block], ...] = ()
    how: Off = "zero"
    n_texts: int = 0

    def off_in(self, kind: Kind, layer: int) -> list[int]:
        """Return the heads of one layer that are off."""
        return [head for of_kind, at, head in self.heads if (of_kind, at) == (kind, layer)]

    def in_words(self) -> str:
        """Say what is off: "head 1 of layer 3 and the mlp of layer 0"."""
        said: list[str] = []
        for kind, layer in dict.fromkeys(place[:2] for place in self.heads):
            heads = self.off_in(kind, layer)
            named = f"head{'s' if len(heads) > 1 else ''} {_listed(heads)}"
            of = "" if kind == "self" else f" ({kind} attention)"
            said.append(f"{named} of layer {layer}{of}")
        for stack, layer, block in self.blocks:
            name = "cross-attention" if block == "cross" else block
            said.append(f"the {name} of {'' if stack == 'self' else f'{stack} '}layer {layer}")
        return _listed(said)


def _listed(items: list[Any]) -> str:
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
