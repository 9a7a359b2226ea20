"""A statistic by layer, as LayerStatsChart draws it; and one layer in detail."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasshead_backend.frames.pack import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glasshead_backend.asking import Kind
    from glasshead_backend.statistics.chart import Choice, LayerChart, Null, Outlier
    from glasshead_backend.statistics.metric import Measured
    from glasshead_backend.statistics.panels import Panel
    from glasshead_backend.trace import Trace

_TOKEN_VALUES = 1 << 17
"""Most single values (series x layers x tokens) that travel with a frame."""

_DTYPES = {"points_series": torch.uint8}


def chart_frame(
    trace: Trace, kind: Kind, measured: Measured, quantity: str = "", partial: str = ""
) -> dict[str, Any]:
    """Make the frame of LayerStatsChart.

    Parameters
    ----------
    trace : Trace
    kind : str
        Picks the stack of an encoder-decoder model.
    measured : Measured
        What is drawn.
    quantity : str
        One of ``measured.quantities``; "" = the first.
    partial : str
        How far it is, in words, while it is not complete.

    Returns
    -------
    dict
        Arrays are packed; NaN where a layer has no value. Values of single tokens travel too while
        they are few.
    """
    quantities = measured.quantities
    key = chart_key(kind, measured, quantity)
    quantity = key["quantity"]
    chart = measured.chart(quantity)
    nothing = torch.full_like(chart.mean, torch.nan)
    interval, test, heat = chart.interval, chart.test, chart.heat
    return {
        "key": key,
        "kind": "chart",
        "metric_label": measured.metric.label,
        "title": chart.title,
        "unit": chart.unit,
        "quantities": _choices(quantities),
        "quantity": quantity,
        "layers": pack(torch.tensor(list(chart.layers)), torch.int32),
        "series": _choices(chart.series),
        "mean": pack(chart.mean, torch.float32),
        "low": pack(nothing if interval is None else interval.low, torch.float32),
        "high": pack(nothing if interval is None else interval.high, torch.float32),
        "middle": chart.middle,
        "scale": chart.scale,
        "interval": "" if interval is None else interval.words,
        **_null(chart.null),
        "significant": None if test is None else pack(test.significant, torch.uint8),
        "test": "" if test is None else test.words,
        "heat": None
        if heat is None
        else {"values": pack(heat.values, torch.float32), "label": heat.label, "max": heat.max},
        **_tokens(trace, kind, chart),
        "outlier": None if chart.outlier is None else _outlier(chart, chart.outlier),
        "help": list(chart.help),
        # What is not there yet is not missing.
        "note": "" if partial else chart.note,
        "partial": partial,
    }


def chart_key(kind: Kind, measured: Measured, quantity: str) -> dict[str, str]:
    """Return the state that a frame, or an answer about a token, is of."""
    names = [name for name, _ in measured.quantities]
    return {
        "kind": kind,
        "metric": measured.metric.shown_as,
        "quantity": quantity if quantity in names else names[0],
    }


def detail_frame(
    measured: Measured | None, layer: int, selected: Sequence[int] = ()
) -> dict[str, Any]:
    """Make the panels that show one layer, of the selected tokens where they are of such."""
    panels = [] if measured is None else measured.detail_of(layer, selected)
    return {"layer": layer, "panels": [_panel(panel) for panel in panels]}


def token_values(chart: LayerChart, position: int) -> Tensor:
    """Return the values of one token, ``[series, layers]``."""
    if chart.tokens is None:
        raise ValueError(f"{chart.title}: there are no values of single tokens.")
    n_tokens = chart.tokens.shape[-1]
    if not 0 <= position < n_tokens:
        raise ValueError(f"position {position} is out of range: there are {n_tokens} tokens.")
    return chart.tokens[:, :, position]


def _tokens(trace: Trace, kind: Kind, chart: LayerChart) -> dict[str, Any]:
    tokens = chart.tokens
    fits = tokens is not None and tokens.numel() <= _TOKEN_VALUES
    # A decoder of an encoder-decoder model is measured at its rows; the rows' own labels name them.
    sequence = trace.sequences[0 if kind in ("self", "encoder") else -1]
    named = trace.predictions().tokens if chart.tokens_are_predicted else sequence.tokens
    return {
        "tokens": pack(tokens, torch.float32) if tokens is not None and fits else None,
        "has_tokens": tokens is not None,
        "token_labels": [token.text for token in named] if tokens is not None else [],
        "sequence": sequence.name,
    }


def _outlier(chart: LayerChart, found: Outlier) -> dict[str, Any]:
    """Say where the token is that stands out most: its text is among the labels of the tokens."""
    return {
        **asdict(found),
        "series": chart.series[found.series].label,
        "layer": chart.layers[found.layer],
    }


def _null(null: Null | None) -> dict[str, Any]:
    ends = ("low", "mean", "high")
    return {
        **{
            f"null_{end}": None if null is None else pack(getattr(null, end), torch.float32)
            for end in ends
        },
        "null_words": "" if null is None else null.words,
    }


def _choices(choices: Sequence[Choice]) -> list[dict[str, str]]:
    return [{"name": name, "label": label} for name, label in choices]


def _panel(panel: Panel) -> dict[str, Any]:
    packed: dict[str, Any] = {}
    for one in fields(panel):
        value: Any = getattr(panel, one.name)
        if isinstance(value, Tensor):
            packed[one.name] = pack(value, _DTYPES.get(one.name, torch.float32))
        elif one.name == "series":
            packed[one.name] = _choices(value)
        elif one.name == "mark":
            packed[one.name] = (
                None if value is None else {"value": value.value, "label": value.label}
            )
        else:
            packed[one.name] = [*value] if isinstance(value, tuple) else value
    return packed
