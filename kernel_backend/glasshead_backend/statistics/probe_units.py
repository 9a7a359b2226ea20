"""What probes are fitted to: labelled tokens, words or texts, with their activations by layer."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import torch

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.questions.activations import sequence_of
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.lens import Lens
    from glasshead_backend.text.sequences import Sequence as TokenSequence
    from glasshead_backend.trace import Trace
    from glasshead_backend.tracing.given import TextLike

    Labels = tuple[Hashable, ...]

ProbedUnit = Literal["token", "word", "text"]
Take = Literal["mean", "last"]
"""Of a unit of several tokens: the mean of their activations, or the last one's."""

_FIRST = 12
"""Units that an error names."""


@dataclass(frozen=True, eq=False)
class LabelledUnits:
    """Tokens, words or texts that have a label.

    Attributes
    ----------
    layers : tuple of int
    activations : Tensor
        ``[layers, units, hidden]`` float32, on the CPU.
    labels : tuple
        Of every unit.
    units : tuple of str
        What the units say.
    positions : Tensor
        ``[units]`` int64: the (last) token of each.
    text_of : Tensor
        ``[units]`` int64: which text each is of.
    texts : dict
        By their numbers, what the texts say.
    """

    layers: tuple[int, ...]
    activations: Float[Tensor, "layer unit hidden"]
    labels: Labels
    units: tuple[str, ...]
    positions: Int[Tensor, " unit"]
    text_of: Int[Tensor, " unit"]
    texts: dict[int, str]


@dataclass(frozen=True)
class _Unit:
    """A stretch of a text: its tokens, what it says, and whether it is a special token."""

    tokens: tuple[int, ...]
    text: str
    special: bool = False


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
    plain = value.item() if hasattr(value, "item") and not isinstance(value, str) else value
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


@dataclass(frozen=True, eq=False)
class Gathering:
    """What is read of which texts.

    Attributes
    ----------
    texts, targets : sequence
    labels : tuple
        As :func:`read_labels` makes them.
    unit : {"token", "word", "text"}
    block : str
    layers : sequence of int, optional
    take : {"mean", "last"}
    batch_size : int
    """

    texts: Sequence[TextLike]
    targets: Sequence[TextLike] | None
    labels: tuple[Any, ...]
    unit: ProbedUnit
    block: ActivationBlock
    layers: Sequence[int] | None
    take: Take
    batch_size: int

    def gather(self, lens: Lens, kind: Kind | None) -> LabelledUnits:
        """Trace the texts that have labels, and keep the activations of what is labelled."""
        wanted = [i for i, own in enumerate(self.labels) if self._count(own)]
        n_units = sum(self._count(self.labels[i]) for i in wanted)
        kept = _Kept(n_units, self.block)
        with closing(self._traces(lens, wanted, kind)) as traces:
            read = steps(traces, "reading texts", len(wanted))
            for number, trace in zip(wanted, read, strict=True):
                with trace:
                    self._keep(kept, trace, number, kind)
        return kept.complete()

    def _count(self, own: Any) -> int:
        """How many labels a text has."""
        return int(own is not None) if self.unit == "text" else sum(x is not None for x in own)

    def _traces(self, lens: Lens, wanted: Sequence[int], kind: Kind | None) -> Any:
        texts = [self.texts[i] for i in wanted]
        targets = None if self.targets is None else [self.targets[i] for i in wanted]
        # An encoder has read its text whatever its decoder writes.
        short = 1 if lens.family == "encoder-decoder" and kind == "encoder" else None
        return lens.trace_many(texts, targets, batch_size=self.batch_size, max_new_tokens=short)

    def _keep(self, kept: _Kept, trace: Trace, number: int, kind: Kind | None) -> None:
        sequence = sequence_of(run_of(trace), kind)
        units = _units_of(sequence, self.unit)
        own = (self.labels[number],) if self.unit == "text" else self.labels[number]
        pairs = list(_labelled(units, own, number, self.unit, sequence.name))
        layers = self._layers_of(trace, kind)
        by_layer = (trace.activations(i, self.block, kind=kind) for i in layers)
        rows = _rows([unit for unit, _ in pairs], len(sequence.tokens), self.take)
        kept.texts[number] = sequence.text
        kept.add(layers, by_layer, rows, pairs, number, trace.lens.memory_budget)

    def _layers_of(self, trace: Trace, kind: Kind | None) -> list[int]:
        if self.block == "embedding":
            return [0]
        there = trace.layers_with(self.block, kind)
        if not there:
            # Says why: it has none, or what it adds is not known.
            trace.activations(0, self.block, kind=kind)
        if self.layers is None:
            return there
        for layer in self.layers:
            if layer not in there:
                trace.activations(layer, self.block, kind=kind)
        return list(self.layers)


