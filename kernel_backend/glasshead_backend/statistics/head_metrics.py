"""Single statistics of heads as metrics: a value per layer and head."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.chart import Choice, HeatMap, LayerChart, Range, number
from glasshead_backend.statistics.heads import measure_heads
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.panels import Bars

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.heads import HeadStatistics
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

__all__ = [  # noqa: RUF022  in the order in which a chart offers them
    "HeadEntropy",
    "HeadDistance",
    "AttentionSink",
    "PreviousToken",
    "Induction",
    "HeadMetricResult",
]

_HELP = (
    "Every cell is a head, from left to right the layers. Click one to see it in the linked views.",
    "As lines: the mean over the heads of a layer; the band is from its lowest to its highest.",
    "The numbers are averages over all rows of this one text: another text can give others.",
)


@dataclass(frozen=True, kw_only=True, repr=False)
class HeadMetric(Metric):
    """A number of each head."""

    unit: ClassVar[str] = ""
    of_one_text: ClassVar[bool] = False
    """Whether it makes sense only where a text looks at itself."""
    max: ClassVar[float | None] = 1.0
    why_none: ClassVar[str] = "There is no such number here."
    """What is said where no head has one."""
    takes_runs: ClassVar[bool] = False
    """Whether the model runs for it: then HeadFinder has it where it is asked for."""

    @abstractmethod
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> OfHeads:
        """Compute it for one text."""


@dataclass(frozen=True, kw_only=True, repr=False)
class PatternMetric(HeadMetric):
    """One of the numbers of :class:`HeadStatistics`."""

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> HeadMetricResult:
        """Compute it for one text."""
        kind = kind or trace.default_kind
        if self.of_one_text and kind == "cross":
            raise ValueError(
                f"{self.label}: cross attention leads from one text to another. Ask for "
                "kind='encoder' or kind='decoder'."
            )
        with reporting(progress):
            return self._found(measure_heads(trace, kind, self._found))

    def _found(self, statistics: HeadStatistics) -> HeadMetricResult:
        return HeadMetricResult(metric=self, statistics=statistics)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class HeadEntropy(PatternMetric):
    """Entropy of a head's rows, bits: 0 = it looks at one token only."""

    name: ClassVar[str] = "entropy"
    label: ClassVar[str] = "Head entropy"
    unit: ClassVar[str] = "bits"
    max: ClassVar[float | None] = None


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class HeadDistance(PatternMetric):
    """How far a head looks, tokens."""

    name: ClassVar[str] = "distance"
    label: ClassVar[str] = "Head distance"
    unit: ClassVar[str] = "tokens"
    of_one_text: ClassVar[bool] = True
    max: ClassVar[float | None] = None


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class AttentionSink(PatternMetric):
    """Weight on the first token."""

    name: ClassVar[str] = "sink"
    label: ClassVar[str] = "To first token"
    unit: ClassVar[str] = "weight on the first token"


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class PreviousToken(PatternMetric):
    """Weight on the token right before."""

    name: ClassVar[str] = "previous_token"
    label: ClassVar[str] = "Previous token"
    unit: ClassVar[str] = "weight on the token before"
    of_one_text: ClassVar[bool] = True


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class Induction(PatternMetric):
    """Weight on the token behind the previous occurrence of the present one."""

    name: ClassVar[str] = "induction"
    label: ClassVar[str] = "Induction"
    unit: ClassVar[str] = "weight on what followed last time"
    why_none: ClassVar[str] = "No token of this text repeats: there is no induction score."
    of_one_text: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OfHeads(Measured):
    """A number of every head.

    Attributes
    ----------
    metric : HeadMetric
        Which one.
    """

    metric: HeadMetric

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Kind of attention."""

    @property
    @abstractmethod
    def layers(self) -> tuple[int, ...]:
        """The model's own numbers."""

    @property
    @abstractmethod
    def values(self) -> Float[Tensor, "layer head"]:
        """The statistic of every head; NaN where a layer has no such head."""

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer and head."""
        return self.heads_frame()

    def heads_frame(self) -> pd.DataFrame:
        """Return one row per layer and head, whatever else there is."""
        layer, head = torch.nonzero(~self.values.isnan(), as_tuple=True)
        return table(
            {
                "layer": [self.layers[i] for i in layer.tolist()],
                "head": head.numpy(),
                self.metric.name: self.values[layer, head].numpy(),
            }
        )

    @property
    def title(self) -> str:
        """Of the chart."""
        of = "" if self.kind == "self" else f", {self.kind} attention"
        return f"{self.metric.label}{of}"

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the heads' mean and range by layer, and all of them as a heat map."""
        del quantity
        there = ~self.values.isnan()
        low = torch.where(there, self.values, torch.inf).amin(dim=1)
        high = torch.where(there, self.values, -torch.inf).amax(dim=1)
        none = ~there.any(dim=1)
        return LayerChart(
            title=self.title,
            unit=self.metric.unit,
            layers=self.layers,
            series=[Choice("heads", "mean over heads")],
            mean=self.values.nanmean(dim=1)[None],
            interval=Range(
                low.masked_fill(none, torch.nan)[None],
                high.masked_fill(none, torch.nan)[None],
                "lowest to highest head",
            ),
            heat=HeatMap(self.values, self.metric.unit, self.metric.max),
            help=_HELP,
            note="" if there.any() else self.metric.why_none,
        )

    def detail(self, layer: int) -> list[Panel]:
        """Return the heads of one layer as bars."""
        if layer not in self.layers:
            return []
        own = self.values[self.layers.index(layer)]
        heads = (~own.isnan()).nonzero()[:, 0].tolist()
        if not heads:
            return []
        best = int(own.nan_to_num(-torch.inf).argmax())
        return [
            Bars(
                title=f"Layer {layer}, by head: {self.metric.unit}",
                y="",
                labels=[str(head) for head in heads],
                values=own[heads],
                clickable="head",
                words=f"highest: head {best}, {number(float(own[best]))}",
            )
        ]


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HeadMetricResult(OfHeads):
    """One of the statistics of all heads.

    Attributes
    ----------
    metric : HeadMetric
        Which one.
    statistics : HeadStatistics
        All of them.
    """

    statistics: HeadStatistics

    @property
    def of(self) -> HeadMetric:
        """Which one: :attr:`metric`."""
        return self.metric

    @property
    def kind(self) -> Kind:
        """Kind of attention."""
        return self.statistics.kind

    @property
    def values(self) -> Float[Tensor, "layer head"]:
        """The statistic of every head; NaN where a layer has no such head."""
        return getattr(self.statistics, self.metric.name)

    @property
    def layers(self) -> tuple[int, ...]:
        """The model's own numbers."""
        return self.statistics.layers

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer and head that there is; NaN where it has no such number."""
        return self.statistics.to_frame()[["layer", "head", self.metric.name]]
