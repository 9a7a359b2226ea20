"""One state: changed at once or not at all, shared by linked views, written down and restored."""

from __future__ import annotations

import json
import random
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from traitlets import TraitError

import glasshead
from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    LayerStatsChart,
    Lens,
    MutualInformation,
    PerplexityStrip,
    TokenTable,
    link_views,
)

if TYPE_CHECKING:
    from glasshead import Trace
    from glasshead.trace_view import TraceView

VIEWS = (AttentionLines, FusedAttentionMatrix, PerplexityStrip, LayerStatsChart)


def from_browser(view: TraceView, **state: Any) -> None:
    view._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


def test_kind_layer_and_heads_change_together_with_one_picture(translation: Trace) -> None:
    view = AttentionLines(translation, kind="encoder", layer=1)
    keys: list[dict[str, Any]] = []
    view.observe(lambda change: keys.append(change["new"]["key"]), "frame")
    view.set(kind="cross", layer=2, heads=[3])
    assert (view.kind, view.layer, view.heads) == ("cross", 2, [3])
    assert [(key["kind"], key["layer"], key["heads"]) for key in keys] == [("cross", 2, [3])]


def test_what_is_not_valid_together_changes_nothing(translation: Trace) -> None:
    view = AttentionLines(translation, kind="encoder", layer=1, heads=[2])
    frame = view.frame
    with pytest.raises(TraitError, match="layer 2 is out of range"):
        view.set(layer=2, heads=[0])  # the encoder has two layers
    with pytest.raises(TypeError, match=r"has no 'head'\. It takes:.*heads"):
        view.set(head=[0])
    assert (view.kind, view.layer, view.heads, view.frame) == ("encoder", 1, [2], frame)


@pytest.mark.parametrize("rounds", [40])
def test_a_cell_and_the_page_that_change_linked_views_at_once_end_in_one_state(
    translation: Trace, rounds: int
) -> None:
    views = [view(translation) for view in VIEWS]
    link_views(*views)
    raised: list[BaseException] = []

    def page() -> None:
        generator = random.Random(1)  # noqa: S311  choices, no secrets
        try:
            for _ in range(rounds):
                kind = generator.choice(translation.kinds)
                layer = generator.choice(translation.layers(kind))
                heads = sorted(generator.sample(range(translation.n_heads(layer, kind)), 2))
                view = generator.choice(views)
                from_browser(view, kind=kind, layer=layer, heads=heads)
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=page)
    thread.start()
    generator = random.Random(2)  # noqa: S311
    for _ in range(rounds):
        kind = generator.choice(translation.kinds)
        layer = generator.choice(translation.layers(kind))
        generator.choice(views).set(kind=kind, layer=layer)
    thread.join(timeout=60)
    assert not thread.is_alive(), "the views wait for each other"
    assert raised == []
    assert len({(view.kind, view.layer, tuple(view.heads)) for view in views}) == 1
    assert {view.error for view in views} == {""}
    assert views[0].frame["key"]["layer"] == views[0].layer


@pytest.mark.parametrize("view", VIEWS)
def test_another_trace_keeps_layer_and_heads_where_its_model_has_them(
    view: type[TraceView], decoder_trace: Trace
) -> None:
    shown = view(decoder_trace, layer=2, heads=[1, 3], selected=[4], hovered=5)
    other = Lens.demo("decoder").trace("The white whale, the white whale!")
    shown.trace = other
    assert shown.trace is other
    assert shown.layer == 1  # the demo has two layers
    assert (shown.heads, shown.selected, shown.hovered) == ([1, 3], [], None)
    assert shown.scene["model"].startswith("demo decoder")
    fresh = view(other, **shown.state())
    assert shown.axes == fresh.axes
    assert shown.frame == fresh.frame


def test_a_trace_of_another_family_brings_its_own_kinds(
    decoder_trace: Trace, translation: Trace
) -> None:
    view = AttentionLines(decoder_trace, layer=2)
    view.trace = translation
    assert (view.kind, view.layer) == ("cross", 2)
    view.trace = decoder_trace
    assert (view.kind, view.layer) == ("self", 2)
    with pytest.raises(TypeError, match="AttentionLines shows a trace, got str"):
        view.trace = "a text"  # type: ignore[assignment]


