"""What is done with a part of a corpus to make an atlas of heads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from glasshead_backend.anatomy.structure import UnsupportedModelError
from glasshead_backend.corpora.readable import readable
from glasshead_backend.corpora.skipped import SINGLE_TEXT_ERRORS, Skipped
from glasshead_backend.memory import budget_on, require_room
from glasshead_backend.progress import steps
from glasshead_backend.running.threads import undisturbed
from glasshead_backend.statistics.atlas_metrics import METRICS
from glasshead_backend.statistics.atlas_part import PartRows, Shape
from glasshead_backend.statistics.atlas_tally import HeadAtlasTally
from glasshead_backend.statistics.batched_heads import BatchTokens, block_of, row_blocks, row_values
from glasshead_backend.tracing.padded import record_padded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glasshead_backend.asking import Kind
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.corpora.readable import Readable
    from glasshead_backend.lens import Lens
    from glasshead_backend.text.sequences import Sides
    from glasshead_backend.tracing.padded import PaddedCalls


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

    @property
    def tally(self) -> type[HeadAtlasTally]:
        """What comes of it."""
        return HeadAtlasTally

    def key(self) -> str:
        """Say what is done, for a checkpoint."""
        asked = {name: getattr(self, name) for name in ("kind", "metrics", "seed", "batch_size")}
        return f"head atlas {json.dumps(asked)}"

    def of_part(self, lens: Lens, part: Part) -> HeadAtlasTally:
        """Measure the texts of a part; those that cannot be are named in what comes of it."""
        given = readable(lens, part)
        found = _Measured(self, len(given.sides))
        batches = given.batches(self.batch_size)
        for batch in steps(batches, "describing heads", len(batches)):
            # By their numbers: of equal values that of the first text is kept.
            for padded, numbers in self._recorded(lens, given, sorted(batch)):
                found.add(padded, numbers)
        return found.tally(Skipped.of(given.skipped))

    def _recorded(
        self, lens: Lens, given: Readable, numbers: list[int]
    ) -> Iterator[tuple[PaddedCalls, list[int]]]:
        """Record texts together; note those that cannot be."""
        found = self._tried(lens, [given.sides[number] for number in numbers])
        if isinstance(found, str):
            # Which of them it is shows when each runs alone.
            for number in numbers:
                one = self._tried(lens, [given.sides[number]])
                if isinstance(one, str):
                    given.skipped[number] = one
                else:
                    yield one[0], [number]
        elif len(found) == 1:
            yield found[0], numbers
        else:
            yield from ((one, [number]) for one, number in zip(found, numbers, strict=True))

    def _tried(self, lens: Lens, many: Sequence[Sides]) -> list[PaddedCalls] | str:
        """Record some texts; return why they cannot be."""
        try:
            found = record_padded(lens, many)
            for padded in found:
                for call in padded.calls[self.kind].values():
                    require_room(
                        call.working_bytes,
                        budget_on(call.device, lens.memory_budget),
                        f"{type(call.module).__name__} computes attention by itself, which",
                        ["Shorter texts take less."],
                    )
        except (*SINGLE_TEXT_ERRORS, UnsupportedModelError) as error:
            return str(error)
        return found


class _Measured:
    """What the batches of a part come to."""

    def __init__(self, task: HeadAtlasTask, n_given: int) -> None:
        self.task, self.n_given = task, n_given
        self.metrics = [METRICS[name] for name in task.metrics]
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

    def tally(self, skipped: Skipped) -> HeadAtlasTally:
        """Return the sums, and the texts that were left out."""
        if self.rows is None:
            return HeadAtlasTally(skipped=skipped)
        return HeadAtlasTally.of_rows(
            self.rows,
            np.array(self.numbers),
            layers=self.layers,
            n_heads=self.n_heads,
            n_tokens=self.n_tokens,
            skipped=skipped,
        )
