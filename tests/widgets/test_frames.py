"""Frames hold the model's own numbers, within the error they state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    head_statistics,
)
from glasshead.saving import contents
from glasshead_backend.frames import matrix as matrix_module
from glasshead_backend.maps import attention_map
from glasshead_backend.trace import run_of
from support import tokenizers
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from glasshead import Trace


@pytest.fixture
def masked_row(decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch) -> int:
    """Row 7 of layer 1 may look nowhere: its weights are undefined."""
    call = run_of(decoder_trace).call(1)
    weights = type(call).visible_weights

    def masked(self: Any, heads: Any, rows: Any, **options: Any) -> torch.Tensor:
        found = weights(self, heads, rows, **options)
        if self is call and 7 in rows:
            found[:, list(rows).index(7)] = torch.nan
        return found

    monkeypatch.setattr(type(call), "visible_weights", masked)
    return 7


def test_a_row_that_may_look_nowhere_is_undefined_in_every_frame(
    decoder_trace: Trace, masked_row: int
) -> None:
    only_it = [int(row == masked_row) for row in range(20)]
    true = np.delete(decoder_trace.attention(1).numpy(), masked_row, axis=1)
    lines = AttentionLines(decoder_trace, layer=1, aggregate="separate").frame
    assert unpack(lines["undefined_rows"]).tolist() == only_it
    assert unpack(lines["lines"]["weight"])[:, masked_row].max() == 0
    np.testing.assert_allclose(unpack(lines["mass"]), true.sum(axis=(1, 2)), rtol=1e-6)
    matrix = FusedAttentionMatrix(decoder_trace, layer=1, unit="token").frame
    assert unpack(matrix["undefined_rows"]).tolist() == only_it
    assert np.isnan(unpack(matrix["row_entropy"])).tolist() == [flag == 1 for flag in only_it]
    np.testing.assert_allclose(
        unpack(matrix["column_mass"]), true.mean(axis=0).mean(axis=0), rtol=1e-5
    )


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_the_largest_weights_that_the_matrix_names_are_the_largest(
    decoder_trace: Trace, translation: Trace, aggregate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for trace, kind in ((decoder_trace, "self"), (translation, "cross"), (translation, "decoder")):
        frame = FusedAttentionMatrix(trace, layer=2, kind=kind, aggregate=aggregate).frame
        true = trace.attention(2, kind=kind, unit="word", aggregate=aggregate).numpy()
        assert frame["max"] == true.max()
        # The first row of a causal map has one weight, 1, that says nothing.
        below = true if kind == "cross" else np.where(np.arange(len(true))[:, None] > 0, true, 0)
        query, key, weight = (unpack(frame["largest"][n]) for n in ("query", "key", "weight"))
        np.testing.assert_array_equal(weight, np.sort(below.flatten())[::-1][:12])
        np.testing.assert_array_equal(weight, below[query, key])
    # However the rows come in blocks, and with fewer cells than there are places.
    monkeypatch.setattr(attention_map, "ROW_BLOCK", 3)
    blocks = FusedAttentionMatrix(decoder_trace, layer=2, aggregate=aggregate).frame
    monkeypatch.undo()
    whole = FusedAttentionMatrix(decoder_trace, layer=2, aggregate=aggregate).frame
    for name in ("query", "key", "weight"):
        np.testing.assert_allclose(
            unpack(blocks["largest"][name]), unpack(whole["largest"][name]), rtol=1e-5
        )
    one = FusedAttentionMatrix(decoder_trace.lens.trace("fox")).frame
    assert (one["max"], len(unpack(one["largest"]["weight"]))) == (1, 0)
    two = FusedAttentionMatrix(decoder_trace.lens.trace("the fox")).frame
    assert len(unpack(two["largest"]["weight"])) == 2


def test_a_map_is_called_causal_where_nothing_looks_ahead(
    decoder_trace: Trace, translation: Trace, encoder_trace: Trace
) -> None:
    for trace in (decoder_trace, translation, encoder_trace):
        for described in AttentionLines(trace).scene["kinds"]:
            kind = described["name"]
            ahead = trace.attention(0, kind=kind).triu(1).sum()
            assert described["causal"] == (ahead == 0), kind
            frame = FusedAttentionMatrix(trace, kind=kind).frame
            assert frame["causal"] == described["causal"]


def test_what_a_row_looks_at_is_never_hatched_as_masked(
    encoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that looks ahead, but is taken for a decoder."""
    monkeypatch.setattr(type(encoder_trace), "family", "decoder")
    frame = FusedAttentionMatrix(encoder_trace, sinks="shown").frame
    true = encoder_trace.attention(0, unit="word", aggregate="mean").numpy()
    assert not frame["causal"]
    np.testing.assert_array_equal(
        unpack(frame["largest"]["weight"]), np.sort(true.flatten())[::-1][:12]
    )


