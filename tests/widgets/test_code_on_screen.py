"""The Code text, run with nothing but ``trace`` (and ``other``), gives what is on screen."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from glasshead import (
    Explorer,
    LayerStatsChart,
    Lens,
    MutualInformation,
    Norm,
    OverTexts,
    PreviousToken,
    explore,
)
from widgets.frames import unpack
from widgets.test_explorer import settled

if TYPE_CHECKING:
    from glasshead import Trace

PANES = ["lines", "matrix", "strip", "chart", "finder"]


def run(code: str, **names: Any) -> dict[str, Any]:
    """What some code leaves behind, run with these names only."""
    space = dict(names)
    exec(code, space)  # noqa: S102  our own code
    return space


def drawn_maps(explorer: Explorer, *, other: Trace | None = None) -> np.ndarray:
    """The maps of the explorer's heads, combined, ``[maps, rows, columns]``."""
    e, layer, heads = explorer, explorer.layer, explorer.heads
    asked = (e.matrix.compare or {}) if other is not None else {}
    layer, heads = asked.get("layer", layer), asked.get("heads") or heads
    maps = (other or e.trace).attention(layer, kind=e.kind, unit=e.unit).nan_to_num()  # type: ignore[arg-type]
    return maps.double().numpy()[heads or slice(None)]


def combined(maps: np.ndarray, aggregate: str) -> np.ndarray:
    """Heads by themselves, or as one map."""
    if aggregate == "separate":
        return maps
    return (maps.max(axis=0) if aggregate == "max" else maps.mean(axis=0))[None]


def without(maps: np.ndarray, is_sink: np.ndarray, mode: str) -> np.ndarray:
    """Maps without the columns ``is_sink [maps, columns]``; hidden ones give what they had back."""
    if mode == "shown":
        return maps
    rest = np.where(is_sink[:, None], 0, maps)
    if mode == "aside":
        return rest
    left = rest.sum(-1, keepdims=True)
    share = np.divide(maps.sum(-1, keepdims=True), left, out=np.zeros_like(left), where=left > 0)
    return rest * share


def expected_lines(explorer: Explorer) -> np.ndarray:
    """Every row's weights that are lines, all others 0."""
    view, frame = explorer.lines, explorer.lines.frame
    maps = combined(drawn_maps(explorer), view.aggregate)
    if view.blank:
        return maps
    sinks = np.zeros(maps[:, 0].shape, dtype=bool)
    sinks[:, unpack(frame["sinks"]["units"])] = unpack(frame["sinks"]["of_map"]) > 0
    maps = without(maps, sinks, frame["sinks"]["mode"])
    maps = np.where(maps.astype(np.float32) >= np.float32(view.threshold or 0), maps, 0)
    if view.top_k is not None and view.top_k < maps.shape[-1]:
        least = np.sort(maps, axis=-1)[..., -view.top_k, None]
        maps = np.where(maps >= least, maps, 0)
    return maps


def expected_matrix(explorer: Explorer, other: Trace) -> np.ndarray:
    """The cells: hidden sinks gone, special tokens left out, rows normalised, less another."""
    view, frame = explorer.matrix, explorer.matrix.frame
    aggregate = "mean" if view.aggregate == "separate" else view.aggregate
    maps = [combined(drawn_maps(explorer), aggregate)]
    if view.compare is not None:
        of = other if "trace" in view.compare else explorer.trace
        maps.append(combined(drawn_maps(explorer, other=of), aggregate))
    shown = []
    for one in maps:
        sinks = np.zeros(one[:, 0].shape, dtype=bool)
        sinks[:, unpack(frame["sinks"]["units"])] = True
        each = without(one, sinks, "hidden")[0] if frame["sinks"]["mode"] == "hidden" else one[0]
        if view.hide_special:
            each = each[np.ix_(*(plain(explorer, side) for side in ("query", "key")))]
        if view.normalise:
            sums = each.sum(-1, keepdims=True)
            each = np.divide(each, sums, out=np.zeros_like(each), where=sums > 0)
        shown.append(each)
    return shown[0] if len(shown) == 1 else shown[0] - shown[1]


def plain(explorer: Explorer, side: str) -> list[int]:
    """The units of a side that are no special tokens."""
    trace, kind = explorer.trace, explorer.kind
    tokens = trace.queries(kind) if side == "query" else trace.keys(kind)  # type: ignore[arg-type]
    units = [[i] for i in range(len(tokens))]
    if explorer.unit == "word":
        units = [word.tokens for word in trace.words(side, kind)]  # type: ignore[arg-type, misc]
    return [i for i, unit in enumerate(units) if not tokens[unit[0]].special]


