"""Tokens as text: what each token says, and which part of the input it covers.

A token's *text* is what the model reads, written with real characters: decoded, and without the
marks of its vocabulary. Its *span* is the slice of the input that it stands for. The two differ
where the tokenizer rewrites its input (an uncased vocabulary reads ``hello`` for ``Hello``).

Spans come from the tokenizer's offsets where it has them (fast tokenizers), else from walking along
its spelling and the text (`alignment`). Either way they are put in order afterwards: offsets may
leave out the space that a token starts with, and repeat for the bytes of one character.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import regex

from .alignment import UNKNOWN, align, fill_gaps
from .spelling import characters, show_bytes
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from .vocabulary import Piece

_GRAPHEME = regex.compile(r"\X", regex.VERSION1)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text.

    Attributes
    ----------
    id
        Its number in the vocabulary.
    text
        What it says: real spaces and line breaks, bytes of a split character as ``⟨F0 9F⟩``, a
        special or unknown token's own name (``[CLS]``). Empty for a space that the tokenizer made
        up and gave a token of its own.
    start, end
        The slice of the text that it covers, the space it starts with included. Spans are in order
        and share at most the one character that is split between two tokens. A special token that
        the tokenizer put in covers nothing: ``start == end`` is the place where it stands.
    special
        It is one of the tokenizer's special tokens (an unknown token is not: it stands for text).
    generated
        The model wrote it.
    """

    id: int
    text: str
    start: int
    end: int
    special: bool
    generated: bool = False


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    add_special_tokens: bool = True,
    target: bool = False,
) -> list[Token]:
    """Tokenize `text`, with the text and the span of every token.

    Parameters
    ----------
    tokenizer
        Any tokenizer of transformers, fast or slow.
    text
        The input; never truncated.
    add_special_tokens
        Put in the special tokens that the model expects, as the tokenizer does by default.
    target
        Tokenize for the decoder of an encoder-decoder model (``text_target=``): matters for
        tokenizers with two vocabularies or with language codes.

    Returns
    -------
    list of Token
        With spans in `text`.
    """
    vocabulary = Vocabulary(tokenizer, source=not target)
    encode = _encode_with_offsets if tokenizer.is_fast else _encode_by_alignment
    ids, spans = encode(tokenizer, vocabulary, text, special=add_special_tokens, target=target)
    return _place([vocabulary.piece(id_) for id_ in ids], spans, text)


def tokens_of_ids(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    *,
    generated_from: int | None = None,
) -> tuple[list[Token], str]:
    """Return the tokens of ids that have no source text, and the text that they spell.

    Parameters
    ----------
    tokenizer
        The tokenizer that the ids belong to (its target side, if it has two).
    ids
        Token ids, for example generated ones. An id that the vocabulary lacks becomes a special
        token ``⟨id 50300⟩``.
    generated_from
        Position of the first token that the model wrote; None when it wrote none.

    Returns
    -------
    tokens : list of Token
        With spans in `text`.
    text : str
        What the ordinary tokens spell; special tokens add nothing to it.
    """
    vocabulary = Vocabulary(tokenizer)
    pieces = [vocabulary.piece(int(id_)) for id_ in ids]
    parts = _spell(vocabulary, [b"" if piece.special else piece.data for piece in pieces], pieces)
    text, spans = _decode(parts)
    tokens: list[Token] = []
    for position, (piece, part, (start, end)) in enumerate(zip(pieces, parts, spans, strict=True)):
        shown = piece.text if piece.special else show_bytes(part.data)
        generated = generated_from is not None and position >= generated_from
        tokens.append(Token(piece.id, shown, start, end, piece.special, generated))
    return tokens, text


# --- texts from pieces ----------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Part:
    """What a token adds to the text: its bytes, behind a separator that no token covers."""

    separator: bytes
    data: bytes


def _spell(vocabulary: Vocabulary, data: Sequence[bytes], pieces: Sequence[Piece]) -> list[_Part]:
    """Put separators before the bytes of each token; empty bytes add nothing."""
    separator = vocabulary.spelling.separator.encode()
    parts: list[_Part] = []
    before: Piece | None = None
    for piece, own in zip(pieces, data, strict=True):
        if not own:
            parts.append(_Part(b"", b""))
            continue
        if before is None:
            first = vocabulary.spelling.drops_first_space
            parts.append(_Part(b"", own.removeprefix(b" ") if first else own))
        else:
            joined = before.joins_next or piece.joins_previous
            parts.append(_Part(b"" if joined else separator, own))
        before = piece
    return parts


