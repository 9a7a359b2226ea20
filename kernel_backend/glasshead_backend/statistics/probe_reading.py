"""Activations of what is labelled in many texts: read, run through the model, and kept by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.questions.activations_of_texts import batches_of, run_over_texts
from glasshead_backend.statistics.probe_units import labelled, n_labels
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.many_texts import numbered_sides
from glasshead_backend.tracing.reading import read

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from jaxtyping import Float, Int
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind, Stack
    from glasshead_backend.lens import Lens
    from glasshead_backend.statistics.probe_units import LabelledText, ProbedUnit, Take
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.trace import Trace
    from glasshead_backend.tracing.given import TextLike


@dataclass(frozen=True, eq=False)
class LabelledUnits:
    """Tokens, words or texts that have a label, with their activations.

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
    labels: tuple[Hashable, ...]
    units: tuple[str, ...]
    positions: Int[Tensor, " unit"]
    text_of: Int[Tensor, " unit"]
    texts: dict[int, str]


@dataclass(frozen=True, eq=False)
class Room:
    """Where the activations go: ``[layers, units, hidden]``, and what the model was asked for."""

    block: ActivationBlock
    stack: Stack
    layers: tuple[int, ...]
    activations: Float[Tensor, "layer unit hidden"]


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbedTexts:
    """Which activations of which texts.

    Attributes
    ----------
    texts, targets : sequence
    labels : tuple
        As :func:`glasshead_backend.statistics.probe_units.read_labels` makes them.
    unit : {"token", "word", "text"}
    block : str
    layers : sequence of int, optional
    take : {"mean", "last"}
    batch_size : int
        Most texts in one forward pass: those of one length.
    """

    texts: Sequence[TextLike]
    targets: Sequence[TextLike] | None
    labels: tuple[Any, ...]
    unit: ProbedUnit
    block: ActivationBlock
    layers: Sequence[int] | None
    take: Take
    batch_size: int

    def read(self, lens: Lens, kind: Kind | None) -> tuple[list[Sides], list[LabelledText]]:
        """Cut the texts that have labels into tokens, and find what has a label.

        Raises
        ------
        ValueError
            When there is no label, or not one for each unit of a text.
        """
        numbers = [i for i, own in enumerate(self.labels) if n_labels(own, self.unit)]
        if not numbers:
            raise ValueError("No text has a label: there is nothing to probe.")
        many: list[Sides] = []
        found: list[LabelledText] = []
        for number in steps(numbers, "reading texts", len(numbers)):
            sides = self._sides(lens, number, kind)
            sequence = sides.all[-1 if kind in ("decoder", "cross") else 0]
            own = (self.labels[number],) if self.unit == "text" else self.labels[number]
            many.append(sides)
            found.append(labelled(sequence, own, number, self.unit, self.take))
        return many, found

    def _target(self, lens: Lens, number: int, kind: Kind | None) -> TextLike | None:
        if self.targets is not None:
            return self.targets[number]
        # An encoder has read its text whatever its decoder writes: one token is enough.
        of_encoder = lens.family == "encoder-decoder" and kind == "encoder"
        end: Any = lens.tokenizer.eos_token_id
        return [int(end or 0)] if of_encoder else None

    def _sides(self, lens: Lens, number: int, kind: Kind | None) -> Sides:
        def sides_of(text: TextLike, target: TextLike | None) -> Sides:
            return read(lens, text, target, None, Reading())

        return numbered_sides(
            sides_of, number, self.texts[number], self._target(lens, number, kind)
        )

    def room(self, lens: Lens, found: Sequence[LabelledText], kind: Kind | None) -> Room:
        """Make room: a trace of the first text says what the model has, or why it has it not.

        Raises
        ------
        ValueError
            When the model does not have the block.
        MemoryBudgetError
            When the activations of all units take more memory than they may.
        """
        number = found[0].number
        with lens.trace(self.texts[number], self._target(lens, number, kind)) as trace:
            layers = self._layers_of(trace, kind)
            hidden = trace.activations(layers[0], self.block, kind=kind).shape[-1]
            stack = run_of(trace).stack(kind)
        n_units = sum(len(own.units) for own in found)
        shape = torch.Size((len(layers), n_units, hidden))
        require_room(
            shape.numel() * torch.float32.itemsize,
            budget_on(torch.device("cpu"), lens.memory_budget),
            f"Keeping the {self.block} activations of {n_units:,} labelled units in "
            f"{len(layers)} layers",
            ["Probe fewer layers (layers=[...]), or label fewer units (None)."],
        )
        return Room(self.block, stack, layers, torch.empty(shape, dtype=torch.float32))

    def gather(
        self, lens: Lens, many: Sequence[Sides], found: Sequence[LabelledText], room: Room
    ) -> LabelledUnits:
        """Run the model over the texts, and keep the activations of what has a label.

        Raises
        ------
        ValueError
            When activations are not finite.
        """
        starts = [0]
        for own in found:
            starts.append(starts[-1] + len(own.units))
        batches = batches_of(lens, many, self.block, room.stack, self.batch_size)
        for batch in steps(batches, "running the model", len(batches)):
            texts = [found[i] for i in batch]
            places = torch.cat([torch.arange(starts[i], starts[i + 1]) for i in batch])
            _keep(lens, [many[i] for i in batch], texts, places, room)
        _require_finite(room, found, starts)
        return LabelledUnits(
            layers=room.layers,
            activations=room.activations,
            labels=tuple(label for own in found for label in own.labels),
            units=tuple(unit.text for own in found for unit in own.units),
            positions=torch.tensor([unit.tokens[-1] for own in found for unit in own.units]),
            text_of=torch.tensor([own.number for own in found for _ in own.units]),
            texts={own.number: own.text for own in found},
        )

    def _layers_of(self, trace: Trace, kind: Kind | None) -> tuple[int, ...]:
        if self.block == "embedding":
            return (0,)
        there = trace.layers_with(self.block, kind)
        wanted = there if self.layers is None else list(self.layers)
        for layer in [one for one in wanted or [0] if one not in there]:
            trace.activations(layer, self.block, kind=kind)  # says why it is not there
        return tuple(wanted)


def _keep(
    lens: Lens,
    many: Sequence[Sides],
    texts: Sequence[LabelledText],
    places: Int[Tensor, " unit"],
    room: Room,
) -> None:
    """Run the model over texts of one length, and put what has a label into its places."""

    def note(layer: int, rows: Float[Tensor, "text token hidden"]) -> None:
        if layer not in room.layers:
            return
        weights = [own.rows.to(rows.device) for own in texts]
        values = [own @ row.float() for own, row in zip(weights, rows, strict=True)]
        room.activations[room.layers.index(layer), places] = torch.cat(values).cpu()

    run_over_texts(lens, many, room.block, room.stack, note)


def _require_finite(room: Room, texts: Sequence[LabelledText], starts: Sequence[int]) -> None:
    for layer, values in zip(room.layers, room.activations, strict=True):
        wrong = (~values.isfinite().all(dim=-1)).nonzero()
        if len(wrong):
            unit = int(wrong[0])
            number = next(
                own.number for own, end in zip(texts, starts[1:], strict=True) if unit < end
            )
            raise ValueError(
                f"Text {number}: some {room.block} activations of layer {layer} are not numbers, "
                "or too large for the model's precision."
            )
