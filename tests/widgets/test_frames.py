"""Frames hold the model's own numbers, within the error they state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from glasshead import AttentionLines, FusedAttentionMatrix, LayerStatsChart, PerplexityStrip
from glasshead_backend.frames import lines as lines_module
from glasshead_backend.frames import matrix as matrix_module
from widgets.frames import unpack

if TYPE_CHECKING:
    from glasshead import Trace


def ask(view: Any, question: str, **args: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Ask as a browser does, and read the answer as it does."""
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    view.send = lambda content, buffers=None: sent.append((content, buffers or []))
    message = {"kind": "ask", "id": 7, "question": question, "args": args}
    view._handle_msg({"content": {"data": {"method": "custom", "content": message}}, "buffers": []})
    ((answer, buffers),) = sent
    assert (answer["kind"], answer["id"]) == ("answer", 7)
    layout = answer.get("layout", [])
    return answer, {
        part["name"]: unpack({**part, "data": data})
        for part, data in zip(layout, buffers, strict=True)
    }


@pytest.mark.parametrize("unit", ["token", "word"])
def test_every_line_carries_the_weight_of_its_pair(decoder_trace: Trace, unit: str) -> None:
    view = AttentionLines(decoder_trace, layer=1, heads=[0, 2], unit=unit)
    frame = view.frame
    query, key, head, weight = (
        unpack(frame["lines"][name]) for name in ("query", "key", "head", "weight")
    )
    whole = decoder_trace.attention(1, unit=unit).numpy()
    true = whole[head, query, key]
    assert set(head.tolist()) == {0, 2}
    assert np.abs(weight * frame["weight_scale"] - true).max() <= frame["weight_error"]
    assert (np.diff(true) <= 0).all(), "strongest first"
    assert frame["n"] == frame["n_total"] == (whole[[0, 2]] > 0).sum()


def test_a_frame_within_budget_keeps_the_strongest_of_every_row_and_says_its_share(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "LINE_BUDGET", 4 * 20 * 3)
    frame = AttentionLines(decoder_trace, layer=1).frame
    assert frame["per_row"] == 3
    assert frame["n"] < frame["n_total"]
    whole = decoder_trace.attention(1).numpy()
    strongest = np.sort(whole, axis=-1)[..., -3:].sum(axis=(1, 2)) / whole.sum(axis=(1, 2))
    np.testing.assert_allclose(unpack(frame["mass"])[:, 0], strongest, rtol=1e-5)
    level = 64
    loud = np.where(whole >= (level - 0.5) * frame["weight_scale"], whole, 0).sum(axis=(1, 2))
    np.testing.assert_allclose(
        unpack(frame["mass"])[:, level], loud / whole.sum(axis=(1, 2)), rtol=1e-5
    )


def test_thumbnails_show_the_pattern_of_every_head(decoder_trace: Trace) -> None:
    thumbnails = unpack(AttentionLines(decoder_trace, layer=0, heads=[1]).frame["thumbnails"])
    whole = decoder_trace.attention(0).numpy()
    expected = np.round(whole / whole.max(axis=(1, 2), keepdims=True) * 255)
    np.testing.assert_array_equal(thumbnails, expected)


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("side", ["query", "key"])
def test_the_fan_of_a_token_is_exact(translation: Trace, unit: str, side: str) -> None:
    view = AttentionLines(translation, layer=2, heads=[1, 3], unit=unit)
    answer, arrays = ask(view, "fan", position=3, side=side)
    assert answer["ok"], answer
    whole = translation.attention(2, [1, 3], kind="cross", unit=unit)
    expected = whole[:, 3] if side == "query" else whole[:, :, 3]
    np.testing.assert_allclose(arrays["weights"], expected, atol=1e-7)
    assert arrays["heads"].tolist() == [1, 3]


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_the_matrix_is_the_aggregate_within_half_a_step_per_row(
    decoder_trace: Trace, aggregate: str
) -> None:
    frame = FusedAttentionMatrix(decoder_trace, layer=2, aggregate=aggregate).frame
    true = decoder_trace.attention(2, unit="word", aggregate=aggregate).numpy()
    shown = unpack(frame["values"]) * unpack(frame["row_scale"])[:, None]
    assert (np.abs(shown - true) <= true.max(axis=1, keepdims=True) / 510 + 1e-7).all()
    share = true / true.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        unpack(frame["row_entropy"]), entropy(share, base=2, axis=1), 1e-4, 1e-5
    )
    np.testing.assert_allclose(unpack(frame["column_mass"]), true.mean(axis=0), rtol=1e-5)


def test_a_cell_is_exact_with_its_row_sum_and_heads(decoder_trace: Trace) -> None:
    view = FusedAttentionMatrix(decoder_trace, layer=1, heads=[0, 3])
    answer, arrays = ask(view, "cell", query=9, key=4)
    whole = decoder_trace.attention(1, [0, 3], unit="word")
    assert answer["result"]["weight"] == pytest.approx(float(whole[:, 9, 4].mean()), abs=1e-7)
    assert answer["result"]["row_sum"] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(arrays["weights"], whole[:, 9, 4], atol=1e-7)


def test_a_large_matrix_is_pooled_and_sharpens_in_a_tile(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix_module, "TILE", 8)
    view = FusedAttentionMatrix(decoder_trace, layer=0, unit="token")
    frame = view.frame
    true = decoder_trace.attention(0, aggregate="mean").numpy()
    assert (frame["pooled"], frame["cells_per_pixel"], frame["rows"]) == ("max", 3, 20)
    shown = unpack(frame["values"]) * unpack(frame["row_scale"])[:, None]
    padded = np.pad(true, (0, 1)).reshape(7, 3, 7, 3).max(axis=(1, 3))
    np.testing.assert_allclose(shown, padded, atol=1 / 510)
    answer, arrays = ask(view, "tile", query0=6, query1=14, key0=2, key1=10)
    assert answer["result"]["pooled"] == "exact"
    tile = arrays["values"] * arrays["row_scale"][:, None]
    np.testing.assert_allclose(tile, true[6:14, 2:10], atol=1 / 510)


