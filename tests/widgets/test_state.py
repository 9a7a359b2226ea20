"""State is traits: set in Python or by the browser, checked in both, linked between views."""

from __future__ import annotations

import gc
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from glasshead import (
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    PerplexityStrip,
    QueryKeyView,
    explore,
    link_views,
)

if TYPE_CHECKING:
    from glasshead import Trace
    from glasshead.trace_view import TraceView

VIEWS = (
    *(AttentionLines, FusedAttentionMatrix, HeadFinder),
    *(PerplexityStrip, LayerStatsChart, QueryKeyView, AttributionStrip),
)


def state_from_browser(view: TraceView, **state: Any) -> None:
    view._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


@pytest.mark.parametrize("view", VIEWS)
def test_one_line_makes_a_view_and_keywords_set_traits(
    view: type[TraceView], decoder_trace: Trace
) -> None:
    shown = view(decoder_trace, layer=2, heads=[3, 1, 3], theme="dark")
    assert (shown.layer, shown.heads, shown.theme) == (2, [1, 3], "dark")
    assert shown.frame["kind"]
    assert shown.error == ""


@pytest.mark.parametrize("view", VIEWS)
def test_an_unknown_keyword_is_named(view: type[TraceView], decoder_trace: Trace) -> None:
    with pytest.raises(TypeError, match=f"{view.__name__} has no 'layr'. It takes:.*layer"):
        view(decoder_trace, layr=2)


def test_something_that_is_no_trace_is_refused() -> None:
    with pytest.raises(TypeError, match=r"shows a trace, got str.*Lens\(model, tokenizer\)"):
        AttentionLines("some text")  # type: ignore[arg-type]


def test_encoder_decoder_views_begin_with_cross_attention(translation: Trace) -> None:
    assert all(view(translation).kind == "cross" for view in VIEWS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("layer", 7, "layer 7 is out of range: llama has layers 0-2"),
        ("heads", [9], "head 9 is out of range: layer 0 of llama has heads 0-3"),
        ("kind", "cross", "kind 'cross' is not there: llama has 'self'"),
        ("selected", [99], "selected 99 is out of range: this trace has positions 0-19"),
        ("hovered_source", 0, "this trace has no source text"),
        ("unit", "letter", "letter"),
    ],
)
def test_a_wrong_value_raises_and_changes_nothing(
    name: str, value: object, message: str, decoder_trace: Trace
) -> None:
    view = AttentionLines(decoder_trace)
    before, frame = getattr(view, name), view.frame
    with pytest.raises(TraitError, match=message):
        setattr(view, name, value)
    assert getattr(view, name) == before
    assert view.frame is frame
    with pytest.raises(TraitError, match=message):
        AttentionLines(decoder_trace, **{name: value})


def test_a_wrong_value_from_the_browser_is_said_and_the_picture_stays(
    decoder_trace: Trace,
) -> None:
    view = AttentionLines(decoder_trace, layer=1)
    frame = view.frame
    state_from_browser(view, layer=12)
    assert view.layer == 1
    assert view.frame is frame
    assert "layer 12 is out of range: llama has layers 0-2" in view.error
    state_from_browser(view, layer=2)
    assert view.error == ""
    assert view.frame["key"]["layer"] == 2


