"""LayerStatsChart without a browser: metrics, parameters, results that stream in."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from traitlets import TraitError

from glasshead import (
    BinSensitivity,
    Induction,
    LayerStatsChart,
    Lens,
    MutualInformation,
    Norm,
    OverTexts,
    PredictionDivergence,
    Probing,
    Trace,
    mutual_information,
    prediction_divergence,
)
from glasshead.saving.contents import charts
from glasshead_backend.demo import DECODER_LONG_TEXT
from glasshead_backend.statistics import METRICS
from glasshead_backend.statistics.chart import number
from widgets.frames import unpack

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


@pytest.fixture(scope="module")
def trace(lens: Lens) -> Trace:
    return lens.trace(DECODER_LONG_TEXT)


@pytest.fixture
def chart(trace: Trace) -> LayerStatsChart:
    return LayerStatsChart(trace)


@pytest.fixture
def told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasshead.long_work._SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr("glasshead.layer_stats_chart._SECONDS_BETWEEN", 0.0)


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def from_browser(chart: LayerStatsChart, name: str, **parameters: Any) -> None:
    state = {"metric": {"name": name, "label": "", "parameters": parameters, "over": ""}}
    chart._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


class Gate:
    """A metric of one's own that lets one layer after the other through."""

    def __init__(self) -> None:
        self.passed = threading.Semaphore(0)
        self.asked: list[int] = []

    def __call__(self, trace: Trace, layer: int) -> float:
        self.asked.append(layer)
        assert self.passed.acquire(timeout=10)
        return float(trace.norms()["mlp"][layer].mean())


def computed(chart: LayerStatsChart) -> LayerStatsChart:
    """Wait for the picture: a busy machine takes longer than the view waits for its first one."""
    assert chart.result is not None
    return chart


def test_the_picture_holds_the_numbers_of_the_statistic(trace: Trace) -> None:
    chart = computed(LayerStatsChart(trace, MutualInformation(target=" the")))
    expected = mutual_information(trace, " the")
    np.testing.assert_allclose(unpack(chart.frame["mean"]), expected.mi.numpy(), rtol=1e-6)
    np.testing.assert_array_equal(unpack(chart.frame["layers"]), expected.layers)
    assert [one["name"] for one in chart.frame["series"]] == ["attention", "mlp"]
    assert chart.frame["unit"] == "bits"
    assert chart.to_frame().equals(expected.to_frame())


def test_the_line_of_ranks_is_called_a_median(trace: Trace) -> None:
    chart = LayerStatsChart(trace, "logit_lens", quantity="rank")
    ranks = chart.result.to_frame()["rank"]
    np.testing.assert_allclose(unpack(chart.frame["mean"])[0], ranks)
    assert (chart.frame["middle"], chart.frame["interval"][:9]) == ("median", "quartiles")


def last_is_huge(trace: Trace, layer: int) -> torch.Tensor:
    """A number for each token, one of them so large that it takes the mean along."""
    values = torch.arange(1.0, len(trace.queries()) + 1) + layer
    values[-1] = 1e4
    return values


@pytest.mark.parametrize(
    ("metric", "mean"),
    [
        ("norm", "mean"),
        ("logit_lens", "mean_surprisal"),
        ("layer_similarity", "mean"),
        (last_is_huge, "mean"),
    ],
)
def test_a_line_stays_in_its_own_band_and_a_mean_has_none(
    trace: Trace, metric: Any, mean: str
) -> None:
    chart = computed(LayerStatsChart(trace, metric))
    middle, low, high = (unpack(chart.frame[name]) for name in ("mean", "low", "high"))
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert chart.frame["middle"] == "median"
    chart.quantity = mean
    assert (chart.frame["middle"], chart.frame["interval"]) == ("mean", "")
    assert np.isnan(unpack(chart.frame["low"])).all()
    assert not np.array_equal(unpack(chart.frame["mean"]), middle)


def test_the_mean_can_still_be_chosen(trace: Trace) -> None:
    chart = computed(LayerStatsChart(trace, "norm", quantity="mean"))
    for i, block in enumerate(["attention", "mlp"]):
        for layer in trace.layers("self"):
            true = trace.activations(layer, block).norm(dim=-1).double().numpy()
            np.testing.assert_allclose(
                unpack(chart.frame["mean"])[i, layer], true.mean(), rtol=1e-5
            )


