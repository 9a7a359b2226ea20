"""Positions of a word or phrase among the tokens of a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, SupportsIndex

from glasshead_backend.checks import positions, several

if TYPE_CHECKING:
    from collections.abc import Iterable

    from glasshead_backend.text.sequences import Sequence

    Target = str | Iterable[SupportsIndex]

_MOST_WORDS = 12
"""Of the text, that an error names."""


def target_positions(sequence: Sequence, target: Target) -> tuple[int, ...]:
    """Find a target in a text.

    Parameters
    ----------
    sequence : Sequence
    target : str or sequence of int
        A token, word or phrase as it is written: it must begin where a token begins and end where
        one ends, so ``"he"`` is not found within ``"the"`` unless that is cut there. White space
        at its beginning asks for white space (or the text's beginning) before it, at its end
        likewise behind. Or positions; negative ones count from the end.

    Returns
    -------
    tuple of int
        Ascending. Of an occurrence of several tokens it is the last one, the first that has seen
        all of it.

    Raises
    ------
    ValueError
        When the target is empty or nowhere, or a position is out of range.
    """
    if not isinstance(target, str):
        return tuple(sorted(set(positions(several(target, "target"), len(sequence.tokens)))))
    if not target.strip():
        raise ValueError(f"target {target!r} is empty: give a word of the text, or positions.")
    found = tuple(_occurrences(sequence, target))
    if not found:
        raise ValueError(_nowhere(sequence, target))
    return found


def _occurrences(sequence: Sequence, target: str) -> Iterable[int]:
    text, words = sequence.text, target.strip()
    starts, ends = _token_edges(sequence)
    before = r"(?<!\S)" if target[0].isspace() else ""
    behind = r"(?!\S)" if target[-1].isspace() else ""
    for match in re.finditer(f"{before}{re.escape(words)}{behind}", text):
        if match.start() in starts and match.end() in ends:
            yield ends[match.end()]


def _token_edges(sequence: Sequence) -> tuple[set[int], dict[int, int]]:
    """Where tokens begin in the text, their space left out, and which token ends where."""
    starts: set[int] = set()
    ends: dict[int, int] = {}
    for position, token in enumerate(sequence.tokens):
        written = sequence.text[token.start : token.end]
        if written.strip():
            starts.add(token.start + len(written) - len(written.lstrip()))
            ends[token.start + len(written.rstrip())] = position
    return starts, ends


def _nowhere(sequence: Sequence, target: str) -> str:
    if target.strip() in sequence.text:
        return (
            f"target {target!r} is in the {sequence.name}, but never begins and ends with a token. "
            "Give a longer piece, or positions."
        )
    known = list(dict.fromkeys(word.text for word in sequence.words))
    return (
        f"{target!r} is not in the {sequence.name} (upper and lower case differ). Its words: "
        f"{', '.join(known[:_MOST_WORDS])}{' …' if len(known) > _MOST_WORDS else ''}."
    )
