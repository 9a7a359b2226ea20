"""Where the characters of a tokenizer's spelling stand in the text it was given.

Needed for tokenizers that give no offsets. What they spell may differ from the text: lower case,
compatibility forms (``ﬁ`` → ``fi``), quotes made straight, white space dropped or collapsed,
unknown characters replaced. Both sides are folded (NFKD, case, no white space) and walked along
together; where they differ, the next few spelled characters are looked for a little further on.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "\ufffc"
"""Stands in a spelling for an unknown token, which may cover any run of characters."""

_SPACES = re.compile(r"\s+")
_PROBE = 3  # characters that must agree before the walk goes on after a difference
_SKIP = 8  # spelled characters that may be left out there
_REACH = 128  # text characters that may be left out there


def align(spelled: str, text: str) -> list[tuple[int, int] | None]:
    """Find each spelled character in `text`.

    Parameters
    ----------
    spelled
        The text that the tokens spell, with `UNKNOWN` for unknown tokens.
    text
        The text that was tokenized.

    Returns
    -------
    list
        For each character of `spelled` its span in `text`, or None where it has no counterpart.
        Spans are in order. Runs in time linear in the lengths.
    """
    left, left_origin = _fold(spelled)
    right, right_origin = _fold(text)
    found: list[tuple[int, int] | None] = [None] * len(spelled)
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] != right[j]:
            skip, ahead = _resume(left, i, right, j)
            # Equal skips are replacements, one by one: “ for ", é for e.
            if skip == ahead and UNKNOWN not in left[i : i + skip]:
                for step in range(skip):
                    _extend(found, left_origin[i + step], right_origin[j + step])
            i, j = i + skip, j + ahead
            continue
        _extend(found, left_origin[i], right_origin[j])
        i, j = i + 1, j + 1
    _match_spaces(spelled, text, found)
    return found


def fill_gaps(
    spans: Sequence[tuple[int, int] | None], fills: Sequence[bool], text: str
) -> list[tuple[int, int]]:
    """Give tokens that were not found the text between their neighbours.

    A run of such tokens shares the gap word by word when there are as many words as tokens, or
    character by character when there are as many of those; else its first token gets all of it and
    the others stand behind it with nothing.

    Parameters
    ----------
    spans
        Span of each token, or None.
    fills
        Whether the token stands for some text at all (white space does not).
    text
        The text that the spans index into.
    """
    filled: list[tuple[int, int]] = []
    position = 0
    while position < len(spans):
        if (span := spans[position]) is not None:
            filled.append(span)
            position += 1
            continue
        stop = position
        while stop < len(spans) and spans[stop] is None:
            stop += 1
        after = spans[stop] if stop < len(spans) else None
        start = filled[-1][1] if filled else 0
        pieces = _shares(start, after[0] if after else len(text), sum(fills[position:stop]), text)
        for fill in fills[position:stop]:
            # White space stands at the end of its gap: its token takes it from there.
            at = pieces[0][0] if pieces else after[0] if after else len(text)
            filled.append(pieces.pop(0) if fill else (at, at))
        position = stop
    return filled


def _fold(text: str) -> tuple[str, list[int]]:
    """Return the folded text and, per folded character, where it came from."""
    folded: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(text):
        if character.isascii():
            plain = character.lower()
        else:
            plain = unicodedata.normalize("NFKD", character).casefold()
        for part in plain:
            if not part.isspace():
                folded.append(part)
                origin.append(place)
    return "".join(folded), origin


def _extend(found: list[tuple[int, int] | None], place: int, at: int) -> None:
    known = found[place]
    found[place] = (known[0] if known else at, at + 1)


def _match_spaces(spelled: str, text: str, found: list[tuple[int, int] | None]) -> None:
    """Match runs of spelled white space with the white space beside their matched neighbours."""
    for run in _SPACES.finditer(spelled):
        before = found[run.start() - 1] if run.start() else (0, 0)
        after = found[run.end()] if run.end() < len(spelled) else (len(text), len(text))
        low, high = before[1] if before else 0, after[0] if after else len(text)
        if after:
            for place in reversed(range(run.start(), run.end())):
                if high > low and text[high - 1].isspace():
                    high -= 1
                    found[place] = (high, high + 1)
        elif before:
            for place in range(run.start(), run.end()):
                if low < high and text[low].isspace():
                    found[place] = (low, low + 1)
                    low += 1


def _resume(left: str, i: int, right: str, j: int) -> tuple[int, int]:
    """Return how many characters to leave out on either side until both agree again."""
    best = (1, 1)
    cost = _SKIP + _REACH
    for skip in range(min(_SKIP, len(left) - i) + 1):
        probe = left[i + skip : i + skip + _PROBE].partition(UNKNOWN)[0]
        if not probe and i + skip < len(left):
            continue
        at = right.find(probe, j, j + _REACH) if probe else len(right)
        if at >= 0 and skip + at - j < cost:
            best, cost = (skip, at - j), skip + at - j
    return best


def _shares(start: int, end: int, n: int, text: str) -> list[tuple[int, int]]:
    """Cut the words of ``text[start:end]`` into `n` spans (see `fill_gaps`)."""
    words: list[tuple[int, int]] = []
    at = start
    for word in text[start:end].split():
        at = text.index(word, at)
        words.append((at, at + len(word)))
        at += len(word)
    if len(words) == n:
        return words
    letters = [place for first, last in words for place in range(first, last)]
    if len(letters) == n:
        return [(place, place + 1) for place in letters]
    if not words:
        return [(start, start)] * n
    whole = (words[0][0], words[-1][1])
    return [whole] + [(whole[1], whole[1])] * (n - 1) if n else []
