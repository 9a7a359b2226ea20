"""Spans of tokens in a given text: put in order, completed to whole characters and own spaces.

What a tokenizer says of where its tokens stand (or what `alignment` finds out) is rough: offsets
leave out the space that a token starts with, repeat for the bytes of one character, end before the
combining marks that a normaliser has folded away, or take in the spaces beside an added token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import regex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .vocabulary import Piece

_GRAPHEME = regex.compile(r"\X", regex.VERSION1)

Span = tuple[int, int]


def settle(
    pieces: Sequence[Piece], spans: Sequence[Span | None], text: str
) -> list[tuple[int, int, str]]:
    """Return the final span and the shown text of every token.

    Parameters
    ----------
    pieces
        What the tokens are.
    spans
        Where the tokenizer says that they stand; None for one that it put in.
    text
        The text that the spans index into.

    Returns
    -------
    list of (start, end, shown)
        In order; neighbours share at most the one character that is split between them. A token
        that was put in covers nothing.
    """
    spans = _whole_characters(pieces, _without_swallowed_space(pieces, spans, text), text)
    limits = _next_starts(spans, len(text))
    covering = [position for position, span in enumerate(spans) if span is not None]
    last = covering[-1] if covering else 0
    settled: list[tuple[int, int, str]] = []
    previous = (0, 0)
    for position, (piece, span) in enumerate(zip(pieces, spans, strict=True)):
        if span is None:
            at = len(text) if position > last else previous[1]
            settled.append((at, at, piece.text))
            continue
        start, end = _in_order(span, previous, text)
        shown = piece.text
        if not piece.special:
            room = (previous[1], limits[position])
            start, end, shown = _with_space(shown, (start, end), room, text)
        settled.append((start, end, shown))
        previous = (start, max(end, previous[1]))
    return settled


def _without_swallowed_space(
    pieces: Sequence[Piece], spans: Sequence[Span | None], text: str
) -> list[Span | None]:
    """Give back the spaces that an added token (``lstrip``, ``rstrip``) took in beside its name."""
    kept: list[Span | None] = []
    for piece, span in zip(pieces, spans, strict=True):
        if span is None or not piece.added:
            kept.append(span)
            continue
        start, end = span
        covered = text[start:end]
        start += max(0, _leading(covered) - _leading(piece.text))
        end -= max(0, _trailing(covered) - _trailing(piece.text))
        kept.append((start, max(start, end)))
    return kept


def _leading(text: str) -> int:
    return len(text) - len(text.lstrip())


def _trailing(text: str) -> int:
    return len(text) - len(text.rstrip())


def _whole_characters(
    pieces: Sequence[Piece], spans: Sequence[Span | None], text: str
) -> list[Span | None]:
    """Stretch spans over what no token covers of a character that they cover in part.

    Normalisers compose and take off combining marks (NFC, NFKC, accents): the offsets of ``é`` end
    behind the ``e``, and what follows it in the text would belong to nobody.
    """
    if text.isascii():
        return list(spans)
    covered = bytearray(len(text))
    for span in spans:
        if span is not None:
            covered[span[0] : span[1]] = b"\1" * (span[1] - span[0])
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for cluster in _GRAPHEME.finditer(text):
        first, stop = cluster.span()
        if stop - first == 1 or 0 not in covered[first:stop] or 1 not in covered[first:stop]:
            continue
        for low, high in _uncovered(covered, first, stop):
            if any(character.isspace() for character in text[low:high]):
                continue
            if low > first:
                ends[low] = high
            else:
                starts[high] = low
    return [
        span
        if span is None or piece.special or span[0] == span[1]
        else (starts.get(span[0], span[0]), ends.get(span[1], span[1]))
        for piece, span in zip(pieces, spans, strict=True)
    ]


def _uncovered(covered: bytearray, first: int, stop: int) -> list[Span]:
    """Return the runs of zeros in ``covered[first:stop]``."""
    runs: list[Span] = []
    at = covered.find(0, first, stop)
    while at >= 0:
        end = covered.find(1, at, stop)
        end = stop if end < 0 else end
        runs.append((at, end))
        at = covered.find(0, end, stop)
    return runs


def _next_starts(spans: Sequence[Span | None], length: int) -> list[int]:
    """Return, for every token, where the next one that covers text starts."""
    limits: list[int] = []
    following = length
    for span in reversed(spans):
        limits.append(following)
        if span is not None:
            following = span[0]
    return limits[::-1]


def _in_order(span: Span, previous: Span, text: str) -> Span:
    """Return the span, cut so that it overlaps `previous` by one split character at most."""
    start, end = max(span[0], previous[0]), max(span[1], span[0], previous[1])
    shared = text[start : previous[1]]
    if shared and (start == end or (len(shared) > 1 and not _GRAPHEME.fullmatch(shared))):
        start = previous[1]
    return start, max(start, end)


def _with_space(
    shown: str, span: tuple[int, int], room: tuple[int, int], text: str
) -> tuple[int, int, str]:
    """Stretch a span over the white space that the token's text starts and ends with.

    Spaces that the token starts with and the text does not have are the tokenizer's own (the one
    it puts before the first word): they are left out of the token's text.

    Parameters
    ----------
    shown
        The token's text.
    span
        Its span, perhaps without the space around it.
    room
        From where and up to where the span may grow.
    text
        The input text.
    """
    start, end = span
    if start < room[0]:  # part of a character that others share: so is the space in it
        return start, end, shown
    blank = shown.isspace()
    if blank:
        end = min(end, max(room[1], start))
    covered = text[start:end]
    missing = (len(shown) - len(shown.lstrip())) - (len(covered) - len(covered.lstrip()))
    while missing > 0 and start > room[0] and text[start - 1].isspace():
        start, missing = start - 1, missing - 1
    trailing = (len(shown) - len(shown.rstrip())) - (len(covered) - len(covered.rstrip()))
    trailing = missing if blank else trailing
    while trailing > 0 and end < room[1] and text[end].isspace():
        end, trailing = end + 1, trailing - 1
    shown = shown[max(trailing if blank else missing, 0) :]
    return start, end if shown else start, shown