def test_a_trace_that_cannot_be_drawn_leaves_the_last_one_and_says_why(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = AttentionLines(decoder_trace, layer=2)
    before = (view.frame, view.scene["model"], view.layer)
    other = Lens.demo("decoder").trace("A whale.")

    def too_large() -> dict[str, Any]:
        raise MemoryError("layer 1 needs 3 GB, 1 GB is free")

    monkeypatch.setattr(view, "_make_frame", too_large)
    view.trace = other
    assert view.error == "layer 1 needs 3 GB, 1 GB is free"
    assert view.trace is decoder_trace
    assert (view.frame, view.scene["model"], view.layer) == before
    other.close()
    with pytest.raises(ValueError, match="This trace is closed"):
        view.trace = other
    assert view.trace is decoder_trace


def test_a_chart_of_what_another_model_lacks_goes_back_to_norms(translation: Trace) -> None:
    chart = LayerStatsChart(Lens.demo("decoder").trace("the whale, the whale!"), "logit_lens")
    encoder_only = [name for name in ("logit_lens",) if chart.metric.name == name]
    assert encoder_only
    chart.trace = translation
    assert chart.metric.lacks(translation) == ""
    assert chart.frame["kind"] == "chart"


@pytest.mark.parametrize("view", VIEWS)
def test_a_state_is_small_json_and_restores_the_picture(
    view: type[TraceView], translation: Trace
) -> None:
    shown = view(translation, kind="decoder", layer=2, heads=[0, 2], selected=[3], theme="dark")
    state = json.loads(json.dumps(shown.state()))
    assert len(json.dumps(state)) < 1000
    assert "hovered" not in state
    again = view(translation, **state)
    assert again.state() == shown.state()
    assert again.frame == shown.frame


def test_a_metric_with_parameters_is_part_of_the_state(decoder_trace: Trace) -> None:
    chart = LayerStatsChart(decoder_trace, MutualInformation(target=[1, 2, 3, 4], bins=7))
    again = LayerStatsChart(decoder_trace, **json.loads(json.dumps(chart.state())))
    assert again.metric == chart.metric


def run(code: str, **names: Any) -> Any:
    """What the last line of a cell evaluates to."""
    *before, last = code.rsplit("\n", 1)
    space = {**vars(glasshead), **names}
    exec("\n".join(before), space)  # noqa: S102  our own code
    return eval(last, space)  # noqa: S307


def test_the_code_of_a_strip_and_a_chart_gives_their_numbers(translation: Trace) -> None:
    strip = PerplexityStrip(translation)
    surprisal = run(strip.code(), trace=translation)["surprisal"].to_numpy()
    drawn = np.frombuffer(strip.frame["surprisal"]["data"], dtype=np.float32)
    np.testing.assert_array_equal(surprisal.astype(np.float32), drawn)
    chart = LayerStatsChart(translation, "previous_token", kind="encoder", layer=1)
    pd.testing.assert_frame_equal(run(chart.code(), trace=translation), chart.to_frame())
    table = TokenTable(translation.lens, "the big house")
    tokens = run(table.code(), lens=translation.lens)
    assert [token.text for token in tokens] == table.to_frame()["token"].tolist()


def test_the_code_of_a_matrix_gives_its_numbers(translation: Trace) -> None:
    matrix = FusedAttentionMatrix(translation, kind="encoder", layer=1, heads=[1, 3])
    found = run(matrix.code(), trace=translation)
    assert torch.equal(found, torch.tensor(matrix.to_frame().to_numpy()))


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"aggregate": "separate", "heads": [0, 2], "sinks": "aside"},
        {"aggregate": "separate", "sinks": "hidden", "top_k": 3},
        {"aggregate": "max", "sinks": "aside", "threshold": 0.1},
        {"sinks": "hidden", "unit": "word", "top_k": 1},
        {"sinks": "shown", "top_k": None, "threshold": 0.05},
    ],
)
def test_the_code_of_lines_gives_the_lines(
    state: dict[str, Any], demo_decoder_trace: Trace
) -> None:
    lines = AttentionLines(demo_decoder_trace, layer=1, **state)
    found = run(lines.code(), trace=demo_decoder_trace)
    weights = found if isinstance(found, torch.Tensor) else found.values
    drawn = np.sort(weights[weights > 0].flatten().numpy())
    table = lines.to_frame()
    np.testing.assert_allclose(drawn, np.sort(table["weight"].to_numpy()), rtol=1e-5)
    assert len(drawn) > 5
    if not isinstance(found, torch.Tensor) and "separate" not in state.values():
        rows, places = (weights > 0).nonzero(as_tuple=True)
        pairs = set(zip(rows.tolist(), found.indices[rows, places].tolist(), strict=True))
        both = zip(table["source_position"], table["target_position"], strict=True)
        assert pairs == {(int(one), int(other)) for one, other in both}


def test_a_page_without_widgets_says_what_would_be_there(translation: Trace) -> None:
    view = AttentionLines(translation)
    bundle: Any = view._repr_mimebundle_()
    plain = (bundle[0] if isinstance(bundle, tuple) else bundle)["text/plain"]
    assert plain == "AttentionLines of marian · 2 + 3 layers × 4 heads: run the cell to see it"
