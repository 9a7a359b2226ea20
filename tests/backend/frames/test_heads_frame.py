"""Patterns and metrics of all heads: against eager attention, pooled and scaled by numpy."""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from backend.statistics.test_head_statistics import by_loops
from glasshead_backend import Lens, Trace
from glasshead_backend.asking import Selection
from glasshead_backend.frames import heads
from glasshead_backend.frames.heads import Shown, head_metrics, heads_frame, heads_table, pattern
from glasshead_backend.trace import run_of
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import unpack

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens(build("llama"), tokenizer()).trace(TEXT)


@pytest.fixture(scope="module")
def translation() -> Trace:
    return Lens(build("marian"), tokenizer()).trace(TEXT, "a lazy fox runs")


def eager(trace: Trace) -> list[np.ndarray]:
    """Every layer's weights as the model's own eager attention gives them out."""
    model: Any = trace.lens.model
    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        found = model(torch.tensor([[token.id for token in trace.tokens]]), output_attentions=True)
    model.set_attn_implementation(before)
    return [one[0].double().numpy() for one in found.attentions]


def by_numpy(weights: np.ndarray, sinks: np.ndarray, per_pixel: int) -> tuple[np.ndarray, float]:
    """One head's bytes and its scale: largest of each pixel, 98 % quantile, square root."""
    rows, columns = (math.ceil(n / per_pixel) for n in weights.shape)
    padded = np.zeros((rows * per_pixel, columns * per_pixel))
    padded[: weights.shape[0], : weights.shape[1]] = weights
    pixels = padded.reshape(rows, per_pixel, columns, per_pixel).max(axis=(1, 3))
    rest = pixels[:, ~sinks]
    rest = rest[rest > 0]
    scale = float(np.quantile(rest, 0.98)) if rest.size else 0.0
    scale = min(1.0, max(4 / weights.shape[1], scale))
    dark = np.where(sinks, pixels, np.minimum(1, pixels / scale))
    return np.round(255 * np.sqrt(dark)), scale


