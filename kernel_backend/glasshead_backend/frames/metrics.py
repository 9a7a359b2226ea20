"""Metrics as they travel: what there is to choose, what is asked for, what was chosen."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, fields, replace
from typing import TYPE_CHECKING, Any

from glasshead_backend.statistics.by_name import METRICS, metric_named
from glasshead_backend.statistics.over_texts import OverTexts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from glasshead_backend.statistics.metric import Metric, Parameter
    from glasshead_backend.trace import Trace


def catalogue(trace: Trace) -> list[dict[str, Any]]:
    """List the metrics that a model can be asked for, with their parameters and defaults."""
    return [
        {
            "name": name,
            "label": metric.label,
            "parameters": [
                {"name": key, **_described(parameter)}
                for key, parameter in metric.offered(trace).items()
            ],
            "defaults": {key: _default(metric, key) for key in metric.offered(trace)},
        }
        for name, metric in METRICS.items()
        if not metric.lacks(trace)
    ]


def metric_state(metric: Metric, trace: Trace) -> dict[str, Any]:
    """Say which metric is asked for, in JSON."""
    over, of = (metric, metric.of) if isinstance(metric, OverTexts) else (None, metric)
    n_texts = None if over is None else over.n_texts
    values = of.parameters()
    fitted = values.get("fitted")
    return {
        "name": of.name,
        "label": of.label,
        "parameters": {name: _written(values[name]) for name in of.offered(trace)},
        "over": "" if over is None else "a stream" if n_texts is None else f"{n_texts} texts",
        **({} if fitted is None else {"fitted": fitted.label}),
    }


def chosen_metric(state: Mapping[str, Any], before: Metric, trace: Trace) -> Metric:
    """Return the metric that was chosen on the page.

    Parameters
    ----------
    state : mapping
        As :func:`metric_state` writes it.
    before : Metric
        What was asked for until now: parameters that a page does not offer stay as they were, and
        what is measured over texts stays so.
    trace : Trace

    Raises
    ------
    ValueError
        For a name that there is not, and for parameters that make no sense.
    """
    if isinstance(before, OverTexts):
        return replace(before, of=chosen_metric(state, before.of, trace))
    name, given = str(state.get("name")), dict(state.get("parameters") or {})
    if name == before.name:
        offered = before.offered(trace)
        return replace(before, **{k: _read(given[k], offered[k]) for k in offered if k in given})
    metric = metric_named(name)
    offered = metric.offered(trace)
    return metric(**{k: _read(given[k], offered[k]) for k in offered if k in given})


def _described(parameter: Parameter) -> dict[str, Any]:
    described = asdict(parameter)
    described["choices"] = [{"value": n, "label": label} for n, label in parameter.choices]
    return described


def _default(metric: type[Metric], name: str) -> Any:
    default = next(one.default for one in fields(metric) if one.name == name)
    return None if default is MISSING else _written(default)


def _written(value: Any) -> Any:
    """Positions are written as a list in brackets; the rest is JSON already."""
    return json.dumps([int(one) for one in value]) if isinstance(value, (tuple, list)) else value


def _read(value: Any, parameter: Parameter) -> Any:
    if value is None:
        return None
    if parameter.kind == "int":
        return int(value) if float(value).is_integer() else value
    if parameter.kind == "float":
        return float(value)
    if parameter.kind == "text" and str(value).lstrip().startswith("["):
        try:
            return tuple(json.loads(value))
        except (TypeError, ValueError):
            raise ValueError(
                f"{parameter.label} {value!r} is no list of positions: write it as [3, 8, 11]."
            ) from None
    return value
