"""All heads of a model at a glance: a small picture and a few numbers of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from glasshead_backend.answering import answered, travels
from glasshead_backend.asking import Selection
from glasshead_backend.frames.pack import pack
from glasshead_backend.maps.sinks import rule
from glasshead_backend.progress import steps
from glasshead_backend.questions.attention import attention_map, sinks
from glasshead_backend.statistics.by_name import METRICS
from glasshead_backend.statistics.head_metrics import HeadMetric
from glasshead_backend.statistics.heads import measure_heads
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jaxtyping import Bool, Float, UInt8
    from torch import Tensor

    from glasshead_backend.asking import Kind, Unit
    from glasshead_backend.trace import Trace

_BYTES = 900_000
"""Pixels of all patterns together: a frame stays under 1 MB."""

_LARGEST = 64
"""Most pixels on an axis of one of many patterns ..."""

_ALONE = 224
"""... and of a pattern that is looked at alone."""

_IN_FULL = 0.98
"""Quantile of a head's pixels that is drawn in full: a few outliers do not make the rest pale."""

_EVEN = 4
"""Nor is less than so many times an even share drawn in full: noise is no pattern."""

SCALE = (
    "each head on a scale of its own, by the square root of the weight: drawn in full is the "
    f"{_IN_FULL:.0%} quantile of its pixels outside sinks; sinks are grey, in full at 1"
)
"""How patterns are drawn, in words."""

Sort = Literal["layer", "highest", "lowest"]
End = Literal["mean", "low", "high"]
"""A number of the mean over many texts: itself, or an end of its interval."""


@travels
class Patterns(NamedTuple):
    """Small pictures of heads, one layer after the other; padded where a layer has fewer heads.

    Attributes
    ----------
    values : Tensor
        ``[..., rows, columns]`` uint8. Outside sinks ``weight = scale (byte / 255)²``, or more at
        255; in sinks ``weight = (byte / 255)²``. The largest weight of the cells of a pixel.
    sinks : Tensor
        ``[..., columns]`` bool: pixels in which a column is a sink of the head.
    scale : Tensor
        ``[...]`` float32: the weight that is drawn in full.
    to_sinks : Tensor
        ``[...]`` float32: share of its attention that a head gives to its sinks.
    per_pixel : int
        Rows and columns of the map that one pixel stands for.
    """

    values: UInt8[Tensor, "*head row column"]
    sinks: Bool[Tensor, "*head column"]
    scale: Float[Tensor, "*head"]
    to_sinks: Float[Tensor, "*head"]
    per_pixel: int


@travels
@dataclass(frozen=True)
class Shown:
    """Which heads are shown, and in which order.

    Attributes
    ----------
    metric : str
        The metric that orders and filters.
    sort : {"layer", "highest", "lowest"}
        By layer and head, or by the metric; heads that have no value come last.
    at_least, at_most : float or None
        Only heads whose value is in between; a head without a value is not.
    layers : tuple of int
        Only these layers; empty = all.
    heads : tuple of int
        Only heads with these numbers; empty = all.
    by : {"mean", "low", "high"}
        Which number of the metric orders and filters, where an atlas has its interval.
    """

    metric: str
    sort: Sort = "layer"
    at_least: float | None = None
    at_most: float | None = None
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    by: End = "mean"

    @property
    def column(self) -> str:
        """What the number is called in a table."""
        return self.metric if self.by == "mean" else f"{self.metric}_{self.by}"


def head_metrics(kind: Kind, more: Sequence[HeadMetric] = ()) -> list[HeadMetric]:
    """List the metrics that heads of a kind of attention have, in the order of the registry.

    Parameters
    ----------
    kind : str
    more : sequence of HeadMetric
        Those that the model runs for: they are there where somebody asks for them.
    """
    own = [metric for metric in METRICS.values() if issubclass(metric, HeadMetric)]
    cheap = [metric for metric in own if not metric.takes_runs]
    return [*(one() for one in cheap if not (one.of_one_text and kind == "cross")), *more]