def test_marks_say_what_is_significant(trace: Trace) -> None:
    chart = computed(
        LayerStatsChart(trace, PredictionDivergence(block="residual", permutations=200))
    )
    expected = prediction_divergence(trace, block="residual", permutations=200)
    marks = unpack(chart.frame["significant"])[0]
    assert list(marks == 2) == list(expected.significant.numpy())
    frame = expected.to_frame()
    np.testing.assert_allclose(unpack(chart.frame["null_low"])[0], frame.null_low, rtol=1e-6)
    np.testing.assert_allclose(unpack(chart.frame["null_high"])[0], frame.null_high, rtol=1e-6)


def test_the_divergence_and_what_chance_means_are_chosen_in_the_chart(trace: Trace) -> None:
    chart = computed(LayerStatsChart(trace, PredictionDivergence(permutations=50, block="mlp")))
    assert chart.frame["unit"].startswith("Jensen-Shannon divergence")
    asked = {"block": "mlp", "bins": 4, "permutations": 50, "epsilon": 1e-9}
    from_browser(chart, "prediction_divergence", **asked, divergence="notebook", null="shift")
    until(lambda: chart.frame["unit"].startswith("notebook’s symmetric KL") and chart.busy == "")
    expected = prediction_divergence(trace, **asked, divergence="notebook", null="shift")
    np.testing.assert_allclose(unpack(chart.frame["mean"])[0], expected.observed, rtol=1e-6)
    assert chart.metric == expected.metric
    assert "labels shifted round the text, mean and 95 % of 50 shifts" in chart.frame["null_words"]
    assert "(½ KL(m‖p) + ½ KL(m‖q)) / bins" in chart.frame["help"][0]
    json.dumps(chart.get_state("metric"))


def test_an_infinite_divergence_travels_and_is_said(trace: Trace) -> None:
    asked = PredictionDivergence(divergence="notebook", bins=200, permutations=50)
    chart = computed(LayerStatsChart(trace, asked))
    assert np.isinf(unpack(chart.frame["mean"])).all()
    assert chart.frame["note"].startswith("Infinite in every layer: a bin holds values of one")
    groups, *_ = chart.detail["panels"]
    assert groups["words"].startswith("divergence ∞ nats per bin")
    assert groups["words"].endswith("p = 1, adjusted for the number of layers 1")
    json.dumps(chart.detail, default=len, allow_nan=False)


def test_an_infinite_divergence_over_texts_is_said_in_the_chart(trace: Trace) -> None:
    texts = [DECODER_LONG_TEXT[start : start + 200] for start in (0, 100, 200)]
    asked = PredictionDivergence(divergence="notebook", permutations=10)
    chart = LayerStatsChart(trace, OverTexts(of=asked, texts=texts))
    until(lambda: chart.frame != {})
    assert np.isinf(unpack(chart.frame["mean"])).all()
    assert chart.frame["note"].startswith("Infinite in every layer, because of 3 of 3 texts: a bin")


def test_a_metric_says_itself_that_it_is_known_at_once(trace: Trace) -> None:
    class Depth(Norm):
        """Norms by another name."""

    class Slow(Norm):
        is_instant = False

    for metric, is_long in ((Norm(), False), (Depth(), False), (Slow(), True), (Induction(), True)):
        chart = LayerStatsChart(trace, metric)
        chart._measured_of = None  # as if it were asked for now
        assert chart._is_long() is is_long
    assert not OverTexts(of="norm", texts=[]).is_instant


def test_the_panel_shows_the_current_layer(trace: Trace) -> None:
    chart = LayerStatsChart(trace, "prediction_divergence", layer=1)
    groups, null, *_ = chart.detail["panels"]
    assert chart.detail["layer"] == 1
    result = prediction_divergence(trace)
    shares = unpack(groups["values"])
    np.testing.assert_allclose(shares[0], result.correct[1].numpy() / result.n_correct, rtol=1e-6)
    assert null["mark"]["value"] == pytest.approx(float(result.jsd[1]))
    assert unpack(null["values"]).sum() == 1000
    chart.layer = 0
    assert chart.detail["panels"][1]["mark"]["value"] == pytest.approx(float(result.jsd[0]))


