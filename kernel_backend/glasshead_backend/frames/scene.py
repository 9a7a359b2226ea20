"""What a view knows of a trace before any numbers: the model, its layers, its axes' labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from glasshead_backend.structure import Kind
    from glasshead_backend.trace import Side, Trace, Unit

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
    sequence = trace.side(side, kind)
    tokens = sequence.tokens
    unit_of_token = trace.unit_of_token(side, kind, unit)
    n_units = int(unit_of_token[-1]) + 1
    first = torch.zeros(n_units, dtype=torch.int64)
    # The first token of every unit: write the positions backwards, so that the first one stays.
    first[unit_of_token.flip(0)] = torch.arange(len(tokens)).flip(0)
    firsts: list[int] = first.tolist()
    labels = [tokens[i].text for i in firsts]
    predicted = None
    decoder_rows = side == "query" and kind in ("decoder", "cross")
    if decoder_rows:
        assert trace.labels is not None
        predicted = [trace.labels[i].text for i in firsts]
    if unit == "word":
        words = [word.text for word in trace.words(side, kind)]
        if kind == "cross" and side == "query":
            predicted = words
        else:
            labels = words
    return {
        "sequence": sequence.name,
        "labels": labels,
        "predicted": predicted,
        "emphasis": "predicted" if kind == "cross" and decoder_rows else "label",
        "special": pack(torch.tensor([tokens[i].special for i in firsts]), torch.uint8),
        "generated": pack(torch.tensor([tokens[i].generated for i in firsts]), torch.uint8),
        "unit_of_token": pack(unit_of_token, torch.uint32),
    }


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
