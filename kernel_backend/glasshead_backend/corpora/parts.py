"""A corpus cut into parts: stretches of texts that do not depend on who works on them."""

from __future__ import annotations

import hashlib
import json
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from glasshead_backend.answering import travels
from glasshead_backend.checks import at_least_one
from glasshead_backend.corpora.given import corpus_of, size_of
from glasshead_backend.tracing.many_texts import paired

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from glasshead_backend.corpora.given import Texts
    from glasshead_backend.tracing.given import TextLike


@travels
class Part(NamedTuple):
    """A stretch of a corpus.

    Attributes
    ----------
    number : int
        Of the part, from 0.
    first : int
        Number of its first text in the corpus.
    texts : tuple
    targets : tuple, optional
    """

    number: int
    first: int
    texts: tuple[TextLike, ...]
    targets: tuple[TextLike, ...] | None = None

    def numbered(self) -> Iterator[tuple[int, TextLike, TextLike | None]]:
        """Yield each text with its number in the corpus and its target."""
        targets = (None,) * len(self.texts) if self.targets is None else self.targets
        for place, (text, target) in enumerate(zip(self.texts, targets, strict=True)):
            yield self.first + place, text, target


def parts(texts: Texts, targets: Texts | None = None, *, size: int = 64) -> Iterator[Part]:
    """Cut a corpus into parts of so many texts; the last may have fewer.

    Parameters
    ----------
    texts : iterable, path or dataset
        Read as far as parts are asked for: it may have no end.
    targets : iterable, path or dataset, optional
        As many as there are texts.
    size : int
        Texts in a part.

    Raises
    ------
    TypeError
        For one text alone.
    ValueError
        When `texts` and `targets` differ in number: at once where both are known.
    """
    at_least_one(size, "part_size", "text in a part")
    corpus = corpus_of(texts)
    aims = None if targets is None else corpus_of(targets, "targets")
    if aims is not None and None not in (size_of(corpus), size_of(aims)):
        _require_as_many(cast("int", size_of(corpus)), cast("int", size_of(aims)))
    return _cut(corpus, aims, size)


def _require_as_many(n_texts: int, n_targets: int) -> None:
    if n_texts != n_targets:
        lacks = "target" if n_targets < n_texts else "text"
        raise ValueError(
            f"There is no {lacks} number {min(n_texts, n_targets)}: give as many targets as texts."
        )


def _cut(corpus: Iterable[Any], aims: Iterable[Any] | None, size: int) -> Iterator[Part]:
    pairs = ((text, None) for text in corpus) if aims is None else paired(corpus, aims)
    number = 0
    while window := list(islice(pairs, size)):
        own, targets = zip(*window, strict=True)
        yield Part(number, number * size, own, None if aims is None else targets)
        number += 1


class Digest:
    """What the texts read so far come to, in 64 characters: another corpus has another."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, part: Part) -> str:
        """Count the texts of a part in, and return what all so far come to."""
        for _, *pair in part.numbered():
            # A length before each: "ab", "c" is another corpus than "a", "bc".
            written = json.dumps(pair, default=_plain).encode()
            self._sum.update(len(written).to_bytes(8, "big") + written)
        return self._sum.hexdigest()


def _plain(text: Any) -> Any:
    """What a text that is no string is made of: token ids, messages, an encoding."""
    if hasattr(text, "tolist"):
        return text.tolist()
    return dict(text) if hasattr(text, "keys") else repr(text)
