"""What every head is needed for: how a prediction changes when it is switched off alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from glasshead_backend.answering import answered, travels
from glasshead_backend.progress import reporting
from glasshead_backend.questions.head_effects import head_effects
from glasshead_backend.statistics.chart import Choice
from glasshead_backend.statistics.head_metrics import OfHeads
from glasshead_backend.statistics.metric import parameter
from glasshead_backend.statistics.targeted import TargetedMetric
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.questions.head_effects import HeadEffects
    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.trace import Trace

__all__ = ["HeadEffect", "HeadEffectResult"]

_HELP = (
    (
        "Every head was switched off alone, and the text run again. Below zero: without the head "
        "the token is less likely, so the head speaks for it; above zero: it speaks against it."
    ),
    "Near zero does not mean that a head does nothing: another may do the same, and take over.",
    (
        "With zeros in its place a head is missed more than with its mean over the text, for what "
        "it always adds is gone as well. The numbers are of this one text and token."
    ),
)


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class HeadEffect(TargetedMetric):
    """How a prediction changes when a head is switched off, each head alone.

    Parameters
    ----------
    position : int, optional
        Place of the predicted token, as for :meth:`Trace.top_k`; default behind the last token.
    token : int or str, optional
        Default: the token that came; behind the last one the most probable.
    against : int or str, optional
        A token to compare with: the difference of the two logits, in place of the log-probability.
    how : {"zero", "mean"}
        What stands in the place of a head.
    """

    name: ClassVar[str] = "head_effect"
    label: ClassVar[str] = "Effect when off"
    unit: ClassVar[str] = "nats"

    how: Literal["zero", "mean"] = parameter(
        "zero",
        label="In its place",
        kind="choice",
        choices=(Choice("zero", "nothing"), Choice("mean", "its mean over the text")),
        help="What stands in the place of a head that is off.",
    )

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> HeadEffectResult:
        """Switch every head of one kind of attention off."""
        if reason := self.lacks(trace):
            raise ValueError(reason)

        def found(effects: HeadEffects) -> HeadEffectResult:
            return HeadEffectResult(metric=self, effects=effects)

        with reporting(progress):
            return found(
                head_effects(
                    run_of(trace),
                    position=self.position,
                    token=self.token,
                    against=self.against,
                    kind=kind,
                    how=self.how,
                    partial=found,
                )
            )


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HeadEffectResult(OfHeads):
    """What was found.

    Attributes
    ----------
    metric : HeadEffect
        What was asked for.
    effects : HeadEffects
        The change of the target without each head.
    """

    metric: HeadEffect
    effects: HeadEffects

    @property
    def kind(self) -> Kind:
        """Kind of attention whose heads were switched off."""
        return self.effects.kind

    @property
    def layers(self) -> tuple[int, ...]:
        """The model's own numbers."""
        return self.effects.layers

    @property
    def values(self) -> Float[Tensor, "layer head"]:
        """Change of the target; NaN where a layer has no such head, or it cannot be off alone."""
        return self.effects.values

    @property
    def title(self) -> str:
        """Of the chart."""
        return f"Without each head: {self.effects.in_words()}"

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the heads' mean and range by layer, and all of them as a heat map."""
        chart = super().chart(quantity)
        unit = f"change of {self.effects.what}, {self.effects.unit}"
        heat = None if chart.heat is None else replace(chart.heat, label=unit)
        unclear = self.effects.unclear
        said = " ".join(
            f"Layer {', '.join(str(i) for i in unclear if unclear[i] == why)}: {why}."
            for why in dict.fromkeys(unclear.values())
        )
        note = f"{chart.note} {said}".strip()
        return replace(chart, unit=unit, heat=heat, help=_HELP, note=note)
