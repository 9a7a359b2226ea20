"""A statistic over many texts: the mean, and how far it would be off with other texts.

The unit is the text: each has its own value of the statistic, and the interval is that of the mean
over the texts, :func:`~glasshead_backend.statistics.significance.mean_and_interval`, made of sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from glasshead_backend.checks import at_least_one
from glasshead_backend.corpora.given import Column, Lines, corpus_of, size_of
from glasshead_backend.corpora.map_reduce import map_reduce
from glasshead_backend.statistics.by_name import as_metric
from glasshead_backend.statistics.chart import HeatMap, LayerChart, Range, layers_with
from glasshead_backend.statistics.layer_histogram import layer_histogram
from glasshead_backend.statistics.metric import Measured, Metric, require_seed
from glasshead_backend.statistics.significance import t_interval
from glasshead_backend.statistics.texts_task import MeasureTexts

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from os import PathLike

    import pandas as pd
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.corpora.elsewhere import MakeLens
    from glasshead_backend.corpora.given import Texts
    from glasshead_backend.corpora.moments import Moments
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import Choice
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.significance import Mean
    from glasshead_backend.statistics.texts_tally import ChartSums, TextsTally
    from glasshead_backend.trace import Trace

_BINS = 20
_FEWEST = 3
"""Texts from which on a chart shows their interval and their histogram. (The interval of two texts
reaches nine standard deviations to either side: beside it nothing could be seen.)"""

_BATCHES_OF_A_PART = 8
"""Texts of similar length are found among so many batches."""


@dataclass(frozen=True, kw_only=True, repr=False)
class OverTexts(Metric):
    """Another metric, measured on many texts: the mean over the texts and its t interval.

    Parameters
    ----------
    of : Metric, str or callable
        The metric: as ``LayerStatsChart(metric=)`` takes it.
    texts : iterable of str, path or dataset
        A list, a file of lines (its path) or a Hugging Face dataset's column "text", to be measured
        again when a parameter changes; or a stream, read once.
    targets : iterable of str, path or dataset, optional
        Encoder-decoder models: as many as there are texts.
    confidence : float
        How often such an interval holds the mean over all texts that there might be, if the texts'
        values are normal.
    batch_size : int
        Most texts in one forward pass: of similar length, found among eight times as many.
    seed : int
        Of more than 1,000 texts draws those whose own values are in the histogram of a layer.
    """

    name: ClassVar[str] = "over_texts"

    of: Metric
    texts: Texts
    targets: Texts | None = None
    confidence: float = 0.95
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", as_metric(self.of))
        if isinstance(self.texts, str):
            raise TypeError(
                "texts is a list of texts. For a single one measure its trace; for a file of lines "
                'give its path: Path("texts.txt").'
            )
        object.__setattr__(self, "texts", corpus_of(self.texts))
        if self.targets is not None:
            object.__setattr__(self, "targets", corpus_of(self.targets, "targets"))
        at_least_one(self.batch_size, "batch_size", "text at a time")
        require_seed(self.seed)
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence} must lie between 0 and 1, e.g. 0.95.")

    def _written(self, name: str) -> str:
        if name not in ("texts", "targets"):
            return super()._written(name)
        given = getattr(self, name)
        if isinstance(given, (Lines, Column)):
            return repr(given)
        n = size_of(given)
        return "<a stream>" if n is None else f"<{n} {name}>"

    @property
    def label(self) -> str:  # type: ignore[override]
        """What it is called."""
        return self.of.label

    @property
    def shown_as(self) -> str:
        """Name under which a chart shows it: that of the metric."""
        return self.of.name

    @property
    def n_texts(self) -> int | None:
        """How many texts there are; None where nobody knows before they are read."""
        return size_of(self.texts)

    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> OverTextsResult:
        """Measure the texts with the model of a trace."""
        return self.measure_with(cast("Lens", trace.lens), kind, progress=progress)

    def measure_with(
        self,
        lens: Lens,
        kind: Kind | None = None,
        *,
        executor: Executor | None = None,
        make_lens: MakeLens | None = None,
        checkpoint: str | PathLike[str] | None = None,
        progress: Progress | bool | None = None,
    ) -> OverTextsResult:
        """Measure the texts with a model: see :func:`over_texts`."""

        def result(sums: TextsTally) -> OverTextsResult | None:
            return OverTextsResult(metric=self, sums=sums) if sums.n_measured else None

        sums = map_reduce(
            MeasureTexts(self.of, kind, self.batch_size, self.seed),
            lens,
            self.texts,
            self.targets,
            executor=executor,
            make_lens=make_lens,
            part_size=_BATCHES_OF_A_PART * self.batch_size,
            checkpoint=checkpoint,
            progress=progress,
            result=result,
        )
        sums.skipped.require_some(sums.n_measured, "has this statistic")
        return OverTextsResult(metric=self, sums=sums)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OverTextsResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : OverTexts
        What was asked for.
    sums : TextsTally
        Counts, means and squared deviations of all that is shown, and values of up to 1,000 texts.
    """

    metric: OverTexts
    sums: TextsTally

    @property
    def n_measured(self) -> int:
        """How many texts have the statistic."""
        return self.sums.n_measured

    @property
    def n_skipped(self) -> int:
        """How many texts could not be read, or lack the statistic."""
        return self.sums.skipped.n

    @property
    def skipped(self) -> tuple[tuple[int, str], ...]:
        """``(number of the text, why)`` of the first 100 of them."""
        return self.sums.skipped.first

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn: as of a single text."""
        return self.sums.quantities

    def to_frame(self) -> pd.DataFrame:
        """Return the mean over texts of every number, with the interval as ``_low``, ``_high``.

        ``n_texts`` counts the texts that have the row at all; of a single one there is no interval.
        P-values and marks of significance are left out: they are no averages.
        """
        import pandas as pd  # noqa: PLC0415  not before it is needed

        sums = self.sums.table
        assert sums is not None
        order = sorted(range(len(sums.rows)), key=lambda place: sums.rows[place])
        rows = pd.DataFrame([sums.rows[place] for place in order], columns=[*sums.keys])
        mean, low, high = (one[order].numpy() for one in self._interval(sums.cells))
        numbers: dict[str, Any] = {"n_texts": sums.cells.n_values[order][:, 0].numpy()}
        for place, name in enumerate(sums.columns):
            numbers |= {
                name: mean[:, place],
                f"{name}_low": low[:, place],
                f"{name}_high": high[:, place],
            }
        return rows.assign(**numbers)

    def _interval(self, sums: Moments) -> Mean:
        return t_interval(
            sums.n_values, sums.means(), sums.sums_of_squares(), self.metric.confidence
        )

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the mean over texts with its interval."""
        sums = self.sums.charts[quantity or self.quantities[0].name]
        drawing = sums.drawing
        mean, low, high = self._interval(sums.means)
        heat = None
        if sums.heat is not None:
            heat = HeatMap(sums.heat.means(), drawing.heat_label, drawing.heat_max)
        several = self.n_measured >= _FEWEST
        share = f"{100 * self.metric.confidence:g} %"
        words = f"{share} t interval of the mean over {self.n_measured} texts"
        # "median" of the tokens of each text, where it is not the text itself that has the value.
        of_each = f"{drawing.middle} of each text" if drawing.of_tokens else ""
        parts = (drawing.unit, of_each, self.metric.of.over_texts)
        return LayerChart(
            title=drawing.title,
            unit="; ".join(filter(None, parts)),
            layers=drawing.layers,
            series=drawing.series,
            mean=mean,
            interval=Range(low, high, words) if several else None,
            heat=heat,
            scale=drawing.scale,
            help=drawing.help,
            note=f"{self._left_out()} {self._infinite(sums)}".strip(),
        )

    def _infinite(self, sums: ChartSums) -> str:
        """Say where a mean cannot be drawn, as the value of a text is infinite."""
        where = layers_with((sums.means.infinite > 0).any(dim=0), sums.drawing.layers)
        if not where:
            return ""
        texts = f"{sums.n_infinite} of {self.n_measured} text{'' if self.n_measured == 1 else 's'}"
        why = f": {sums.drawing.why_infinite}" if sums.drawing.why_infinite else "."
        return f"Infinite in {where}, because of {texts}{why}"

    def _left_out(self) -> str:
        if not self.skipped:
            return ""
        index, why = self.skipped[0]
        n = self.n_skipped
        return f"{n:,} text{'' if n == 1 else 's'} left out. Text {index}: {why}"

    def detail(self, layer: int) -> list[Panel]:
        """Return the histogram of the texts' values in one layer; of many texts of a sample."""
        sample, drawing = self.sums.sample, self.sums.charts[self.quantities[0].name].drawing
        if sample is None or layer not in drawing.layers or self.n_measured < _FEWEST:
            return []
        at = drawing.layers.index(layer)
        values = sample.in_order()[:, :, at].T
        if not values.isfinite().any(dim=1).all():
            return []
        n, of = len(sample.values), f"its {self.n_measured:,} texts"
        return [
            layer_histogram(
                title=f"Layer {layer}: {of if n == self.n_measured else f'{n:,} of {of}'}",
                x=drawing.unit,
                y="texts",
                series=drawing.series,
                values=list(values),
                bins=_BINS,
            )
        ]


