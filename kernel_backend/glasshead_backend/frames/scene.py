"""What a view knows of a trace before any numbers: the model, its layers, its axes' labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch

from glasshead_backend.frames.pack import pack
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.asking import Kind, Side, Unit
    from glasshead_backend.trace import Trace

TITLES: dict[Kind, str] = {
    "self": "Self-attention",
    "encoder": "Encoder self-attention",
    "decoder": "Decoder self-attention",
    "cross": "Cross-attention",
}
"""Kinds of attention as they are called on the page."""


class HasHeads(Protocol):
    """Layers and heads of a model: a trace has them, and so has an atlas."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of attention."""
        ...

    def layers(self, kind: Kind, /) -> list[int]:
        """Return the model's own numbers of the layers."""
        ...

    def n_heads(self, layer: int, kind: Kind, /) -> int:
        """Return how many heads a layer has."""
        ...


def scene(trace: Trace) -> dict[str, Any]:
    """Describe the model of a trace: its name, and layers and heads of every kind of attention."""
    kinds = [
        {
            "name": kind,
            "title": TITLES[kind],
            "causal": run_of(trace).is_causal(kind),
            "query": run_of(trace).side("query", kind).name,
            "key": run_of(trace).side("key", kind).name,
            "layers": [
                {"number": layer, "heads": trace.n_heads(layer, kind)}
                for layer in trace.layers(kind)
            ],
        }
        for kind in trace.kinds
    ]
    given = {"given": True} if run_of(trace).given else {}  # there is no model to trace with
    return {
        **given,
        "model": f"{trace.lens.name} · {size_words(trace)}" if kinds else trace.lens.name,
        "family": trace.family,
        "notice": trace.lens.notice,
        "kinds": kinds,
    }


def axes(trace: Trace, kind: Kind, unit: Unit, *, special: bool = True) -> dict[str, Any]:
    """Describe the two sides of an attention map: the labels of its rows and columns.

    Parameters
    ----------
    trace : Trace
    kind, unit : str
    special : bool
        Whether special tokens have rows and columns. Without them their tokens belong to no unit:
        ``unit_of_token`` is then the number of units.
    """
    return {
        "kind": kind,
        "unit": unit,
        "query": _axis(trace, "query", kind, unit, special=special),
        "key": _axis(trace, "key", kind, unit, special=special),
    }


def plain_units(trace: Trace, side: Side, kind: Kind, unit: Unit) -> Sequence[int]:
    """Return the units of a side that are no special tokens; all of them where there is no other.

    A unit is special where its first token is.
    """
    sides = run_of(trace).sides
    tokens = sides.of(side, kind).tokens
    first = sides.first_tokens(side, kind, unit)
    plain = [i for i, token in enumerate(first) if not tokens[token].special]
    return plain if 0 < len(plain) < len(first) else range(len(first))


def _axis(trace: Trace, side: Side, kind: Kind, unit: Unit, *, special: bool) -> dict[str, Any]:
    sides = run_of(trace).sides
    sequence = sides.of(side, kind)
    first = sides.first_tokens(side, kind, unit)
    units = range(len(first)) if special else plain_units(trace, side, kind, unit)
    first_tokens = [sequence.tokens[first[i]] for i in units]
    predicted = sides.predictions(kind, unit) if side == "query" else None
    labels, segments = sides.labels(side, kind, unit), sequence.segments
    place = torch.full((len(first),), len(units))
    place[list(units)] = torch.arange(len(units))
    return {
        "sequence": sequence.name,
        "labels": [labels[i] for i in units],
        "predicted": predicted and [predicted[i] for i in units],
        "emphasis": "predicted" if predicted and kind == "cross" else "label",
        "special": pack(torch.tensor([token.special for token in first_tokens]), torch.uint8),
        "generated": pack(torch.tensor([token.generated for token in first_tokens]), torch.uint8),
        "segments": segments and [segments[first[i]] for i in units],  # of a sentence pair
        "unit_of_token": pack(place[sides.unit_of_token(side, kind, unit)], torch.uint32),
    }


def size_words(trace: HasHeads) -> str:
    """Say how many layers and heads: "12 layers × 8 heads", "6 + 4 layers × 8–16 heads"."""
    # Cross-attention belongs to the decoder's layers, which have self-attention too.
    stacks = [trace.layers(kind) for kind in trace.kinds if kind != "cross"]
    numbers = [len(layers) for layers in stacks] or [len(trace.layers("cross"))]
    same = all(n == numbers[0] for n in numbers)
    # Layers that are no attention layers have numbers, too.
    skips = any(layers != list(range(layers[0], layers[0] + len(layers))) for layers in stacks)
    noun = "attention layer" if skips else "layer"
    n_layers = _count(numbers[0], noun) if same else f"{' + '.join(map(str, numbers))} {noun}s"
    heads = [trace.n_heads(layer, kind) for kind in trace.kinds for layer in trace.layers(kind)]
    least, most = min(heads), max(heads)
    n_heads = _count(most, "head") if least == most else f"{least}–{most} heads"
    return f"{n_layers} × {n_heads}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
