"""The values that a layer has of something, as a histogram beside the chart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend.statistics.chart import median, number
from glasshead_backend.statistics.histogram import bin_of, counts, equal_edges
from glasshead_backend.statistics.panels import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Bool, Float
    from torch import Tensor

    from glasshead_backend.statistics.chart import Choice
    from glasshead_backend.statistics.panels import Mark


def layer_histogram(
    *,
    title: str,
    x: str,
    y: str,
    series: Sequence[Choice],
    values: Sequence[Float[Tensor, " value"]],
    outliers: Sequence[Bool[Tensor, " value"]] = (),
    bins: int = 30,
    mark: Mark | None = None,
    words: str = "",
) -> Histogram:
    """Count the values of each series in equal bins over the range that all have in common.

    Parameters
    ----------
    title, x, y : str
        What it is, what is counted, and what is counted of it.
    series : sequence of Choice
    values : sequence of Tensor
        Of each series, at least one of them finite. What is not finite lies in no bin; how many are
        infinite is said in the words.
    outliers : sequence of Tensor
        Of each series, which values lie in no bin, since the bins would be theirs alone; how many
        is said in the words.
    bins : int
    mark : Mark, optional
    words : str
        What is said beside it; default the median of each series.
    """
    finite = [own[own.isfinite()] for own in values]
    pairs = zip(values, outliers, strict=True)
    near = [own[own.isfinite() & ~out] for own, out in pairs] if outliers else finite
    low = torch.stack([own.amin() for own in near]).amin()
    high = torch.stack([own.amax() for own in near]).amax()
    edges = equal_edges(low, high, bins)
    if not words:
        medians = (number(float(median(own))) for own in finite)
        named = (f"{one.label} {it}" for one, it in zip(series, medians, strict=True))
        words = f"median: {', '.join(named)}"
    n_infinite = sum(int(own.isinf().sum()) for own in values)
    n_outliers = sum(int(out.sum()) for out in outliers)
    words += _more(n_outliers, "far above, in no bin") + _more(n_infinite, "infinite")
    return Histogram(
        title=title,
        x=x,
        y=y,
        edges=edges,
        series=series,
        values=torch.stack([counts(bin_of(own, edges), bins) for own in near]),
        mark=mark,
        words=words,
    )


def _more(n: int, what: str) -> str:
    return f"; {n:,} more {'is' if n == 1 else 'are'} {what}" if n else ""
