"""How a text splits: every token with its id, its name in the vocabulary, its span, its word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import table
from glasshead_backend.frames.pack import pack
from glasshead_backend.frames.strip import pieces
from glasshead_backend.text.tokens import encode
from glasshead_backend.text.vocabulary import Vocabulary
from glasshead_backend.text.words import group_words, token_to_word
from glasshead_backend.tracing.given import Reading, given, given_pair

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from transformers import PreTrainedTokenizerBase

    from glasshead_backend.lens import Lens
    from glasshead_backend.text.tokens import Encoded
    from glasshead_backend.text.vocabulary import Piece
    from glasshead_backend.text.words import Cut, Word
    from glasshead_backend.tracing.given import TextLike

KINDS = ("piece", "special", "byte", "added", "unknown")
"""What a token can be: a piece of the vocabulary; special; bytes that make no whole character by
themselves; added to the vocabulary by hand; or the unknown token, which stands for text."""


@travels
@dataclass(frozen=True)
class Split:
    """A text and how a tokenizer splits it.

    Attributes
    ----------
    name : str
        What the tokenizer is called.
    encoded : Encoded
        The text and its tokens.
    words : list of Word
    own : list of str
        What the tokenizer itself calls each token (``Ġwhale``); empty for an id that it lacks.
    kinds : list of str
        Of :data:`KINDS`, for each token.
    """

    name: str
    encoded: Encoded
    words: list[Word]
    own: list[str]
    kinds: list[str]

    @cached_property
    def word_of_token(self) -> list[int]:
        """Index of the word of every token."""
        return token_to_word(self.words, len(self.encoded.tokens)).tolist()

    @property
    def n_words(self) -> int:
        """Words of the text: special tokens and line breaks are none."""
        return sum(
            bool(word.text.strip()) and self.kinds[word.tokens[0]] != "special"
            for word in self.words
        )

    @property
    def n_split(self) -> int:
        """Characters of which several tokens hold parts."""
        covered = np.zeros(len(self.encoded.text) + 1, dtype=np.int64)
        for token in self.encoded.tokens:
            covered[token.start] += 1
            covered[token.end] -= 1
        return int((covered.cumsum() > 1).sum())

    def columns(self) -> dict[str, list[Any]]:
        """Return what is known of every token, a list each."""
        tokens = self.encoded.tokens
        columns: dict[str, list[Any]] = {
            "position": list(range(len(tokens))),
            "token": [token.text for token in tokens],
            "id": [token.id for token in tokens],
            "own": self.own,
            "start": [token.start for token in tokens],
            "end": [token.end for token in tokens],
            "kind": self.kinds,
            "word": self.word_of_token,
            "word_text": [self.words[word].text for word in self.word_of_token],
        }
        if self.encoded.segments is not None:
            columns["sentence"] = list(self.encoded.segments)
        return columns


@answered
def split_text(
    lens: Lens,
    text: TextLike,
    pair: str | None = None,
    *,
    add_special_tokens: bool = True,
    template_options: Mapping[str, Any] | None = None,
) -> Split:
    """Split a text as a lens would for its model; the model does not run.

    Parameters
    ----------
    lens : Lens
    text, pair, add_special_tokens, template_options
        As for :meth:`Lens.tokenize`.
    """
    reading = Reading(add_special_tokens, template_options or {})
    encoded = (
        given(lens, text, "text", reading)
        if pair is None
        else given_pair(lens, text, pair, reading)
    )
    return _described(lens.name, lens.tokenizer, encoded, lens.words)


@answered
def split_as(
    other: Lens | PreTrainedTokenizerBase, text: str, cut: Cut | None, *, add_special_tokens: bool
) -> Split:
    """Split a text with another tokenizer: a lens's, or one alone.

    Parameters
    ----------
    other : Lens or PreTrainedTokenizerBase
    text : str
    cut : callable, optional
        What are words, for both tokenizers alike.
    add_special_tokens : bool
    """
    tokenizer: Any = getattr(other, "tokenizer", other)
    name = str(getattr(other, "name", "") or _name_of(tokenizer))
    encoded = encode(tokenizer, text, add_special_tokens=add_special_tokens)
    return _described(name, tokenizer, encoded, cut)


def tokens_frame(split: Split, other: Split | None) -> dict[str, Any]:
    """Make the frame of TokenTable.

    Parameters
    ----------
    split : Split
    other : Split or None
        The same text as another tokenizer splits it.

    Returns
    -------
    dict
        A row per token: texts, ids, spans in characters of the text, kinds (places in
        ``kind_names``) and words; and the counts that the view says.
    """
    return {
        "kind": "tokens",
        "key": {},
        "kind_names": list(KINDS),
        **_rows(split),
        "other": None if other is None else _rows(other),
    }


def tokens_table(split: Split, other: Split | None) -> pd.DataFrame:
    """Return a row for every token; those of the other tokenizer follow, told apart by name."""
    if other is None:
        return table(split.columns())
    both = (split, other)
    first, second = (one.columns() for one in both)
    names = [one.name for one in both for _ in one.own]
    return table({"tokenizer": names, **{name: [*first[name], *second[name]] for name in first}})


def _rows(split: Split) -> dict[str, Any]:
    encoded = split.encoded
    texts, gaps = pieces(encoded.tokens, encoded.text)
    spans = [[token.start, token.end] for token in encoded.tokens]
    segments = encoded.segments
    return {
        "name": split.name,
        "texts": texts,
        "gaps": gaps,
        "own": split.own,
        "words": [word.text for word in split.words],
        "ids": pack(torch.tensor([token.id for token in encoded.tokens]), torch.uint32),
        "spans": pack(torch.tensor(spans).reshape(-1, 2), torch.uint32),
        "kinds": pack(torch.tensor([KINDS.index(kind) for kind in split.kinds]), torch.uint8),
        "word": pack(torch.tensor(split.word_of_token), torch.uint32),
        "segments": None if segments is None else pack(torch.tensor(segments), torch.uint8),
        "n_words": split.n_words,
        "n_characters": len(encoded.text),
        "n_split": split.n_split,
    }


def _described(
    name: str, tokenizer: PreTrainedTokenizerBase, encoded: Encoded, cut: Cut | None
) -> Split:
    vocabulary = Vocabulary(tokenizer, source=True)
    tokens = encoded.tokens
    found = [vocabulary.piece(token.id) for token in tokens]
    # A special token that the tokenizer put in is one, whatever its vocabulary says.
    kinds = [
        "special" if token.special else _kind(piece)
        for token, piece in zip(tokens, found, strict=True)
    ]
    own = [vocabulary.name(token.id) or "" for token in tokens]
    return Split(name, encoded, group_words(tokens, encoded.text, cut), own, kinds)


def _kind(piece: Piece) -> str:
    if piece.unknown:
        return "unknown"
    if piece.added:
        return "added"
    try:
        piece.data.decode()
    except UnicodeDecodeError:
        return "byte"
    return "piece"


def _name_of(tokenizer: Any) -> str:
    """Return what people call a tokenizer: the end of the path it came from, or its type."""
    path = str(getattr(tokenizer, "name_or_path", "") or "").rstrip("/")
    return path.rsplit("/", maxsplit=1)[-1] or type(tokenizer).__name__
