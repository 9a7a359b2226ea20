"""How a vocabulary writes text: the marks in its pieces, and the bytes behind them.

Every tokenizer family marks spaces, word ends and bytes in its own way: ``Ġworld`` (byte-level
BPE), ``▁world`` (SentencePiece), ``wor ##ld`` (WordPiece), ``world</w>`` (CTRL, XLM), ``wor@@ ld``
(BERTweet), ``<0x0A>`` (byte fallback). Which of these are marks, and which just happen to be text,
is not guessed from the pieces: the tokenizer's own decoder is asked once, with made-up pieces.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from .escapes import unescape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from transformers import PreTrainedTokenizerBase

_FALLBACK_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def _byte_alphabet() -> dict[str, int]:
    """Return the printable character that byte-level BPE writes for each byte, inverted.

    Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 and up.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in set(printable)]
    alphabet = {chr(byte): byte for byte in printable}
    alphabet.update({chr(0x100 + place): byte for place, byte in enumerate(hidden)})
    return alphabet


BYTE_ALPHABET = _byte_alphabet()
LATIN1_ALPHABET = {chr(byte): byte for byte in range(256)}


@dataclass(frozen=True, slots=True)
class Surface:
    """What one piece of the vocabulary stands for.

    Attributes
    ----------
    data
        The UTF-8 bytes of the piece; they may start or end inside a character.
    joins_previous, joins_next
        The piece continues the word before it; the word goes on in the piece behind it.
    """

    data: bytes
    joins_previous: bool
    joins_next: bool


@dataclass(frozen=True, slots=True)
class Spelling:
    """The marks that a vocabulary uses; an empty mark is not used.

    Attributes
    ----------
    alphabet
        The byte that each character stands for, in byte-level vocabularies, else None.
    byte_fallback
        ``<0x0A>`` stands for a byte.
    space
        The character that stands for a space (``▁``).
    continuation
        Prefix of pieces that continue a word (``##``).
    word_end
        Suffix of pieces that end a word (``</w>``).
    unfinished
        Suffix of pieces that do not end a word (``@@``).
    separator
        What stands between two pieces where no mark joins them: a space, or nothing.
    drops_first_space
        The space that starts the first piece is the tokenizer's own, and no part of the text.
    escaped
        Some characters are written as Moses writes them: ``&apos;`` for ``'``.
    """

    alphabet: Mapping[str, int] | None
    byte_fallback: bool
    space: str
    continuation: str
    word_end: str
    unfinished: str
    separator: str
    drops_first_space: bool
    escaped: bool = False

    def show(self, data: bytes) -> str:
        """Return the bytes of a piece as text: real characters, bytes of split ones in ⟨⟩."""
        shown = show_bytes(data)
        return unescape(shown)[0] if self.escaped else shown

    def surface(self, piece: str) -> Surface:
        """Return what `piece` stands for, its marks taken off."""
        if self.byte_fallback and (byte := _FALLBACK_BYTE.fullmatch(piece)):
            return Surface(bytes([int(byte[1], 16)]), joins_previous=True, joins_next=True)
        joins_previous, joins_next = not self.separator, not self.separator
        if self.continuation:
            joins_previous = len(piece) > len(self.continuation) and piece.startswith(
                self.continuation
            )
            piece = piece[len(self.continuation) :] if joins_previous else piece
            # Whether the word goes on is known by the next piece only.
            joins_next = False
        if self.word_end:
            joins_previous, joins_next = False, not piece.endswith(self.word_end)
            piece = piece.removesuffix(self.word_end)
        if self.unfinished:
            joins_previous, joins_next = False, piece.endswith(self.unfinished)
            piece = piece.removesuffix(self.unfinished)
        if self.space:
            piece = piece.replace(self.space, " ")
        if self.alphabet is not None and all(character in self.alphabet for character in piece):
            data = bytes(self.alphabet[character] for character in piece)
        else:
            data = piece.encode("utf-8", errors="replace")
        return Surface(data, joins_previous, joins_next)


