"""What people hand over for a text: a string, a conversation, ids, a tokenizer's own encoding."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glasshead_backend.answering import NotServedError
from glasshead_backend.running.forward import n_embeddings, takes_token_types
from glasshead_backend.text.tokens import (
    PAIR_SEPARATOR,
    Encoded,
    Token,
    encode,
    encode_pair,
    tokens_of_ids,
)

if TYPE_CHECKING:
    from glasshead_backend.tracing.subject import Subject

TextLike = (
    str | Mapping[str, Any] | Sequence[Mapping[str, Any]] | Sequence[int] | Tensor | NDArray[Any]
)
"""A string; a list of chat messages; token ids (a list, or an array or tensor, ``[n]`` or
``[1, n]``); or what a tokenizer returns for one text or pair (``BatchEncoding``)."""

Role = Literal["text", "target", "prompt"]

_KINDS = (
    "It may also be a list of chat messages, token ids, or what the tokenizer returns for one text."
)
_READ = ("input_ids", "attention_mask", "token_type_ids")
_SAYS_NOTHING_NEW = {"special_tokens_mask", "offset_mapping", "length", "num_truncated_tokens"}
_CODE = {"chat_template", "tokenizer_kwargs", "processor_kwargs"}
"""What of ``apply_chat_template`` nobody may give for a lent model: a template is code."""
_SET_HERE = {"tokenize", "return_dict", "return_tensors", "padding", "truncation", "max_length"}


@dataclass(frozen=True)
class Reading:
    """How to turn what was handed over into tokens.

    Attributes
    ----------
    add_special_tokens : bool
        Put the tokenizer's special tokens around strings.
    template_options : mapping
        For the tokenizer's ``apply_chat_template``.
    """

    add_special_tokens: bool = True
    template_options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def given(subject: Subject, value: object, role: Role, reading: Reading) -> Encoded:
    """Return the tokens of what was handed over for one text, with what the model gets of them.

    Raises
    ------
    TypeError
        For something that is no text.
    ValueError
        For a text that no tokenizer reads, several sequences, padding, ids out of range; and for
        messages where the tokenizer has no chat template or its template refuses them.
    NotServedError
        For a chat template of their own from those whom a server lends its model to.
    """
    if isinstance(value, str):
        _require_unicode(value, role)
        options = {"add_special_tokens": reading.add_special_tokens, "target": role == "target"}
        return _without_plain_types(subject, encode(subject.tokenizer, value, **options))
    if isinstance(value, Mapping):
        return _of_encoding(subject, cast("Mapping[str, Any]", value), role)
    if isinstance(value, (list, tuple)) and value:
        items = cast("Sequence[object]", value)
        if all(isinstance(item, Mapping) for item in items):
            return _of_messages(subject, cast("list[Mapping[str, Any]]", items), role, reading)
        if all(isinstance(item, str) for item in items):
            raise TypeError(
                f"A trace is made of one text, a str; got {type(value).__name__} of {len(items)} "
                f"str. For several texts use trace_many(texts). {_KINDS}"
            )
    return _of_ids(subject, _ids(value), role)


def given_pair(subject: Subject, first: object, second: object, reading: Reading) -> Encoded:
    """Return the tokens of a sentence pair, with what an encoder gets of them.

    Raises
    ------
    TypeError, ValueError
        As :func:`given`; when one of the two is no string.
    """
    for sentence in (first, second):
        if not isinstance(sentence, str):
            raise TypeError(
                "A sentence pair is two texts, both str; got "
                f"{type(first).__name__} and {type(second).__name__}. For ids give the pair's "
                "encoding: trace(tokenizer(first, second))."
            )
        _require_unicode(sentence, "text")
        if not sentence.strip():
            raise ValueError(
                f"A sentence of the pair is empty: {sentence!r}. Give at least one word."
            )
    encoded = encode_pair(
        subject.tokenizer,
        cast("str", first),
        cast("str", second),
        add_special_tokens=reading.add_special_tokens,
    )
    return _without_plain_types(subject, encoded)


def _require_unicode(text: str, role: Role) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError(
            f"The {role} holds half of a character (a lone surrogate), which no tokenizer reads. "
            "Read the file with its right encoding, or with errors='replace'."
        )


def _without_plain_types(subject: Subject, encoded: Encoded) -> Encoded:
    """Leave out token types that the model does not take, or takes for granted (zeros).

    Many tokenizers give zeros for models that know no segments, and some of these would add the
    embedding of token 0 to every token (GPT-2).
    """
    types = encoded.token_types
    if types is not None and not (any(types) and takes_token_types(subject.model)):
        return replace(encoded, token_types=None)
    return encoded


# ---- conversations -------------------------------------------------------------------------------
def _of_messages(
    subject: Subject, messages: list[Mapping[str, Any]], role: Role, reading: Reading
) -> Encoded:
    tokenizer = cast("Any", subject.tokenizer)
    options = dict(reading.template_options)
    if role == "target":
        raise TypeError("A target is one text, a str, or its token ids; got chat messages.")
    if "input_ids" in messages[0]:
        raise TypeError("A trace is of one text. For several encodings use trace_many.")
    wrong = next((message for message in messages if "role" not in message), None)
    if wrong is not None:
        raise ValueError(
            f"A chat message is a dict with a role and a content; got {dict(wrong)!r:.200}."
        )
    if taken := sorted(_SET_HERE & set(options)):
        raise ValueError(f"template_options cannot set {', '.join(taken)}: a trace needs all ids.")
    if subject.lent and (taken := sorted(_CODE & set(options))):
        raise NotServedError(f"At a server template_options take no {', '.join(taken)}.")
    if getattr(tokenizer, "chat_template", None) is None and "chat_template" not in options:
        raise ValueError(
            f"{subject.name} has no chat template to write messages with. Give one with "
            'template_options={"chat_template": ...}, or write the conversation as one text.'
        )
    # A prompt is for the model to answer, unless the last message is its own to be continued.
    if role == "prompt" and not options.get("continue_final_message"):
        options.setdefault("add_generation_prompt", True)
    text, ids = _applied(tokenizer, messages, options)
    # The template has written the special tokens already.
    encoded = encode(subject.tokenizer, text, add_special_tokens=False)
    if [token.id for token in encoded.tokens] != ids:
        return _of_ids(subject, ids, role)
    return _without_plain_types(subject, encoded)


def _applied(
    tokenizer: Any, messages: list[Mapping[str, Any]], options: dict[str, Any]
) -> tuple[str, list[int]]:
    """Return what the chat template makes of messages, as text and as ids."""
    conversation = [dict(message) for message in messages]
    try:
        text = tokenizer.apply_chat_template(conversation, tokenize=False, **options)
        ids = tokenizer.apply_chat_template(
            conversation, tokenize=True, return_dict=True, **options
        )["input_ids"]
    except ImportError:
        raise
    # Templates are programs of the model's makers, which refuse what they do not foresee.
    except Exception as error:
        raise ValueError(
            f"The chat template cannot write these messages: {error}. See template_options, and "
            "the roles that the model knows."
        ) from error
    return text, [int(id_) for id_ in ids]


# ---- ids -----------------------------------------------------------------------------------------
def _of_encoding(subject: Subject, encoding: Mapping[str, Any], role: Role) -> Encoded:
    if "input_ids" not in encoding:
        what = "one chat message" if "role" in encoding else f"a dict of {list(encoding)!r:.100}"
        raise TypeError(
            f"A trace is made of one text, a str; got {what}. A conversation is a list: [message]. "
            f"{_KINDS}"
        )
    if unknown := sorted(set(encoding) - {*_READ, *_SAYS_NOTHING_NEW}):
        raise ValueError(
            f"The encoding has {', '.join(unknown)}, which is not read here: of an encoding "
            f"{', '.join(_READ)} count. A target is given behind the source: trace(source, target)."
        )
    ids = _ids(encoding["input_ids"])
    columns = {name: _ids(encoding[name]) for name in _READ if encoding.get(name) is not None}
    for name, column in columns.items():
        if len(column) != len(ids):
            raise ValueError(f"The encoding has {len(ids)} input_ids, but {len(column)} {name}.")
    if masked := columns.get("attention_mask", []).count(0):
        raise ValueError(
            f"The encoding is padded: {masked} of its {len(ids)} places are masked. Tokenize the "
            "one text without padding."
        )
    types = columns.get("token_type_ids")
    encoded = _of_ids(subject, ids, role, types)
    return encoded if takes_token_types(subject.model) else replace(encoded, token_types=None)


def _of_ids(
    subject: Subject, ids: list[int], role: Role, types: list[int] | None = None
) -> Encoded:
    """Return the tokens of ids; their text is what they spell, sentences of a pair apart."""
    known = n_embeddings(subject.model)
    wrong = next((id_ for id_ in ids if not 0 <= id_ < known), None)
    if wrong is not None:
        raise ValueError(f"id {wrong:,} is out of range: {subject.name} knows ids 0-{known - 1:,}.")
    segments = _segments(types)
    tokens: list[Token] = []
    text = ""
    for segment in (0, 1) if segments else (0,):
        own = [id_ for n, id_ in enumerate(ids) if not segments or segments[n] == segment]
        found, spelled = tokens_of_ids(subject.tokenizer, own, source=role != "target")
        text += PAIR_SEPARATOR if segment else ""
        at = len(text)
        tokens.extend(replace(t, start=t.start + at, end=t.end + at) for t in found)
        text += spelled
    return Encoded(text, tuple(tokens), 0, None if types is None else tuple(types), segments)


def _segments(types: list[int] | None) -> tuple[int, ...] | None:
    """Return the sentence (0, 1) of every token of a pair; None for one sentence.

    Some tokenizers give types of their own to special tokens (XLNet: 2): these belong to the
    sentence before them.
    """
    if types is None or not {0, 1} <= set(types):
        return None
    first = types.index(1)
    segments = tuple(int(place >= first) for place in range(len(types)))
    pairs = zip(types, segments, strict=True)
    return segments if all(kind > 1 or kind == segment for kind, segment in pairs) else None


def _ids(value: object) -> list[int]:
    """Return token ids as a list, from a list, an array or a tensor of one sequence."""
    plain: Any = value.tolist() if isinstance(value, (Tensor, np.ndarray)) else value
    if not isinstance(plain, (list, tuple, range)):
        raise TypeError(f"A trace is made of one text, a str; got {type(value).__name__}. {_KINDS}")
    items = cast("Sequence[Any]", plain)
    if items and all(_is_sequence(item) for item in items):
        if len(items) > 1:
            raise ValueError(
                f"A trace is of one text; got {len(items)} sequences. Use trace_many for them."
            )
        return _ids(items[0])
    for item in items:
        if not _is_whole(item):
            raise TypeError(f"A token id is a whole number; got {item!r:.100}. {_KINDS}")
    return [operator.index(item) for item in items]


def _is_sequence(item: object) -> bool:
    if isinstance(item, (Tensor, np.ndarray)):
        return item.ndim > 0
    return isinstance(item, (list, tuple))


def _is_whole(item: object) -> bool:
    try:
        operator.index(cast("Any", item))
    except TypeError:
        return False
    return not isinstance(item, bool)
