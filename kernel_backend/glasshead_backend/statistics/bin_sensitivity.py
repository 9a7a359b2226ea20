"""How much the divergence of right and wrong predictions depends on the number of bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, SupportsIndex, cast

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one, require, several
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.statistics.chart import BLOCK_LABELS, Choice, LayerChart
from glasshead_backend.statistics.metric import Measured, Metric, Parameter, parameter
from glasshead_backend.statistics.panels import Curve
from glasshead_backend.statistics.permutation import divergences
from glasshead_backend.statistics.prediction_divergence import PredictionDivergence
from glasshead_backend.statistics.right_and_wrong import (
    BLOCKS,
    OVER_TEXTS,
    block_parameter,
    labelled_log_norms,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

__all__ = ["BinSensitivity", "BinSensitivityResult", "bin_sensitivity"]

_BINS = (10, 20, 30, 40, 50)
_HELP = (
    (
        "The divergence between right and wrong predictions, once for every number of bins. More "
        "bins make it larger by chance alone; what counts is whether the lines keep their shape."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class BinSensitivity(Metric):
    """Jensen-Shannon divergence of right and wrong predictions for several numbers of bins.

    Parameters
    ----------
    block : {"attention", "cross", "mlp", "residual"}
        Whose activations.
    bins : sequence of int
        Numbers of bins.
    """

    name: ClassVar[str] = "bin_sensitivity"
    label: ClassVar[str] = "Right and wrong predictions by bins"
    over_texts: ClassVar[str] = OVER_TEXTS

    block: str = parameter("attention", label="Block", kind="choice")
    bins: Iterable[SupportsIndex] = _BINS

    def __post_init__(self) -> None:
        require(self.block, BLOCKS, "block")
        numbers = tuple(at_least_one(n, "bins", "bin") for n in several(self.bins, "bins"))
        if not numbers:
            raise ValueError("bins is empty: give numbers of bins, e.g. range(10, 51, 5).")
        object.__setattr__(self, "bins", numbers)

    @property
    def numbers_of_bins(self) -> tuple[int, ...]:
        """The numbers of bins, as plain ones."""
        return cast("tuple[int, ...]", self.bins)

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Encoders predict no next token."""
        return PredictionDivergence.lacks(trace)

    @classmethod
    def offered(cls, trace: Trace) -> dict[str, Parameter]:
        """Return the parameters, with the blocks of this model."""
        return {"block": block_parameter(trace)}

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> BinSensitivityResult:
        """Compute it for one text."""
        with reporting(progress):
            layers, log_norms, is_correct = labelled_log_norms(trace, self.block, kind)
            numbers = self.numbers_of_bins
            rows = [
                divergences(log_norms, is_correct, n).cpu()
                for n in steps(numbers, "counting bins", len(numbers))
            ]
        return BinSensitivityResult(metric=self, layers=tuple(layers), jsd=torch.stack(rows))


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BinSensitivityResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : BinSensitivity
        What was asked for.
    layers : tuple of int
    jsd : Tensor
        ``[bins, layers]`` float64, nats.
    """

    metric: BinSensitivity
    layers: tuple[int, ...]
    jsd: Float[Tensor, "bins layer"]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per number of bins and layer; jsd in nats."""
        numbers = self.metric.numbers_of_bins
        return table(
            {
                "layer": list(self.layers) * len(numbers),
                "bins": [n for n in numbers for _ in self.layers],
                "jsd": self.jsd.flatten().numpy(),
            }
        )

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the divergence by layer, a series for every number of bins."""
        del quantity
        return LayerChart(
            title="Right against wrong predictions, by number of bins",
            unit="Jensen-Shannon divergence of log-norms, nats",
            layers=self.layers,
            series=[Choice(f"bins {n}", f"{n} bins") for n in self.metric.numbers_of_bins],
            mean=self.jsd,
            help=_HELP,
        )

    def detail(self, layer: int) -> list[Panel]:
        """Return the divergence of one layer against the number of bins."""
        if layer not in self.layers:
            return []
        numbers = torch.tensor(self.metric.numbers_of_bins)
        order = numbers.argsort()
        return [
            Curve(
                title=f"Layer {layer}: divergence against the number of bins",
                x="bins",
                y="nats",
                series=[Choice(self.metric.block, BLOCK_LABELS[self.metric.block])],
                points_x=numbers[order],
                values=self.jsd[order, self.layers.index(layer)][None],
            )
        ]


def bin_sensitivity(
    trace: Trace,
    *,
    block: str = "attention",
    bins: Iterable[SupportsIndex] = _BINS,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> BinSensitivityResult:
    """Divergence of right and wrong predictions for several numbers of bins.

    Parameters
    ----------
    trace : Trace
    block, bins
        As for :class:`BinSensitivity`.
    kind : str, optional
        As for :func:`prediction_divergence`.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.
    """
    return BinSensitivity(block=block, bins=bins).measure(trace, kind, progress=progress)