def read_spelling(tokenizer: PreTrainedTokenizerBase) -> Spelling:
    """Find out which marks the vocabulary of `tokenizer` uses.

    Notes
    -----
    A mark is one when the tokenizer's decoder takes it away from made-up pieces. A tokenizer
    without a decoder (legal, and common for small ones made in class) prints its pieces as they
    are; there the marks are read from its model and its pre-tokenizer.
    """
    backend = cast("Any", getattr(tokenizer, "backend_tokenizer", None))
    if backend is not None and backend.decoder is None:
        return _spelling_of_parts(backend)
    model = cast("Any", getattr(backend, "model", None))
    continuation = str(getattr(model, "continuing_subword_prefix", None) or "##")
    word_end = str(getattr(model, "end_of_word_suffix", None) or "</w>")

    def decodes(pieces: list[str], *texts: str) -> bool:
        return _decoded(tokenizer, pieces) in texts

    alphabet = None
    if decodes(["a", "Ġb"], "a b"):
        alphabet = BYTE_ALPHABET
    elif decodes(["Ã", "©"], "é"):
        alphabet = LATIN1_ALPHABET
    space = "▁" if decodes(["▁a", "▁b"], "a b", " a b") else ""
    first = "Ġa" if alphabet is BYTE_ALPHABET else f"{space}a"
    ends = decodes([f"a{word_end}", f"b{word_end}"], "a b", "a b ")
    separated = ends or decodes(["a", "b"], "a b")
    return Spelling(
        alphabet=alphabet,
        byte_fallback=decodes(["<0x41>"], "A"),
        space=space,
        continuation=continuation if decodes(["a", f"{continuation}b"], "ab") else "",
        word_end=word_end if ends else "",
        unfinished="@@" if decodes(["a@@", "b"], "ab") else "",
        separator=" " if separated else "",
        drops_first_space=first != "a" and decodes([first], "a"),
        escaped=ends and decodes([f"&lt;{word_end}"], "<"),
    )


def _decoded(tokenizer: PreTrainedTokenizerBase, pieces: list[str]) -> str | None:
    try:
        return cast("Any", tokenizer).convert_tokens_to_string(pieces)
    # Decoders are the tokenizer's own code, and made-up pieces may be more than they can take:
    # whatever is raised means that the pieces carry no mark of this tokenizer.
    except Exception:  # noqa: BLE001
        return None


def _spelling_of_parts(backend: Any) -> Spelling:
    pieces = ""
    if backend.pre_tokenizer is not None:
        pieces = "".join(piece for piece, _ in backend.pre_tokenizer.pre_tokenize_str("a é"))
    byte_level, space = "Ã©" in pieces, "▁" if "▁" in pieces else ""
    return Spelling(
        alphabet=BYTE_ALPHABET if byte_level else None,
        byte_fallback=bool(getattr(backend.model, "byte_fallback", None)),
        space=space,
        continuation=str(getattr(backend.model, "continuing_subword_prefix", None) or ""),
        word_end=str(getattr(backend.model, "end_of_word_suffix", None) or ""),
        unfinished="",
        separator="" if byte_level or space else " ",  # what decoding without a decoder does
        drops_first_space=pieces.startswith("▁"),
    )


def characters(data: bytes) -> Iterator[tuple[bytes, str]]:
    """Yield the UTF-8 characters of `data`, each with its bytes.

    Bytes that make no character come with an empty text, in runs as long as one damaged character
    (the runs that decoding with ``errors="replace"`` turns into one U+FFFD).
    """
    at = 0
    while at < len(data):
        lead = data[at]
        width = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4  # noqa: PLR2004
        chunk, text = data[at : at + width], ""
        try:
            text = chunk.decode()
        except UnicodeDecodeError as error:
            chunk = chunk[: error.end]
        yield chunk, text
        at += len(chunk)


def show_bytes(data: bytes) -> str:
    """Return `data` as text; bytes that make no character as ``⟨F0 9F⟩``."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    shown: list[str] = []
    pending = b""
    for chunk, text in [*characters(data), (b"", "")]:
        if not text and chunk:
            pending += chunk
            continue
        if pending:
            shown.append(f"⟨{pending.hex(' ').upper()}⟩")
            pending = b""
        shown.append(text)
    return "".join(shown)