def test_the_scene_counts_layers_and_heads_of_every_stack(
    decoder_trace: Trace, translation: Trace
) -> None:
    assert AttentionLines(decoder_trace).scene["model"] == "llama · 3 layers × 4 heads"
    # Two encoder layers, three decoder layers.
    assert AttentionLines(translation).scene["model"] == "marian · 2 + 3 layers × 4 heads"


def test_thumbnails_show_the_pattern_of_every_head_up_to_its_ninetieth_percentile(
    decoder_trace: Trace,
) -> None:
    thumbnails = unpack(AttentionLines(decoder_trace, layer=0, heads=[1]).frame["thumbnails"])
    whole = decoder_trace.attention(0).numpy()
    for head, pattern in enumerate(whole):
        full = np.quantile(pattern[pattern > 0], 0.9)
        expected = np.minimum(np.round(pattern / full * 255), 255)
        np.testing.assert_allclose(thumbnails[head].astype(float), expected, atol=1)


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("side", ["query", "key"])
def test_the_fan_of_a_token_is_exact(translation: Trace, unit: str, side: str) -> None:
    view = AttentionLines(translation, layer=2, heads=[1, 3], unit=unit, sinks="shown")
    answer, arrays = ask(view, "fan", position=3, side=side)
    assert answer["ok"], answer
    whole = translation.attention(2, [1, 3], kind="cross", unit=unit).numpy()
    expected = whole[:, 3] if side == "query" else whole[:, :, 3]
    np.testing.assert_allclose(arrays["weights"][0], expected, atol=1e-7)
    np.testing.assert_allclose(arrays["drawn"][0], expected.mean(axis=0)[None], atol=1e-7)
    assert arrays["heads"].tolist() == [1, 3]


@pytest.mark.parametrize("aggregate", ["mean", "max"])
def test_the_matrix_is_the_aggregate_within_half_a_step_per_row(
    decoder_trace: Trace, aggregate: str
) -> None:
    frame = FusedAttentionMatrix(decoder_trace, layer=2, aggregate=aggregate).frame
    true = decoder_trace.attention(2, unit="word", aggregate=aggregate).numpy()
    shown = unpack(frame["values"]) * unpack(frame["row_scale"])[:, None]
    assert (np.abs(shown - true) <= true.max(axis=1, keepdims=True) / 510 + 1e-7).all()
    # scipy takes the shares of each row itself.
    np.testing.assert_allclose(
        unpack(frame["row_entropy"]), entropy(true, base=2, axis=1), 1e-4, 1e-5
    )
    np.testing.assert_allclose(unpack(frame["column_mass"]), true.mean(axis=0), rtol=1e-5)


def test_a_cell_is_exact_with_its_row_sum_and_heads(decoder_trace: Trace) -> None:
    view = FusedAttentionMatrix(decoder_trace, layer=1, heads=[0, 3])
    _, arrays = ask(view, "cell", query=9, key=4)
    whole = decoder_trace.attention(1, [0, 3], unit="word")
    assert arrays["weight"][0, 0] == pytest.approx(float(whole[:, 9, 4].mean()), abs=1e-7)
    assert arrays["row_sum"][0] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(arrays["weights"][0, 0], whole[:, 9, 4], atol=1e-7)


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


