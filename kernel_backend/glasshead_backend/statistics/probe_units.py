"""What probes are fitted to: tokens, words or texts that have a label."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.text.sequences import Sequence as TokenSequence

ProbedUnit = Literal["token", "word", "text"]
Take = Literal["mean", "last"]
"""Of a unit of several tokens: the mean of their activations, or the last one's."""

_FIRST = 12
"""Units that an error names."""


@dataclass(frozen=True)
class Unit:
    """A stretch of a text: its tokens, what it says, and whether it is a special token."""

    tokens: tuple[int, ...]
    text: str
    special: bool = False


@dataclass(frozen=True, eq=False)
class LabelledText:
    """What has a label in a text.

    Attributes
    ----------
    number : int
        Of the text.
    text : str
    units : list of Unit
    labels : list
        Of each of them.
    rows : Tensor
        ``[units, tokens]``: weights that make a unit's activation of those of the tokens.
    """

    number: int
    text: str
    units: list[Unit]
    labels: list[Hashable]
    rows: Float[Tensor, "unit token"]


def read_labels(labels: Iterable[Any], unit: ProbedUnit) -> tuple[Any, ...]:
    """Return plain labels: one for each text, or a tuple for each; None where there is no label.

    Raises
    ------
    TypeError
        For labels that are not as many as `unit` wants.
    ValueError
        For numbers that are no classes.
    """
    given = list(_iterated(labels, "labels"))
    if unit == "text":
        return tuple(_label(one) for one in given)
    for number, own in enumerate(given):
        if isinstance(own, str) or not isinstance(own, Iterable):
            raise TypeError(
                f"Text {number} has the label {own!r:.60}: with unit={unit!r} a text has a list of "
                f"labels, one for each {unit}. (A label for each text: unit='text'.)"
            )
    return tuple(tuple(_label(one) for one in own) for own in given)


def _iterated(values: object, name: str) -> Iterable[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is a list, got {type(values).__name__}.")
    return cast("Iterable[Any]", values)


def _label(value: Any) -> Hashable:
    """Return a label as a plain value, whatever library it is of; what is missing is None."""
    plain = value.item() if hasattr(value, "item") else value
    if plain is None or plain != plain:  # noqa: PLR0124  NaN is what tables have for missing
        return None
    if isinstance(plain, float) and not plain.is_integer():
        raise ValueError(
            f"label {plain!r} is a number between others: a probe tells classes apart. Cut such "
            "numbers into classes first (pandas.cut)."
        )
    try:
        hash(plain)
    except TypeError:
        raise TypeError(
            f"label {plain!r:.60} is of type {type(plain).__name__}: labels are words, numbers or "
            "True and False, and with unit='text' one for each text."
        ) from None
    return plain


def n_labels(own: Any, unit: ProbedUnit) -> int:
    """How many labels a text has."""
    return int(own is not None) if unit == "text" else sum(one is not None for one in own)


def labelled(
    sequence: TokenSequence, labels: Sequence[Hashable], number: int, unit: ProbedUnit, take: Take
) -> LabelledText:
    """Find the units that the labels of a text are of; special tokens need have none.

    Raises
    ------
    ValueError
        When there are more or fewer labels than units.
    """
    units = _units_of(sequence, unit)
    said = [one for one in units if not one.special]
    meant = said if len(labels) == len(said) else units
    if len(labels) != len(meant):
        named = ", ".join(repr(one.text) for one in said[:_FIRST])
        more = ", …" if len(said) > _FIRST else ""
        special = len(units) - len(said)
        and_special = f" (or {len(units)}, with {special} special tokens)" if special else ""
        raise ValueError(
            f"Text {number} has {len(labels)} labels, and its {sequence.name} {len(said)} {unit}s"
            f"{and_special}: {named}{more}. Give one for each, None where there is no label."
        )
    pairs = [(one, own) for one, own in zip(meant, labels, strict=True) if own is not None]
    return LabelledText(
        number=number,
        text=sequence.text,
        units=[one for one, _ in pairs],
        labels=[own for _, own in pairs],
        rows=_rows([one for one, _ in pairs], len(sequence.tokens), take),
    )


def _units_of(sequence: TokenSequence, unit: ProbedUnit) -> list[Unit]:
    """Tokens or words of a text; or all its tokens as one, the special ones left out."""
    tokens = sequence.tokens
    if unit == "token":
        return [Unit((i,), token.text, token.special) for i, token in enumerate(tokens)]
    if unit == "word":
        return [
            Unit(word.tokens, word.text, tokens[word.tokens[0]].special) for word in sequence.words
        ]
    said = tuple(i for i, token in enumerate(tokens) if not token.special)
    return [Unit(said or tuple(range(len(tokens))), sequence.text)]


def _rows(units: list[Unit], n_tokens: int, take: Take) -> Float[Tensor, "unit token"]:
    rows = torch.zeros(len(units), n_tokens, dtype=torch.float32)
    for i, unit in enumerate(units):
        meant = list(unit.tokens if take == "mean" else unit.tokens[-1:])
        rows[i, meant] = 1 / len(meant)
    return rows
