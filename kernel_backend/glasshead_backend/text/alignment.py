"""Where the characters of a tokenizer's spelling stand in the text it was given.

Needed for tokenizers that give no offsets. What they spell may differ from the text: lower case,
compatibility forms (``ﬁ`` → ``fi``), quotes and dashes made plain, white space dropped or
collapsed, unknown characters replaced. Both sides are folded (NFKD, case, plain signs, no white
space) and walked along together; where they differ, the next few spelled characters are looked for
a little further on.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "\ufffc"
"""Stands in a spelling for an unknown token, which may cover any run of characters."""

_DOUBLE_QUOTES = frozenset('"“”„‟«»〝〞《》「」『』')
# Signs that are made plain by some. A double quote counts as two single ones: some write it so.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys([*_DOUBLE_QUOTES, *"`\xb4\u2018\u2019\u201a\u201b\u2039\u203a"], "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2501", "-"),
        **dict(zip("。、〈〉【】", ".,<>[]", strict=True)),
    }
)
_SIGNS = frozenset(map(chr, _PLAIN))
_SPACES = re.compile(r"\s+")
_SWAP = 6  # characters that may change places
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
    left, right = _Folded(spelled), _Folded(text)
    found: list[tuple[int, int] | None] = [None] * len(spelled)
    i = j = 0
    while i < len(left.plain) and j < len(right.plain):
        if left.plain[i] == right.plain[j]:
            skip = ahead = 1
            pairs = [(left.origin[i], right.origin[j])]
        elif skip := _swapped(left, i, right, j):
            ahead = skip
            pairs = _one_by_one(left.origin[i : i + skip], right.origin[j : j + ahead])
        else:
            skip, ahead = _resume(left, i, right, j)
            # Equal skips are replacements, one by one: é for e.
            replaced = skip == ahead and UNKNOWN not in left.plain[i : i + skip]
            here = range(skip if replaced else 0)
            pairs = [(left.origin[i + step], right.origin[j + step]) for step in here]
        for place, at in pairs:
            _extend(found, place, at)
        i, j = i + skip, j + ahead
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


class _Folded:
    """A text without what tokenizers change: case, compatibility forms, white space.

    Attributes
    ----------
    exact, plain
        The folded characters; in `plain` quotes and dashes have their plain forms.
    origin
        Where each of them came from.
    """

    def __init__(self, text: str) -> None:
        folded: list[str] = []
        self.origin: list[int] = []
        for place, character in enumerate(text):
            for part in _fold(character):
                if not part.isspace():
                    folded.append(part)
                    self.origin.append(place)
        self.exact = "".join(folded)
        self.plain = self.exact.translate(_PLAIN)

    def next_character(self, at: int) -> int:
        """Return where the next character of the text begins."""
        return next(
            (n for n in range(at, len(self.origin)) if self.origin[n] != self.origin[at]),
            len(self.origin),
        )


def _fold(character: str) -> str:
    if character in _SIGNS:
        return character * 2 if character in _DOUBLE_QUOTES else character
    if character.isascii():
        return character.lower()
    return unicodedata.normalize("NFKD", character).casefold()


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


def _swapped(left: _Folded, i: int, right: _Folded, j: int) -> int:
    """Return how many characters are the same in another order (``,"`` for ``",``), or 0."""
    for n in range(2, _SWAP + 1):
        here, there = left.plain[i : i + n], right.plain[j : j + n]
        if len(here) == len(there) == n and sorted(here) == sorted(there):
            return n
    return 0


def _one_by_one(places: list[int], others: list[int]) -> list[tuple[int, int]]:
    """Pair places in their order, each once; where one side has more, its last share a partner."""
    left, right = list(dict.fromkeys(places)), list(dict.fromkeys(others))
    most = range(max(len(left), len(right)))
    return [(left[min(n, len(left) - 1)], right[min(n, len(right) - 1)]) for n in most]


def _resume(left: _Folded, i: int, right: _Folded, j: int) -> tuple[int, int]:
    """Return how many characters to leave out on either side until both agree again."""
    best = (1, 1)
    cost = _SKIP + _REACH
    for skip in range(min(_SKIP, len(left.plain) - i) + 1):
        unknown = UNKNOWN in left.plain[i : i + skip]
        ahead = _next_agreement(left, i + skip, right, j, unknown=unknown)
        if ahead is not None and skip + ahead < cost:
            best, cost = (skip, ahead), skip + ahead
    return best


def _next_agreement(left: _Folded, at: int, right: _Folded, j: int, *, unknown: bool) -> int | None:
    """Return how far behind `j` the right side goes on as the left does from `at` on.

    What an unknown token stands for is one character at least.
    """
    if at == len(left.plain):
        return len(right.plain) - j
    end = at + len(left.plain[at : at + _PROBE].partition(UNKNOWN)[0])
    if end == at:
        return None
    first = right.next_character(j) if unknown else j
    for here, there in ((left.exact, right.exact), (left.plain, right.plain)):
        # What is left of the text at the end stands at its end.
        find = there.rfind if end == len(here) else there.find
        found = find(here[at:end], first, j + _REACH)
        if found >= 0:
            return found - j
    return None


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
