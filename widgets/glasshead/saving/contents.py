"""What a saved page carries beside the attention: state, labels, statistics, predictions."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from glasshead_backend.asking import Selection
from glasshead_backend.frames import axes
from glasshead_backend.frames.attribution import page_frames
from glasshead_backend.frames.chart import chart_frame, detail_frame
from glasshead_backend.frames.head_atlas import with_atlas
from glasshead_backend.frames.heads import measured_heads
from glasshead_backend.frames.metrics import chosen_metric, metric_state
from glasshead_backend.frames.strip import PAGE_TOKENS, strip_frame
from glasshead_backend.maps.sinks import rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from glasshead.attribution_strip import AttributionStrip
    from glasshead.layer_stats_chart import LayerStatsChart
    from glasshead.perplexity_strip import PerplexityStrip
    from glasshead.view import View
    from glasshead_backend import Metric, Trace
    from glasshead_backend.asking import Kind
    from glasshead_backend.statistics import HeadAtlas
    from glasshead_backend.statistics.head_metrics import HeadMetric

REFUSAL = (
    "This page has no kernel, and this was not saved with it: open the view in a notebook to see "
    "it."
)
"""What the view says of what the page does not have."""

_MADE_ANEW = ("chart_frame", "chart_detail", "strip_frame", "finder_frame")
"""Traits of an explorer that the page has in its contents, or makes itself."""


def state(view: View) -> dict[str, Any]:
    """Return the traits of a view as a page opens with them."""
    known = {
        name: value
        for name, value in view.get_state().items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip")
    }
    made = {name: {} for name in _MADE_ANEW if name in known}
    # What was traced before is nobody's business but the author's.
    earlier = {"earlier": []} if "earlier" in known else {}
    return {**known, **made, **earlier, "error": "", "busy": ""}


def no_parts() -> dict[str, Any]:
    """Return the contents of a page that carries nothing but the state."""
    return {
        "coding": None,
        "layers": [],
        "axes": [],
        "charts": [],
        "details": [],
        "heads": {},
        "rows": [],
        "query_key": [],
        "activations": [],
        "attribution": [],
        "patches": [],
        "strip": None,
        "readings": [],
        "without": None,
        "runs": [],
        "sinks": {"causal": rule(causal=True), "other": rule(causal=False)},
        "refusal": REFUSAL,
    }


def all_axes(trace: Trace) -> list[dict[str, Any]]:
    """Return the labels of every kind and unit, with and without special tokens."""
    return [
        {
            "kind": kind,
            "unit": unit,
            "special": special,
            "axes": axes(trace, kind, unit, special=special),
        }
        for kind in trace.kinds
        for unit in ("token", "word")
        for special in (True, False)
    ]


def heads(
    trace: Trace, more: Sequence[HeadMetric] = (), atlas: HeadAtlas | None = None
) -> dict[str, Any]:
    """Return the metrics of all heads, by kind of attention; `more` are those of the view."""
    found = {kind: measured_heads(trace, kind, more) for kind in trace.kinds}
    if atlas is not None:
        names = [metric.name for metric in more]
        found = {kind: with_atlas(one, atlas, kind, names) for kind, one in found.items()}
    return {kind: {"kind": "heads", **one} for kind, one in found.items()}


def strip(trace: Trace) -> dict[str, Any]:
    """Return the text with its predictions; what lights the source the page makes itself."""
    layers = trace.layers("cross") if "cross" in trace.kinds else []
    cross = Selection("cross", layers[0]) if layers else None
    frame = strip_frame(trace, cross, n_alternatives=PAGE_TOKENS)
    return {**frame, "cross": None}


def readings(view: PerplexityStrip, told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the layers would predict at pinned tokens, by every lens that there is.

    Parameters
    ----------
    view : PerplexityStrip
    told : sequence of dict
        States of the view that the page comes to: as it opens, and in the steps of a story.
    """
    asked = {
        (state["selected"][-1], ",".join(map(str, state["followed"])))
        for state in told
        if state["reading"] == "layers" and state["selected"]
    }
    found: list[dict[str, Any]] = []
    for position, followed in sorted(asked):
        for lens in ("", *(one["name"] for one in view.lenses)):
            try:
                result, arrays = view.layer_readings(position, followed, lens)
            except ValueError:
                continue  # the first token has no prediction
            about = {"position": position, "followed": followed, "lens": lens}
            found.append({**about, "result": result, "arrays": arrays})
    return found


def attributions(view: AttributionStrip) -> list[dict[str, Any]]:
    """Return the frames of AttributionStrip: what is shown, and what else a page can show."""
    return [{"frame": frame} for frame in page_frames(view.trace, view.asked)]


def charts(chart: LayerStatsChart, told: Sequence[dict[str, Any]], trace: Trace) -> dict[str, Any]:
    """Return the statistics of a page: all that can be drawn of each, and every layer.

    Parameters
    ----------
    chart : LayerStatsChart
        What it shows is on the page.
    told : sequence of dict
        Statistics of the steps of a story, as they travel.
    trace : Trace
        What is measured: the chart's own, or one of the same text.
    """
    found: dict[str, Any] = {"charts": [], "details": []}
    for metric in _metrics(chart, told):
        named = {"metric": metric_state(metric, trace)}
        for kind in _kinds(chart, metric):
            try:
                measured = chart.known(trace, metric, kind) or metric.measure(trace, kind)
            except ValueError:
                continue  # not every statistic is of every kind of attention
            for quantity, _ in measured.quantities:
                frame = chart_frame(trace, kind, measured, quantity)
                found["charts"] += [
                    {**named, "kind": kind, "quantity": quantity, "frame": frame},
                ]
            for layer in trace.layers(kind):
                detail = detail_frame(measured, layer, chart.selected_here)
                found["details"] += [{**named, "kind": kind, "layer": layer, "detail": detail}]
    return found


def statistics(chart: LayerStatsChart, told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what can be chosen on a page, where nothing can be measured: what it has."""
    shown = [metric_state(metric, chart.trace) for metric in _metrics(chart, told)]
    return [
        {
            "name": one["name"],
            "label": one["label"],
            "parameters": [],
            "defaults": one["parameters"],
        }
        for one in shown
    ]


def _metrics(chart: LayerStatsChart, told: Sequence[dict[str, Any]]) -> list[Metric]:
    """Return the statistic that is shown, and those of a story's steps."""
    metrics: list[Metric] = [chart.metric]
    for state in told:
        metric = chosen_metric(state, chart.metric, chart.trace)
        if metric not in metrics:
            metrics.append(metric)
    return metrics


def _kinds(chart: LayerStatsChart, metric: Metric) -> Iterator[Kind]:
    """Return the kinds of attention that a statistic is measured of: what takes long, of one."""
    for kind in chart.trace.kinds:
        if kind == chart.kind or metric.is_instant:
            yield kind


def as_json(contents: dict[str, Any]) -> bytes:
    """Write contents as JSON; bytes are ``{"base64": ...}``."""
    return json.dumps(contents, default=_packed, ensure_ascii=False).encode("utf-8")


def _packed(value: object) -> dict[str, str]:
    if isinstance(value, bytes | memoryview | bytearray):
        return {"base64": base64.b64encode(value).decode("ascii")}
    raise TypeError(f"a {type(value).__name__} cannot be saved")
