"""What is done with a part of a corpus to make an atlas of heads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from glasshead_backend.memory import MemoryBudgetError, budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.statistics.atlas_metrics import METRICS
from glasshead_backend.statistics.atlas_part import PartRows, Shape
from glasshead_backend.statistics.atlas_tally import HeadAtlasTally
from glasshead_backend.statistics.batched_heads import BatchTokens, block_of, row_blocks, row_values
from glasshead_backend.tracing.given import Reading
from glasshead_backend.tracing.padded import record_padded
from glasshead_backend.tracing.reading import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glasshead_backend.asking import Kind
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.lens import Lens
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.padded import PaddedCalls

_SINGLE = (TypeError, ValueError, MemoryBudgetError)
"""What may be wrong with one text."""


@dataclass(frozen=True)
class HeadAtlasTask:
    """Measure every row of attention of some texts.

    Attributes
    ----------
    kind : str
        Kind of attention.
    metrics : tuple of str
    seed : int
    batch_size : int
        Most texts in one forward pass.
    """

    kind: Kind
    metrics: tuple[str, ...]
    seed: int
    batch_size: int

    tally: ClassVar[type[HeadAtlasTally]] = HeadAtlasTally

    def key(self) -> str:
        """Say what is done, for a checkpoint."""
        asked = {name: getattr(self, name) for name in ("kind", "metrics", "seed", "batch_size")}
        return f"head atlas {json.dumps(asked)}"

    def of_part(self, lens: Lens, part: Part) -> HeadAtlasTally:
        """Measure the texts of a part; those that cannot be are named in what comes of it."""
        skipped: list[tuple[int, str]] = []
        sides: dict[int, Sides] = {}
        for i, text in enumerate(part.texts):
            target = None if part.targets is None else part.targets[i]
            try:
                sides[part.first + i] = read(lens, text, target, None, Reading())
            except _SINGLE as error:
                skipped.append((part.first + i, str(error)))
        found = _Measured(self, lens, sides)
        for padded, numbers in self._batches(lens, sides, skipped):
            found.add(padded, numbers)
        return found.tally().without(skipped)

    def _batches(
        self, lens: Lens, sides: dict[int, Sides], skipped: list[tuple[int, str]]
    ) -> Iterator[tuple[PaddedCalls, list[int]]]:
        """Record texts of similar length together, the longest first."""
        by_length = sorted(sides, key=lambda number: (_size(sides[number]), -number), reverse=True)
        starts = range(0, len(by_length), self.batch_size)
        for start in steps(starts, "describing heads", len(starts)):
            # By their numbers: of equal values that of the first text is kept.
            chosen = sorted(by_length[start : start + self.batch_size])
            try:
                recorded = self._recorded(lens, [sides[number] for number in chosen])
            except _SINGLE as error:
                # Which of them it is shows when each runs alone.
                recorded = []
                if len(chosen) == 1:
                    skipped.append((chosen[0], str(error)))
                for number in chosen if len(chosen) > 1 else ():
                    try:
                        (alone,) = self._recorded(lens, [sides[number]])
                    except _SINGLE as own:
                        skipped.append((number, str(own)))
                    else:
                        yield alone, [number]
            if len(recorded) == 1:
                yield recorded[0], chosen
            else:
                yield from ((one, [number]) for one, number in zip(recorded, chosen, strict=True))

    def _recorded(self, lens: Lens, many: Sequence[Sides]) -> list[PaddedCalls]:
        found = record_padded(lens, many)
        for padded in found:
            for call in padded.calls[self.kind].values():
                require_room(
                    call.working_bytes,
                    budget_on(call.device, lens.memory_budget),
                    f"{type(call.module).__name__} computes attention by itself, which",
                    ["Shorter texts take less."],
                )
        return found


def _size(sides: Sides) -> tuple[int, ...]:
    return tuple(len(sequence.tokens) for sequence in sides.all)


class _Measured:
    """What the batches of a part come to."""

    def __init__(self, task: HeadAtlasTask, lens: Lens, sides: dict[int, Sides]) -> None:
        self.task, self.lens = task, lens
        self.metrics = [METRICS[name] for name in task.metrics]
        self.n_given = len(sides)
        self.numbers: list[int] = []
        self.n_tokens = 0
        self.rows: PartRows | None = None
        self.layers: tuple[int, ...] = ()
        self.n_heads: tuple[int, ...] = ()

    def add(self, padded: PaddedCalls, numbers: list[int]) -> None:
        """Add the rows of a batch."""
        calls = padded.calls[self.task.kind]
        layers = sorted(calls)
        tokens = BatchTokens.of(padded, self.task.kind)
        if self.rows is None:
            self.layers = tuple(layers)
            self.n_heads = tuple(calls[layer].n_heads for layer in layers)
            shape = Shape(len(self.metrics), len(layers), max(self.n_heads))
            self.rows = PartRows(self.metrics, shape, self.n_given, self.task.seed)
        first = len(self.numbers)
        self.numbers.extend(numbers)
        self.n_tokens += sum(map(len, tokens.rows))
        with undisturbed(tokens.device):
            self.rows.begin(tokens, range(first, len(self.numbers)), numbers)
            for rows in row_blocks(tokens, max(self.n_heads)):
                ordered = self.rows.in_order(rows)
                for i, layer in enumerate(layers):
                    block = block_of(calls[layer], tokens, rows)
                    self.rows.add(i, block, row_values(block, self.task.metrics), ordered)

    def tally(self) -> HeadAtlasTally:
        """Return the sums."""
        if self.rows is None:
            return HeadAtlasTally()
        n = len(self.numbers)
        self.rows.sums, self.rows.counts = self.rows.sums[:n], self.rows.counts[:n]
        return HeadAtlasTally.of_rows(
            self.rows, np.array(self.numbers), self.n_heads, self.layers, self.n_tokens
        )
