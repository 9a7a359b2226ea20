"""What a view knows of a trace before any numbers: the model, its layers, its axes' labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from glasshead_backend.layers import Kind
    from glasshead_backend.sides import Side, Unit
    from glasshead_backend.trace import Trace

_TITLES: dict[Kind, str] = {
    "self": "Self-attention",
    "encoder": "Encoder self-attention",
    "decoder": "Decoder self-attention",
    "cross": "Cross-attention",
}


def scene(trace: Trace) -> dict[str, Any]:
    """Describe the model of a trace: its name, and layers and heads of every kind of attention."""
    kinds = [
        {
            "name": kind,
            "title": _TITLES[kind],
            "causal": kind == "decoder" or (kind == "self" and trace.family == "decoder"),
            "query": trace.side("query", kind).name,
            "key": trace.side("key", kind).name,
            "layers": [
                {"number": layer, "heads": trace.n_heads(layer, kind)}
                for layer in trace.layers(kind)
            ],
        }
        for kind in trace.kinds
    ]
    largest = max(trace.kinds, key=lambda kind: len(trace.layers(kind)))
    layers = trace.layers(largest)
    heads = trace.n_heads(layers[0], largest)
    size = f"{_count(len(layers), 'layer')} × {_count(heads, 'head')}"
    return {
        "model": f"{trace.lens.name} · {size}",
        "family": trace.family,
        "notice": trace.lens.notice,
        "kinds": kinds,
    }


def axes(trace: Trace, kind: Kind, unit: Unit) -> dict[str, Any]:
    """Describe the two sides of an attention map: the labels of its rows and columns."""
    return {
        "kind": kind,
        "unit": unit,
        "query": _axis(trace, "query", kind, unit),
        "key": _axis(trace, "key", kind, unit),
    }


def _axis(trace: Trace, side: Side, kind: Kind, unit: Unit) -> dict[str, Any]:
    sides, sequence = trace.sides, trace.sides.of(side, kind)
    first_tokens = [sequence.tokens[i] for i in sides.first_tokens(side, kind, unit)]
    predicted = sides.predictions(kind, unit) if side == "query" else None
    segments = sequence.segments
    return {
        "sequence": sequence.name,
        "labels": sides.labels(side, kind, unit),
        "predicted": predicted,
        "emphasis": "predicted" if predicted and kind == "cross" else "label",
        "special": pack(torch.tensor([token.special for token in first_tokens]), torch.uint8),
        "generated": pack(torch.tensor([token.generated for token in first_tokens]), torch.uint8),
        "segments": segments
        and [segments[i] for i in sides.first_tokens(side, kind, unit)],  # of a sentence pair
        "unit_of_token": pack(sides.unit_of_token(side, kind, unit), torch.uint32),
    }


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
