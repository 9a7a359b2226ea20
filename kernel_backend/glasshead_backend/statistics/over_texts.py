"""A statistic over many texts: the mean, and how far it would be off with other texts.

The unit is the text: each has its own value of the statistic, and the interval is that of the mean
over the texts, :func:`~glasshead_backend.statistics.significance.mean_and_interval`.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import numpy as np
import torch

from glasshead_backend.checks import at_least_one
from glasshead_backend.progress import reporting, steps
from glasshead_backend.statistics.by_name import as_metric
from glasshead_backend.statistics.chart import HeatMap, LayerChart, Range, layers_with
from glasshead_backend.statistics.layer_histogram import layer_histogram
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.significance import mean_and_interval
from glasshead_backend.tracing.many_texts import paired

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.lens import Lens
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import Choice
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

_KEYS = ("layer", "block", "head", "bins")
_NO_MEANS = re.compile(r"(tau_)?p|p_adjusted|(tau_)?significant|n_pairs|null_.*|kl_.*")
"""Columns whose mean over texts would say nothing: a p-value is no average, nor is a quantile of a
null distribution, and KL is infinite where a bin is empty."""

_BINS = 20
_FEWEST = 3
"""Texts from which on a chart shows their interval and their histogram. (The interval of two texts
reaches nine standard deviations to either side: beside it nothing could be seen.)"""


class _OfText(NamedTuple):
    """What is kept of one text: its table, and by quantity what a chart of it shows."""

    frame: pd.DataFrame
    means: dict[str, Float[Tensor, "series layer"]]
    heats: dict[str, Float[Tensor, "layer head"]]


def _of_text(measured: Measured) -> _OfText:
    charts = {name: measured.chart(name) for name, _ in measured.quantities}
    return _OfText(
        measured.to_frame(),
        {name: chart.mean for name, chart in charts.items()},
        {name: chart.heat.values for name, chart in charts.items() if chart.heat is not None},
    )


@dataclass(frozen=True, kw_only=True, repr=False)
class OverTexts(Metric):
    """Another metric, measured on many texts: the mean over the texts and its t interval.

    Parameters
    ----------
    of : Metric, str or callable
        The metric: as ``LayerStatsChart(metric=)`` takes it.
    texts : iterable of str
        A list, to be measured again when a parameter changes; or a stream, read once.
    targets : iterable of str, optional
        Encoder-decoder models: as many as there are texts.
    confidence : float
        How often such an interval holds the mean over all texts that there might be, if the texts'
        values are normal.
    batch_size : int
        Most texts in one forward pass.
    """

    name: ClassVar[str] = "over_texts"

    of: Metric
    texts: Iterable[str]
    targets: Iterable[str] | None = None
    confidence: float = 0.95
    batch_size: int = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", as_metric(self.of))
        if isinstance(self.texts, str):
            raise TypeError("texts is a list of texts. For a single one measure its trace.")
        at_least_one(self.batch_size, "batch_size", "text at a time")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence {self.confidence} must lie between 0 and 1, e.g. 0.95.")

    def _written(self, name: str) -> str:
        if name not in ("texts", "targets"):
            return super()._written(name)
        given = getattr(self, name)
        return f"<{len(given)} {name}>" if hasattr(given, "__len__") else "<a stream>"

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
        """How many texts there are; None for a stream."""
        return len(self.texts) if hasattr(self.texts, "__len__") else None  # type: ignore[arg-type]

    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> OverTextsResult:
        """Measure the texts with the model of a trace."""
        return self.measure_with(cast("Lens", trace.lens), kind, progress=progress)

    def measure_with(
        self, lens: Lens, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> OverTextsResult:
        """Measure the texts with a model."""
        self._require_texts(lens)
        found: list[_OfText] = []
        first: list[Measured] = []
        skipped: list[tuple[int, str]] = []

        def result() -> OverTextsResult | None:
            if not found:
                return None
            return OverTextsResult(
                metric=self, first=first[0], found=tuple(found), skipped=tuple(skipped)
            )

        with reporting(progress), closing(self._traces(lens)) as traces:
            todo = steps(traces, self._step, self.n_texts, result)
            for index, trace in enumerate(todo):
                with trace:
                    try:
                        measured = self.of.measure(trace, kind)
                    except ValueError as error:
                        skipped.append((index, str(error)))
                        continue
                found.append(_of_text(measured))
                first = first or [measured]
        done = result()
        if done is None and not skipped:
            raise ValueError("There is no text. (A stream can be read only once: give a list.)")
        if done is None:
            why = f" Text {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
            raise ValueError(f"None of the {len(skipped)} texts has this statistic.{why}")
        return done

    def _require_texts(self, lens: Lens) -> None:
        """Refuse at once what would end the work at its place in a list: an empty text, no target.

        A stream cannot be looked at beforehand.
        """
        given = [self.texts] if self.targets is None else [self.texts, self.targets]
        if not all(hasattr(one, "__len__") for one in given):
            return
        pairs = ((text, None) for text in self.texts) if self.targets is None else paired(*given)
        for number, pair in enumerate(pairs):
            if any(isinstance(one, str) and not one.strip() for one in pair):
                # White space is a text for some tokenizers: the lens decides.
                try:
                    lens.trace(*pair).close()
                except ValueError as error:
                    raise ValueError(f"Text {number}: {error}") from error

    def _step(self, done: int) -> str:
        n = self.n_texts
        return f"text {done + 1}" if n is None else f"text {min(done + 1, n)} of {n}"

    def _traces(self, lens: Lens) -> Any:
        return lens.trace_many(self.texts, self.targets, batch_size=self.batch_size)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OverTextsResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : OverTexts
        What was asked for.
    first : Measured
        The statistic of the first text that has it.
    found : tuple
        Table and charted values of every text that has it.
    skipped : tuple
        ``(number of the text, why)`` of the others.
    """

    metric: OverTexts
    first: Measured
    found: tuple[_OfText, ...]
    skipped: tuple[tuple[int, str], ...] = field(default=())

    @property
    def n_measured(self) -> int:
        """How many texts have the statistic."""
        return len(self.found)

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn: as of a single text."""
        return self.first.quantities

    def to_frame(self) -> pd.DataFrame:
        """Return the mean over texts of every number, with the interval as ``_low``, ``_high``.

        ``n_texts`` counts the texts that have the row at all; of a single one there is no interval.
        P-values and marks of significance are left out: they are no averages.
        """
        import pandas as pd  # noqa: PLC0415  not before it is needed

        frames = [one.frame for one in self.found]
        keys = [name for name in frames[0].columns if name in _KEYS]
        names = [
            name
            for name in frames[0].columns
            if name not in _KEYS
            and not _NO_MEANS.fullmatch(name)
            and pd.api.types.is_numeric_dtype(frames[0][name].dtype)
        ]
        together = pd.concat(frames, keys=range(len(frames)), names=["text"]).reset_index("text")
        wide = together.set_index([*keys, "text"])[names].unstack("text")  # noqa: PD010
        columns: dict[str, Any] = {"n_texts": wide[names[0]].notna().sum(axis=1).to_numpy()}
        for name in names:
            values = torch.from_numpy(wide[name].to_numpy(dtype=np.float64).T.copy())
            mean, low, high = mean_and_interval(values, self.metric.confidence)
            columns |= {
                name: mean.numpy(),
                f"{name}_low": low.numpy(),
                f"{name}_high": high.numpy(),
            }
        return wide.index.to_frame(index=False).assign(**columns)

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the mean over texts with its interval."""
        quantity = quantity or self.quantities[0].name
        first = self.first.chart(quantity)
        of_texts = torch.stack([one.means[quantity] for one in self.found])
        mean, low, high = mean_and_interval(of_texts, self.metric.confidence)
        heat = None
        if first.heat is not None:
            values = torch.stack([one.heats[quantity] for one in self.found])
            heat = HeatMap(values.double().nanmean(dim=0), first.heat.label, first.heat.max)
        several = self.n_measured >= _FEWEST
        share = f"{100 * self.metric.confidence:g} %"
        words = f"{share} t interval of the mean over {self.n_measured} texts"
        # "median" of the tokens of each text, where it is not the text itself that has the value.
        of_each = "" if first.tokens is None else f"{first.middle} of each text"
        parts = (first.unit, of_each, self.metric.of.over_texts)
        return LayerChart(
            title=first.title,
            unit="; ".join(filter(None, parts)),
            layers=first.layers,
            series=first.series,
            mean=mean,
            interval=Range(low, high, words) if several else None,
            heat=heat,
            scale=first.scale,
            help=first.help,
            note=f"{self._left_out()} {self._infinite(of_texts, first)}".strip(),
        )

    def _infinite(self, of_texts: Float[Tensor, "text series layer"], first: LayerChart) -> str:
        """Say where a mean cannot be drawn, as the value of a text is infinite."""
        infinite = of_texts.isinf()
        where = layers_with(infinite.any(dim=0).any(dim=0), first.layers)
        if not where:
            return ""
        n = int(infinite.flatten(1).any(dim=1).sum())
        texts = f"{n} of {self.n_measured} text{'' if self.n_measured == 1 else 's'}"
        why = f": {first.why_infinite}" if first.why_infinite else "."
        return f"Infinite in {where}, because of {texts}{why}"

    def _left_out(self) -> str:
        if not self.skipped:
            return ""
        index, why = self.skipped[0]
        n = len(self.skipped)
        return f"{n} text{'' if n == 1 else 's'} left out. Text {index}: {why}"

    def detail(self, layer: int) -> list[Panel]:
        """Return the histogram of the texts' values in one layer."""
        first = self.first.chart()
        if layer not in first.layers or self.n_measured < _FEWEST:
            return []
        at, quantity = list(first.layers).index(layer), self.quantities[0].name
        means = [one.means[quantity][:, at] for one in self.found]
        values = torch.stack(means, dim=1).double()
        if not values.isfinite().any(dim=1).all():
            return []
        return [
            layer_histogram(
                title=f"Layer {layer}: its {self.n_measured} texts",
                x=first.unit,
                y="texts",
                series=first.series,
                values=list(values),
                bins=_BINS,
            )
        ]


def over_texts(
    lens: Lens,
    texts: Iterable[str],
    metric: str | Metric | Measured | Callable[[Trace, int], float | Tensor],
    *,
    targets: Iterable[str] | None = None,
    confidence: float = 0.95,
    batch_size: int = 8,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> OverTextsResult:
    """Measure a statistic on many texts, and return its mean with Student's t interval.

    Parameters
    ----------
    lens : Lens
    texts : iterable of str
        A list or a stream: no more than some dozens of texts are held at once.
    metric : str, Metric, Measured or callable
        ``"norm"``, ``PredictionDivergence(block="mlp")``, ``lambda trace, layer: ...``; a result
        stands for the metric that it has.
    targets, confidence, batch_size
        As for :class:`OverTexts`.
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
        When no text has the statistic. Single texts that lack it are in ``.skipped``, with why. And
        for a text that is empty, by its number: of a list before anything is measured.
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
    )
    return asked.measure_with(lens, kind, progress=progress)
