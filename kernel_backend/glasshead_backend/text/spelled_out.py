"""Texts from pieces: what a row of tokens spells, and where in it each of them stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .escapes import unescape
from .spelling import characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .spans import Span
    from .spelling import Spelling, Surface
    from .vocabulary import Piece


@dataclass(frozen=True, slots=True)
class Part:
    """What a token adds to the text: its bytes, behind a separator that no token covers."""

    separator: bytes
    data: bytes


def spell_out(
    spelling: Spelling, data: Sequence[bytes], pieces: Sequence[Piece] | Sequence[Surface]
) -> list[Part]:
    """Put separators before the bytes of each token; empty bytes add nothing."""
    separator = spelling.separator.encode()
    parts: list[Part] = []
    before: Piece | Surface | None = None
    for piece, own in zip(pieces, data, strict=True):
        if not own:
            parts.append(Part(b"", b""))
            continue
        if before is None:
            first = spelling.drops_first_space
            parts.append(Part(b"", own.removeprefix(b" ") if first else own))
        else:
            joined = before.joins_next or piece.joins_previous
            parts.append(Part(b"" if joined else separator, own))
        before = piece
    return parts


def decode(parts: Sequence[Part], *, escaped: bool) -> tuple[str, list[Span]]:
    """Join the parts' bytes to a text, and find the span of each part in it.

    A character whose bytes (or whose escape, where some are `escaped`) lie in several parts belongs
    to all of them. Bytes that make no character become U+FFFD.
    """
    joined = b"".join(part.separator + part.data for part in parts)
    texts: list[str] = []
    character_of: list[int] = []
    for number, (chunk, text) in enumerate(characters(joined)):
        texts.append(text or "\ufffd")
        character_of.extend([number] * len(chunk))
    character_of.append(len(texts))
    joined_text = "".join(texts)
    if escaped:
        joined_text, place = unescape(joined_text)
        character_of = [place[number] for number in character_of]
    spans: list[Span] = []
    at = 0
    for part in parts:
        first = at + len(part.separator)
        at = first + len(part.data)
        start = character_of[first]
        spans.append((start, character_of[at - 1] + 1 if part.data else start))
    return joined_text, spans