def require_lines(found: Any, explorer: Explorer) -> None:
    """What the code of the lines has come to is what is drawn."""
    true, frame = expected_lines(explorer), explorer.lines.frame
    if isinstance(found, torch.Tensor):
        weights = found.nan_to_num()
        np.testing.assert_allclose(weights.reshape(true.shape), true, rtol=1e-4, atol=1e-7)
    else:
        weights = found.values
        rows = -np.sort(-true, axis=-1)[..., : weights.shape[-1]]
        np.testing.assert_allclose(weights.reshape(rows.shape), rows, rtol=1e-4, atol=1e-7)
        places = found.indices.reshape(rows.shape)
        at = np.take_along_axis(true, places.numpy(), -1)
        np.testing.assert_allclose(at, rows, rtol=1e-4, atol=1e-7)
    if explorer.lines.blank:
        return
    drawn = unpack(frame["lines"]["weight"])
    n = min(drawn.shape[-1], weights.shape[-1])
    top = weights.reshape(*drawn.shape[:2], -1).topk(n).values.numpy()
    np.testing.assert_allclose(np.where(top > 0, drawn[..., :n], 0), top, rtol=1e-4, atol=1e-7)
    assert frame["shown"]["n"] == int((weights > 0).sum())


def require_strip(found: pd.DataFrame, explorer: Explorer) -> None:
    frame = explorer.strip.frame
    for name in ("surprisal", "probability", "entropy", "rank"):
        drawn = unpack(frame[name]).astype(float)
        known = np.isfinite(found[name].to_numpy(dtype=float))
        scored = found[name].to_numpy(dtype=float)[known]
        np.testing.assert_allclose(drawn[known], scored, rtol=1e-5)


def require_finder(found: pd.DataFrame, explorer: Explorer) -> None:
    finder, frame = explorer.finder, explorer.finder.frame
    layers, n_heads = unpack(frame["layers"]), unpack(frame["n_heads"])
    heads = [(n, h) for n, of in zip(layers, n_heads, strict=True) for h in range(of)]
    table = pd.DataFrame(heads, columns=["layer", "head"])
    for metric in frame["metrics"]:
        values = unpack(metric["values"])
        row = {layer: i for i, layer in enumerate(layers)}
        table[metric["name"]] = [values[row[n], h] for n, h in heads]
    by = table[finder.metric]
    kept = table[by.ge(finder.at_least if finder.at_least is not None else -np.inf) | by.isna()]
    if finder.only_layers:
        kept = kept[kept["layer"].isin(finder.only_layers)]
    if finder.only_heads:
        kept = kept[kept["head"].isin(finder.only_heads)]
    if finder.at_least is not None:
        kept = kept[kept[finder.metric].notna()]
    if finder.sort != "layer":
        ascending = finder.sort == "lowest"
        kept = kept.sort_values(finder.metric, ascending=ascending, kind="stable")
    assert (
        found[["layer", "head"]].to_numpy().tolist() == kept[["layer", "head"]].to_numpy().tolist()
    )
    np.testing.assert_allclose(found.to_numpy(float), kept[list(found)].to_numpy(float), rtol=1e-5)


def require_chart(found: pd.DataFrame, explorer: Explorer) -> None:
    """The first quantity of the chart is a column of the table, or the mean of its heads."""
    frame = explorer.chart.frame
    metric = explorer.chart.metric.name
    column = frame["quantity"] if frame["quantity"] in found else metric
    drawn = unpack(frame["mean"])  # [series, layers]
    by_layer = [group[column].to_numpy(float) for _, group in found.groupby("layer")]
    if "head" in found:
        by_layer = [np.array([values.mean()]) for values in by_layer]
    layers = unpack(frame["layers"]).tolist()
    assert sorted(set(found["layer"])) == layers
    np.testing.assert_allclose(drawn.T, np.stack(by_layer), rtol=1e-4)


def require_all(explorer: Explorer, other: Trace) -> None:
    found = run(explorer.code(), trace=explorer.trace, other=other)
    require_lines(found["lines"], explorer)
    true = expected_matrix(explorer, other)
    np.testing.assert_allclose(found["matrix"].nan_to_num().reshape(true.shape), true, atol=2e-6)
    require_strip(found["strip"], explorer)
    require_chart(found["chart"], explorer)
    require_finder(found["finder"], explorer)