def test_answers_say_which_picture_they_are_about(decoder_trace: Trace, translation: Trace) -> None:
    """A pane of an explorer may be a layer ahead of the picture that the page still shows."""
    matrix = FusedAttentionMatrix(decoder_trace, layer=0, heads=[1], unit="token")
    part = {"query0": 0, "query1": 4, "key0": 0, "key1": 4}
    chart = LayerStatsChart(decoder_trace)
    strip = PerplexityStrip(translation, layer=1, heads=[2])
    views = [
        (matrix, {"cell": {"query": 2, "key": 1}, "cells": part, "tile": part}),
        (chart, {"token": {"position": 2}}),
        (strip, {"source_attention": {"position": 2}}),
    ]
    for view, questions in views:
        for name, args in questions.items():
            assert ask(view, name, **args)[0]["result"]["about"] == view.frame["key"]
    matrix.layer = 2
    assert ask(matrix, "cell", query=2, key=1)[0]["result"]["about"]["layer"] == 2


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
    np.testing.assert_array_equal(unpack(frame["rank"])[1:], predictions.rank[1:])
    np.testing.assert_array_equal(unpack(frame["correct"])[1:], predictions.correct[1:])
    assert (unpack(frame["rank"])[0], unpack(frame["correct"])[0]) == (-1, 255)
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


def test_a_long_text_comes_without_alternatives_which_are_asked_for_and_a_saved_page_has_them() -> (
    None
):
    lens = Lens.demo("decoder")
    trace = lens.score("The keeper saw the whale. " * 60)
    view = PerplexityStrip(trace)
    assert len(view.frame["texts"]) > 300
    assert view.frame["top"] is None
    result, arrays = ask(view, "top_k", position=250, k=3)
    # Independently: the model's own logits of the position before.
    ids = torch.tensor([[token.id for token in trace.sequence("text").tokens]])
    with torch.no_grad():
        expected = lens.model(ids).logits[0, 249].float().softmax(-1).topk(3)
    assert result["result"]["tokens"] == [lens.tokenizer.decode(i) for i in expected.indices]
    np.testing.assert_allclose(arrays["probability"], expected.values, rtol=1e-4)
    top = contents.strip(trace)["top"]
    assert len(unpack(top["index"])) == len(view.frame["texts"]) - top["start"]


def test_the_strip_says_which_special_tokens_the_text_does_not_have() -> None:
    assert PerplexityStrip(Lens.demo("decoder").trace("A boy.")).frame["unwritten"] == [0]


def test_the_strip_of_a_translation_lights_the_source_by_cross_attention(
    translation: Trace,
) -> None:
    view = PerplexityStrip(translation, layer=1, heads=[2])
    frame = view.frame
    true = translation.attention(1, [2], kind="cross")[0].numpy()
    np.testing.assert_array_equal(unpack(frame["cross"]), true)
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


def test_the_chart_shows_median_and_quartiles_of_the_norms(decoder_trace: Trace) -> None:
    view = LayerStatsChart(decoder_trace)
    frame = view.frame
    assert [series["name"] for series in frame["series"]] == ["attention", "mlp"]
    for i, block in enumerate(["attention", "mlp"]):
        for layer in range(3):
            norm = decoder_trace.activations(layer, block).norm(dim=-1).numpy()
            np.testing.assert_allclose(unpack(frame["mean"])[i, layer], np.median(norm), rtol=1e-5)
            np.testing.assert_allclose(
                unpack(frame["low"])[i, layer], np.quantile(norm, 0.25), rtol=1e-5
            )
    _, arrays = ask(view, "token", position=6)
    np.testing.assert_array_equal(arrays["values"], unpack(frame["tokens"])[:, :, 6])


def test_the_chart_names_its_lines_its_unit_and_its_tokens(translation: Trace) -> None:
    frame = LayerStatsChart(translation, kind="decoder").frame
    assert frame["series"] == [
        {"name": "attention", "label": "attention"},
        {"name": "cross", "label": "cross-attention"},
        {"name": "mlp", "label": "MLP"},
    ]
    assert frame["title"] == "Size of what each block adds to the residual stream"
    assert (frame["unit"], frame["middle"]) == ("L2 norm", "median")
    assert (frame["metric_label"], frame["scale"]) == ("Norm", "log")
    assert frame["interval"] == f"quartiles over {len(translation.queries('decoder'))} tokens"
    assert unpack(frame["layers"]).tolist() == [0, 1, 2]
    # Norms belong to the tokens that a row reads, ranks and surprisal to those that it predicts.
    assert frame["token_labels"] == [token.text for token in translation.queries("decoder")]
    encoder = LayerStatsChart(translation, kind="encoder").frame
    assert encoder["token_labels"] == [token.text for token in translation.queries("encoder")]
    assert encoder["sequence"] == "source"
    lens = LayerStatsChart(translation, metric="logit_lens", kind="decoder")
    lens.result  # noqa: B018  waits for it
    assert lens.frame["sequence"] == "target"
    assert lens.frame["token_labels"] == [token.text for token in translation.labels or ()]


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
        true = decoder_trace.attention(0, aggregate="mean")
        assert row["weight"] == true[row["source_position"], row["target_position"]]
    if view is FusedAttentionMatrix:
        true = decoder_trace.attention(0, unit="word", aggregate="mean")
        torch.testing.assert_close(torch.tensor(frame.to_numpy()), true)


