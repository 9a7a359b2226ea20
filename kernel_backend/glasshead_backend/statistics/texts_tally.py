"""Sums over texts of what a statistic is: its table cell by cell, and what its charts draw."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import numpy as np
import torch

from glasshead_backend.corpora.moments import Moments
from glasshead_backend.corpora.sampling import Reservoir
from glasshead_backend.corpora.skipped import Skipped
from glasshead_backend.statistics.chart import Choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jaxtyping import Float
    from torch import Tensor
    from typing_extensions import Self

    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.statistics.metric import Measured

Key = tuple[int | str, ...]

_KEYS = ("layer", "block", "head", "bins")
_NO_MEANS = re.compile(r"(tau_)?p|p_adjusted|(tau_)?significant|n_pairs|null_.*|kl_.*")
"""Columns whose mean over texts would say nothing: a p-value is no average, nor is a quantile of a
null distribution, and KL is infinite where a bin is empty."""

MOST_KEPT = 1000
"""Texts whose own values are kept, for a histogram: of more it is that of a sample."""


class OfText(NamedTuple):
    """What counts of one text: its table, and by quantity what a chart of it shows."""

    keys: tuple[str, ...]
    rows: list[Key]
    columns: list[str]
    numbers: Float[Tensor, "row column"]
    quantities: tuple[Choice, ...]
    charts: dict[str, LayerChart]


def of_text(measured: Measured) -> OfText:
    """Take out of a text's result what sums are made of."""
    from pandas.api.types import is_numeric_dtype  # noqa: PLC0415  not before it is needed

    frame = measured.to_frame()
    keys = tuple(name for name in frame.columns if name in _KEYS)
    columns = [
        str(name)
        for name in frame.columns
        if name not in _KEYS and not _NO_MEANS.fullmatch(name) and is_numeric_dtype(frame[name])
    ]
    numbers = frame[columns].to_numpy(dtype=np.float64, na_value=np.nan)
    rows = [tuple(row) for row in zip(*(frame[name].tolist() for name in keys), strict=True)]
    return OfText(
        keys,
        rows,
        columns,
        torch.tensor(numbers),
        measured.quantities,
        {name: measured.chart(name) for name, _ in measured.quantities},
    )


@dataclass(frozen=True, eq=False)
class TableSums:
    """Moments of every cell of a table, whose rows and columns may be others in another text.

    Attributes
    ----------
    keys : tuple of str
        Names of the columns that say which row it is.
    rows : tuple
        What they say of each row.
    columns : tuple of str
    cells : Moments
        ``[row, column]``.
    """

    keys: tuple[str, ...]
    rows: tuple[Key, ...]
    columns: tuple[str, ...]
    cells: Moments

    @classmethod
    def of(cls, texts: Sequence[OfText]) -> Self:
        """Sum over texts."""
        rows = tuple(dict.fromkeys(row for one in texts for row in one.rows))
        columns = tuple(dict.fromkeys(name for one in texts for name in one.columns))
        numbers = torch.full((len(texts), len(rows), len(columns)), torch.nan, dtype=torch.float64)
        for place, one in zip(numbers, texts, strict=True):
            place[torch.meshgrid(*_places(one.rows, rows, one.columns, columns), indexing="ij")] = (
                one.numbers
            )
        return cls(texts[0].keys, rows, columns, Moments.of(numbers))

    def merged(self, other: Self) -> Self:
        """Return the sums of both."""
        rows = tuple(dict.fromkeys(self.rows + other.rows))
        columns = tuple(dict.fromkeys(self.columns + other.columns))
        own, others = (one.spread(rows, columns) for one in (self, other))
        return type(self)(self.keys, rows, columns, own.merged(others))

    def spread(self, rows: tuple[Key, ...], columns: tuple[str, ...]) -> Moments:
        """Return the cells of a table of more rows and columns."""
        if (self.rows, self.columns) == (rows, columns):
            return self.cells
        places = _places(self.rows, rows, self.columns, columns)
        return self.cells.spread((len(rows), len(columns)), places)


def _places(
    rows: Iterable[Key], all_rows: Sequence[Key], columns: Iterable[str], all_columns: Sequence[str]
) -> tuple[Tensor, Tensor]:
    of_rows = {row: place for place, row in enumerate(all_rows)}
    of_columns = {name: place for place, name in enumerate(all_columns)}
    return (
        torch.tensor([of_rows[row] for row in rows], dtype=torch.int64),
        torch.tensor([of_columns[name] for name in columns], dtype=torch.int64),
    )


@dataclass(frozen=True)
class Drawing:
    """What a chart of a text says beside its values: that of the first text stands for all."""

    title: str
    unit: str
    layers: tuple[int, ...]
    series: tuple[Choice, ...]
    middle: str
    scale: Literal["linear", "log"]
    help: tuple[str, ...]
    why_infinite: str
    of_tokens: bool
    heat_label: str = ""
    heat_max: float | None = None

    @classmethod
    def of(cls, chart: LayerChart) -> Self:
        """Take it from a chart."""
        return cls(
            title=chart.title,
            unit=chart.unit,
            layers=tuple(chart.layers),
            series=tuple(chart.series),
            middle=chart.middle,
            scale=chart.scale,
            help=tuple(chart.help),
            why_infinite=chart.why_infinite,
            of_tokens=chart.tokens is not None,
            heat_label="" if chart.heat is None else chart.heat.label,
            heat_max=None if chart.heat is None else chart.heat.max,
        )

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Self:
        """Return what :func:`dataclasses.asdict` and JSON made of it."""
        given: dict[str, Any] = {
            **written,
            "layers": tuple(written["layers"]),
            "series": tuple(Choice(*one) for one in written["series"]),
            "help": tuple(written["help"]),
        }
        return cls(**given)


