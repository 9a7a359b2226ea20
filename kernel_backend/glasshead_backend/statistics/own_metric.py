"""A user's own function as a metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from glasshead_backend.checks import require
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.statistics.chart import (
    MIDDLES,
    Choice,
    HeatMap,
    LayerChart,
    Range,
    median,
    number,
    quantiles,
)
from glasshead_backend.statistics.layer_histogram import layer_histogram
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.panels import Bars
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from jaxtyping import Float

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

__all__ = ["OwnMetric", "OwnMetricResult"]

Axis = Literal["heads", "tokens", "values"]

_HELP = "A point is what the function returned for a layer; of several numbers their middle."


@dataclass(frozen=True, kw_only=True, repr=False)
class OwnMetric(Metric):
    """What a function of a trace and a layer returns, for every layer.

    Parameters
    ----------
    function : callable
        ``(trace, layer) -> float or tensor``. Of several numbers the chart shows the median
        and the quartiles, or the mean.
    axis : {"heads", "tokens", "values"}, optional
        What the numbers of a layer are: "heads" makes a heat map, "tokens" a line of its own for
        the token that is pointed at, "values" neither. None = "heads" where there is one number
        for each head and the text has not as many tokens too, else "values".
    title : str
        What it is; default the function's name.
    unit : str
        What it is in.
    """

    name: ClassVar[str] = "own"

    function: Callable[[Trace, int], float | Tensor]
    axis: Axis | None = None
    title: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(
                f"A metric of your own is a function (trace, layer) -> float or tensor, got "
                f"{type(self.function).__name__}."
            )
        if self.axis is not None:
            require(self.axis, get_args(Axis), "axis")
        if not self.title:
            name = getattr(self.function, "__name__", "").replace("_", " ").strip()
            named = name if name and "<" not in name else "own metric"
            object.__setattr__(self, "title", named)

    def _written(self, name: str) -> str:
        named = getattr(self.function, "__name__", type(self.function).__name__)
        return named if name == "function" else super()._written(name)

    @property
    def label(self) -> str:  # type: ignore[override]
        """What it is called."""
        return self.title

    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> OwnMetricResult:
        """Call the function for every layer that has attention of this kind.

        Raises
        ------
        ValueError
            When it returns no numbers, or not one for each head or token where `axis` says so; and
            when they could be heads or tokens and `axis` does not say which.
        """
        layers = tuple(trace.layers(kind))
        n_heads = tuple(trace.n_heads(layer, kind) for layer in layers)
        n_tokens = len(run_of(trace).side("query", kind).tokens)
        found: list[Tensor] = []

        def result() -> OwnMetricResult | None:
            if not found:
                return None
            # What is to come will look like what is there.
            as_heads = [len(own) for own in found] == list(n_heads[: len(found)])
            sizes = n_heads if as_heads else (len(found[0]),) * len(layers)
            rest = [torch.full((n,), torch.nan, dtype=torch.float64) for n in sizes[len(found) :]]
            return OwnMetricResult(
                metric=self, layers=layers, numbers=(*found, *rest), n_heads=n_heads
            )

        # One number for each token, or for each that is predicted.
        ambiguous = self.axis is None and set(n_heads) <= {n_tokens, n_tokens - 1}
        with reporting(progress):
            todo = steps(layers, f"computing {self.title}", len(layers), result)
            for layer, of_layer in zip(todo, n_heads, strict=True):
                numbers = self._numbers(trace, layer)
                n = len(numbers)
                if n != {"heads": of_layer, "tokens": n_tokens}.get(self.axis or "", n):
                    raise ValueError(
                        f"{self.title} must return a number for each of the {self.axis} "
                        f"(axis={self.axis!r}); for layer {layer} of {of_layer} heads and a text "
                        f"of {n_tokens} tokens it returned {n}."
                    )
                if ambiguous and n == of_layer > 1:
                    raise ValueError(
                        f"{self.title} returned {n} numbers for layer {layer}, which has "
                        f"{of_layer} heads, in a text of {n_tokens} tokens: say which they are, "
                        "OwnMetric(function=..., axis='heads') or axis='tokens'; or axis='values'."
                    )
                found.append(numbers)
        done = result()
        assert done is not None
        return done

    def _numbers(self, trace: Trace, layer: int) -> Float[Tensor, " value"]:
        returned: Any = self.function(trace, layer)
        try:
            numbers = torch.as_tensor(returned).detach().cpu().double().flatten()
        except (TypeError, ValueError, RuntimeError):
            numbers = None
        if numbers is None or not len(numbers):
            raise ValueError(
                f"{self.title} must return a number or a tensor of numbers; for layer {layer} it "
                f"returned {returned!r:.100}."
            )
        return numbers


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OwnMetricResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : OwnMetric
        What was asked for.
    layers : tuple of int
    numbers : tuple of Tensor
        Of each layer, float64: one number, one for each head, or as many as the function returned.
    n_heads : tuple of int
        Heads of each layer.
    """

    metric: OwnMetric
    layers: tuple[int, ...]
    numbers: tuple[Float[Tensor, " value"], ...]
    n_heads: tuple[int, ...]

    @property
    def is_of_heads(self) -> bool:
        """Whether there is a number for each head."""
        if self.metric.axis is not None:
            return self.metric.axis == "heads"
        sizes = [len(one) for one in self.numbers]
        return max(sizes) > 1 and sizes == list(self.n_heads)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer (and head): ``value``.

        It is the mean where a layer has several, which have a median and quartiles too.
        """
        if self.is_of_heads:
            return table(
                {
                    "layer": np.repeat(self.layers, self.n_heads),
                    "head": np.concatenate([np.arange(n) for n in self.n_heads]),
                    "value": torch.cat(self.numbers).numpy(),
                }
            )
        mean, middle, low, high = self._summary()
        columns = {"layer": self.layers, "value": mean.numpy()}
        if self._is_spread():
            columns |= {"median": middle.numpy(), "low": low.numpy(), "high": high.numpy()}
        return table(columns)

    def _is_spread(self) -> bool:
        return max(map(len, self.numbers)) > 1

    def _summary(self) -> Float[Tensor, "4 layer"]:
        """Mean, median and quartiles of each layer."""
        shares = (0.5, 0.25, 0.75)
        return torch.stack(
            [torch.stack([own.mean(), *quantiles(own, *shares)]) for own in self.numbers], dim=1
        )

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return MIDDLES if self._is_spread() else super().quantities

    def chart(self, quantity: str = "") -> LayerChart:
        """Return its middle by layer, and a heat map where there is a number for each head."""
        mean, middle, low, high = self._summary()
        is_mean = quantity == "mean"
        spread = Range(low[None], high[None], "quartiles over its values in a layer")
        return LayerChart(
            title=self.metric.title[:1].upper() + self.metric.title[1:],
            unit=self.metric.unit,
            layers=self.layers,
            series=[Choice("own", self.metric.title)],
            mean=(mean if is_mean else middle)[None],
            middle="mean" if is_mean else "median",
            interval=spread if self._is_spread() and not is_mean else None,
            heat=self._heat() if self.is_of_heads else None,
            tokens=torch.stack(self.numbers)[None] if self.metric.axis == "tokens" else None,
            help=[f"{self.metric.title}: a metric of your own. {_HELP}"],
        )

    def _heat(self) -> HeatMap:
        most = max(self.n_heads)
        padded = [
            torch.nn.functional.pad(own, (0, most - len(own)), value=torch.nan)
            for own in self.numbers
        ]
        return HeatMap(torch.stack(padded), self.metric.unit or self.metric.title)

    def detail(self, layer: int) -> list[Panel]:
        """Return the numbers of one layer: heads as bars, others as a histogram."""
        if layer not in self.layers:
            return []
        own = self.numbers[self.layers.index(layer)]
        kept = own[own.isfinite()]
        if len(kept) <= 1:
            return []
        if self.is_of_heads:
            heads: Sequence[str] = [str(head) for head in range(len(own))]
            return [
                Bars(
                    title=f"Layer {layer}, by head: {self.metric.unit or self.metric.title}",
                    y="",
                    labels=heads,
                    values=own,
                    clickable="head",
                )
            ]
        return [
            layer_histogram(
                title=f"Layer {layer}: its {len(kept)} values",
                x=self.metric.unit or self.metric.title,
                y="values",
                series=[Choice("own", self.metric.title)],
                values=[own],
                words=f"median {number(float(median(kept)))}",
            )
        ]
