"""The two sides of an attention map: who looks, what is looked at, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import torch

from glasshead_backend.answering import travels
from glasshead_backend.text.words import group_words, token_to_word

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor

    from glasshead_backend.asking import Kind, Side, Unit
    from glasshead_backend.text.tokens import Token
    from glasshead_backend.text.words import Cut, Word


@travels
@dataclass(frozen=True, eq=False)
class Sequence:
    """One of the token sequences of a trace.

    Attributes
    ----------
    name : str
        "text" (one-sequence models), "source" or "target" (encoder-decoder models).
    text : str
        What the tokens' start and end count in.
    tokens : tuple of Token
    cut : callable, optional
        The user's own segmentation into words.
    segments : tuple of int, optional
        Of a sentence pair, per token: 0 for the first sentence, 1 for the second; special tokens
        behind a sentence belong to it. `text` is both sentences with a line break between that no
        token covers.
    token_types : tuple of int, optional
        What the model is given as ``token_type_ids``; None = nothing.
    """

    name: Literal["text", "source", "target"]
    text: str
    tokens: tuple[Token, ...]
    cut: Cut | None = None
    segments: tuple[int, ...] | None = None
    token_types: tuple[int, ...] | None = None

    @property
    def ids(self) -> list[int]:
        """Token ids."""
        return [token.id for token in self.tokens]

    @cached_property
    def words(self) -> list[Word]:
        """The words that the tokens make."""
        return group_words(self.tokens, self.text, self.cut)

    @cached_property
    def word_of_token(self) -> Int[Tensor, " token"]:
        """Index of the word of every token."""
        return token_to_word(self.words, len(self.tokens))


@dataclass(frozen=True, eq=False)
class Sides:
    """The sequences of a trace, by the role they play in each kind of attention.

    Attributes
    ----------
    first : Sequence
        The text, or the source.
    decoder : Sequence or None
        The decoder's inputs (encoder-decoder models).
    predicted : Sequence or None
        The labels: what each decoder row predicts, the inputs shifted by one.
    """

    first: Sequence
    decoder: Sequence | None = None
    predicted: Sequence | None = None

    @property
    def all(self) -> tuple[Sequence, ...]:
        """The text, or source and target (the decoder's inputs)."""
        return (self.first,) if self.decoder is None else (self.first, self.decoder)

    @property
    def scored(self) -> Sequence:
        """What the model predicts: the text itself, or the labels (else the decoder's inputs)."""
        return self.predicted or self.decoder or self.first

    def named(self, name: str) -> Sequence:
        """Return the sequence of a name: "text", or "source" and "target"."""
        for sequence in self.all:
            if sequence.name == name:
                return sequence
        names = " and ".join(repr(s.name) for s in self.all)
        raise ValueError(f"There is no sequence {name!r}: this trace has {names}.")

    def of(self, side: Side, kind: Kind) -> Sequence:
        """Return the sequence on one side of an attention map."""
        on_encoder = kind == "encoder" or (kind == "cross" and side == "key")
        if self.decoder is None or on_encoder:
            return self.first
        return self.decoder

    def words(self, side: Side, kind: Kind) -> list[Word]:
        """Return the words of one side; rows of cross attention by what they predict."""
        return self._named_by(side, kind).words

    def _named_by(self, side: Side, kind: Kind) -> Sequence:
        """Return the sequence whose words group the tokens of a side."""
        if self.predicted is not None and kind == "cross" and side == "query":
            return self.predicted
        return self.of(side, kind)

    def unit_of_token(self, side: Side, kind: Kind, unit: Unit) -> Int[Tensor, " token"]:
        """Return the index of the unit (the token itself, or its word) of every token."""
        if unit == "token":
            return torch.arange(len(self.of(side, kind).tokens))
        return self._named_by(side, kind).word_of_token

    def first_tokens(self, side: Side, kind: Kind, unit: Unit) -> list[int]:
        """Return the position of the first token of every unit."""
        if unit == "token":
            return list(range(len(self.of(side, kind).tokens)))
        return [word.tokens[0] for word in self.words(side, kind)]

    def labels(self, side: Side, kind: Kind, unit: Unit) -> list[str]:
        """Return the text of every unit of a side; of a decoder row, its input's.

        A row of cross attention by words stands for a word that is *predicted*: its input is what
        came before, the whole word where that ends there.
        """
        sequence = self.of(side, kind)
        if unit == "token":
            return [token.text for token in sequence.tokens]
        if self._named_by(side, kind) is sequence:
            return [word.text for word in sequence.words]
        return [_ending_with(sequence, word.tokens[0]) for word in self.words(side, kind)]

    def predictions(self, kind: Kind, unit: Unit) -> list[str] | None:
        """Return what every decoder row predicts; None for rows that predict nothing else.

        After a word comes what its last token predicts: the whole word that begins there.
        """
        predicted = self.predicted
        if predicted is None or kind not in ("decoder", "cross"):
            return None
        if unit == "token":
            return [token.text for token in predicted.tokens]
        words = self.words("query", kind)
        if kind == "cross":
            return [word.text for word in words]
        return [_beginning_with(predicted, word.tokens[-1]) for word in words]


def _ending_with(sequence: Sequence, token: int) -> str:
    """Return the word that ends with a token; where none does, the token itself."""
    word = sequence.words[int(sequence.word_of_token[token])]
    return word.text if word.tokens[-1] == token else sequence.tokens[token].text


def _beginning_with(sequence: Sequence, token: int) -> str:
    """Return the word that begins with a token; where none does, the token itself."""
    word = sequence.words[int(sequence.word_of_token[token])]
    return word.text if word.tokens[0] == token else sequence.tokens[token].text