@dataclass(frozen=True, eq=False)
class ChartSums:
    """Moments of what a chart draws.

    Attributes
    ----------
    drawing : Drawing
    means : Moments
        ``[series, layer]``.
    heat : Moments or None
        ``[layer, head]``.
    n_infinite : int
        Texts with an infinite value somewhere.
    """

    drawing: Drawing
    means: Moments
    heat: Moments | None
    n_infinite: int

    @classmethod
    def of(cls, charts: Sequence[LayerChart]) -> Self:
        """Sum over the charts of texts."""
        values = torch.stack([chart.mean for chart in charts])
        heats = [chart.heat.values for chart in charts if chart.heat is not None]
        return cls(
            Drawing.of(charts[0]),
            Moments.of(values),
            Moments.of(torch.stack(heats)) if heats else None,
            int(values.isinf().flatten(1).any(dim=1).sum()),
        )

    def merged(self, other: Self) -> Self:
        """Return the sums of both."""
        heats = [one.heat for one in (self, other) if one.heat is not None]
        both = heats[0].merged(heats[1]) if len(heats) > 1 else next(iter(heats), None)
        return type(self)(
            self.drawing,
            self.means.merged(other.means),
            both,
            self.n_infinite + other.n_infinite,
        )


@dataclass(frozen=True, eq=False)
class TextsTally:
    """What came of some texts.

    Attributes
    ----------
    n_measured : int
        Texts that have the statistic.
    skipped : Skipped
        The others.
    table : TableSums or None
        None where no text has it.
    quantities : tuple of Choice
        What can be drawn.
    charts : dict
        By quantity.
    sample : Reservoir or None
        What a chart of the first quantity draws of single texts: ``[text, series, layer]``.
    """

    n_measured: int = 0
    skipped: Skipped = field(default_factory=Skipped)
    table: TableSums | None = None
    quantities: tuple[Choice, ...] = ()
    charts: dict[str, ChartSums] = field(default_factory=dict[str, ChartSums])
    sample: Reservoir | None = None

    @classmethod
    def of(cls, found: Mapping[int, OfText], skipped: Mapping[int, str], seed: int) -> Self:
        """Sum over texts, given by their numbers."""
        if not found:
            return cls(skipped=Skipped.of(skipped))
        numbers = sorted(found)
        texts = [found[number] for number in numbers]
        quantities = texts[0].quantities
        first = quantities[0].name
        return cls(
            len(texts),
            Skipped.of(skipped),
            TableSums.of(texts),
            quantities,
            {name: ChartSums.of([one.charts[name] for one in texts]) for name, _ in quantities},
            Reservoir.of(
                torch.tensor(numbers),
                torch.stack([one.charts[first].mean.double() for one in texts]),
                most=MOST_KEPT,
                seed=seed,
            ),
        )

    def merged(self, other: Self) -> Self:
        """Return what came of both; `other` is of the texts that follow."""
        skipped = self.skipped.merged(other.skipped)
        if self.table is None or other.table is None:
            return replace(other if self.table is None else self, skipped=skipped)
        assert self.sample is not None
        assert other.sample is not None
        return type(self)(
            self.n_measured + other.n_measured,
            skipped,
            self.table.merged(other.table),
            self.quantities,
            {name: one.merged(other.charts[name]) for name, one in self.charts.items()},
            self.sample.merged(other.sample, MOST_KEPT),
        )

    def to_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return it as tensors and JSON."""
        state: dict[str, Any] = {"n_measured": self.n_measured, "skipped": self.skipped.to_state()}
        if self.table is None or self.sample is None:
            return {}, state
        tensors = {**self.table.cells.to_tensors("table"), **self.sample.to_tensors("sample")}
        for name, one in self.charts.items():
            tensors |= one.means.to_tensors(f"means of {name}")
            tensors |= {} if one.heat is None else one.heat.to_tensors(f"heat of {name}")
        state |= {
            "table": [self.table.keys, self.table.rows, self.table.columns],
            "quantities": self.quantities,
            "charts": {
                name: [asdict(one.drawing), one.heat is not None, one.n_infinite]
                for name, one in self.charts.items()
            },
        }
        return tensors, state

    @classmethod
    def from_state(cls, tensors: dict[str, Tensor], state: dict[str, Any]) -> Self:
        """Return what :meth:`to_state` wrote down."""
        skipped = Skipped.from_state(state["skipped"])
        if "table" not in state:
            return cls(skipped=skipped)
        keys, rows, columns = state["table"]
        table = TableSums(
            tuple(keys),
            tuple(cast("Key", tuple(row)) for row in rows),
            tuple(columns),
            Moments.from_tensors(tensors, "table"),
        )
        charts = {
            name: ChartSums(
                Drawing.from_json(drawing),
                Moments.from_tensors(tensors, f"means of {name}"),
                Moments.from_tensors(tensors, f"heat of {name}") if has_heat else None,
                n_infinite,
            )
            for name, (drawing, has_heat, n_infinite) in state["charts"].items()
        }
        quantities = tuple(Choice(*one) for one in state["quantities"])
        sample = Reservoir.from_tensors(tensors, "sample")
        return cls(state["n_measured"], skipped, table, quantities, charts, sample)