def test_cross_attention_rows_show_input_and_prediction(translation: Trace) -> None:
    axis = AttentionLines(translation, kind="cross").axes["query"]
    assert axis["labels"] == [token.text for token in translation.queries("cross")]
    assert axis["predicted"] == [token.text for token in translation.labels]
    assert axis["emphasis"] == "predicted"
    assert AttentionLines(translation, kind="decoder").axes["query"]["emphasis"] == "label"


def test_the_strip_holds_every_measure_and_the_alternatives(decoder_trace: Trace) -> None:
    frame = PerplexityStrip(decoder_trace).frame
    predictions = decoder_trace.predictions()
    np.testing.assert_array_equal(unpack(frame["surprisal"]), predictions.surprisal)
    np.testing.assert_array_equal(unpack(frame["rank"]), predictions.rank)
    assert unpack(frame["correct"])[0] == 255
    assert "first token" in frame["undefined"]
    assert frame["perplexity"] == pytest.approx(decoder_trace.perplexity)
    assert "".join(a + b for a, b in zip(frame["gaps"], [*frame["texts"], ""], strict=True)) == (
        decoder_trace.sequence("text").text
    )
    top = frame["top"]
    row = 4 - top["start"]
    texts = [top["texts"][i] for i in unpack(top["index"])[row]]
    expected = decoder_trace.top_k(4, top["k"])
    assert texts == expected["token"].tolist()
    np.testing.assert_allclose(unpack(top["probability"])[row], expected["probability"], rtol=1e-5)


def test_the_strip_of_a_translation_lights_the_source_by_cross_attention(
    translation: Trace,
) -> None:
    view = PerplexityStrip(translation, layer=1, heads=[2])
    frame = view.frame
    shown = unpack(frame["cross"]) * unpack(frame["cross_scale"])[:, None]
    true = translation.attention(1, [2], kind="cross")[0].numpy()
    np.testing.assert_allclose(shown, true, atol=1 / 510)
    _, arrays = ask(view, "source_attention", position=3)
    np.testing.assert_allclose(arrays["weights"], true[3], atol=1e-7)
    assert frame["sequence"] == "target"
    assert frame["texts"] == [token.text for token in translation.labels]


def test_the_strip_of_an_encoder_has_no_numbers_and_says_so(encoder_trace: Trace) -> None:
    frame = PerplexityStrip(encoder_trace).frame
    assert np.isnan(unpack(frame["surprisal"])).all()
    assert frame["perplexity"] is None
    assert frame["top"] is None
    assert "encoder" in frame["undefined"]


def test_the_chart_shows_mean_and_quartiles_of_the_norms(decoder_trace: Trace) -> None:
    view = LayerStatsChart(decoder_trace)
    frame = view.frame
    assert [series["name"] for series in frame["series"]] == ["attention", "mlp"]
    for i, block in enumerate(["attention", "mlp"]):
        for layer in range(3):
            norm = decoder_trace.activations(layer, block).norm(dim=-1).numpy()
            np.testing.assert_allclose(unpack(frame["mean"])[i, layer], norm.mean(), rtol=1e-5)
            np.testing.assert_allclose(
                unpack(frame["low"])[i, layer], np.quantile(norm, 0.25), rtol=1e-5
            )
    _, arrays = ask(view, "token", position=6)
    np.testing.assert_array_equal(arrays["values"], unpack(frame["tokens"])[:, :, 6])


def test_questions_that_fail_are_answered_in_words(decoder_trace: Trace) -> None:
    view = AttentionLines(decoder_trace)
    answer, _ = ask(view, "fan", position=999, side="query")
    assert not answer["ok"]
    assert "position 999 is out of range" in answer["error"]
    answer, _ = ask(view, "close")
    assert answer["error"] == "This view cannot be asked 'close'."


@pytest.mark.parametrize(
    "view", [AttentionLines, FusedAttentionMatrix, PerplexityStrip, LayerStatsChart]
)
def test_to_frame_gives_the_numbers_behind_the_picture(view: Any, decoder_trace: Trace) -> None:
    frame = view(decoder_trace).to_frame()
    assert len(frame) > 0
    if view is AttentionLines:
        row = frame.iloc[3]
        true = decoder_trace.attention(0)[
            row["head"], row["source_position"], row["target_position"]
        ]
        assert row["weight"] == pytest.approx(float(true))
        assert frame["weight"].min() >= 0.1
    if view is FusedAttentionMatrix:
        true = decoder_trace.attention(0, unit="word", aggregate="mean")
        torch.testing.assert_close(torch.tensor(frame.to_numpy()), true)


def test_without_a_threshold_as_many_lines_are_drawn_as_can_be_read(decoder_trace: Trace) -> None:
    view = AttentionLines(decoder_trace, layer=1)
    drawn = view.to_frame()
    threshold = view.frame["automatic_threshold"]
    assert view.threshold is None
    assert drawn["weight"].min() >= threshold
    assert len(drawn) <= 20 * 4  # four lines a row for four heads
    below = decoder_trace.attention(1) >= threshold - 0.05
    assert below.sum() > 20 * 4, "the threshold is no higher than it must be"
