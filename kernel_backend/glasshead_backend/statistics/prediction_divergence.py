"""Do activations at right and at wrong predictions differ? Divergences and permutation tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, get_args

from glasshead_backend.answering import answered, travels
from glasshead_backend.checks import at_least_one, require
from glasshead_backend.data_frames import table
from glasshead_backend.progress import reporting
from glasshead_backend.statistics.chart import Choice, quantiles
from glasshead_backend.statistics.group_differences import GroupDifferences, Which
from glasshead_backend.statistics.metric import (
    ALPHA,
    SEED,
    Measured,
    Metric,
    Parameter,
    parameter,
    require_level,
    require_seed,
)
from glasshead_backend.statistics.outcome_panels import outcome_panels
from glasshead_backend.statistics.outcomes import PredictionOutcomes, prediction_outcomes
from glasshead_backend.statistics.permutation import (
    Relabelling,
    count_groups,
    divergence,
    jensen_shannon,
    kullback_leibler,
    notebook_divergence,
    null_divergences,
)
from glasshead_backend.statistics.prediction_divergence_chart import (
    difference_chart,
    divergence_chart,
    gap_chart,
    histograms,
)
from glasshead_backend.statistics.right_and_wrong import (
    BLOCKS,
    OVER_TEXTS,
    block_parameter,
    labelled_log_norms,
)

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.asking import Kind
    from glasshead_backend.progress import Progress
    from glasshead_backend.statistics.chart import LayerChart
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.permutation import Divergence
    from glasshead_backend.trace import Trace

__all__ = ["PredictionDivergence", "PredictionDivergenceResult", "prediction_divergence"]


@travels
@dataclass(frozen=True, kw_only=True, repr=False)
class PredictionDivergence(Metric):
    """Divergence of a block's log-norms between right and wrong predictions, with its null.

    Over many texts (:class:`OverTexts`) it is the mean of the texts' own divergences: positions of
    different texts are not put together, and short texts have large divergences by chance.

    Parameters
    ----------
    block : {"attention", "cross", "mlp", "residual"}
        Whose activations.
    bins : int
        Of the histograms, equal, over the pooled range.
    permutations : int
        Of the labels right and wrong.
    divergence : {"jsd", "notebook"}
        What is tested: the Jensen-Shannon divergence; or what some course notebooks call their
        symmetric KL, ``(½ KL(m‖p) + ½ KL(m‖q)) / bins`` with ``m = (p + q) / 2``. That is infinite
        where a bin holds values of one group only: with many bins it nearly always is.
    epsilon : float
        Of the notebook's divergence: added to the shares ``p`` and ``q``, as in notebooks that want
        no logarithm of 0. The value depends much on it.
    null : {"shuffle", "shift"}
        Labels under the null hypothesis. Shuffling takes positions for exchangeable. Where
        neighbours are alike in whether they are right *and* in their norms, that finds differences
        that are none; "shift" moves the labels round the text as they are, which leaves likeness of
        neighbours in place. Of ``n`` positions there are ``n - 1`` shifts, all taken once where
        `permutations` is as large: p cannot be below ``1 / n`` then.
    seed : int
        Of the permutations.
    alpha : float
        Level of significance, after Benjamini-Hochberg over the layers.
    """

    name: ClassVar[str] = "prediction_divergence"
    label: ClassVar[str] = "Right and wrong predictions"
    over_texts: ClassVar[str] = OVER_TEXTS

    block: str = parameter("attention", label="Block", kind="choice")
    bins: int = parameter(30, label="Bins", kind="int", min=2, max=1000)
    permutations: int = parameter(1000, label="Permutations", kind="int", min=10, max=1_000_000)
    divergence: Which = parameter(
        "jsd",
        label="Divergence",
        kind="choice",
        choices=(Choice("jsd", "Jensen-Shannon"), Choice("notebook", "notebook’s symmetric KL")),
        help="Some course notebooks take (½ KL(m‖p) + ½ KL(m‖q)) / bins, m = (p + q) / 2.",
    )
    epsilon: float = parameter(
        0.0,
        label="ε",
        kind="float",
        min=0,
        max=0.5,
        help="Added to the shares of the notebook’s divergence: with 0, log 0 makes it infinite.",
    )
    null: Relabelling = parameter(
        "shuffle",
        label="Chance",
        kind="choice",
        choices=(Choice("shuffle", "shuffled labels"), Choice("shift", "shifted labels")),
        help="Shift the labels round the text where neighbouring positions depend on each other.",
    )
    seed: int = field(default=0, metadata={"parameter": SEED})
    alpha: float = field(default=0.05, metadata={"parameter": ALPHA})

    def __post_init__(self) -> None:
        require(self.block, BLOCKS, "block")
        at_least_one(self.bins, "bins", "bin")
        at_least_one(self.permutations, "permutations", "permutation")
        require(self.divergence, get_args(Which), "divergence")
        if not 0 <= self.epsilon < 1:
            raise ValueError(f"epsilon {self.epsilon} is no small number: 0 or a little more.")
        require(self.null, get_args(Relabelling), "null")
        require_seed(self.seed)
        require_level(self.alpha)

    @classmethod
    def lacks(cls, trace: Trace) -> str:
        """Encoders predict no next token."""
        predictions = trace.predictions()
        return "" if predictions.n_scored else predictions.reason

    @classmethod
    def offered(cls, trace: Trace) -> dict[str, Parameter]:
        """Return the parameters, with the blocks of this model."""
        return {**super().offered(trace), "block": block_parameter(trace)}

    @property
    def _divergence(self) -> Divergence:
        if self.divergence == "jsd":
            return jensen_shannon
        return notebook_divergence(self.bins, self.epsilon)

    @answered
    def measure(
        self, trace: Trace, kind: Kind | None = None, *, progress: Progress | bool | None = None
    ) -> PredictionDivergenceResult:
        """Compute it for one text."""
        with reporting(progress):
            layers, log_norms, is_correct = labelled_log_norms(trace, self.block, kind)
            groups = count_groups(log_norms, is_correct, self.bins)
            correct, incorrect = groups.first.cpu(), groups.second.cpu()
            outcomes = prediction_outcomes(trace)

            def result(null: Float[Tensor, "permutation layer"]) -> PredictionDivergenceResult:
                return PredictionDivergenceResult(
                    metric=self,
                    outcomes=outcomes,
                    layers=tuple(layers),
                    block=self.block,
                    log_norms=log_norms.cpu(),
                    is_correct=is_correct.cpu(),
                    edges=groups.edges.cpu(),
                    correct=correct,
                    incorrect=incorrect,
                    jsd=divergence(groups.first, groups.second).cpu(),
                    divergence=self.divergence,
                    observed=divergence(correct, incorrect, self._divergence),
                    null=null.cpu(),
                    relabelling=self.null,
                    alpha=self.alpha,
                )

            null = null_divergences(
                log_norms,
                is_correct,
                bins=self.bins,
                permutations=self.permutations,
                seed=self.seed,
                of=self._divergence,
                relabelling=self.null,
                partial=result,
            )
            return result(null)


@travels
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PredictionDivergenceResult(GroupDifferences, Measured):
    """What was found, the metric that was asked for, a table and charts.

    Attributes
    ----------
    metric : PredictionDivergence
        What was asked for.
    outcomes : PredictionOutcomes
        The predictions that were compared, one by one.
    """

    metric: PredictionDivergence
    outcomes: PredictionOutcomes

    @property
    def quantities(self) -> tuple[Choice, ...]:
        """What of it can be drawn."""
        return (
            Choice("jsd", "Divergence"),
            Choice("difference", "Means"),
            Choice("gap", "Difference of means"),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row per layer; divergences in nats, ``difference`` = correct - incorrect.

        p, significance and the null's columns are of the divergence that was asked for.
        """
        p = self.correct.double() / self.n_correct
        q = self.incorrect.double() / self.n_incorrect
        low, high = quantiles(self.null.T, 0.025, 0.975)
        columns = {
            "mean_correct": self.mean_correct,
            "mean_incorrect": self.mean_incorrect,
            "difference": self.mean_correct - self.mean_incorrect,
            "jsd": self.jsd,
            **({"notebook": self.observed} if self.divergence == "notebook" else {}),
            "kl_correct_incorrect": kullback_leibler(p, q),
            "kl_incorrect_correct": kullback_leibler(q, p),
            "p": self.p,
            "p_adjusted": self.p_adjusted,
            "significant": self.significant,
            "null_mean": self.null.mean(dim=0),
            "null_low": low,
            "null_high": high,
            "null_min": self.null.amin(dim=0),
            "null_max": self.null.amax(dim=0),
        }
        numbers = {name: values.numpy() for name, values in columns.items()}
        return table({"layer": self.layers, **numbers})

    def chart(self, quantity: str = "") -> LayerChart:
        """Return the divergence with its null range, the groups' means, or their difference."""
        charts = {"difference": difference_chart, "gap": gap_chart}
        return charts.get(quantity, divergence_chart)(self)

    def detail(self, layer: int) -> list[Panel]:
        """Return the groups' histograms and the permutations', and where predictions are right."""
        found = histograms(self, layer)
        return [*found, *outcome_panels(self.outcomes)] if found else []