def test_the_matrix_and_the_chart_have_one_entropy_also_where_a_sink_takes_a_part() -> None:
    trace = Lens(build("gpt_oss"), tokenizer()).trace(TEXT)
    for head in range(4):
        frame = FusedAttentionMatrix(trace, layer=1, heads=[head], unit="token").frame
        rows = trace.attention(1, head)[0].numpy()
        assert (rows.sum(axis=1) < 0.999).any(), "the sink takes a part"
        by_row = unpack(frame["row_entropy"])
        np.testing.assert_allclose(by_row, entropy(rows, base=2, axis=1), rtol=1e-4, atol=1e-6)
        assert by_row[0] == 0, "the first row has one key"
        in_chart = float(head_statistics(trace).entropy[1, head])
        assert by_row.mean() == pytest.approx(in_chart, rel=1e-5)


@pytest.mark.parametrize("arg_max_is_true", [True, False])
def test_a_true_token_that_shares_its_rank_is_found_by_its_id(arg_max_is_true: bool) -> None:
    model, words = build("llama"), tokenizer()
    ids = words(TEXT, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = model(ids).logits[0]
        # A position whose first guess is another token, before or behind it in the vocabulary.
        position = next(
            i
            for i in range(1, ids.shape[1])
            if (ids[0, i] < logits[i - 1].argmax()) == arg_max_is_true
            and ids[0, i] != logits[i - 1].argmax()
        )
        true, guess = int(ids[0, position]), int(logits[position - 1].argmax())
        model.get_output_embeddings().weight[true] = model.get_output_embeddings().weight[guess]
        logits = model(ids).logits[0, position - 1]
    assert logits[true] == logits[guess] == logits.max()
    trace = Lens(model, words).trace(TEXT)
    view = PerplexityStrip(trace)
    frame = view.frame
    assert unpack(frame["rank"])[position] == 1
    # The model's own arg-max decides what the first guess was.
    assert unpack(frame["correct"])[position] == (logits.argmax() == true) == arg_max_is_true
    row = position - frame["top"]["start"]
    place = unpack(frame["top"]["true"])[row]
    shown = [frame["top"]["texts"][i] for i in unpack(frame["top"]["index"])[row]]
    assert shown[place] == words.convert_ids_to_tokens(true)
    answer, arrays = ask(view, "top_k", position=position, k=2)
    assert answer["result"]["tokens"][arrays["true"][0]] == words.convert_ids_to_tokens(true)
    absent = int(unpack(frame["rank"]).argmax())
    assert unpack(frame["rank"])[absent] > 10
    assert unpack(frame["top"]["true"])[absent - frame["top"]["start"]] == 255


def test_after_a_word_of_a_decoder_row_comes_the_whole_next_word() -> None:
    """With the first piece's prediction, "chien" was followed by its own second piece."""
    pieces = tokenizers.t5()
    model = build("t5", vocab_size=len(pieces))
    target = "the lazy elephants jumped quickly over foxes"
    trace = Lens(model, pieces).trace("a fox", target)
    written = target.split()
    assert len(trace.labels or ()) > len(written) + 1, "some words have several pieces"
    for kind in ("decoder", "cross"):
        axis = AttentionLines(trace, kind=kind, unit="word").axes["query"]
        assert axis["labels"] == ["<pad>", *written][: len(axis["labels"])]
        assert axis["predicted"] == [*written, "</s>"][: len(axis["labels"])]
