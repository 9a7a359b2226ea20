"""Statistics as objects: what is measured, with which parameters; and what was found.

A :class:`Metric` holds parameters and measures traces. What it returns is a :class:`Measured`: it
has the metric that was asked for, and the numbers that were found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from glasshead_backend.checks import whole
from glasshead_backend.data_frames import ShownAsTable
from glasshead_backend.questions.activations import is_known
from glasshead_backend.statistics.chart import Choice
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from glasshead_backend.asking import ActivationBlock, Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace


@dataclass(frozen=True)
class Parameter:
    """How a parameter of a metric is offered to whoever looks at its chart.

    Attributes
    ----------
    label : str
    kind : {"int", "float", "choice", "text"}
    optional : bool
        May be None.
    min, max : float, optional
    choices : sequence of Choice
    help : str
    """

    label: str
    kind: Literal["int", "float", "choice", "text"]
    optional: bool = False
    min: float | None = None
    max: float | None = None
    choices: Sequence[Choice] = ()
    help: str = ""


def parameter(default: Any, **described: Any) -> Any:
    """Return a dataclass field that is a parameter users can change in a chart."""
    return field(default=default, metadata={"parameter": Parameter(**described)})


ALPHA = Parameter(
    "α", "float", min=0.001, max=0.5, help="Level of significance, after correction over layers."
)
SEED = Parameter(
    "Seed", "int", min=0, help="Of the random numbers: the same seed, the same result."
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Metric(ABC):
    """A statistic over the layers of a trace, with its parameters."""

    name: ClassVar[str] = ""
    label: ClassVar[str] = ""
    over_texts: ClassVar[str] = ""
    """What its mean over texts is, in words, where one could take it for something else."""
    reads: ClassVar[ActivationBlock | None] = None
    """Whose activations it is made of; None = it takes attention, or what it says itself."""
    is_instant: ClassVar[bool] = False
    """Whether it is known already, so that nobody has to wait for it."""

    @property
    def shown_as(self) -> str:
        """Name under which a chart shows it."""
        return self.name

    @abstractmethod
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> Measured:
        """Compute the statistic.

        Parameters
        ----------
        trace : Trace
        kind : str, optional
            One of ``trace.kinds``: the attention, or the stack of layers that it belongs to.
        progress : callable or bool, optional
            As for :meth:`glasshead_backend.Lens.trace`.
        """

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Why this model cannot be asked for it, in words; empty when it can."""
        run = run_of(trace)
        if cls.reads and not is_known(run, cls.reads):
            return f"{run.subject.name}: activations of its layers were not given."
        return ""

    @classmethod
    def offered(cls, trace: Trace) -> dict[str, Parameter]:
        """Return the parameters that can be changed in a chart, by name, for this model."""
        del trace
        return {
            one.name: one.metadata["parameter"]
            for one in fields(cls)
            if "parameter" in one.metadata
        }

    def parameters(self) -> dict[str, Any]:
        """Return the parameters and what they are set to."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __repr__(self) -> str:
        given = [
            f"{one.name}={self._written(one.name)}"
            for one in fields(self)
            if not _is(getattr(self, one.name), one.default)
        ]
        return f"{type(self).__name__}({', '.join(given)})"

    def _written(self, name: str) -> str:
        """Write what a parameter is set to, in a few characters."""
        return repr(getattr(self, name))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Measured(ShownAsTable):
    """What was found: tensors, a table, a chart.

    The parameters of the metric can be read from it too: ``found.bins``.

    Attributes
    ----------
    metric : Metric
        What was asked for.
    """

    metric: Metric
    follows_tokens: ClassVar[bool] = False
    """Whether its detail depends on the tokens that are selected."""

    if not TYPE_CHECKING:  # what is typed is found.metric.bins

        def __getattr__(self, name: str) -> Any:
            metric = self.__dict__.get("metric")
            if metric is not None and name in metric.parameters():
                return getattr(metric, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _what(self) -> str:
        return f"{type(self).__name__} of {self.metric!r}"

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return (Choice("value", "Value"),)

    @abstractmethod
    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer (and block or head)."""

    @abstractmethod
    def chart(self, quantity: str = "") -> LayerChart:
        """Return what a chart shows: one of :attr:`quantities`, the first by default."""

    def detail(self, layer: int) -> list[Panel]:
        """Return what is to be seen of a single layer."""
        del layer
        return []

    def detail_of(self, layer: int, selected: Sequence[int]) -> list[Panel]:
        """Return the same where it depends on the tokens that are selected."""
        del selected
        return self.detail(layer)


def _is(value: object, default: object) -> bool:
    """Whether it is the default; an array of texts is not asked whether it equals None."""
    return value is default or (type(value) is type(default) and value == default)


def require_seed(seed: int) -> None:
    """Refuse a seed that random numbers cannot begin from."""
    if whole(seed, "seed") < 0:
        raise ValueError(f"seed {seed} is negative: 0 or more.")


def require_level(alpha: float) -> None:
    """Refuse a level of significance that is none."""
    if not 0 < alpha < 1:
        raise ValueError(f"alpha {alpha} is no level of significance: between 0 and 1, e.g. 0.05.")
