"""How much each block adds to the residual stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.chart import (
    BLOCK_LABELS,
    MIDDLES,
    Choice,
    LayerChart,
    block_series,
    median,
    middle_of,
    missing_blocks,
    quartiles,
)
from glasshead_backend.statistics.layer_histogram import layer_histogram
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.outliers import far_out, farthest_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

__all__ = ["Norm", "NormResult"]

_HELP = (
    (
        "From left to right are the model’s layers; the height says how much each block "
        "(attention, MLP) adds to the residual stream there: the L2 norm of its output, of the "
        "median token. The band holds the middle half of the tokens. (Their mean can be chosen "
        "too: a single token that stands far out takes it along.)"
    ),
    (
        "Point at a token in a linked view, or pin one, to see its own values as dashed lines. "
        "Click a layer, or use the arrow keys, to go to it in every linked view."
    ),
    (
        "A large norm means that a block writes much, not that what it writes matters for the "
        "prediction."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class Norm(Metric):
    """L2 norm of what each block adds to the residual stream, over the tokens."""

    name: ClassVar[str] = "norm"
    label: ClassVar[str] = "Norm"
    is_instant: ClassVar[bool] = True

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Where no block is found, nothing is known."""
        norms = trace.norms()
        return "" if any(norms.get(name) for name in BLOCK_LABELS) else _unknown(trace, None)

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> NormResult:
        """Look it up: norms are recorded while the model runs."""
        with reporting(progress):
            by_block = trace.norms(kind)
        blocks = tuple(name for name in BLOCK_LABELS if by_block.get(name))
        if not blocks:
            raise ValueError(_unknown(trace, kind))
        layers = sorted({layer for name in blocks for layer in by_block[name]})
        n_tokens = len(next(iter(by_block[blocks[0]].values())))
        nothing = torch.full((n_tokens,), torch.nan, dtype=torch.float32)
        rows = [
            torch.stack([by_block[name].get(layer, nothing).cpu() for layer in layers])
            for name in blocks
        ]
        return NormResult(
            metric=self,
            layers=tuple(layers),
            blocks=blocks,
            norms=torch.stack(rows),
            unclear=trace.unclear_blocks(kind),
        )


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class NormResult(Measured):
    """What was found.

    Attributes
    ----------
    metric : Norm
        What was asked for.
    layers : tuple of int
    blocks : tuple of str
    norms : Tensor
        ``[blocks, layers, tokens]`` float32; NaN where a layer has no such block.
    unclear : mapping
        As :meth:`Trace.unclear_blocks` returns it: blocks that are left out, and why.
    """

    metric: Norm
    layers: tuple[int, ...]
    blocks: tuple[str, ...]
    norms: Float[Tensor, "block layer token"]
    unclear: Mapping[str, Mapping[int, str]]

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return MIDDLES

    def to_frame(self) -> pd.DataFrame:
        """Return one row per block and layer: median, mean and quartiles over the tokens."""
        low, high = quartiles(self.norms)
        mean = self.norms.mean(dim=-1)
        return table(
            {
                "layer": list(self.layers) * len(self.blocks),
                "block": [block for block in self.blocks for _ in self.layers],
                "median": median(self.norms).flatten().numpy(),
                "mean": mean.flatten().numpy(),
                "low": low.flatten().numpy(),
                "high": high.flatten().numpy(),
            }
        )

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the median or the mean norm by layer, a series for every block."""
        line = middle_of(self.norms, quantity, f"{self.norms.shape[-1]} tokens")
        series = block_series(self.blocks)
        return LayerChart(
            title="Size of what each block adds to the residual stream",
            unit="L2 norm",
            layers=self.layers,
            series=series,
            mean=line.values,
            middle=line.name,
            interval=line.interval,
            tokens=self.norms,
            outlier=farthest_out(self.norms),
            scale="log",
            help=_HELP,
            note=missing_blocks(self.norms, series, self.layers, self.unclear),
        )

    def detail(self, layer: int) -> list[Panel]:
        """Return the histogram of the tokens' norms; those that stand far out are only counted."""
        if layer not in self.layers:
            return []
        of_layer = self.norms[:, self.layers.index(layer)]
        there: list[int] = of_layer.isfinite().all(dim=-1).nonzero()[:, 0].tolist()
        if not there:
            return []
        own = of_layer[there]
        return [
            layer_histogram(
                title=f"Layer {layer}: its tokens",
                x="L2 norm",
                y="tokens",
                series=block_series([self.blocks[i] for i in there]),
                values=list(own),
                outliers=list(far_out(own)),
            )
        ]


def _unknown(trace: Trace, kind: Kind | None) -> str:
    unclear = trace.unclear_blocks(kind)
    reasons = [why for by_layer in unclear.values() for why in by_layer.values()]
    because = f" ({reasons[0]})" if reasons else ""
    return f"{trace.lens.name}: what its blocks add to the residual stream is not known{because}."