def prediction_divergence(
    trace: Trace,
    *,
    block: str = "attention",
    bins: int = 30,
    permutations: int = 1000,
    seed: int = 0,
    divergence: Which = "jsd",
    epsilon: float = 0.0,
    null: Relabelling = "shuffle",
    alpha: float = 0.05,
    kind: Kind | None = None,
    progress: Progress | bool | None = None,
) -> PredictionDivergenceResult:
    """Compare a block's log-norms between right and wrong predictions, layer by layer.

    Parameters
    ----------
    trace : Trace
    block, bins, permutations, seed, divergence, epsilon, null, alpha
        As for :class:`PredictionDivergence`.
    kind : str, optional
        As for :meth:`Trace.norms`; the decoder's stack in an encoder-decoder model.
    progress : callable or bool, optional
        As for :meth:`glasshead_backend.Lens.trace`.

    Returns
    -------
    PredictionDivergenceResult

    Raises
    ------
    ValueError
        When the model predicts nothing, or when fewer than two predictions are right, or wrong.

    Notes
    -----
    The activation is that of the *predicting* position: position ``i`` is correct when the model's
    first choice there is token ``i + 1`` (in an encoder-decoder model, label ``i``). Divergences
    are in nats; KL is infinite where one group has values in a bin and the other has none.

    The symmetric KL of some course notebooks, the mean of ``kl_div(log p, m)`` and
    ``kl_div(log q, m)`` with ``reduction="batchmean"``, is neither KL(p‖q) nor a Jensen-Shannon
    divergence: torch's second argument is the distribution that is averaged over, and "batchmean"
    of a one-dimensional tensor divides by the number of bins. Its values differ from ours, and so
    do its p-values: ``divergence="notebook"`` computes it.
    """
    asked = PredictionDivergence(
        block=block,
        bins=bins,
        permutations=permutations,
        divergence=divergence,
        epsilon=epsilon,
        null=null,
        seed=seed,
        alpha=alpha,
    )
    return asked.measure(trace, kind, progress=progress)
