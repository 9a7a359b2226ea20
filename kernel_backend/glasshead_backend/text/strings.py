"""Tokens of which only the strings are known: read by the marks that they carry.

Who brings attention weights from elsewhere brings the tokens as strings, mostly as
``tokenizer.convert_ids_to_tokens`` writes them (``Ġwhale``, ``▁whale``, ``##ale``), else as words
or as pieces of the text (``" whale"``). Without the tokenizer the marks have to be guessed: a mark
is one where any of the tokens has it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from .spelled_out import decode, spell_out
from .spelling import BYTE_ALPHABET, Spelling
from .tokens import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

_SPECIAL = re.compile(
    r"\[(CLS|SEP|PAD|MASK|BOS|EOS)\]|</?s>|<(pad|mask|bos|eos|sep|cls|extra_id_\d+)>|<\|[^|]+\|>"
)
_WORDS = Spelling(None, False, "", "", "", "", " ", False)


def tokens_of_strings(
    strings: Sequence[str], *, read_marks: bool = True
) -> tuple[list[Token], str]:
    """Return the tokens that strings stand for, and the text that they spell.

    Parameters
    ----------
    strings : sequence of str
        As a tokenizer names its tokens, as pieces of a text, spaces included, or as words.
    read_marks : bool
        False leaves them as they are, each a word.

    Returns
    -------
    tokens : list of Token
        With spans in `text`. The same string has the same id; ids are negative, since they are none
        of a vocabulary.
    text : str
        What the ordinary tokens spell; special tokens (``[CLS]``, ``</s>``, ``<|endoftext|>``) add
        nothing to it.
    """
    special = [_SPECIAL.fullmatch(string) is not None for string in strings]
    own = [one for one, left_out in zip(strings, special, strict=True) if not left_out]
    spelling = _guessed(own) if read_marks else _WORDS
    surfaces = [spelling.surface(string) for string in strings]
    data = [b"" if left_out else one.data for one, left_out in zip(surfaces, special, strict=True)]
    parts = spell_out(spelling, data, surfaces)
    text, spans = decode(parts, escaped=False)
    number = {string: -1 - i for i, string in enumerate(dict.fromkeys(strings))}
    tokens = [
        Token(number[string], string if is_special else spelling.show(part.data), *span, is_special)
        for string, is_special, part, span in zip(strings, special, parts, spans, strict=True)
    ]
    return tokens, text


def _guessed(strings: Sequence[str]) -> Spelling:
    """Return the spelling whose marks the strings carry."""

    def any_has(mark: str) -> bool:
        return any(re.search(mark, string) for string in strings)

    if any_has("[ĠĊ]"):
        return replace(_WORDS, alphabet=BYTE_ALPHABET, separator="")
    if any_has("▁"):
        return replace(_WORDS, byte_fallback=True, space="▁", separator="", drops_first_space=True)
    if any_has("^##."):
        return replace(_WORDS, continuation="##")
    if any_has(".</w>$"):
        return replace(_WORDS, word_end="</w>")
    if any_has(".@@$"):
        return replace(_WORDS, unfinished="@@")
    # Pieces of the text bring their spaces along.
    return replace(_WORDS, separator="") if any_has(r"\s") else _WORDS