def test_two_places_that_are_selected_are_the_pair_that_is_shown(trace: Trace) -> None:
    chart = LayerStatsChart(trace, mutual_information(trace, " the"), layer=1)
    places = mutual_information(trace, " the").positions

    def shown() -> list[Any]:
        return [panel["pair"] for panel in chart.detail["panels"] if panel["type"] == "grid"]

    strongest = shown()
    chart.selected = [places[1], places[4]]
    assert shown() == [[1, 4], [1, 4]]
    chart.layer = 0
    assert shown() == [[1, 4], [1, 4]]
    chart.layer, chart.selected = 1, [places[1]]  # of one there is no pair
    assert shown() == strongest
    json.dumps(chart.detail, default=len)


def test_a_saved_page_has_the_pair_that_was_selected(trace: Trace) -> None:
    found = mutual_information(trace, " the")
    chart = LayerStatsChart(trace, found, selected=[found.positions[1], found.positions[4]])
    details = charts(chart, [], trace)["details"]
    panels = [panel for one in details for panel in one["detail"]["panels"]]
    assert {tuple(one["pair"]) for one in panels if one["type"] == "grid"} == {(1, 4)}


def test_selecting_tokens_leaves_the_detail_of_other_statistics_as_it_is(trace: Trace) -> None:
    chart = LayerStatsChart(trace, prediction_divergence(trace, permutations=20))
    before = chart.detail
    chart.selected = [3, 4]
    assert chart.detail is before


def test_every_statistic_that_is_offered_can_be_chosen(chart: LayerStatsChart) -> None:
    assert {one["name"] for one in chart.metrics} == set(METRICS)
    for one in chart.metrics:
        parameters = one["defaults"]
        if one["name"] == "mutual_information":
            assert parameters["target"] is None  # the user has to say it
            parameters = {**parameters, "target": " the"}
        json.dumps(one)
        from_browser(chart, one["name"], **parameters)
        until(lambda name=one["name"]: chart.frame["key"]["metric"] == name)
        until(lambda: chart.busy == "")
        assert chart.error == ""
        assert np.isfinite(unpack(chart.frame["mean"])).any()
        for quantity in chart.frame["quantities"]:
            chart.quantity = quantity["name"]
            assert chart.frame["quantity"] == quantity["name"]
        chart.quantity = ""


def test_an_encoder_is_not_offered_predictions(encoder_trace: Trace) -> None:
    offered = {one["name"] for one in LayerStatsChart(encoder_trace).metrics}
    assert "logit_lens" not in offered
    assert "prediction_divergence" not in offered
    with pytest.raises(TraitError, match="encoder"):
        LayerStatsChart(encoder_trace, "logit_lens")


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_a_translator_has_its_stacks_and_blocks(translation: Trace, kind: str) -> None:
    chart = LayerStatsChart(translation, "layer_similarity", kind=kind)
    until(lambda: chart.busy == "")
    n_tokens = len(translation.sequences[0 if kind == "encoder" else 1].tokens)
    assert len(chart.frame["token_labels"]) == n_tokens
    blocks = next(m for m in chart.metrics if m["name"] == "prediction_divergence")["parameters"][0]
    assert "cross" in [one["value"] for one in blocks["choices"]]


def test_parameters_changed_on_the_page_are_measured_anew(chart: LayerStatsChart) -> None:
    from_browser(chart, "mutual_information", target=" the", bins=15.0, trim=4)
    until(lambda: chart.frame["key"]["metric"] == "mutual_information")
    before = unpack(chart.frame["mean"]).copy()
    from_browser(chart, "mutual_information", target=" the", bins=6, trim=None)
    until(lambda: not np.array_equal(unpack(chart.frame["mean"]), before))
    assert isinstance(chart.metric, MutualInformation)
    assert (chart.metric.bins, chart.metric.trim) == (6, None)
    assert chart.get_state("metric")["metric"]["parameters"]["trim"] is None


def test_what_a_page_does_not_offer_stays_as_it_was(trace: Trace) -> None:
    chart = LayerStatsChart(trace, MutualInformation(target=" the", blocks=("residual",)))
    from_browser(chart, "mutual_information", target=" the", bins=9)
    assert chart.metric.blocks == ("residual",)
    assert chart.metric.bins == 9