def over_texts(
    lens: Lens,
    texts: Texts,
    metric: str | Metric | Measured | Callable[[Trace, int], float | Tensor],
    *,
    targets: Texts | None = None,
    confidence: float = 0.95,
    batch_size: int = 8,
    seed: int = 0,
    executor: Executor | None = None,
    make_lens: Callable[[], Lens] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> OverTextsResult:
    """Measure a statistic on many texts, and return its mean with Student's t interval.

    What is kept are sums: a corpus of any size takes the memory of a few dozen texts. They are
    taken over parts of the corpus that do not depend on who works on them, and merged in their
    order: the result is the same for any number of workers.

    Parameters
    ----------
    lens : Lens
    texts : iterable of str, path or dataset
        A list or a stream; the path of a file with a text in each line
        (:func:`~glasshead_backend.corpora.given.lines_of`); or a Hugging Face dataset with a column
        "text" (another one: :func:`~glasshead_backend.corpora.given.column`).
    metric : str, Metric, Measured or callable
        ``"norm"``, ``PredictionDivergence(block="mlp")``, ``lambda trace, layer: ...``; a result
        stands for the metric that it has.
    targets, confidence, batch_size, seed
        As for :class:`OverTexts`.
    executor : concurrent.futures.Executor, optional
        Who does the work: the processes of a ``ProcessPoolExecutor``, Dask's
        ``client.get_executor()`` ...; None = this thread. Threads share the lens, which runs one
        batch at a time; workers in other processes load the model themselves, once, and compute
        with as many threads each as this process.
    make_lens : callable, optional
        How such a worker loads it: ``partial(Lens.from_pretrained, "gpt2", device="cuda")``. Left
        out: as this lens was loaded (``lens.source``).
    checkpoint : path, optional
        A file that is written every few seconds: the same call goes on from there, whatever ended
        the work. It belongs to these texts, this metric (of a function: its code, and the values
        that it uses), this model and this batch size.
    kind : str, optional
        As for the metric.
    progress : callable or bool, optional
        As for :meth:`Lens.trace`; ``True`` shows a bar. ``step.partial()`` is the result so far.

    Returns
    -------
    OverTextsResult

    Raises
    ------
    ValueError
        When no text has the statistic: single texts that lack it or that cannot be read are in
        ``.skipped``, with why. For another corpus than that of the checkpoint; and where nobody
        knows how workers load the model, or they load another.
    TypeError
        For one text alone; for a function that cannot be sent to another process, or that
        uses what a checkpoint cannot tell.
    RuntimeError
        When a worker process ends by itself.
    """
    if not hasattr(lens, "trace_many"):
        raise TypeError(
            "over_texts traces the texts itself: it takes a lens first, got "
            f"{type(lens).__name__}. Say over_texts(lens, texts, metric)."
        )
    asked = OverTexts(
        of=as_metric(metric),
        texts=texts,
        targets=targets,
        confidence=confidence,
        batch_size=batch_size,
        seed=seed,
    )
    return asked.measure_with(
        lens,
        kind,
        executor=executor,
        make_lens=make_lens,
        checkpoint=checkpoint,
        progress=progress,
    )