@answered
def heads_frame(
    trace: Trace, kind: Kind, unit: Unit, more: Sequence[HeadMetric] = ()
) -> dict[str, Any]:
    """Make the frame of HeadFinder.

    Parameters
    ----------
    trace : Trace
    kind : str
    unit : {"token", "word"}
        What rows and columns of the patterns stand for. Metrics are always over tokens.
    more : sequence of HeadMetric
        Metrics that the model runs for.

    Returns
    -------
    dict
        ``layers`` and ``n_heads`` ``[layers]``: the model's own numbers; ``patterns``
        ``[layers, heads, rows, columns]`` and what belongs to them (:class:`Patterns`);
        ``per_pixel`` cells on each axis of a pixel of a map of ``rows`` x ``columns``; ``metrics``,
        each with ``values`` ``[layers, heads]``, NaN where a head has none; ``note``: which layers
        there are without attention.
    """
    layers, run = trace.layers(kind), run_of(trace)

    def drawn() -> dict[str, Any]:
        key = ("head patterns", kind, unit)
        found = run.store.remember(key, lambda: _patterns(trace, layers, kind, unit))
        return {
            "per_pixel": found.per_pixel,
            "patterns": pack(found.values, torch.uint8),
            "sinks": pack(found.sinks, torch.uint8),
            "scale": pack(found.scale, torch.float32),
            "to_sinks": pack(found.to_sinks, torch.float32),
        }

    def measured() -> dict[str, Any]:
        return measured_heads(trace, kind, more)

    parts = (drawn, measured)
    packed = [part() for part in steps(parts, "computing all heads", len(parts))]
    of = attention_map(run, Selection(kind, layers[0], unit=unit))
    return {
        "key": {"kind": kind, "unit": unit},
        "kind": "heads",
        "rows": of.n_rows,
        "columns": of.n_columns,
        **packed[0],
        **packed[1],
    }


@answered
def measured_heads(trace: Trace, kind: Kind, more: Sequence[HeadMetric] = ()) -> dict[str, Any]:
    """Return what :func:`heads_frame` has beside the patterns: the heads, and all their metrics."""
    layers = trace.layers(kind)
    return {
        "layers": pack(torch.tensor(layers), torch.int32),
        "n_heads": pack(torch.tensor([trace.n_heads(n, kind) for n in layers]), torch.uint16),
        "metrics": [_measured(metric, trace, kind) for metric in head_metrics(kind, more)],
        "scale_words": SCALE,
        "sinks_words": rule(causal=run_of(trace).is_causal(kind)),
        "note": _without_attention(trace, layers, kind),
    }


@answered
def pattern(trace: Trace, asked: Selection) -> Patterns:
    """Draw some heads of one layer larger; ``[heads, ...]``."""
    return _drawn(trace, asked, _ALONE)


@answered
def heads_table(
    trace: Trace, kind: Kind, shown: Shown, more: Sequence[HeadMetric] = ()
) -> pd.DataFrame:
    """Return layer, head and all metrics of the heads that are shown, in their order."""
    named = [metric.name for metric in head_metrics(kind)]
    heads = measure_heads(trace, kind).to_frame()[["layer", "head", *named]]
    for metric in more:
        values, _ = _values(metric, trace, kind)
        at = [trace.layers(kind).index(layer) for layer in heads["layer"]]
        heads[metric.name] = values[at, heads["head"].to_list()].numpy()
    return listed(heads, shown)


def listed(heads: pd.DataFrame, shown: Shown) -> pd.DataFrame:
    """Return the rows of a table of heads that are shown, in their order."""
    value = heads[shown.column].to_numpy().astype(np.float32)
    layer = heads["layer"].to_numpy()
    wanted = np.isin(layer, shown.layers) if shown.layers else np.ones(len(layer), dtype=bool)
    if shown.heads:
        wanted &= np.isin(heads["head"].to_numpy(), shown.heads)
    # A limit that was read off a value holds for it: values are of single precision.
    if shown.at_least is not None:
        wanted &= value >= np.float32(shown.at_least)
    if shown.at_most is not None:
        wanted &= value <= np.float32(shown.at_most)
    heads = heads[wanted]
    if shown.sort != "layer":
        lowest = shown.sort == "lowest"
        heads = heads.sort_values(shown.column, ascending=lowest, kind="stable")
    return heads.reset_index(drop=True)


