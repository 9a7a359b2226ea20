"""What a chart shows of the difference between right and wrong predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import (
    BLOCK_LABELS,
    Choice,
    Histogram,
    LayerChart,
    Mark,
    Null,
    Range,
    Test,
    number,
    quantiles,
    quartiles,
)
from glasshead_backend.statistics.histogram import bin_of, counts, equal_edges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

    from glasshead_backend.statistics.chart import Panel
    from glasshead_backend.statistics.prediction_divergence import PredictionDivergenceResult

_NULL_BINS = 40
_HELP = (
    (
        "Positions are split by whether the model predicts the next token right. The height says "
        "how much the sizes (log-norms) of the block’s output differ between the two groups: the "
        "Jensen-Shannon divergence of their histograms, 0 = not at all, 0.69 nats = completely."
    ),
    (
        "The hatched band is what shuffled labels give. A filled mark lies above it more often "
        "than chance allows. The panels show the current layer."
    ),
    (
        "A difference does not say that the size causes the error: both may follow from how rare "
        "the word is. Few positions in a group make the divergence large by chance, and the band "
        "as well."
    ),
)


def divergence_chart(found: PredictionDivergenceResult) -> LayerChart:
    """Jensen-Shannon divergence by layer, with the range that shuffled labels give."""
    low, high = quantiles(found.null.T, 0.025, 0.975)
    return LayerChart(
        title=f"{_output(found)}: right against wrong predictions",
        unit="Jensen-Shannon divergence of log-norms, nats",
        layers=found.layers,
        series=[Choice(found.block, BLOCK_LABELS[found.block])],
        mean=found.jsd[None],
        null=Null(
            low[None],
            found.null.mean(dim=0)[None],
            high[None],
            f"shuffled labels, mean and 95 % of {len(found.null):,} permutations",
        ),
        test=_test(found),
        help=_HELP,
    )


def difference_chart(found: PredictionDivergenceResult) -> LayerChart:
    """Mean log-norms of the two groups, with quartiles."""
    groups = (found.log_norms[:, found.is_correct], found.log_norms[:, ~found.is_correct])
    low, high = zip(*(quartiles(group) for group in groups), strict=True)
    return LayerChart(
        title=f"{_output(found)}: size by prediction",
        unit="log-norm (natural logarithm of the L2 norm)",
        layers=found.layers,
        series=_groups(found),
        mean=torch.stack([group.mean(dim=-1) for group in groups]),
        interval=Range(torch.stack(low), torch.stack(high), "quartiles over the positions"),
        test=_test(found, n_series=2),
        help=_HELP,
    )


def histograms(found: PredictionDivergenceResult, layer: int) -> list[Panel]:
    """The two groups' histograms, and that of the permutations with what was observed."""
    if layer not in found.layers:
        return []
    at = found.layers.index(layer)
    null, observed = found.null[:, at], float(found.jsd[at])
    edges, n_permutations = _counted(null)
    return [
        Histogram(
            title=f"Layer {layer}: log-norms",
            x="log-norm",
            y="share of the group",
            edges=found.edges[at],
            series=_groups(found),
            values=torch.stack(
                [found.correct[at] / found.n_correct, found.incorrect[at] / found.n_incorrect]
            ),
            words=f"divergence {number(observed)} nats; difference of the means "
            f"{number(float(found.mean_correct[at] - found.mean_incorrect[at]))}",
        ),
        Histogram(
            title=f"Layer {layer}: {len(null):,} permutations",
            x="divergence with shuffled labels, nats",
            y="permutations",
            edges=edges,
            series=[Choice("null", "shuffled labels")],
            values=n_permutations[None],
            mark=Mark(observed, "observed"),
            words=f"p = {number(float(found.p[at]))}, adjusted for the number of layers "
            f"{number(float(found.p_adjusted[at]))}",
        ),
    ]


def _output(found: PredictionDivergenceResult) -> str:
    label = BLOCK_LABELS[found.block]
    return label[0].upper() + label[1:] + ("" if found.block == "residual" else " output")


def _groups(found: PredictionDivergenceResult) -> Sequence[Choice]:
    return [
        Choice("correct", f"right ({found.n_correct})"),
        Choice("incorrect", f"wrong ({found.n_incorrect})"),
    ]


def _test(found: PredictionDivergenceResult, n_series: int = 1) -> Test:
    significant = (1 + found.significant.int()).expand(n_series, -1)
    return Test(
        significant,
        f"filled: right and wrong differ, p ≤ {found.alpha:g} after Benjamini-Hochberg "
        f"(permutation test, {found.n_correct} right and {found.n_incorrect} wrong); open: not",
    )


def _counted(values: Float[Tensor, " value"]) -> tuple[Tensor, Tensor]:
    edges = equal_edges(values.amin()[None], values.amax()[None], _NULL_BINS)
    return edges[0], counts(bin_of(values[None], edges), _NULL_BINS)[0]
