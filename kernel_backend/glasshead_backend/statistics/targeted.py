"""Numbers of heads that are about one number of the output: which token, where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from glasshead_backend.answering import answered
from glasshead_backend.statistics.head_metrics import HeadMetric
from glasshead_backend.statistics.metric import parameter
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend.trace import Trace


@dataclass(frozen=True, kw_only=True, repr=False)
class TargetedMetric(HeadMetric):
    """A number of heads that takes runs of the model, and is about a token at a place."""

    max: ClassVar[float | None] = None
    takes_runs: ClassVar[bool] = True

    position: int | None = parameter(
        None,
        label="Position",
        kind="int",
        optional=True,
        min=0,
        help="Place of the predicted token; empty = behind the last one.",
    )
    token: int | str | None = parameter(
        None,
        label="Token",
        kind="text",
        optional=True,
        help="As it is written, space included; empty = the one that came, or the most probable.",
    )
    against: int | str | None = parameter(
        None,
        label="Against",
        kind="text",
        optional=True,
        help="A token whose logit is taken off; empty = none.",
    )

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Where the model makes no prediction, or cannot run once more."""
        return _lacks(trace)


@answered
def _lacks(trace: Trace) -> str:
    run = run_of(trace)
    if run.given:
        return f"{run.subject.name}: this trace is of arrays that were given; it takes a model."
    if run.scores is None:
        return trace.predictions().reason
    whole = run.inputs and not run.masked
    return "" if whole else "This text was scored, not traced: there are no layers to look at."
