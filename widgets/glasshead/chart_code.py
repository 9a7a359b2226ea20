"""The Python behind a statistic by layer."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from glasshead_backend import FittedLens, Metric, OverTexts, OwnMetric, Probing

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTED: dict[type[Metric], tuple[str, ...]] = {
    OverTexts: ("texts", "targets"),
    Probing: ("texts", "labels", "groups", "targets"),
}
"""What is given as a list for each text."""

_MOST_LETTERS = 2000
"""Of such a list that is written out."""


def chart_code(metric: Metric, kind: str) -> str:
    """Write the Python that measures a statistic, of a ``trace``.

    What cannot be written out, a function or very many texts, stands there by a name, and a comment
    says what it is.

    Parameters
    ----------
    metric : Metric
    kind : str
        Of attention.
    """
    written = _Written()
    measure = f'{written.metric(metric)}.measure(trace, "{kind}").to_frame()'
    imports = f"from glasshead import {', '.join(sorted(written.classes))}"
    return "\n".join([*written.comments, imports, "", measure])


def metric_code(metric: Metric) -> tuple[str, list[str]]:
    """Write a metric, and the classes to be imported for it."""
    written = _Written()
    return written.metric(metric), sorted(written.classes)


class _Written:
    """A metric written out, with what it needs."""

    def __init__(self) -> None:
        self.classes: set[str] = set()
        self.comments: list[str] = []

    def metric(self, metric: Metric) -> str:
        self.classes.add(type(metric).__name__)
        return f"{type(metric).__name__}({', '.join(self._arguments(metric))})"

    def _arguments(self, metric: Metric) -> Iterator[str]:
        for one in fields(metric):
            value = getattr(metric, one.name)
            if value is not one.default and repr(value) != repr(one.default):
                yield f"{one.name}={self._argument(metric, one.name, value)}"

    def _argument(self, metric: Metric, name: str, value: Any) -> str:
        if isinstance(value, Metric):
            return self.metric(value)
        if isinstance(value, FittedLens):
            return self._named("fitted", "", value.label)
        if isinstance(metric, OwnMetric) and name == "function":
            return self._named("function", getattr(value, "__name__", ""), "the chart's function")
        if name in _LISTED.get(type(metric), ()):
            listed = isinstance(value, (list, tuple))
            if not listed or len(str(value)) > _MOST_LETTERS:
                return self._named(name, "", f"the {name} that the chart is of")
            return repr(list(value))
        return repr(value)

    def _named(self, otherwise: str, name: str, what: str) -> str:
        name = name if name.isidentifier() else otherwise
        self.comments.append(f"# {name}: {what}")
        return name
