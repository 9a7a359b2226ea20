"""A statistic measured on the texts of a part of a corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glasshead_backend.corpora.readable import readable, runs_of
from glasshead_backend.corpora.skipped import SINGLE_TEXT_ERRORS
from glasshead_backend.corpora.written import written_out
from glasshead_backend.statistics.texts_tally import OfText, TextsTally, of_text
from glasshead_backend.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from glasshead_backend.asking import Kind
    from glasshead_backend.corpora.parts import Part
    from glasshead_backend.lens import Lens
    from glasshead_backend.statistics.metric import Metric
    from glasshead_backend.tracing.run import Run


@dataclass(frozen=True)
class MeasureTexts:
    """Measure a statistic on every text.

    Attributes
    ----------
    metric : Metric
    kind : str, optional
    batch_size : int
        Most texts in one forward pass, which are of similar length.
    seed : int
        Draws the texts whose own values are kept.
    """

    metric: Metric
    kind: Kind | None = None
    batch_size: int = 8
    seed: int = 0

    @property
    def tally(self) -> type[TextsTally]:
        """What comes of it."""
        return TextsTally

    def key(self) -> str:
        """Say what it is."""
        return written_out(self)

    def of_part(self, lens: Lens, part: Part) -> TextsTally:
        """Measure the texts of a part."""
        *_, (_, tally) = self.growing(lens, part)
        return tally()

    def growing(self, lens: Lens, part: Part) -> Iterator[tuple[int, Callable[[], TextsTally]]]:
        """Measure text by text; a batch of texts of similar length at a time runs together."""
        texts = readable(lens, part)
        found: dict[int, OfText] = {}
        skipped = dict(texts.skipped)

        def tally() -> TextsTally:
            return TextsTally.of(found, skipped, self.seed)

        yield len(skipped), tally
        for batch in texts.batches(self.batch_size):
            runs = runs_of(lens, [texts.sides[number] for number in batch])
            for number in batch:
                # Each is let go as soon as it is measured.
                own = self._of_run(runs.pop(0))
                if isinstance(own, str):
                    skipped[number] = own
                else:
                    found[number] = own
                yield len(found) + len(skipped), tally

    def _of_run(self, run: Run | str) -> OfText | str:
        """Measure one text; or say why it cannot be measured."""
        if isinstance(run, str):
            return run
        with Trace(run) as trace:
            try:
                return of_text(self.metric.measure(trace, self.kind))
            except SINGLE_TEXT_ERRORS as error:
                return str(error)