def test_positions_travel_as_a_list_in_brackets(chart: LayerStatsChart) -> None:
    chart.metric = MutualInformation(target=[3, 8, 11, 20])
    assert chart.get_state("metric")["metric"]["parameters"]["target"] == "[3, 8, 11, 20]"
    from_browser(chart, "mutual_information", target="[1, 2, 3, 40]")
    assert chart.metric.target == (1, 2, 3, 40)
    from_browser(chart, "mutual_information", target="[1, x]")
    assert "write it as [3, 8, 11]" in chart.error
    assert chart.metric.target == (1, 2, 3, 40)


@pytest.mark.parametrize(
    ("name", "parameters", "says"),
    [
        ("prediction_divergence", {"bins": 0}, "at least 1 bin"),
        ("prediction_divergence", {"block": "heads"}, "'heads' is not one of"),
        ("prediction_divergence", {"alpha": 2}, "no level of significance"),
        ("mutual_information", {"target": None}, "target is missing"),
        ("logit_lens", {"k": 2.5}, "no whole number"),
        ("horoscope", {}, "'horoscope' is not there"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_said_and_undone(
    chart: LayerStatsChart, name: str, parameters: dict[str, Any], says: str
) -> None:
    before = chart.frame
    from_browser(chart, name, **parameters)
    assert says in chart.error
    assert chart.metric == Norm()
    assert chart.frame is before


def test_a_text_that_lacks_the_target_keeps_the_last_picture(chart: LayerStatsChart) -> None:
    from_browser(chart, "mutual_information", target=" the")
    until(lambda: chart.frame["key"]["metric"] == "mutual_information")
    before = chart.frame
    from_browser(chart, "mutual_information", target="zebra")
    until(lambda: "'zebra' is not in the text" in chart.error)
    assert (chart.frame, chart.busy) == (before, "")
    with pytest.raises(ValueError, match="zebra"):
        LayerStatsChart(chart.trace, MutualInformation(target="zebra"))


@pytest.mark.usefixtures("told_at_once")
def test_results_stream_in_layer_by_layer(trace: Trace) -> None:
    gate = Gate()
    chart = LayerStatsChart(trace)
    chart.metric = gate
    until(lambda: gate.asked == [0])
    gate.passed.release()
    until(lambda: chart.frame.get("partial", "").startswith("computing own metric: 50%"))
    first, second = unpack(chart.frame["mean"])[0]
    assert np.isfinite(first)
    assert np.isnan(second)
    gate.passed.release()
    until(lambda: chart.frame["partial"] == "")
    assert np.isfinite(unpack(chart.frame["mean"])).all()


@pytest.mark.usefixtures("told_at_once")
def test_cancelling_brings_the_last_picture_back(trace: Trace) -> None:
    gate = Gate()
    chart = LayerStatsChart(trace, "induction", layer=1)
    whole, detail = chart.frame, chart.detail
    chart.metric = gate
    gate.passed.release()
    until(lambda: chart.frame.get("partial", "") != "")
    chart._handle_custom_msg({"kind": "stop"}, [])
    gate.passed.release()
    chart._long_work.join(5)
    assert chart.metric == Induction()
    assert chart.frame == whole
    assert chart.detail == detail
    assert (chart.busy, chart.error) == ("", "")


def test_a_chart_that_takes_long_is_there_at_once(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LayerStatsChart, "_patience", 0.05)
    gate = Gate()
    chart = LayerStatsChart(trace, gate)
    assert chart.frame == {}
    assert chart.busy.startswith("computing own metric")
    gate.passed.release(2)
    assert len(chart.to_frame()) == 2  # waits
    until(lambda: chart.frame != {})
    assert gate.asked == [0, 1]


def test_a_change_of_quantity_or_layer_measures_nothing_anew(trace: Trace) -> None:
    asked: list[int] = []
    chart = LayerStatsChart(trace, lambda _, layer: asked.append(layer) or float(layer))
    chart.layer = 1
    chart.quantity = "value"
    chart.scale = "log"
    assert asked == [0, 1]


def test_a_result_can_be_shown_as_it_is(trace: Trace) -> None:
    result = prediction_divergence(trace, block="mlp", permutations=50)
    chart = LayerStatsChart(trace, result)
    assert chart.result is result
    assert chart.metric == PredictionDivergence(block="mlp", permutations=50)


def test_over_many_texts_the_parameters_are_those_of_the_statistic(trace: Trace) -> None:
    texts = [DECODER_LONG_TEXT[:300], DECODER_LONG_TEXT[:400]]
    chart = LayerStatsChart(trace, OverTexts(of=BinSensitivity(), texts=texts))
    until(lambda: chart.frame != {})
    assert chart.get_state("metric")["metric"]["over"] == "2 texts"
    from_browser(chart, "bin_sensitivity", block="mlp")
    assert isinstance(chart.metric, OverTexts)
    assert chart.metric.of == BinSensitivity(block="mlp")
    from_browser(chart, "induction")
    until(lambda: chart.frame["key"]["metric"] == "induction" and chart.busy == "")
    assert chart.frame["heat"] is not None
    assert chart.result.n_measured == 2


def probing() -> Probing:
    nouns = ["whale", "whales"] * 6
    texts = [f"The {noun} swam in the sea {i} times" for i, noun in enumerate(nouns)]
    labels = ["many" if noun == "whales" else "one" for noun in nouns]
    return Probing(texts=texts, labels=labels, unit="text", folds=3)


def test_a_probe_is_measured_in_the_chart_and_shown_when_it_is_there(trace: Trace) -> None:
    chart = computed(LayerStatsChart(trace, probing(), layer=1))
    assert [one["label"] for one in chart.frame["series"]] == [
        "probe of residual stream",
        "always “many”",
    ]
    accuracy = unpack(chart.frame["mean"])[0]
    assert accuracy.tolist() == pytest.approx(chart.to_frame()["accuracy"].tolist())
    assert [panel["type"] for panel in chart.detail["panels"]] == ["bars", "table"]
    chart.quantity = "above_control"
    frame = chart.to_frame()
    above = frame["accuracy"] - frame["control"]
    assert unpack(chart.frame["mean"])[0].tolist() == pytest.approx(above.tolist())
    found = chart.result
    again = LayerStatsChart(trace, found)
    assert again.result is found
    assert again.busy == ""


def test_the_code_behind_a_probe_gives_its_numbers(trace: Trace) -> None:
    chart = computed(LayerStatsChart(trace, probing()))
    space: dict[str, Any] = {"trace": trace}
    *imports, last = chart.code().splitlines()
    exec("\n".join([*imports, f"found = {last}"]), space)  # noqa: S102  our own code
    pd.testing.assert_frame_equal(space["found"], chart.to_frame())


def test_a_state_with_a_probe_fits_the_chart_that_has_it_and_no_other(trace: Trace) -> None:
    asked = probing()
    chart = computed(LayerStatsChart(trace, asked))
    state = chart.state()
    chart.set(**state)
    assert chart.metric == asked
    for name, label, missing in (
        ("probing", "Linear probe", r"pass metric=Probing\(texts=..., labels=...\)"),
        ("own", "my norm", "pass metric=your function"),
    ):
        written = {"name": name, "label": label, "parameters": {}, "over": ""}
        with pytest.raises(TraitError, match=f"{label}.* a state does not hold: {missing}"):
            LayerStatsChart(trace, written)


def test_something_that_is_no_statistic_is_refused(trace: Trace) -> None:
    with pytest.raises(TraitError, match="metric 'horoscope' is not there: 'norm'"):
        LayerStatsChart(trace, "horoscope")
    with pytest.raises(TraitError, match="metric is a name, a metric such as"):
        LayerStatsChart(trace, 3)
    with pytest.raises(ValueError, match="must return a number or a tensor"):
        LayerStatsChart(trace, lambda *_: "many")


def test_a_panel_calls_nothing_one_that_is_less() -> None:
    written = [number(value) for value in (0.9996, -0.99997, 0.9994, 1.0, 0.01236, 12.34)]
    assert written == ["0.9996", "−0.99997", "0.999", "1", "0.0124", "12.3"]


def test_a_panel_writes_seven_digits_at_most() -> None:
    # Of what lies between 0.9999999 and 1, no float32 knows more.
    assert [number(value) for value in (0.9999999, 0.99999997)] == ["0.9999999", "1"]