@pytest.mark.parametrize("largest", [64, 7])
def test_every_pattern_is_the_eager_attention_pooled_on_a_scale_of_its_own(
    trace: Trace, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_LARGEST", largest)
    fresh = trace.lens.trace(TEXT)
    frame = heads_frame(fresh, "self", "token")
    per_pixel = frame["per_pixel"]
    assert per_pixel == math.ceil(20 / largest)
    values, sinks, scale = (unpack(frame[name]) for name in ("patterns", "sinks", "scale"))
    assert values.shape == (3, 4, math.ceil(20 / per_pixel), math.ceil(20 / per_pixel))
    for layer, weights in enumerate(eager(fresh)):
        for head in range(4):
            expected, of = by_numpy(weights[head], sinks[layer, head] == 1, per_pixel)
            assert scale[layer, head] == pytest.approx(of, rel=1e-4)
            assert np.abs(values[layer, head] - expected).max() <= 1


def test_a_map_of_two_texts_keeps_its_shape(translation: Trace) -> None:
    frame = heads_frame(translation, "cross", "token")
    n_rows, n_columns = translation.attention(0, 0, kind="cross").shape[1:]
    assert (frame["rows"], frame["columns"], frame["per_pixel"]) == (n_rows, n_columns, 1)
    assert unpack(frame["patterns"]).shape == (3, 4, n_rows, n_columns)
    assert unpack(heads_frame(translation, "encoder", "token")["layers"]).tolist() == [0, 1]


def test_words_are_fused_as_in_the_matrix() -> None:
    trace = Lens.demo("decoder").trace("Unbelievable whales, unbelievable whalers!")
    words = heads_frame(trace, "self", "word")
    n = trace.attention(0, 0, unit="word").shape[-1]
    assert n < len(trace.tokens)
    assert unpack(words["patterns"]).shape[-2:] == (n, n)


def painted(trace: Trace, monkeypatch: pytest.MonkeyPatch, paint: Callable[..., Any]) -> None:
    """Let layer 1 attend as `paint` says: a function of row and column."""
    call = run_of(trace).call(1)

    def weights(self: Any, of: Any, rows: Any, **options: Any) -> torch.Tensor:
        found = original(self, of, rows, **options)
        if self is call:
            row = torch.as_tensor(list(rows))[:, None]
            column = torch.arange(found.shape[-1])
            found[:] = torch.where(column <= row, paint(row, column), 0.0)
        return found

    original = type(call).visible_weights
    monkeypatch.setattr(type(call), "visible_weights", weights)


def test_a_flat_head_can_be_read(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = trace.lens.trace(TEXT)
    painted(fresh, monkeypatch, lambda row, column: 1.0 / (row + 1) + 0 * column)
    values = unpack(heads_frame(fresh, "self", "token")["patterns"])[1, 0]
    # The last row has 1/20 of the attention everywhere: on a scale from 0 to 1 that is byte 13.
    assert values[-1].min() > 90


def test_a_sink_does_not_make_the_rest_pale(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = trace.lens.trace(TEXT)

    def paint(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        before = torch.where(column == row - 1, 0.1, 0.0)
        return torch.where(column == 0, torch.where(row == 0, 1.0, 0.9), before)

    painted(fresh, monkeypatch, paint)
    frame = heads_frame(fresh, "self", "token")
    values, sinks = unpack(frame["patterns"])[1, 0], unpack(frame["sinks"])[1, 0]
    assert sinks.tolist() == [1, *[0] * 19]
    assert values[5, 4] == round(255 * math.sqrt(0.1 / 0.2))  # 4 / 20 is the least of a scale
    assert values[5, 0] == round(255 * math.sqrt(0.9))
    assert unpack(frame["to_sinks"])[1, 0] == pytest.approx((1 + 19 * 0.9) / 19.9, abs=0.01)


def test_what_is_nearly_all_sink_shows_no_pattern_of_noise(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = trace.lens.trace(TEXT)
    painted(
        fresh, monkeypatch, lambda row, column: torch.where(column == 0, 0.999, 0.0001) + 0 * row
    )
    assert unpack(heads_frame(fresh, "self", "token")["patterns"])[1, 0, :, 1:].max() < 10


def test_metrics_are_those_that_plain_loops_find(trace: Trace) -> None:
    frame = heads_frame(trace, "self", "token")
    named = {one["name"]: unpack(one["values"]) for one in frame["metrics"]}
    ids = [token.id for token in trace.tokens]
    assert list(named) == ["entropy", "distance", "sink", "previous_token", "induction"]
    for layer, weights in enumerate(eager(trace)):
        for head in range(4):
            for name, value in by_loops(weights[head], ids).items():
                assert named[name][layer, head] == pytest.approx(value, rel=1e-3, abs=1e-5)
    assert [one["unit"] for one in frame["metrics"]][:2] == ["bits", "tokens"]


def test_cross_attention_has_the_metrics_that_make_sense_there(translation: Trace) -> None:
    frame = heads_frame(translation, "cross", "token")
    assert [one["name"] for one in frame["metrics"]] == ["entropy", "sink"]
    assert [metric.name for metric in head_metrics("cross")] == ["entropy", "sink"]


def test_where_no_token_repeats_the_frame_says_why_there_is_no_induction(trace: Trace) -> None:
    frame = heads_frame(trace.lens.trace("the quick brown fox"), "self", "token")
    notes = {one["name"]: one["note"] for one in frame["metrics"]}
    assert "No token of this text repeats" in notes.pop("induction")
    assert set(notes.values()) == {""}


def test_layers_keep_their_numbers_and_those_without_attention_are_named() -> None:
    case = case_or_skip("jamba/JambaForCausalLM")
    trace = Lens(build_case(case), tokenizer()).trace(TEXT)
    frame = heads_frame(trace, "self", "token")
    layers = unpack(frame["layers"]).tolist()
    assert layers == trace.layers()
    assert 0 not in layers
    assert frame["note"].startswith("Layer")
    assert "no self attention that can be read" in frame["note"]
    assert heads_table(trace, "self", Shown("entropy")).layer.unique().tolist() == layers


def uneven() -> Trace:
    """Trace of a model whose layer 1 has two heads, the others four."""
    model: Any = build("gpt2")
    config = copy.deepcopy(model.config)
    config.n_head = config.num_attention_heads = 2
    model.transformer.h[1].attn = GPT2Attention(config, layer_idx=1).eval()
    return Lens(model, tokenizer()).trace(TEXT)


def test_a_layer_with_fewer_heads_is_padded_and_its_heads_counted() -> None:
    trace = uneven()
    frame = heads_frame(trace, "self", "token")
    assert unpack(frame["n_heads"]).tolist() == [4, 2, 4]
    patterns = unpack(frame["patterns"])
    assert patterns[1, 2:].max() == 0
    assert patterns[1, :2].max(axis=(1, 2)).tolist() == [255, 255]
    entropy = unpack(frame["metrics"][0]["values"])
    assert np.isnan(entropy).tolist() == [[False] * 4, [False, False, True, True], [False] * 4]
    table = heads_table(trace, "self", Shown("entropy"))
    assert table[table.layer == 1]["head"].tolist() == [0, 1]


def test_a_large_model_fits_into_a_megabyte() -> None:
    config = GPT2Config(vocab_size=96, n_embd=100, n_head=25, n_layer=48, n_positions=128)
    torch.manual_seed(0)
    trace = Lens(GPT2LMHeadModel(config).eval(), tokenizer()).trace(" ".join([TEXT] * 5))
    frame = heads_frame(trace, "self", "token")
    arrays = [one["values"] for one in frame["metrics"]]
    arrays += [one for one in frame.values() if isinstance(one, dict) and "data" in one]
    assert sum(len(one["data"]) for one in arrays) < 1_000_000
    assert unpack(frame["patterns"]).shape[:2] == (48, 25)
    assert min(unpack(frame["patterns"]).shape[2:]) > 20


def test_a_table_has_the_heads_that_are_shown_in_their_order(trace: Trace) -> None:
    whole = heads_table(trace, "self", Shown("previous_token"))
    assert list(whole.columns[:3]) == ["layer", "head", "entropy"]
    assert whole[["layer", "head"]].to_numpy().tolist() == [
        [layer, head] for layer in range(3) for head in range(4)
    ]
    middle = float(whole.previous_token.median())
    found = heads_table(trace, "self", Shown("previous_token", "highest", middle, None, (0, 2)))
    expected = whole[(whole.previous_token >= middle) & whole.layer.isin([0, 2])]
    expected = expected.sort_values("previous_token", ascending=False, kind="stable")
    assert found.to_numpy().tolist() == expected.to_numpy().tolist()
    lowest = heads_table(trace, "self", Shown("entropy", "lowest"))
    assert lowest.entropy.is_monotonic_increasing
    none = heads_table(trace, "self", Shown("entropy", at_least=99.0))
    assert (len(none), list(none.columns)) == (0, list(whole.columns))


def test_a_limit_that_was_read_off_a_value_holds_for_it(trace: Trace) -> None:
    # 0.6 of single precision is a little more than 0.6 of double.
    value = float(heads_table(trace, "self", Shown("sink")).sink[5])
    for limit in (value, float(str(np.float32(value)))):
        one = heads_table(trace, "self", Shown("sink", at_least=limit, at_most=limit))
        assert len(one) == 1


def test_a_head_alone_is_drawn_larger(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "_LARGEST", 7)
    fresh = trace.lens.trace(TEXT)
    small = heads_frame(fresh, "self", "token")
    large = pattern(fresh, Selection("self", 2, (3,)))
    assert unpack(small["patterns"]).shape[2:] == (7, 7)
    assert large.values.shape == (1, 20, 20)
    expected, scale = by_numpy(eager(fresh)[2][3], large.sinks[0].numpy(), 1)
    assert np.abs(large.values[0].numpy() - expected).max() <= 1
    assert float(large.scale[0]) == pytest.approx(scale, rel=1e-4)