def _decode(parts: Sequence[_Part]) -> tuple[str, list[tuple[int, int]]]:
    """Join the parts' bytes to a text, and find the span of each part in it.

    A character whose bytes lie in several parts belongs to all of them. Bytes that make no
    character become U+FFFD.
    """
    joined = b"".join(part.separator + part.data for part in parts)
    texts: list[str] = []
    character_of: list[int] = []
    for number, (chunk, text) in enumerate(characters(joined)):
        texts.append(text or "\ufffd")
        character_of.extend([number] * len(chunk))
    character_of.append(len(texts))
    spans: list[tuple[int, int]] = []
    at = 0
    for part in parts:
        first = at + len(part.separator)
        at = first + len(part.data)
        start = character_of[first]
        spans.append((start, character_of[at - 1] + 1 if part.data else start))
    return "".join(texts), spans


# --- spans in a given text ------------------------------------------------------------------------
def _call(
    tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool, target: bool, **options: bool
) -> Any:
    given = {"text_target": text} if target else {"text": text}
    call = cast("Any", tokenizer)
    return call(**given, add_special_tokens=special, truncation=False, verbose=False, **options)


def _encode_with_offsets(
    tokenizer: PreTrainedTokenizerBase,
    _: Vocabulary,
    text: str,
    *,
    special: bool,
    target: bool,
) -> tuple[list[int], list[tuple[int, int] | None]]:
    """Return ids and spans as the tokenizer gives them; None for tokens that it put in."""
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    encoding = _call(tokenizer, text, special=special, target=target, **options)
    spans = [
        None if inserted else (int(start), int(end))
        for (start, end), inserted in zip(
            encoding["offset_mapping"], encoding["special_tokens_mask"], strict=True
        )
    ]
    return [int(id_) for id_ in encoding["input_ids"]], spans


def _encode_by_alignment(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    text: str,
    *,
    special: bool,
    target: bool,
) -> tuple[list[int], list[tuple[int, int] | None]]:
    """Return ids, and spans found by aligning what they spell with the text."""
    ids = [int(i) for i in _call(tokenizer, text, special=special, target=target)["input_ids"]]
    own = [int(i) for i in _call(tokenizer, text, special=False, target=target)["input_ids"]]
    before = next(n for n in range(len(ids)) if ids[n : n + len(own)] == own) if own else len(ids)
    pieces = [vocabulary.piece(id_) for id_ in own]
    data = [UNKNOWN.encode() if piece.unknown else piece.data for piece in pieces]
    spelled, places = _decode(_spell(vocabulary, data, pieces))
    found = align(spelled, text)
    spans: list[tuple[int, int] | None] = []
    for start, end in places:
        matched = [span for span in found[start:end] if span is not None]
        spans.append((matched[0][0], matched[-1][1]) if matched else None)
    filled = fill_gaps(spans, [bool(piece.text.strip()) for piece in pieces], text)
    inserted = len(ids) - len(own) - before
    return ids, [*[None] * before, *filled, *[None] * inserted]


def _place(
    pieces: Sequence[Piece], spans: Sequence[tuple[int, int] | None], text: str
) -> list[Token]:
    """Put raw spans in order and give each token its own white space back."""
    limits = _next_starts(spans, len(text))
    covering = [position for position, span in enumerate(spans) if span is not None]
    last = covering[-1] if covering else 0
    tokens: list[Token] = []
    previous = (0, 0)
    for position, (piece, span) in enumerate(zip(pieces, spans, strict=True)):
        if span is None:
            at = len(text) if position > last else previous[1]
            tokens.append(Token(piece.id, piece.text, at, at, special=True))
            continue
        start, end = _in_order(span, previous, text)
        shown = piece.text
        if not piece.special:
            room = (previous[1], limits[position])
            start, end, shown = _with_space(shown, (start, end), room, text)
        tokens.append(Token(piece.id, shown, start, end, piece.special))
        previous = (start, max(end, previous[1]))
    return tokens


def _next_starts(spans: Sequence[tuple[int, int] | None], length: int) -> list[int]:
    """Return, for every token, where the next one that covers text starts."""
    limits: list[int] = []
    following = length
    for span in reversed(spans):
        limits.append(following)
        if span is not None:
            following = span[0]
    return limits[::-1]


def _in_order(span: tuple[int, int], previous: tuple[int, int], text: str) -> tuple[int, int]:
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
