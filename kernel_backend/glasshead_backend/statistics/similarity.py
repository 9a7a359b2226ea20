"""How much each layer turns the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting, steps
from glasshead_backend.statistics.chart import (
    MIDDLES,
    Choice,
    LayerChart,
    median,
    middle_of,
    quartiles,
)
from glasshead_backend.statistics.metric import Measured, Metric

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.trace import Trace

__all__ = ["LayerSimilarity", "LayerSimilarityResult", "layer_similarity"]

_HELP = (
    (
        "Each point compares the residual stream behind a layer with that in front of it: the "
        "cosine between the two, of the median token. 1 = the layer changes nothing but the "
        "length, 0 = what comes out has nothing to do with what went in."
    ),
    "A layer that turns the stream little can still be the one that decides.",
    (
        "A few components that are very large in every layer keep the cosine near 1, whatever the "
        "others do."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class LayerSimilarity(Metric):
    """Cosine of the residual stream behind a layer with that in front of it."""

    name: ClassVar[str] = "layer_similarity"
    label: ClassVar[str] = "Layer similarity"
    reads: ClassVar[ActivationBlock | None] = "residual"

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> LayerSimilarityResult:
        """Compute it for one text, from one more forward pass."""
        with reporting(progress):
            trace.store_activations(("embedding", "residual"), kind=kind)
        layers = trace.layers_with("residual", kind)
        if not layers:
            unclear = trace.unclear_blocks(kind).get("residual", {})
            raise ValueError(
                next(iter(unclear.values()), "")
                or f"{type(trace.lens.model).__name__} runs its layers in a way that shows no "
                "residual stream between them: their similarity is not known."
            )
        before = trace.activations(layers[0], "embedding", kind=kind)
        rows: list[Tensor] = []
        with reporting(progress):
            for layer in steps(layers, "comparing layers", len(layers)):
                behind = trace.activations(layer, "residual", kind=kind)
                pair = before.to(behind.device).float(), behind.float()
                rows.append(torch.nn.functional.cosine_similarity(*pair, dim=-1).cpu())
                before = behind
        return LayerSimilarityResult(metric=self, layers=tuple(layers), cosine=torch.stack(rows))


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LayerSimilarityResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : LayerSimilarity
        What was asked for.
    layers : tuple of int
    cosine : Tensor
        ``[layers, tokens]`` float32.
    """

    metric: LayerSimilarity
    layers: tuple[int, ...]
    cosine: Float[Tensor, "layer token"]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer: median, mean and quartiles of the cosine over the tokens."""
        low, high = quartiles(self.cosine)
        mean = self.cosine.mean(dim=-1)
        columns = {"mean": mean.numpy(), "low": low.numpy(), "high": high.numpy()}
        return table({"layer": self.layers, "median": median(self.cosine).numpy(), **columns})

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return MIDDLES

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the median or the mean cosine by layer."""
        line = middle_of(self.cosine[None], quantity, f"{self.cosine.shape[-1]} tokens")
        return LayerChart(
            title="How much of the residual stream’s direction each layer keeps",
            unit="cosine",
            layers=self.layers,
            series=[Choice("residual", "residual stream")],
            mean=line.values,
            middle=line.name,
            interval=line.interval,
            tokens=self.cosine[None],
            help=_HELP,
        )


def layer_similarity(
    trace: Trace, *, kind: Kind | None = None, progress: Progress | bool | None = None
) -> LayerSimilarityResult:
    """Cosine of the residual stream behind each layer with that in front of it.

    Parameters
    ----------
    trace : Trace
    kind : str, optional
        Picks the stack of an encoder-decoder model.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.

    Returns
    -------
    LayerSimilarityResult
    """
    return LayerSimilarity().measure(trace, kind, progress=progress)