def draw(trace: Trace, generator: random.Random) -> dict[str, Any]:
    """A state of the whole instrument."""
    pick = generator.choice
    kind = pick(trace.kinds)
    layer = pick(trace.layers(kind))
    heads = generator.sample(range(trace.n_heads(layer, kind)), pick([0, 1, 2, 3]))
    metric = pick(["sink", "entropy"])
    state = {
        "kind": kind,
        "layer": layer,
        "heads": sorted(heads),
        "unit": pick(["token", "word"]),
        "aggregate": pick(["mean", "max", "separate"]),
        "sinks": pick(["auto", "aside", "shown", "hidden"]),
        "lines_top_k": pick([None, 1, 2, 3, 99]),
        "lines_threshold": pick([None, None, 0.05, 0.2]),
        "lines_blank": pick([False, False, True]),
        "matrix_normalise": pick([False, True]),
        "matrix_hide_special": pick([False, True]),
        "matrix_compare": pick([None, {}, {"layer": trace.layers(kind)[0]}, {"heads": [1]}]),
        "strip_measure": pick(["surprisal", "rank", "entropy"]),
        "chart_metric": pick(["norm", "sink", "entropy"]),
        "finder_metric": metric,
        "finder_sort": pick(["layer", "highest", "lowest"]),
        "finder_at_least": pick([None, 0.1]),
        "finder_only_layers": pick([[], [trace.layers(kind)[-1]]]),
        "finder_only_heads": pick([[], [0, 2]]),
    }
    return {**state, "finder_second_metric": metric}


@pytest.fixture(scope="module")
def traces(decoder_trace: Trace, translation: Trace, encoder_trace: Trace) -> dict[str, Trace]:
    demo = Lens.demo("decoder").trace(
        "The white whale, and the old captain looked at the white sea."
    )
    return {
        "decoder": decoder_trace,
        "encoder": encoder_trace,
        "encoder-decoder": translation,
        "demo": demo,
    }


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["decoder", "encoder", "encoder-decoder", "demo"])
def test_the_code_of_an_explorer_gives_what_each_pane_shows(
    traces: dict[str, Trace], name: str, seed: int
) -> None:
    trace = traces[name]
    state = draw(trace, random.Random(f"{name} {seed}"))  # noqa: S311  choices, no secrets
    explorer = settled(explore(trace, panes=PANES, **state))
    assert explorer.error == ""
    require_all(explorer, trace)
    explorer.close()


def test_a_comparison_with_another_trace_is_of_the_other(decoder_trace: Trace) -> None:
    lens: Any = decoder_trace.lens
    other = lens.trace(decoder_trace.text)
    explorer = settled(explore(decoder_trace, panes=PANES, layer=1, unit="token"))
    explorer.matrix.compare_to(other, layer=2)
    settled(explorer)
    require_all(explorer, other)
    assert "- other.attention(2" in explorer.matrix.code()


def mine(_: Trace, layer: int) -> float:
    return 2.0 * layer


def test_the_code_of_a_chart_says_by_name_what_cannot_be_written_out(decoder_trace: Trace) -> None:
    chart = LayerStatsChart(decoder_trace, mine)
    assert "# mine: the chart's function" in chart.code()
    lines = chart.code().replace("OwnMetric(", "found = OwnMetric(")
    assert run(lines, trace=decoder_trace, mine=mine)["found"]["value"].tolist() == [0, 2, 4]
    nameless = LayerStatsChart(decoder_trace, partial(mine))
    assert "OwnMetric(function=function, title=" in nameless.code()
    many = LayerStatsChart(decoder_trace, OverTexts(of=Norm(), texts=["the sea " * 30] * 10))
    assert "# texts: the texts that the chart is of" in many.code()


@pytest.mark.parametrize(
    "metric",
    [
        OverTexts(of=PreviousToken(), texts=["the old sea ran", "the fox"]),
        MutualInformation(target=torch.arange(6), bins=3),
    ],
    ids=["over texts", "mutual information"],
)
def test_the_code_of_a_chart_runs_by_itself(decoder_trace: Trace, metric: Any) -> None:
    chart = LayerStatsChart(decoder_trace, metric)
    *before, last = chart.code().splitlines()
    found = run("\n".join([*before, f"found = {last}"]), trace=decoder_trace)["found"]
    pd.testing.assert_frame_equal(found, chart.to_frame())
