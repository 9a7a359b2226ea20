"""The metrics that there are, by name."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, cast

from glasshead_backend.statistics import registry
from glasshead_backend.statistics.metric import Measured, Metric
from glasshead_backend.statistics.own_metric import OwnMetric

if TYPE_CHECKING:
    from collections.abc import Mapping


def _is_chosen_by_name(thing: object) -> bool:
    """Whether it is a metric whose parameters all have a default."""
    return (
        isinstance(thing, type)
        and issubclass(thing, Metric)
        and all(one.default is not MISSING for one in fields(thing))
    )


METRICS: Mapping[str, type[Metric]] = {
    thing.name: thing for thing in vars(registry).values() if _is_chosen_by_name(thing)
}
"""In the order in which a chart offers them."""


def metric_named(name: str) -> type[Metric]:
    """Return the metric of a name.

    Raises
    ------
    ValueError
        For a name that there is not; the message says which there are.
    """
    if name not in METRICS:
        raise ValueError(f"metric {name!r} is not there: {', '.join(map(repr, METRICS))}.")
    return METRICS[name]


def as_metric(asked: Any) -> Metric:
    """Return the metric that a name, a metric, a result or a user's function stands for.

    Raises
    ------
    ValueError
        For a name that there is not; the message says which there are.
    TypeError
        For something else.
    """
    if isinstance(asked, Metric):
        return asked
    if isinstance(asked, Measured):
        return asked.metric
    if isinstance(asked, str):
        return metric_named(asked)()
    if callable(asked) and not isinstance(asked, type):
        return OwnMetric(function=cast("Any", asked))
    raise TypeError(
        f"metric is a name, a metric such as Induction(), or a function (trace, layer) -> float; "
        f"got {asked!r:.80}."
    )
