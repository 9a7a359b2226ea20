"""What a client is told of a run that it meets: everything that is not computed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glasshead_backend.asking import Ablated
from glasshead_backend.text.sequences import Sequence, Sides
from glasshead_backend.text.tokens import Token
from glasshead_backend.text.words import Word

if TYPE_CHECKING:
    from glasshead_backend.asking import Kind
    from glasshead_backend.tracing.run import Run

Facts = dict[str, Any]
"""Plain JSON."""

_TOKEN = ("id", "text", "start", "end", "special", "generated")
_WORD = ("text", "start", "end", "tokens")
_SIDES = ("first", "decoder", "predicted")


def facts_of(run: Run) -> Facts:
    """Return what is to be told of a run."""
    off = run.ablated
    return {
        "model_class": run.model_class,
        "sides": {name: _of_sequence(getattr(run.sides, name)) for name in _SIDES},
        "calls": {
            kind: {
                str(layer): {
                    "n_heads": call.n_heads,
                    "n_queries": call.n_queries,
                    "n_keys": call.n_keys,
                    "path": call.path,
                    "dtype": str(call.dtype).removeprefix("torch."),
                    "remainder": call.remainder,
                }
                for layer, call in by_layer.items()
            }
            for kind, by_layer in run.calls.items()
        },
        "unreadable": run.anatomy.structure.unreadable,
        "masked": run.masked,
        "ablated": off and [off.heads, off.blocks, off.how, off.n_texts],
        "nbytes": run.nbytes,
    }


def sides_of(facts: Facts) -> Sides:
    """Return the sequences of a run."""
    first, *others = (facts["sides"][name] and _sequence(facts["sides"][name]) for name in _SIDES)
    return Sides(first, *others)


def ablated_of(facts: Facts) -> Ablated | None:
    """Return what was switched off."""
    if facts["ablated"] is None:
        return None
    heads, blocks, how, n_texts = facts["ablated"]
    return Ablated(tuple(map(tuple, heads)), tuple(map(tuple, blocks)), how, n_texts)


def unreadable_of(facts: Facts) -> dict[Kind, str]:
    """Return which kinds of attention cannot be read, and why."""
    return facts["unreadable"]


def _of_sequence(sequence: Sequence | None) -> Facts | None:
    if sequence is None:
        return None
    # Words are made of the text by whoever reads it, but for those of a cut of the user's.
    words = sequence.words if sequence.cut is not None else None
    return {
        "name": sequence.name,
        "text": sequence.text,
        "tokens": [[getattr(token, name) for token in sequence.tokens] for name in _TOKEN],
        "words": words and [[getattr(word, name) for word in words] for name in _WORD],
        "segments": sequence.segments,
        "token_types": sequence.token_types,
    }


def _sequence(told: Facts) -> Sequence:
    def whole(values: list[int] | None) -> tuple[int, ...] | None:
        return None if values is None else tuple(values)

    made = Sequence(
        told["name"],
        told["text"],
        tuple(Token(*values) for values in zip(*told["tokens"], strict=True)),
        segments=whole(told["segments"]),
        token_types=whole(told["token_types"]),
    )
    if told["words"] is not None:
        columns = zip(*told["words"], strict=True)
        words = [Word(text, start, end, tuple(own)) for text, start, end, own in columns]
        made.__dict__["words"] = words  # in the place of those that it would make
    return made
