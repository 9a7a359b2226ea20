"""Words from tokens: the units of fused attention.

The input text is cut at the word boundaries of Unicode (UAX #29, default rules), and consecutive
tokens that share a piece between two boundaries make one word. So:

- ``don't``, ``aujourd'hui``, ``l'eau``, ``3.14``, ``U.S.A``, ``foo_bar`` are one word each;
  ``well-known`` is three (the hyphen is punctuation).
- Every punctuation mark or symbol is a word of its own, and so is an emoji with all its joiners,
  skin tones and flag letters.
- Scripts without spaces (Han, Hiragana, Thai, Lao, Khmer, Burmese) have boundaries between
  characters, because no dictionary is used: their words are the tokenizer's own pieces, completed
  to whole characters. A segmentation of your own (:data:`Cut`) takes the place of the boundaries,
  with everything below unchanged.
- A token is never split. One that spans several words makes them one (``'s the``); a boundary that
  falls inside a character as the user sees it (a grapheme cluster) does not count.
- A special token is a word of its own, and ends the word before it.
- A token that holds nothing but space belongs to the next word, as the space at the start of a
  token does; at the end of the text or before a special token it belongs to the word before it. A
  token with a line break and nothing but space is a word of its own: it is what a line or a
  paragraph ends with.

A word's span leaves out the space around it, so the text is: gap, word, gap, word, …, gap, where
the gaps hold white space and what the tokenizer dropped.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import regex
import torch

from glasshead_backend.answering import travels

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .tokens import Token

_WORD_BOUNDARY = regex.compile(r"\b", regex.WORD | regex.VERSION1)
_GRAPHEME = regex.compile(r"\X", regex.VERSION1)
_LINE_BREAKS = frozenset("\n\r\v\f\x85\u2028\u2029")

Cut = Callable[[str], Iterable[str | tuple[int, int]]]
"""Cuts a text into words: returns them in order, as pieces of the text or as their spans
``(start, end)``. Spaces between them may be left out; other text that is left out makes words of
its own. ``jieba.cut`` is one."""


@travels
@dataclass(frozen=True, slots=True)
class Word:
    """A run of consecutive tokens that make one written word.

    Attributes
    ----------
    text
        The slice ``start:end`` of the input text; for a special token, the token's own text.
    start, end
        Where the word stands in the input text, without the white space around it.
    tokens
        Positions of its tokens in the token list; never empty.
    """

    text: str
    start: int
    end: int
    tokens: tuple[int, ...]


def group_words(tokens: Sequence[Token], text: str, cut: Cut | None = None) -> list[Word]:
    """Group tokens into written words.

    Every token is in exactly one word and the order is kept, so there are at most as many words
    as tokens. Grouping tokens that are whole words already changes nothing.

    Parameters
    ----------
    tokens
        The tokens of a text, in order, with their spans.
    text
        The text that the spans index into.
    cut
        A segmentation of your own; default: the boundaries of Unicode.

    Returns
    -------
    list of Word
        The words in reading order (rules: see the module's description).

    Raises
    ------
    ValueError
        When `cut` returns what is not in the text, or not in order.
    """
    boundaries = _unicode_boundaries(text) if cut is None else _own_boundaries(text, cut)
    units = _attach_blanks(_runs(tokens, text, _segments(text, boundaries)), tokens, text)
    return [_word(unit, tokens, text) for unit in units]


def token_to_word(words: Sequence[Word], n_tokens: int) -> torch.Tensor:
    """Return the index of the word that each token belongs to.

    Parameters
    ----------
    words
        Words that cover ``n_tokens`` tokens, each exactly once.
    n_tokens
        How many tokens there are.

    Returns
    -------
    Tensor
        int64, shape ``[n_tokens]``.

    Raises
    ------
    ValueError
        When the words do not cover the tokens 0 … ``n_tokens`` - 1 exactly once, in order.
    """
    positions = [position for word in words for position in word.tokens]
    if positions != list(range(n_tokens)):
        message = (
            f"these {len(words)} words hold {len(positions)} token positions; "
            f"they should hold 0 to {n_tokens - 1}, each once and in order."
        )
        raise ValueError(message)
    sizes = torch.tensor([len(word.tokens) for word in words], dtype=torch.int64)
    return torch.repeat_interleave(torch.arange(len(words)), sizes)


@dataclass(slots=True)
class _Unit:
    """Tokens ``first:last`` (half open)."""

    first: int
    last: int
    special: bool


def _unicode_boundaries(text: str) -> Iterator[int]:
    return (match.start() for match in _WORD_BOUNDARY.finditer(text))


def _own_boundaries(text: str, cut: Cut) -> Iterator[int]:
    """Yield where the words of a user's segmentation begin and end."""
    reach = 0
    for piece in _pieces(text, cut):
        if isinstance(piece, str):
            start = text.find(piece, reach)
            end = start + len(piece)
        else:
            start, end = piece
        if not reach <= start <= end <= len(text):
            what = f"{piece!r}, which does not stand" if isinstance(piece, str) else f"span {piece}"
            raise ValueError(
                f"The segmentation of the text has {what} between {reach} and {len(text)}. It must "
                "return the text's own words in order, as they are written there, or their "
                "(start, end) spans."
            )
        if start < end:
            yield start
            yield end
        reach = end


def _pieces(text: str, cut: Cut) -> list[str | tuple[int, int]]:
    """Return what a user's function makes of a text, if it is words or spans."""
    found: Any = cut(text)
    try:
        return [piece if isinstance(piece, str) else _span(piece) for piece in found]
    except (TypeError, ValueError):
        raise ValueError(
            "The function that cuts texts into words (words=) must return words, or spans as "
            f"(start, end) of whole numbers; it returned {found!r:.200}."
        ) from None


def _span(piece: Any) -> tuple[int, int]:
    start, end = piece
    return operator.index(start), operator.index(end)


def _segments(text: str, boundaries: Iterable[int]) -> list[int]:
    """Return, for every character of the text, the number of the piece between boundaries."""
    # A plain text needs no second pass: an ASCII grapheme of two characters is only "\r\n",
    # which the word boundaries keep whole as well.
    inside: set[int] = set()
    if not text.isascii():
        for cluster in _GRAPHEME.finditer(text):
            inside.update(range(cluster.start() + 1, cluster.end()))
    segment_of = [0] * len(text)
    starts = list(dict.fromkeys([0, *(at for at in boundaries if at and at not in inside)]))
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], len(text)], strict=True)):
        segment_of[start:end] = [number] * (end - start)
    return segment_of


