"""What a chart shows of the difference between right and wrong predictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import (
    BLOCK_LABELS,
    Choice,
    LayerChart,
    Null,
    Range,
    Test,
    layers_with,
    number,
    quantiles,
    quartiles,
)
from glasshead_backend.statistics.layer_histogram import layer_histogram
from glasshead_backend.statistics.panels import Histogram, Mark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from glasshead_backend.statistics.group_differences import GroupDifferences, Which
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.statistics.permutation import Relabelling

_NULL_BINS = 40
_NAMES: Mapping[Which, str] = {
    "jsd": "Jensen-Shannon divergence",
    "notebook": "notebook’s symmetric KL",
}
_UNITS: Mapping[Which, str] = {"jsd": "nats", "notebook": "nats per bin"}
_MEANINGS: Mapping[Which, str] = {
    "jsd": (
        "the Jensen-Shannon divergence of their histograms, 0 = not at all, 0.69 nats = completely."
    ),
    "notebook": (
        "what some course notebooks call a symmetric KL, (½ KL(m‖p) + ½ KL(m‖q)) / bins with "
        "m = (p + q) / 2; infinite where a bin holds values of one group only."
    ),
}
_WHY_INFINITE = (
    "a bin holds values of one group only, and log 0 is infinite. Take fewer bins, an ε above 0, "
    "or the Jensen-Shannon divergence."
)
_CHANCE: Mapping[Relabelling, str] = {
    "shuffle": "shuffled labels",
    "shift": "labels shifted round the text",
}


def divergence_chart(found: GroupDifferences) -> LayerChart:
    """The divergence by layer, with the range that labels by chance give."""
    low, high = quantiles(found.null.T, 0.025, 0.975)
    return LayerChart(
        title=f"{_output(found)}: right against wrong predictions",
        unit=f"{_NAMES[found.divergence]} of log-norms, {_UNITS[found.divergence]}",
        layers=found.layers,
        series=[Choice(found.block, BLOCK_LABELS[found.block])],
        mean=found.observed[None],
        null=Null(
            low[None],
            found.null.mean(dim=0)[None],
            high[None],
            f"{_CHANCE[found.relabelling]}, mean and 95 % of {_n_relabelled(found)}",
        ),
        test=_test(found),
        help=_help(found),
        note=_infinite(found),
        why_infinite=_WHY_INFINITE,
    )


def difference_chart(found: GroupDifferences) -> LayerChart:
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
        help=_help(found),
    )


def gap_chart(found: GroupDifferences) -> LayerChart:
    """Difference of the groups' mean log-norms; marks by the test of the divergence."""
    return LayerChart(
        title=f"{_output(found)}: size where right, less size where wrong",
        unit="difference of mean log-norms",
        layers=found.layers,
        series=[Choice(found.block, BLOCK_LABELS[found.block])],
        mean=(found.mean_correct - found.mean_incorrect)[None],
        test=_test(found, "their divergence is significant"),
        help=_help(found),
    )


def histograms(found: GroupDifferences, layer: int) -> list[Panel]:
    """The two groups' histograms, and that of the permutations with what was observed."""
    if layer not in found.layers:
        return []
    at = found.layers.index(layer)
    observed, null = float(found.observed[at]), found.null[:, at]
    n_finite = int(null.isfinite().sum())
    p = (
        f"p = {number(float(found.p[at]))}, adjusted for the number of layers "
        f"{number(float(found.p_adjusted[at]))}"
    )
    size = (
        f"divergence {number(observed)} {_UNITS[found.divergence]}; difference of the means "
        f"{number(float(found.mean_correct[at] - found.mean_incorrect[at]))}"
    )
    groups = Histogram(
        title=f"Layer {layer}: log-norms",
        x="log-norm",
        y="share of the group",
        edges=found.edges[at],
        series=_groups(found),
        values=torch.stack(
            [found.correct[at] / found.n_correct, found.incorrect[at] / found.n_incorrect]
        ),
        words=size if n_finite else f"{size}; {p}",
    )
    if not n_finite:
        return [groups]
    return [
        groups,
        layer_histogram(
            title=f"Layer {layer}: {_n_relabelled(found)}",
            x=f"divergence with {_CHANCE[found.relabelling]}, {_UNITS[found.divergence]}",
            y="permutations" if found.relabelling == "shuffle" else "shifts",
            series=[Choice("null", _CHANCE[found.relabelling])],
            values=[null],
            bins=_NULL_BINS,
            mark=Mark(observed, "observed") if math.isfinite(observed) else None,
            words=p,
        ),
    ]


def _help(found: GroupDifferences) -> tuple[str, ...]:
    return (
        (
            "Positions are split by whether the model predicts the next token right. The height "
            "says how much the sizes (log-norms) of the block’s output differ between the two "
            f"groups: {_MEANINGS[found.divergence]}"
        ),
        (
            f"The hatched band is what {_CHANCE[found.relabelling]} give. A filled mark lies above "
            "it more often than chance allows. The panels show the current layer."
        ),
        (
            "Shuffled labels find differences too easily where neighbouring positions depend on "
            "each other: shift the labels round the text then. With n positions p is 1 / n or more."
        ),
        (
            "A difference does not say that the size causes the error: both may follow from how "
            "rare the word is. Few positions in a group make the divergence large by chance, and "
            "the band as well."
        ),
    )


def _n_relabelled(found: GroupDifferences) -> str:
    what = "permutations" if found.relabelling == "shuffle" else "shifts"
    return f"{len(found.null):,} {what}"


def _infinite(found: GroupDifferences) -> str:
    """Say in words which layers have a divergence that cannot be drawn."""
    where = layers_with(found.observed.isinf(), found.layers)
    return f"Infinite in {where}: {_WHY_INFINITE}" if where else ""


def _output(found: GroupDifferences) -> str:
    label = BLOCK_LABELS[found.block]
    return label[0].upper() + label[1:] + ("" if found.block == "residual" else " output")


def _groups(found: GroupDifferences) -> Sequence[Choice]:
    return [
        Choice("correct", f"right ({found.n_correct})"),
        Choice("incorrect", f"wrong ({found.n_incorrect})"),
    ]


def _test(found: GroupDifferences, what: str = "right and wrong differ", n_series: int = 1) -> Test:
    significant = (1 + found.significant.int()).expand(n_series, -1)
    how = "permutation test"
    if found.relabelling == "shift":
        how = f"{_n_relabelled(found)}, p ≥ {number(1 / (1 + len(found.null)))}"
    return Test(
        significant,
        f"filled: {what}, p ≤ {found.alpha:g} after Benjamini-Hochberg "
        f"({how}, {found.n_correct} right and {found.n_incorrect} wrong); open: not",
    )
