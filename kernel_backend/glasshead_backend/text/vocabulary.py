"""The vocabulary of a tokenizer, entry by entry: what each id stands for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from .spelling import Surface, read_spelling

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Piece:
    """An entry of the vocabulary: its bytes, and its text as shown.

    An *added* one is found in the text before the vocabulary's own rules apply.
    """

    id: int
    data: bytes
    text: str
    special: bool
    unknown: bool = False
    added: bool = False
    joins_previous: bool = False
    joins_next: bool = False


_seen: WeakKeyDictionary[object, dict[bool, tuple[object, dict[int, Piece]]]] = WeakKeyDictionary()


def _pieces_of(tokenizer: object, now: object, *, source: bool) -> dict[int, Piece]:
    """Return the pieces that were looked up for other texts, while the tokenizer is what it was."""
    by_side = _seen.setdefault(tokenizer, {})
    if source not in by_side or by_side[source][0] != now:
        by_side[source] = now, {}
    return by_side[source][1]


class Vocabulary:
    """The pieces of a tokenizer's vocabulary; each is looked up once.

    Parameters
    ----------
    tokenizer
        The tokenizer.
    source
        The ids are the encoder's. Only tokenizers with two vocabularies (Marian, FSMT) know a
        difference; left alone, they name ids by the decoder's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, source: bool = False) -> None:
        self._tokenizer = cast("Any", tokenizer)
        self._source: dict[int, str] | None = None
        two = hasattr(tokenizer, "get_src_vocab") and getattr(tokenizer, "separate_vocabs", True)
        if source and two:
            self._source = {id_: piece for piece, id_ in self._tokenizer.get_src_vocab().items()}
        self._added = {
            int(id_): (str(token.content), bool(token.special))
            for id_, token in self._tokenizer.added_tokens_decoder.items()
        }
        self._unknown = self._unknown_id()
        self.spelling = read_spelling(tokenizer)
        now = (len(tokenizer), self._added, self._unknown, self._specials, self.spelling)
        self._pieces = _pieces_of(tokenizer, now, source=source)

    def piece(self, id_: int) -> Piece:
        """Return the piece with this id."""
        if id_ not in self._pieces:
            self._pieces[id_] = self._look_up(id_)
        return self._pieces[id_]

    def _unknown_id(self) -> int | None:
        """Return the id of the unknown token, unless it has another part to play as well.

        GPT-2 has one special token for everything; it never stands for unknown text there.
        """
        unknown = self._tokenizer.unk_token_id
        roles = ("bos", "eos", "sep", "cls", "pad", "mask")
        others = {getattr(self._tokenizer, f"{role}_token_id", None) for role in roles}
        return None if unknown is None or unknown in others else int(unknown)

    def _look_up(self, id_: int) -> Piece:
        name = self.name(id_)
        if name is None:
            return Piece(id_, b"", f"⟨id {id_}⟩", special=True)
        if id_ == self._unknown:
            return Piece(id_, name.encode(), name, special=False, unknown=True)
        added = id_ in self._added
        if id_ in self._specials:
            return Piece(id_, name.encode(), name, special=True, added=added)
        surface = (
            Surface(name.encode(), joins_previous=False, joins_next=False)
            if added
            else self.spelling.surface(name)
        )
        return Piece(
            id_,
            surface.data,
            self.spelling.show(surface.data),
            special=False,
            added=added,
            joins_previous=surface.joins_previous,
            joins_next=surface.joins_next,
        )

    @cached_property
    def _specials(self) -> set[int]:
        added = {id_ for id_, (_, special) in self._added.items() if special}
        return added | {int(id_) for id_ in self._tokenizer.all_special_ids}

    def name(self, id_: int) -> str | None:
        """Return what the tokenizer itself calls an id (``Ġwhale``); None for one it lacks."""
        if id_ in self._added:
            return self._added[id_][0]
        if self._source is not None:
            return self._source.get(id_)
        try:
            return self._tokenizer.convert_ids_to_tokens(id_)
        # An id outside of the vocabulary: every tokenizer refuses it in its own way.
        except (LookupError, ValueError, OverflowError, TypeError):
            return None
