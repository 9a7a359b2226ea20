"""Python that gives the numbers behind a picture, written out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glasshead_backend import Trace
    from glasshead_backend.asking import Selection


def call(function: str, *given: object, **named: object) -> str:
    """Write a call; what is None stays unsaid."""
    words = [repr(one) for one in given]
    words += [f"{name}={value!r}" for name, value in named.items() if value is not None]
    return f"{function}({', '.join(words)})"


def named(name: str, code: str) -> str:
    """Keep what the last line of some code evaluates to under a name."""
    *before, last = code.splitlines()
    return "\n".join([*before, f"{name} = {last}"])


def asking(trace: Trace, method: str, asked: Selection, *given: object, **more: object) -> str:
    """Write what a trace is asked for: ``trace.attention(1, heads=[3], unit="word")``.

    What is `given` stands behind the layer.
    """
    kind = asked.kind if asked.kind != trace.default_kind else None
    unit = asked.unit if asked.unit != "token" else None
    heads = list(asked.heads) or None
    return call(
        f"trace.{method}",
        asked.layer,
        *given,
        heads=heads,
        kind=kind,
        unit=unit,
        aggregate=asked.aggregate,
        **more,
    ).replace("'", '"')