def _measured(metric: HeadMetric, trace: Trace, kind: Kind) -> dict[str, Any]:
    values, note = _values(metric, trace, kind)
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit,
        "max": metric.max,
        "values": pack(values, torch.float32),
        "note": note,
    }


def _values(
    metric: HeadMetric, trace: Trace, kind: Kind
) -> tuple[Float[Tensor, "layer head"], str]:
    """The numbers of all heads that are listed; where there are none, and why."""
    layers = trace.layers(kind)
    most = max(trace.n_heads(layer, kind) for layer in layers)
    values = torch.full((len(layers), most), torch.nan)
    try:
        found = metric.measure(trace, kind)
    except ValueError as error:  # not of this model, or not of this kind of attention
        return values, str(error)
    for i, layer in enumerate(layers):
        if layer in found.layers:
            own = found.values[found.layers.index(layer)]
            values[i, : len(own)] = own
    return values, metric.why_none if values.isnan().all() else ""


def _patterns(trace: Trace, layers: Sequence[int], kind: Kind, unit: Unit) -> Patterns:
    """Draw all heads, a layer at a time."""
    most = max(trace.n_heads(layer, kind) for layer in layers)
    size = min(_LARGEST, max(1, math.isqrt(_BYTES // (len(layers) * most))))
    drawn = [
        _drawn(trace, Selection(kind, layer, unit=unit), size)
        for layer in steps(layers, "drawing heads", len(layers))
    ]

    def stacked(parts: Sequence[Tensor]) -> Tensor:
        whole = parts[0].new_zeros(len(parts), most, *parts[0].shape[1:])
        for i, part in enumerate(parts):
            whole[i, : len(part)] = part
        return whole

    return Patterns(
        values=stacked([one.values for one in drawn]),
        sinks=stacked([one.sinks for one in drawn]),
        scale=stacked([one.scale for one in drawn]),
        to_sinks=stacked([one.to_sinks for one in drawn]),
        per_pixel=drawn[0].per_pixel,
    )


def _drawn(trace: Trace, asked: Selection, size: int) -> Patterns:
    """Draw the heads of a layer, pooled on its device to at most `size` pixels on an axis."""
    run = run_of(trace)
    of, found = attention_map(run, asked), sinks(run, asked)
    pooled, per_pixel = of.pooled(size=size)
    weights = pooled.float().nan_to_num(0.0)
    missing = -of.n_columns % per_pixel
    in_sink = torch.nn.functional.pad(found.columns, (0, missing)).unflatten(1, (-1, per_pixel))
    in_sink = in_sink.any(dim=-1)
    least = _EVEN / of.n_columns
    # What is masked, or a sink, says nothing of how strong the rest is.
    rest = weights.masked_fill(in_sink[:, None] | (weights == 0), torch.nan).flatten(1)
    scale = rest.nanquantile(_IN_FULL, dim=1).nan_to_num(0.0).clamp(least, 1.0)
    darkness = torch.where(in_sink[:, None], weights, weights / scale[:, None, None])
    values = (darkness.clamp(0.0, 1.0).sqrt() * 255).round().to(torch.uint8)
    share = found.share.float()
    return Patterns(values.cpu(), in_sink.cpu(), scale.cpu(), share.cpu(), per_pixel)


def _without_attention(trace: Trace, layers: Sequence[int], kind: Kind) -> str:
    """Say which layers have no attention that could be shown; "" = all have."""
    run = run_of(trace)
    if run.given:
        return ""
    stack = run.anatomy.structure.stacks[run.stack(kind)]  # noqa: PD013  not pandas'
    missing = sorted(set(range(len(stack))) - set(layers))
    if not missing:
        return ""
    one = len(missing) == 1
    names = ", ".join(_runs(missing))
    return f"Layer{'' if one else 's'} {names}: no {kind} attention that can be read."


def _runs(numbers: Sequence[int]) -> list[str]:
    """Write numbers that follow each other as "4–7"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in found]
