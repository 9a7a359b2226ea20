"""HeadFinder without a browser: its state, what a click sets, long work, what it answers."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from traitlets import TraitError

from backend.frames.test_heads_frame import uneven
from glasshead import AttentionLines, HeadFinder, LogitContribution, Trace, link_views
from glasshead_backend.asking import Selection
from glasshead_backend.frames import heads as heads_module
from glasshead_backend.frames.heads import pattern
from widgets.frames import unpack
from widgets.test_frames import ask
from widgets.test_state import state_from_browser

if TYPE_CHECKING:
    from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_each_kind_begins_with_metrics_that_its_heads_have(
    decoder_trace: Trace, translation: Trace
) -> None:
    own, cross = HeadFinder(decoder_trace), HeadFinder(translation)
    assert (own.metric, own.second_metric) == ("previous_token", "induction")
    assert (cross.kind, cross.metric, cross.second_metric) == ("cross", "entropy", "sink")
    for finder in (own, cross):
        offered = [one["name"] for one in finder.frame["metrics"]]
        assert {finder.metric, finder.second_metric} <= set(offered)


def test_a_change_of_kind_keeps_what_it_has_and_lets_go_of_the_rest(translation: Trace) -> None:
    finder = HeadFinder(translation, kind="decoder", layer=2, metric="distance", at_least=1.0)
    finder.only_layers = [0, 2]
    finder.second_metric = "entropy"
    finder.kind = "encoder"  # two layers
    assert (finder.metric, finder.at_least, finder.only_layers) == ("distance", 1.0, [0])
    finder.kind = "cross"
    assert (finder.metric, finder.at_least, finder.second_metric) == ("entropy", None, "entropy")
    assert finder.frame["key"] == {"kind": "cross", "unit": "token"}
    assert finder.error == ""


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("metric", "charm", "metric 'charm' is not there: heads of self attention have 'entropy'"),
        ("second_metric", "norm", "second_metric 'norm' is not there"),
        ("only_layers", [0, 9], "layer 9 is out of range: llama has layers 0-2"),
        ("sort", "random", "random"),
        ("mode", "pie", "pie"),
    ],
)
def test_a_wrong_value_is_named_with_those_that_there_are(
    name: str, value: object, says: str, decoder_trace: Trace
) -> None:
    finder = HeadFinder(decoder_trace)
    frame = finder.frame
    with pytest.raises(TraitError, match=says):
        setattr(finder, name, value)
    with pytest.raises(TraitError, match=says):
        HeadFinder(decoder_trace, **{name: value})
    assert finder.frame is frame


def test_cross_attention_refuses_metrics_of_one_text(translation: Trace) -> None:
    with pytest.raises(TraitError, match="heads of cross attention have 'entropy', 'sink'"):
        HeadFinder(translation, metric="induction")


def test_what_only_shows_other_heads_computes_nothing(decoder_trace: Trace) -> None:
    finder = HeadFinder(decoder_trace)
    frame = finder.frame
    finder.mode, finder.sort, finder.at_least, finder.only_layers = "metric", "highest", 0.1, [1]
    finder.layer, finder.heads = 2, [1]
    assert finder.frame is frame


def test_a_click_sets_layer_and_head_at_once() -> None:
    # Layer 1 has two heads, the others four: neither trait could be set before the other.
    finder = HeadFinder(uneven(), layer=1, heads=[1])
    state_from_browser(finder, layer=0, heads=[3])
    assert (finder.layer, finder.heads, finder.error) == (0, [3], "")
    state_from_browser(finder, layer=1, heads=[0])
    assert (finder.layer, finder.heads, finder.error) == (1, [0], "")


def test_linked_views_go_to_the_head_that_is_clicked(decoder_trace: Trace) -> None:
    finder, lines = HeadFinder(decoder_trace), AttentionLines(decoder_trace)
    link_views(finder, lines)
    state_from_browser(finder, layer=1, heads=[3])
    assert (lines.layer, lines.heads) == (1, [3])
    assert lines.frame["key"]["heads"] == [3]
    lines.layer = 2
    assert finder.layer == 2


def test_a_table_holds_the_heads_shown(decoder_trace: Trace) -> None:
    finder = HeadFinder(decoder_trace, metric="entropy", sort="lowest", only_layers=[2, 1])
    frame = finder.to_frame()
    assert sorted(set(frame.layer)) == finder.only_layers == [1, 2]
    assert frame.entropy.is_monotonic_increasing
    finder.at_most = float(frame.entropy.iloc[2])
    assert len(finder.to_frame()) == 3
    finder.set(at_most=None, only_heads=[3, 1])
    assert sorted(set(finder.to_frame()["head"])) == finder.only_heads == [1, 3]


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"kind": "decoder", "metric": "induction", "sort": "highest", "only_layers": [0, 2]},
        {"kind": "encoder", "metric": "sink", "sort": "lowest", "at_least": 0.04, "at_most": 0.3},
    ],
)
def test_its_code_gives_the_numbers_that_are_shown(
    translation: Trace, state: dict[str, Any]
) -> None:
    finder = HeadFinder(translation, **state)
    imports, _, expression = finder.code().partition("\n\n")
    names: dict[str, Any] = {"trace": translation}
    exec(imports, names)  # noqa: S102  our own
    found, shown = eval(expression, names), finder.to_frame()  # noqa: S307
    assert len(shown) > 1
    assert found.reset_index(drop=True).equals(shown)


def test_another_trace_keeps_what_its_model_has(translation: Trace, decoder_trace: Trace) -> None:
    finder = HeadFinder(translation, layer=2, heads=[1], only_layers=[2], at_least=0.5)
    finder.trace = decoder_trace
    assert (finder.kind, finder.layer, finder.heads, finder.only_layers) == ("self", 2, [1], [2])
    assert (finder.metric, finder.at_least) == ("entropy", 0.5)
    assert len(finder.frame["metrics"]) == 5
    restored = HeadFinder(decoder_trace, **finder.state())
    assert restored.state() == finder.state()
    assert restored.to_frame().equals(finder.to_frame())


def test_one_head_is_drawn_larger_on_request(decoder_trace: Trace) -> None:
    finder = HeadFinder(decoder_trace)
    answer, arrays = ask(finder, "pattern", layer=2, head=1)
    assert answer["ok"], answer
    drawn = pattern(decoder_trace, Selection("self", 2, (1,)))
    np.testing.assert_array_equal(arrays["values"], drawn.values[0].numpy())
    assert answer["result"]["scale"] == pytest.approx(float(drawn.scale[0]))
    assert (answer["result"]["kind"], answer["result"]["unit"]) == ("self", "token")
    refused, _ = ask(finder, "pattern", layer=2, head=17)
    assert "head 17 is out of range" in refused["error"]


def test_what_takes_long_is_there_at_once_says_how_far_it_is_and_comes_by_itself(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasshead.head_finder._BUSY_WEIGHTS", 0)
    monkeypatch.setattr("glasshead.long_work._SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(HeadFinder, "_patience", 0.05)
    gate, drawn = threading.Event(), heads_module._drawn
    layers: list[int] = []

    def slowly(trace: Trace, asked: Selection, size: int) -> Any:
        layers.append(asked.layer)
        assert asked.layer == 0 or gate.wait(10)
        return drawn(trace, asked, size)

    monkeypatch.setattr(heads_module, "_drawn", slowly)
    finder = HeadFinder(decoder_trace.lens.trace("the quick brown fox"))
    assert finder.frame == {}
    until(lambda: finder.busy.startswith("computing all heads: 1"))
    gate.set()
    until(lambda: finder.frame != {})
    until(lambda: finder.busy == "")
    assert layers == [0, 1, 2]


def test_cancelling_goes_back_to_the_picture_that_is_there(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = HeadFinder(translation)
    monkeypatch.setattr("glasshead.head_finder._BUSY_WEIGHTS", 0)
    gate = threading.Event()
    drawn = heads_module._drawn
    monkeypatch.setattr(heads_module, "_drawn", lambda *asked: gate.wait(10) and drawn(*asked))
    before = finder.frame
    finder.unit = "word"
    until(lambda: finder.busy != "")
    finder._handle_custom_msg({"kind": "stop"}, [])
    gate.set()
    finder._long_work.join(5)
    assert (finder.unit, finder.busy, finder.error) == ("token", "", "")
    assert finder.frame is before


def test_no_more_than_a_megabyte_travels(demo_decoder_trace: Trace) -> None:
    frame = HeadFinder(demo_decoder_trace).frame
    assert len(frame["patterns"]["data"]) < 1_000_000
    assert unpack(frame["patterns"]).shape[:2] == (2, 12)


# --- metrics that the model runs for -------------------------------------------------------------
def test_heads_can_be_sorted_by_what_they_add_to_a_logit(decoder_trace: Trace) -> None:
    asked = LogitContribution(position=5)
    finder = HeadFinder(decoder_trace, metric=asked, sort="highest")
    until(lambda: not finder.busy)
    found = decoder_trace.logit_contributions(position=5)
    table = finder.to_frame()
    best = int(found.heads["self"].argmax())
    n_heads = found.heads["self"].shape[1]
    assert (table.iloc[0]["layer"], table.iloc[0]["head"]) == divmod(best, n_heads)
    (shown,) = [one for one in finder.frame["metrics"] if one["name"] == "logit_contribution"]
    np.testing.assert_allclose(unpack(shown["values"]), found.heads["self"], rtol=1e-6)
    assert finder.in_words()[0].startswith(f"Layer {best // n_heads}, head {best % n_heads}: logit")
    names: dict[str, Any] = {"trace": decoder_trace}
    *imports, _, table_code = finder.code().split("\n", 2)
    exec("\n".join(imports), names)  # noqa: S102  our own words
    again = eval(table_code, names)  # noqa: S307
    np.testing.assert_allclose(again["logit_contribution"], table["logit_contribution"], rtol=1e-6)


def test_the_model_does_not_run_for_what_nobody_asked_for(decoder_trace: Trace) -> None:
    finder = HeadFinder(decoder_trace)
    assert "logit_contribution" not in [one["name"] for one in finder.frame["metrics"]]
    finder.more_metrics = [LogitContribution()]
    until(lambda: len(finder.frame["metrics"]) == 6)
    finder.metric = "logit_contribution"
    finder.more_metrics = []
    assert (finder.metric, finder.error) == ("previous_token", "")


def test_a_state_brings_such_a_metric_back(decoder_trace: Trace) -> None:
    state = HeadFinder(decoder_trace, metric=LogitContribution(against=" the")).state()
    again = HeadFinder(decoder_trace, **json.loads(json.dumps(state)))
    assert again.more_metrics == (LogitContribution(against=" the"),)
    assert again.metric == "logit_contribution"


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (["norm"], "Norm is no number of heads"),
        (["induction"], "'induction' is there always"),
        ([LogitContribution(), LogitContribution(position=3)], "'logit_contribution' twice"),
        ([7], "metric is a name"),
    ],
)
def test_other_metrics_are_refused(decoder_trace: Trace, asked: Any, says: str) -> None:
    with pytest.raises(TraitError, match=says):
        HeadFinder(decoder_trace, more_metrics=asked)


def test_heads_that_add_to_no_logit_have_words_instead(translation: Trace) -> None:
    finder = HeadFinder(translation, metric=LogitContribution(), kind="cross")
    until(lambda: not finder.busy)
    assert finder.to_frame()["logit_contribution"].notna().all()
    finder.kind = "encoder"
    until(lambda: not finder.busy)
    assert "encoder adds to no logit" in finder.frame["metrics"][-1]["note"]
    assert finder.to_frame()["logit_contribution"].isna().all()