def _core(start: int, end: int, text: str) -> tuple[int, int]:
    """Return the span without the white space at its ends; empty when nothing else is there."""
    covered = text[start:end]
    first = start + len(covered) - len(covered.lstrip())
    return first, max(first, start + len(covered.rstrip()))


def _runs(tokens: Sequence[Token], text: str, segments: list[int]) -> Iterator[_Unit]:
    """Yield runs of tokens that share a piece of text; tokens of white space make their own."""
    unit: _Unit | None = None
    reach, last_segment = 0, -1
    for position, token in enumerate(tokens):
        first, last = _core(token.start, token.end, text)
        # Of a token of nothing but space the space itself counts: it may stand inside a word that
        # the user has cut.
        here = range(first, last) or range(token.start, token.end)
        shares = len(here) > 0 and segments[here.start] == last_segment
        # White space is one unit when its bytes are split; a token without any text (the second of
        # two unknown ones in a word) splits no word.
        shares = shares or token.start < reach or token.start == token.end
        if unit is not None and shares and not token.special and not unit.special:
            unit.last = position + 1
        else:
            if unit is not None:
                yield unit
            unit = _Unit(position, position + 1, token.special)
            last_segment = -1
        if first < last:
            last_segment = segments[last - 1]
        reach = max(reach, token.end)
    if unit is not None:
        yield unit


def _attach_blanks(units: Iterator[_Unit], tokens: Sequence[Token], text: str) -> list[_Unit]:
    """Join units of mere space to the next unit, else to the one before, else leave them alone."""
    attached: list[_Unit] = []
    blank: _Unit | None = None
    end = _Unit(len(tokens), len(tokens), special=True)
    for unit in [*units, end]:
        if blank is not None and not unit.special:
            unit.first = blank.first
        elif blank is not None and attached and not attached[-1].special:
            attached[-1].last = blank.last
        elif blank is not None:
            attached.append(blank)
        blank = unit if not unit.special and _is_blank(unit, tokens, text) else None
        if blank is None and unit is not end:
            attached.append(unit)
    return attached


def _is_blank(unit: _Unit, tokens: Sequence[Token], text: str) -> bool:
    covered = text[tokens[unit.first].start : tokens[unit.last - 1].end]
    return not covered.strip() and _LINE_BREAKS.isdisjoint(covered)


def _word(unit: _Unit, tokens: Sequence[Token], text: str) -> Word:
    positions = tuple(range(unit.first, unit.last))
    head, tail = tokens[unit.first], tokens[unit.last - 1]
    if unit.special:
        return Word(head.text, head.start, head.end, positions)
    start, end = _core(head.start, tail.end, text)
    if start == end:
        start, end = head.start, tail.end
    return Word(text[start:end], start, end, positions)
