"""What blocks and heads add to a logit: direct logit attribution by layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.progress import reporting
from glasshead_backend.questions.logit_attribution import logit_contributions
from glasshead_backend.statistics.chart import (
    Choice,
    LayerChart,
    block_series,
    missing_blocks,
)
from glasshead_backend.statistics.head_metrics import OfHeads
from glasshead_backend.statistics.panels import Bars
from glasshead_backend.statistics.targeted import TargetedMetric
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.logit_attribution import LogitContributions
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

__all__ = ["LogitContribution", "LogitContributionResult"]

_HELP = (
    (
        "The logit of a token is a sum: what the embedding and every block have added to the "
        "residual stream, taken through the final norm (its scale held) and the unembedding. A "
        "point is what one block adds: above zero it speaks for the token, below against it."
    ),
    (
        "With a token to compare with, it is the difference of the two logits that is split: what "
        "speaks for both alike is gone."
    ),
    (
        "This is what is written for the logit directly. What a head finds for later heads to use "
        "is not in it: switch the head off to see that (trace.ablate)."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class LogitContribution(TargetedMetric):
    """What every block and every head add to the logit of a token.

    Parameters
    ----------
    position : int, optional
        Place of the predicted token, as for :meth:`Trace.top_k`; default behind the last token.
    token : int or str, optional
        Default: the token that came; behind the last one the most probable.
    against : int or str, optional
        A token whose logit is taken off.
    """

    name: ClassVar[str] = "logit_contribution"
    label: ClassVar[str] = "Logit part"
    unit: ClassVar[str] = "logits"

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> LogitContributionResult:
        """Split the logit; heads are those of one kind of attention."""
        if reason := self.lacks(trace):
            raise ValueError(reason)
        if kind == "encoder":
            raise ValueError(
                "The encoder adds to no logit itself: ask for kind='decoder' or kind='cross'."
            )
        with reporting(progress):
            found = logit_contributions(
                run_of(trace), position=self.position, token=self.token, against=self.against
            )
        return LogitContributionResult(
            metric=self, of_kind=kind or trace.default_kind, contributions=found
        )


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LogitContributionResult(OfHeads):
    """What was found.

    Attributes
    ----------
    metric : LogitContribution
        What was asked for.
    of_kind : str
        Kind of attention whose heads are shown.
    contributions : LogitContributions
        All parts of the logit.
    """

    metric: LogitContribution
    of_kind: Kind
    contributions: LogitContributions

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return Choice("blocks", "Blocks"), Choice("heads", "Heads")

    @property
    def kind(self) -> Kind:
        """Kind of attention whose heads are shown."""
        return self.of_kind

    @property
    def layers(self) -> tuple[int, ...]:
        """The model's own numbers."""
        return self.contributions.layers

    @property
    def values(self) -> Float[Tensor, "layer head"]:
        """What every head adds; NaN where there is none, or it is not known."""
        nothing = torch.full((len(self.layers), 1), torch.nan)
        return self.contributions.heads.get(self.kind, nothing).float()

    @property
    def title(self) -> str:
        """Of the chart."""
        words = self.contributions.in_words()
        return words[0].upper() + words[1:]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per part of the logit, as :meth:`LogitContributions.to_frame`."""
        return self.contributions.to_frame()

    def chart(self, quantity: str = "") -> LayerChart:
        """Return what each block adds by layer; or the heads, as their mean and as a heat map."""
        if quantity == "heads":
            chart = super().chart(quantity)
            return replace(chart, help=_HELP, note=f"{chart.note} {self._unknown_heads()}".strip())
        blocks = self.contributions.blocks
        values = torch.stack([one.float() for one in blocks.values()])
        series = block_series(list(blocks))
        missing = missing_blocks(values[..., None], series, self.layers, {})
        return LayerChart(
            title=self.title,
            unit="logits",
            layers=self.layers,
            series=series,
            mean=values,
            middle="value",
            help=_HELP,
            note=f"{self._sum_in_words()} {missing}".strip(),
        )

    def _sum_in_words(self) -> str:
        """Say how the blocks and the rest make the logit."""
        found = self.contributions
        blocks = sum(float(one.nansum()) for one in found.blocks.values())
        parts = {"blocks": blocks, "embedding": found.embedding, "constant": found.constant}
        said = " + ".join(f"{name} {_written(part)}" for name, part in parts.items() if part)
        capped = f", capped to {_written(found.final)}" if found.final != found.logit else ""
        # float32 has seven digits: what is left of them is no part.
        rest = _written(found.remainder) if abs(found.remainder) > 1e-4 * abs(blocks) else "≈ 0"
        return f"Sum: {said} = {_written(found.logit)}{capped} (remainder {rest})."

    def _unknown_heads(self) -> str:
        """Say of which layers the heads are not told apart."""
        unclear = self.contributions.unclear.get(self.kind, {})
        return " ".join(
            f"Heads of layer {', '.join(str(i) for i in unclear if unclear[i] == why)}: {why}."
            for why in dict.fromkeys(unclear.values())
        )

    def detail(self, layer: int) -> list[Panel]:
        """Return the blocks of one layer as bars, and its heads."""
        if layer not in self.layers:
            return []
        at = self.layers.index(layer)
        own = {name: one[at] for name, one in self.contributions.blocks.items()}
        there = [name for name, value in own.items() if not value.isnan()]
        blocks = Bars(
            title=f"Layer {layer}, by block: logits",
            y="",
            labels=[label for _, label in block_series(there)],
            values=torch.stack([own[name] for name in there]).float(),
        )
        return [blocks, *super().detail(layer)]


def _written(part: float) -> str:
    """Four digits: of a sum one wants to add up."""
    return f"{part:.4g}".replace("-", "−")
