"""A corpus as a list, a stream, a file of lines, a dataset; and how it is cut into parts."""

from __future__ import annotations

import pickle
from itertools import count, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from glasshead_backend.corpora.given import column, corpus_of, lines_of, size_of
from glasshead_backend.corpora.parts import Digest, parts

if TYPE_CHECKING:
    from pathlib import Path

TEXTS = ["The whale swam.", "The sea was dark.", "A fox ran."]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffThe whale swam.\r\n\r\nThe sea was dark.\n \t\nA fox ran.".encode())
    return path


@pytest.fixture
def dataset() -> Dataset:
    return Dataset.from_dict({"text": TEXTS, "body": [text.upper() for text in TEXTS]})


def test_a_path_is_a_file_with_a_text_in_each_line(file: Path) -> None:
    lines: Any = corpus_of(file)
    assert list(lines) == TEXTS
    assert list(lines) == TEXTS  # again
    assert list(pickle.loads(pickle.dumps(lines))) == TEXTS  # noqa: S301  our own
    assert size_of(lines) is None


def test_a_file_that_is_missing_or_written_otherwise_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*none\.txt"):
        lines_of(tmp_path / "none.txt")
    path = tmp_path / "old.txt"
    path.write_bytes("Une baleine égarée.\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"not written in utf-8 .* encoding="):
        list(lines_of(path))
    assert list(lines_of(path, encoding="latin-1")) == ["Une baleine égarée."]


def test_a_dataset_is_read_by_its_text_column_or_by_another(dataset: Dataset) -> None:
    assert list(corpus_of(dataset)) == TEXTS
    assert size_of(corpus_of(dataset)) == len(TEXTS)
    assert next(iter(column(dataset, "body"))) == "THE WHALE SWAM."
    streamed = dataset.to_iterable_dataset()
    assert list(corpus_of(streamed)) == TEXTS
    assert size_of(corpus_of(streamed)) is None
    assert list(dataset["text"]) == list(corpus_of(dataset["text"]))


def test_what_a_dataset_lacks_is_said_with_what_it_has(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="no column 'content' but 'text', 'body'"):
        column(dataset, "content")
    with pytest.raises(ValueError, match="no column 'text' but 'body'"):
        corpus_of(dataset.remove_columns("text"))
    with pytest.raises(TypeError, match="one of its splits"):
        corpus_of(DatasetDict({"train": dataset}))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("The whale swam.", "one text alone"),
        (b"The whale swam.", "one text alone"),
        ({"input_ids": [1, 2]}, "an iterable of texts"),
        (3, "an iterable of texts"),
    ],
)
def test_what_is_no_corpus_is_refused(given: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        parts(given)


def test_parts_are_numbered_and_hold_each_text_once() -> None:
    cut = list(parts([str(n) for n in range(7)], [str(-n) for n in range(7)], size=3))
    assert [(part.number, part.first, len(part.texts)) for part in cut] == [
        (0, 0, 3),
        (1, 3, 3),
        (2, 6, 1),
    ]
    numbered = [one for part in cut for one in part.numbered()]
    assert numbered == [(n, str(n), str(-n)) for n in range(7)]
    assert list(parts([])) == []


def test_a_stream_is_read_as_far_as_parts_are_asked_for() -> None:
    read: list[int] = []
    stream = (str(read.append(n) or n) for n in count())
    assert [part.first for part in islice(parts(stream, size=10), 3)] == [0, 10, 20]
    assert len(read) == 30


@pytest.mark.parametrize(("n_targets", "lacks"), [(2, "target number 2"), (4, "text number 3")])
def test_targets_that_are_missing_are_said_at_once_where_they_can_be_counted(
    n_targets: int, lacks: str
) -> None:
    targets = ["la baleine"] * n_targets
    with pytest.raises(ValueError, match=lacks):
        parts(TEXTS, targets)
    with pytest.raises(ValueError, match=lacks):
        list(parts(iter(TEXTS), iter(targets)))


def test_another_corpus_has_another_digest() -> None:
    def digest(*texts: Any) -> str:
        found = Digest()
        return [found.add(part) for part in parts(texts)][-1]

    same = digest("ab", [1, 2], [{"role": "user", "content": "a"}])
    assert same == digest("ab", np.array([1, 2]), [{"role": "user", "content": "a"}])
    others = [
        ("a", "b", [1, 2], [{"role": "user", "content": "a"}]),
        ("ab", [1, 3], [{"role": "user", "content": "a"}]),
        ("ab", [1, 2], [{"role": "user", "content": "b"}]),
        ([1, 2], "ab", [{"role": "user", "content": "a"}]),
    ]
    assert len({same, *(digest(*other) for other in others)}) == 5