class _Kept:
    """Activations of labelled units, text by text: room for all of them is made with the first."""

    def __init__(self, n_units: int, block: str) -> None:
        self._n_units, self._block = n_units, block
        self._layers: tuple[int, ...] = ()
        self._activations = torch.empty(0)
        self._labels: list[Hashable] = []
        self._units: list[str] = []
        self._positions: list[int] = []
        self._text_of: list[int] = []
        self.texts: dict[int, str] = {}

    def add(
        self,
        layers: list[int],
        by_layer: Iterator[Float[Tensor, "token hidden"]],
        rows: Float[Tensor, "unit token"],
        pairs: list[tuple[_Unit, Hashable]],
        number: int,
        budget: int | None,
    ) -> None:
        """Keep what a text has."""
        here = slice(len(self._labels), len(self._labels) + len(pairs))
        for i, (layer, own) in enumerate(zip(layers, by_layer, strict=True)):
            if not self._layers:
                self._layers = tuple(layers)
                self._activations = self._room(own.shape[-1], budget)
            values = rows.to(own.device) @ own.float()
            if not bool(values.isfinite().all()):
                raise ValueError(
                    f"Text {number}: some {self._block} activations of layer {layer} are not "
                    "numbers, or too large for the model's precision."
                )
            self._activations[i, here] = values.cpu()
        self._labels += [label for _, label in pairs]
        self._units += [unit.text for unit, _ in pairs]
        self._positions += [unit.tokens[-1] for unit, _ in pairs]
        self._text_of += [number] * len(pairs)

    def _room(self, hidden: int, budget: int | None) -> Float[Tensor, "layer unit hidden"]:
        shape = (len(self._layers), self._n_units, hidden)
        require_room(
            torch.Size(shape).numel() * torch.float32.itemsize,
            budget_on(torch.device("cpu"), budget),
            f"Keeping the {self._block} activations of {self._n_units:,} labelled units in "
            f"{len(self._layers)} layers",
            ["Probe fewer layers (layers=[...]), or label fewer units (None)."],
        )
        return torch.empty(shape, dtype=torch.float32)

    def complete(self) -> LabelledUnits:
        return LabelledUnits(
            self._layers,
            self._activations,
            tuple(self._labels),
            tuple(self._units),
            torch.tensor(self._positions),
            torch.tensor(self._text_of),
            self.texts,
        )


def _units_of(sequence: TokenSequence, unit: ProbedUnit) -> list[_Unit]:
    """Tokens or words of a text; or all its tokens as one, the special ones left out."""
    tokens = sequence.tokens
    if unit == "token":
        return [_Unit((i,), token.text, token.special) for i, token in enumerate(tokens)]
    if unit == "word":
        return [
            _Unit(word.tokens, word.text, tokens[word.tokens[0]].special) for word in sequence.words
        ]
    said = tuple(i for i, token in enumerate(tokens) if not token.special)
    return [_Unit(said or tuple(range(len(tokens))), sequence.text)]


def _labelled(
    units: list[_Unit], labels: Labels, number: int, unit: ProbedUnit, name: str
) -> Iterator[tuple[_Unit, Hashable]]:
    """Units with their labels; those without are left out, and special tokens may be.

    Raises
    ------
    ValueError
        When there are more or fewer labels than units.
    """
    said = [one for one in units if not one.special]
    meant = said if len(labels) == len(said) else units
    if len(labels) != len(meant):
        named = ", ".join(repr(one.text) for one in said[:_FIRST])
        more = ", …" if len(said) > _FIRST else ""
        special = len(units) - len(said)
        and_special = f" (or {len(units)}, with {special} special tokens)" if special else ""
        raise ValueError(
            f"Text {number} has {len(labels)} labels, and its {name} {len(said)} {unit}s"
            f"{and_special}: {named}{more}. Give one for each, None where there is no label."
        )
    return ((one, label) for one, label in zip(meant, labels, strict=True) if label is not None)


def _rows(units: list[_Unit], n_tokens: int, take: Take) -> Float[Tensor, "unit token"]:
    """Weights that make a unit's activation of its tokens'."""
    rows = torch.zeros(len(units), n_tokens, dtype=torch.float32)
    for i, unit in enumerate(units):
        meant = list(unit.tokens if take == "mean" else unit.tokens[-1:])
        rows[i, meant] = 1 / len(meant)
    return rows
