"""HeadFinder without a browser: its state, what a click sets, long work, what it answers."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from traitlets import TraitError

from backend.frames.test_heads_frame import uneven
from glasshead import AttentionLines, HeadFinder, Trace, link_views
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