def test_a_failing_frame_is_said_and_the_picture_stays(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = AttentionLines(decoder_trace)
    frame = view.frame

    def fail() -> dict[str, Any]:
        raise MemoryError("layer 1 needs 3 GB, 1 GB is free")

    monkeypatch.setattr(view, "_make_frame", fail)
    view.layer = 1
    assert view.frame is frame
    assert view.error == "layer 1 needs 3 GB, 1 GB is free"


def test_another_kind_keeps_layer_and_heads_within_what_it_has(translation: Trace) -> None:
    view = AttentionLines(translation, kind="cross", layer=2, heads=[0, 3])
    view.kind = "encoder"  # two layers only
    assert view.layer == 1
    shown = {"kind": "encoder", "layer": 1, "heads": [0, 3], "unit": "token"}
    assert view.frame["key"] == {**shown, "aggregate": "mean", "sinks": "auto", "sentences": "all"}
    assert view.axes["query"]["sequence"] == "source"


def test_linked_views_follow_each_other(decoder_trace: Trace) -> None:
    lines, matrix = AttentionLines(decoder_trace), FusedAttentionMatrix(decoder_trace)
    link_views(lines, matrix)
    lines.layer = 2
    matrix.heads = [1]
    state_from_browser(matrix, hovered=5, selected=[3, 4])
    assert (matrix.layer, lines.heads, lines.hovered, lines.selected) == (2, [1], 5, [3, 4])
    assert matrix.frame["key"]["layer"] == 2


def test_explore_links_all_four(translation: Trace) -> None:
    explorer = explore(translation, layer=1)
    explorer.chart.layer = 2
    explorer.lines.kind = "encoder"
    explorer.strip.hovered_source = 4
    assert {view.layer for view in explorer.views} == {1}
    assert {view.kind for view in explorer.views} == {"encoder"}
    assert {view.hovered_source for view in explorer.views} == {4}


def test_views_of_different_models_are_not_linked(decoder_trace: Trace, translation: Trace) -> None:
    with pytest.raises(ValueError, match="cannot be linked"):
        link_views(AttentionLines(decoder_trace), AttentionLines(translation))
    with pytest.raises(ValueError, match="two views or more"):
        link_views(AttentionLines(decoder_trace))


def test_shared_state_can_be_set_on_the_explorer_itself(decoder_trace: Trace) -> None:
    explorer = explore(decoder_trace)
    explorer.layer = 2
    explorer.heads = [1]
    assert explorer.layer == 2
    assert {view.layer for view in explorer.views} == {2}
    assert explorer.chart.heads == [1]
    with pytest.raises(AttributeError, match="has no 'layr'"):
        _ = explorer.layr


def test_an_explorer_that_cannot_be_made_leaves_no_second_error(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    second: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", second.append)
    with pytest.raises(TraitError, match="layer 9 is out of range"):
        explore(decoder_trace, layer=9)
    gc.collect()
    assert second == []


def test_labels_follow_the_unit_even_where_the_picture_does_not_change(
    decoder_trace: Trace, translation: Trace
) -> None:
    strip = PerplexityStrip(decoder_trace)
    frame = strip.frame
    strip.unit = "word"
    assert strip.axes["unit"] == "word"
    assert strip.frame is frame
    strip = PerplexityStrip(translation, kind="decoder")
    strip.kind = "encoder"
    assert strip.axes["query"]["sequence"] == "source"


@pytest.mark.parametrize("view", VIEWS)
def test_a_misspelt_trait_is_refused_with_the_name_that_was_meant(
    view: type[TraceView], decoder_trace: Trace
) -> None:
    shown = view(decoder_trace)
    expected = f"{view.__name__} has no 'layr'. Did you mean 'layer'?"
    with pytest.raises(AttributeError, match=re.escape(expected)):
        shown.layr = 1  # type: ignore[attr-defined]
    assert not hasattr(shown, "layr")
    with pytest.raises(AttributeError, match=r"has no 'qqq'\.$"):
        shown.qqq = 1  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"has no 'layr'\. It takes: .* Did you mean 'layer'\?"):
        view(decoder_trace, layr=1)


def test_a_misspelt_name_on_the_explorer_is_refused(decoder_trace: Trace) -> None:
    explorer = explore(decoder_trace)
    with pytest.raises(AttributeError, match=r"Explorer has no 'layr'. Did you mean 'layer'\?"):
        explorer.layr = 1  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match=r"Explorer has no 'line'. Did you mean 'lines'\?"):
        _ = explorer.line


@pytest.mark.parametrize("view", VIEWS)
def test_what_the_widget_library_itself_sets_can_be_set(
    view: type[TraceView], decoder_trace: Trace
) -> None:
    shown = view(decoder_trace)
    shown.layout = {"width": "50%"}
    shown.layout.border = "1px solid"
    shown.add_class("mine")
    shown.log = shown.log
    shown.keys = shown.keys
    shown._own_note = "private names are anybody's"  # type: ignore[attr-defined]
    shown.observe(lambda _: None, "layer")
    with shown.hold_sync(), shown.hold_trait_notifications():
        shown.layer = 1
    shown.close()
    assert shown.comm is None


def test_a_view_derived_from_ours_sets_what_it_declares(decoder_trace: Trace) -> None:
    class Mine(AttentionLines):
        caption: str = ""

    mine = Mine(decoder_trace)
    mine.caption = "of my own"
    assert mine.caption == "of my own"
