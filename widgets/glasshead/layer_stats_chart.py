"""One statistic per layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import torch
import traitlets

from glasshead.questions import question
from glasshead.view import TraceView, bundle
from glasshead_backend.frames import pack
from glasshead_backend.frames.chart import block_norms, norms_frame

if TYPE_CHECKING:
    from glasshead.questions import Answer


class LayerStatsChart(TraceView):
    """How large what each attention block and each MLP adds to the residual stream is, by layer.

    Parameters
    ----------
    trace : Trace
    metric : str
        "norm": L2 norm, mean and quartiles over the tokens. More metrics are to come.
    **state
        Traits, e.g. ``layer``, ``scale``.
    """

    _esm = bundle("layer_stats_chart.js")
    _css = bundle("layer_stats_chart.css")

    metric = traitlets.Enum(["norm"], default_value="norm", help="The statistic.").tag(sync=True)
    scale = traitlets.Enum(
        ["linear", "log"], default_value="linear", help="Scale of the vertical axis."
    ).tag(sync=True)

    _frame_traits: ClassVar[tuple[str, ...]] = ("kind", "metric")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer and block: mean and quartiles of the norms over the tokens."""
        layers, series, values = block_norms(self.trace, self._kind)
        rows = [
            {
                "layer": layer,
                "block": block,
                "mean": float(values[i, j].mean()),
                "low": float(values[i, j].quantile(0.25)),
                "high": float(values[i, j].quantile(0.75)),
            }
            for i, block in enumerate(series)
            for j, layer in enumerate(layers)
        ]
        return pd.DataFrame(rows)

    def _is_long(self) -> bool:
        return False

    def _make_frame(self) -> dict[str, Any]:
        return norms_frame(self.trace, self._kind)

    @question
    def token(self, position: int) -> Answer:
        """Norms of one token's activations in every layer."""
        _, _, values = block_norms(self.trace, self._kind)
        return {"position": position}, {"values": pack(values[:, :, position], torch.float32)}
