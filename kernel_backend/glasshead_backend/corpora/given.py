"""What a corpus can be given as: texts, a file of lines, a column of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

Texts = Iterable[Any] | PathLike[str]
"""Texts of a public function: any iterable of texts, the path of a file of lines, or a dataset with
a column named "text"."""


@dataclass(frozen=True, repr=False)
class Lines:
    """The lines of a file, read anew each time; those of white space alone are no texts."""

    path: Path
    encoding: str = "utf-8"

    def __iter__(self) -> Iterator[str]:
        """Read line after line, each without its end."""
        # Some editors begin a file with a mark of its encoding, which is no part of a text.
        encoding = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        with self.path.open(encoding=encoding) as file:
            try:
                for line in file:
                    if line.strip():
                        yield line.rstrip("\n")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{self.path} is not written in {self.encoding} ({error.reason} at byte "
                    f'{error.start:,}): say lines_of(path, encoding="latin-1"), for example.'
                ) from error

    def __repr__(self) -> str:
        return f"<lines of {self.path.name}>"


@dataclass(frozen=True, repr=False)
class Column:
    """A column of a dataset, read anew each time."""

    dataset: Any
    name: str

    def __iter__(self) -> Iterator[Any]:
        """Read row after row; where the dataset can, nothing but the column."""
        narrowed = getattr(self.dataset, "select_columns", None)
        rows = self.dataset if narrowed is None else narrowed([self.name])
        for row in rows:
            if self.name not in row:
                raise _no_such_column(self.name, row)
            yield row[self.name]

    def __repr__(self) -> str:
        return f"<column {self.name!r} of a {type(self.dataset).__name__}>"


class SizedColumn(Column):
    """The same of a dataset that knows how many rows it has."""

    def __len__(self) -> int:
        return len(self.dataset)


def lines_of(path: str | PathLike[str], *, encoding: str = "utf-8") -> Iterable[str]:
    r"""Take each line of a file for a text; lines of white space alone are no texts.

    These are not counted either, as texts or as skipped ones: text number 3 of a result is the
    fourth line that has something in it, ``list(lines_of(path))[3]``.

    Parameters
    ----------
    path : str or path
    encoding : str

    Returns
    -------
    iterable of str
        The file is read line by line, as often as it is asked for, never as a whole.

    Raises
    ------
    FileNotFoundError
        When there is no such file.

    Examples
    --------
    >>> from pathlib import Path
    >>> _ = Path("whales.txt").write_text("The whale swam.\n\nThe sea was dark.\n")
    >>> list(lines_of("whales.txt"))
    ['The whale swam.', 'The sea was dark.']
    >>> Path("whales.txt").unlink()
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {str(path)!r}: a file with one text a line.")
    return Lines(Path(path), encoding)


def column(dataset: Any, name: str = "text") -> Iterable[Any]:
    """Take a column of a Hugging Face dataset for the texts, or for the targets.

    Parameters
    ----------
    dataset : datasets.Dataset or datasets.IterableDataset
    name : str
        Of the column.

    Returns
    -------
    iterable
        The column is read row by row, as often as it is asked for, never as a whole.

    Raises
    ------
    TypeError
        For something that has no columns, and for a dict of splits.
    ValueError
        When there is no such column, with those that there are.
    """
    if isinstance(dataset, Mapping):
        splits = ", ".join(map(repr, cast("Mapping[str, Any]", dataset)))
        raise TypeError(f"This is a dict of datasets: take one of its splits ({splits}).")
    if not _is_dataset(dataset):
        raise TypeError(f"column takes a dataset of columns, got {type(dataset).__name__}.")
    # An IterableDataset may not know its columns before it is read.
    if dataset.column_names is not None and name not in dataset.column_names:
        raise _no_such_column(name, dataset.column_names)
    return (SizedColumn if isinstance(dataset, Sized) else Column)(dataset, name)


def corpus_of(given: Any, what: str = "texts") -> Iterable[Any]:
    """Return the texts of what a public function was given.

    Raises
    ------
    TypeError
        For one text alone, and for what is no corpus.
    """
    if isinstance(given, (str, bytes)):
        raise TypeError(
            f"{what} is a list of {what}, got one text alone. Give [text]; or, for a file with a "
            'text a line, its path: Path("texts.txt").'
        )
    if isinstance(given, PathLike):
        return lines_of(cast("PathLike[str]", given))
    if _is_dataset(given) or (isinstance(given, Mapping) and _is_splits(given)):
        return column(given)
    if isinstance(given, Mapping) or not isinstance(given, Iterable):
        raise TypeError(
            f"{what} is an iterable of {what}, the path of a file of lines or a dataset; got "
            f"{type(given).__name__}."
        )
    return cast("Iterable[Any]", given)


def size_of(texts: object) -> int | None:
    """How many texts there are; None where nobody knows before they are read."""
    return len(texts) if isinstance(texts, Sized) else None


def _is_dataset(given: object) -> bool:
    return hasattr(given, "column_names") and hasattr(given, "features")


def _is_splits(given: Mapping[Any, Any]) -> bool:
    return bool(given) and all(_is_dataset(one) for one in given.values())


def _no_such_column(name: str, there: Iterable[str]) -> ValueError:
    return ValueError(
        f"The dataset has no column {name!r} but {', '.join(map(repr, there))}: say "
        'column(dataset, "NAME").'
    )
