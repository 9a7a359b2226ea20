"""Tokens as text: what each token says, and which part of the input it covers.

A token's *text* is what the model reads, written with real characters: decoded, and without the
marks of its vocabulary. Its *span* is the slice of the input that it stands for. The two differ
where the tokenizer rewrites its input (an uncased vocabulary reads ``hello`` for ``Hello``).

Spans come from the tokenizer's offsets where it has them (fast tokenizers), else from walking along
its spelling and the text (`alignment`). Either way they are put in order afterwards (`spans`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from glasshead_backend.answering import travels

from .alignment import UNKNOWN, align, fill_gaps
from .spans import settle
from .spelled_out import decode, spell_out
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

    from .spans import Span

PAIR_SEPARATOR = "\n"
"""Stands between the two sentences in the text of a pair; no token covers it."""


@travels
@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text.

    Attributes
    ----------
    id
        Its number in the vocabulary; below 0 where only strings were given, the same for the same.
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


@travels
@dataclass(frozen=True, slots=True)
class Encoded:
    """What a tokenizer makes of a text, or of a pair of them.

    Attributes
    ----------
    text
        What the spans index into: the text, or both of a pair with `PAIR_SEPARATOR` between.
    tokens
        The tokens.
    n_appended
        How many of the last tokens the tokenizer put behind the text.
    token_types
        The ``token_type_ids``, where the tokenizer gives such.
    segments
        Of a pair: 0 for the tokens of the first sentence, 1 for those of the second; special tokens
        behind a sentence belong to it.
    """

    text: str
    tokens: tuple[Token, ...]
    n_appended: int = 0
    token_types: tuple[int, ...] | None = None
    segments: tuple[int, ...] | None = None


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
    options = {"add_special_tokens": add_special_tokens, "target": target}
    return list(encode(tokenizer, text, **options).tokens)


def encode(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    *,
    add_special_tokens: bool = True,
    target: bool = False,
) -> Encoded:
    """Tokenize `text` as :func:`tokenize`, with what else the tokenizer says of its tokens."""
    vocabulary = Vocabulary(tokenizer, source=not target)
    find = _encode_with_offsets if tokenizer.is_fast else _encode_by_alignment
    found = find(tokenizer, vocabulary, text, special=add_special_tokens, target=target)
    pieces = [vocabulary.piece(id_) for id_ in found.ids]
    tokens = tuple(
        Token(piece.id, shown, start, end, piece.special or span is None)
        for piece, span, (start, end, shown) in zip(
            pieces, found.spans, settle(pieces, found.spans, text), strict=True
        )
    )
    own = [position for position, span in enumerate(found.spans) if span is not None]
    n_appended = len(tokens) - own[-1] - 1 if own else 0
    return Encoded(text, tokens, n_appended, found.token_types)


def encode_pair(
    tokenizer: PreTrainedTokenizerBase, first: str, second: str, *, add_special_tokens: bool = True
) -> Encoded:
    """Tokenize a pair of sentences, as encoders are given them.

    Raises
    ------
    ValueError
        When the tokenizer changes the tokens of a sentence that is part of a pair.
    """
    options = {"add_special_tokens": add_special_tokens, "truncation": False, "verbose": False}
    encoding = cast("Any", tokenizer)(first, second, **options)
    ids = [int(id_) for id_ in encoding["input_ids"]]
    own = [tokenize(tokenizer, text, add_special_tokens=False) for text in (first, second)]
    vocabulary = Vocabulary(tokenizer, source=True)
    tokens: list[Token] = []
    segments: list[int] = []

    def put_in(until: int, at: int) -> None:
        """Add the special tokens that the tokenizer put in at a place of the text."""
        tokens.extend(
            Token(id_, vocabulary.piece(id_).text, at, at, special=True)
            for id_ in ids[len(tokens) : until]
        )

    text = f"{first}{PAIR_SEPARATOR}{second}"
    for segment, (sentence, offset) in enumerate(
        zip(own, (0, len(first) + len(PAIR_SEPARATOR)), strict=True)
    ):
        start = _find(ids, [token.id for token in sentence], len(tokens))
        if start is None:
            raise ValueError(
                f"{type(tokenizer).__name__} cuts a sentence of a pair otherwise than one alone, "
                "so its tokens cannot be told apart. Give the ids: trace(tokenizer(first, second))."
            )
        put_in(start, len(first) if segment else 0)
        segments.extend([0] * (len(tokens) - len(segments)))
        tokens.extend(
            replace(token, start=token.start + offset, end=token.end + offset) for token in sentence
        )
    n_appended = len(ids) - len(tokens)
    put_in(len(ids), len(text))
    segments.extend([1] * (len(tokens) - len(segments)))
    return Encoded(text, tuple(tokens), n_appended, _token_types(encoding), tuple(segments))


def tokens_of_ids(
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[int],
    *,
    generated_from: int | None = None,
    source: bool = False,
) -> tuple[list[Token], str]:
    """Return the tokens of ids that have no source text, and the text that they spell.

    Parameters
    ----------
    tokenizer
        The tokenizer that the ids belong to.
    ids
        Token ids, for example generated ones. An id that the vocabulary lacks becomes a special
        token ``⟨id 50300⟩``.
    generated_from
        Position of the first token that the model wrote; None when it wrote none.
    source
        The ids are the encoder's: matters for tokenizers with two vocabularies.

    Returns
    -------
    tokens : list of Token
        With spans in `text`.
    text : str
        What the ordinary tokens spell; special tokens add nothing to it.
    """
    vocabulary = Vocabulary(tokenizer, source=source)
    pieces = [vocabulary.piece(int(id_)) for id_ in ids]
    parts = spell_out(
        vocabulary.spelling, [b"" if piece.special else piece.data for piece in pieces], pieces
    )
    text, spans = decode(parts, escaped=vocabulary.spelling.escaped)
    tokens: list[Token] = []
    for position, (piece, part, (start, end)) in enumerate(zip(pieces, parts, spans, strict=True)):
        shown = piece.text if piece.special else vocabulary.spelling.show(part.data)
        generated = generated_from is not None and position >= generated_from
        tokens.append(Token(piece.id, shown, start, end, piece.special, generated))
    return tokens, text


# --- what a tokenizer says of a given text --------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Found:
    """The ids of a text, and where the tokens stand; None for those that the tokenizer put in."""

    ids: list[int]
    spans: list[Span | None]
    token_types: tuple[int, ...] | None


def _call(
    tokenizer: PreTrainedTokenizerBase, text: str, *, special: bool, target: bool, **options: bool
) -> Any:
    given = {"text_target": text} if target else {"text": text}
    call = cast("Any", tokenizer)
    return call(**given, add_special_tokens=special, truncation=False, verbose=False, **options)


def _token_types(encoding: Any) -> tuple[int, ...] | None:
    types = encoding.get("token_type_ids")
    return None if types is None else tuple(int(kind) for kind in types)


def _find(ids: list[int], own: list[int], start: int) -> int | None:
    """Return where `own` stands in `ids`, from `start` on."""
    places = range(start, len(ids) - len(own) + 1)
    return next((at for at in places if ids[at : at + len(own)] == own), None)


def _encode_with_offsets(
    tokenizer: PreTrainedTokenizerBase,
    _: Vocabulary,
    text: str,
    *,
    special: bool,
    target: bool,
) -> _Found:
    """Find the tokens where the tokenizer says that they stand."""
    options = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    encoding = _call(tokenizer, text, special=special, target=target, **options)
    spans = [
        None if inserted else (int(start), int(end))
        for (start, end), inserted in zip(
            encoding["offset_mapping"], encoding["special_tokens_mask"], strict=True
        )
    ]
    return _Found([int(id_) for id_ in encoding["input_ids"]], spans, _token_types(encoding))


def _encode_by_alignment(
    tokenizer: PreTrainedTokenizerBase,
    vocabulary: Vocabulary,
    text: str,
    *,
    special: bool,
    target: bool,
) -> _Found:
    """Find the tokens by aligning what they spell with the text."""
    options = {"special": special, "target": target, "return_special_tokens_mask": True}
    encoding = _call(tokenizer, text, **options)
    ids = [int(i) for i in encoding["input_ids"]]
    own = [int(i) for i in _call(tokenizer, text, special=False, target=target)["input_ids"]]
    # A text may begin with the very token that the tokenizer puts before it. Not every mask is
    # right (some tokenizers do not say what they put in): the text's own ids decide.
    put_in = len(list(takewhile(bool, encoding["special_tokens_mask"])))
    starts = (_find(ids, own, put_in), _find(ids, own, 0), 0)
    before = next(at for at in starts if at is not None) if own else len(ids)
    pieces = [vocabulary.piece(id_) for id_ in own]
    data = [UNKNOWN.encode() if piece.unknown else piece.data for piece in pieces]
    escaped = vocabulary.spelling.escaped
    spelled, places = decode(spell_out(vocabulary.spelling, data, pieces), escaped=escaped)
    found = align(spelled, text)
    spans: list[Span | None] = []
    for start, end in places:
        matched = [span for span in found[start:end] if span is not None]
        spans.append((matched[0][0], matched[-1][1]) if matched else None)
    filled = fill_gaps(spans, [bool(piece.text.strip()) for piece in pieces], text)
    after = len(ids) - len(own) - before
    return _Found(ids, [*[None] * before, *filled, *[None] * after], _token_types(encoding))
