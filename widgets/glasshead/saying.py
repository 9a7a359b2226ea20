"""How rows and columns are called where a view is put into words, or drawn without a browser."""

from __future__ import annotations

from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from glasshead.saving.svg import inert

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def is_written(axis: dict[str, Any]) -> bool:
    """Whether the rows are named by what is being written, not by what is read."""
    return axis.get("emphasis") == "predicted" and bool(axis.get("predicted"))


def names(axis: dict[str, Any]) -> list[str]:
    """Name the units of an axis as the live views do.

    A row of cross-attention has the name of the word that is being written. Words that stand
    there more than once are told apart by the position of their first token; of whitespace a
    sign is seen.
    """
    texts: list[str] = axis["predicted"] if is_written(axis) else axis["labels"]
    shown = [seen(text or label) for text, label in zip(texts, axis["labels"], strict=True)]
    packed = axis["unit_of_token"]
    units, first = np.unique(np.frombuffer(packed["data"], packed["dtype"]), return_index=True)
    place = dict(zip(units.tolist(), first.tolist(), strict=True))
    counts = Counter(shown)
    return [
        name + str(place[unit]).translate(_SUBSCRIPTS)
        if counts[name] > 1 and any(letter.isalnum() for letter in name) and unit in place
        else name
        for unit, name in enumerate(shown)
    ]


def look_sentences(
    axes: dict[str, Any],
    places: Iterable[tuple[int, int, float]],
    of: Iterable[str] = repeat(""),
    what: str = "",
) -> list[str]:
    """Say how much rows look at columns: row, column and weight each; then ``of`` which head.

    Before the number stands `what` it is, where it is no weight.
    """
    rows, columns = names(axes["query"]), names(axes["key"])
    start = "To write “{}” the model" if is_written(axes["query"]) else "“{}”"
    return [
        f"{start.format(rows[row])} looks at “{columns[column]}” with {what}{weight:.2f}{head}"
        for (row, column, weight), head in zip(places, of, strict=False)
    ]


def seen(text: str) -> str:
    """Return a text without the space around it; of white space alone a sign."""
    return inert(text.strip() or text.replace(" ", "␣") or "∅")


def quoted(text: str) -> str:
    """Return a token as it stands in a sentence; one of white space alone is named."""
    if text.strip():
        return f"“{inert(text.strip())}”"
    return "A line break" if "\n" in text else "A space"
