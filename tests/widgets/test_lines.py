"""AttentionLines: which lines are drawn, by a constant rule, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from transformers import LlamaConfig, LlamaForCausalLM

from glasshead import AttentionLines, Lens
from glasshead_backend.frames import lines as lines_module
from support.tiny_models import tokenizer
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from glasshead import Trace


def kept(frame: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Keys and weights of a frame, ``[maps, rows, per_row]``."""
    return unpack(frame["lines"]["key"]), unpack(frame["lines"]["weight"])


def strongest(weights: np.ndarray, k: int) -> np.ndarray:
    """The k largest weights of every row, largest first."""
    return -np.sort(-weights, axis=-1)[..., :k]


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("aggregate", ["mean", "max", "separate"])
def test_every_row_has_its_strongest_lines_with_exact_weights(
    decoder_trace: Trace, unit: Any, aggregate: Any
) -> None:
    shown = {"unit": unit, "aggregate": aggregate, "sinks": "shown"}
    frame = AttentionLines(decoder_trace, layer=1, heads=[0, 2], **shown).frame
    true = decoder_trace.attention(1, [0, 2], unit=unit).numpy()
    if aggregate != "separate":
        true = getattr(np, aggregate)(true, axis=0, keepdims=True)
    keys, weights = kept(frame)
    np.testing.assert_allclose(weights, strongest(true, weights.shape[-1]), rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(true, keys.astype(int), -1), weights, rtol=1e-6)
    assert unpack(frame["heads"]).tolist() == [0, 2]
    assert frame["n_total"] == (true > 0).sum()


RULES = [(2, None), (1, None), (None, None), (None, 0.123), (3, 0.05), (7, 0.9)]


@pytest.mark.parametrize(("top_k", "threshold"), RULES)
@pytest.mark.parametrize("aggregate", ["mean", "separate"])
def test_the_number_of_lines_and_their_share_are_those_of_the_rule(
    decoder_trace: Trace, top_k: int | None, threshold: float | None, aggregate: Any
) -> None:
    view = AttentionLines(
        decoder_trace,
        layer=1,
        top_k=top_k,
        threshold=threshold,
        aggregate=aggregate,
        sinks="shown",
    )
    true = decoder_trace.attention(1).numpy().astype(np.float64)
    if aggregate == "mean":
        true = true.mean(axis=0, keepdims=True)
    drawn = strongest(true, top_k or true.shape[-1])
    drawn = drawn[(drawn > 0) & (drawn >= np.float32(threshold or 0))]
    assert view.frame["shown"]["n"] == len(drawn)
    assert view.frame["shown"]["mass"] == pytest.approx(drawn.sum() / true.sum(), abs=1e-6)
    table = view.to_frame()
    np.testing.assert_allclose(table["weight"], np.sort(drawn)[::-1], rtol=1e-5)
    at = table[["source_position", "target_position"]].to_numpy()
    maps = table["head"].to_numpy() if aggregate == "separate" else np.zeros(len(at), int)
    np.testing.assert_allclose(true[maps, at[:, 0], at[:, 1]], table["weight"], rtol=1e-5)
    answer, _ = ask(view, "shown", top_k=top_k or 0, threshold=threshold or 0)
    assert answer["result"]["n"] == len(drawn)


def test_no_head_layer_or_unit_moves_the_rule(decoder_trace: Trace) -> None:
    view = AttentionLines(decoder_trace)
    for change in ({"heads": [1]}, {"layer": 2}, {"unit": "word"}, {"aggregate": "separate"}):
        view.set(**change)
        assert (view.top_k, view.threshold) == (2, None)
        assert view.to_frame().groupby(["head", "source_position"]).size().max() == 2


@pytest.fixture(scope="module")
def with_sink() -> Trace:
    """The demo's first token takes a quarter of the attention."""
    text = "The white whale swam by, and the old captain looked at the sea; the sea was calm. " * 2
    return Lens.demo("decoder").trace(text.strip())


def test_sinks_are_set_aside_and_the_rest_keeps_its_true_weights(with_sink: Trace) -> None:
    frame = AttentionLines(with_sink, layer=1, aggregate="mean").frame
    true = with_sink.attention(1).numpy().mean(axis=0)
    assert frame["sinks"]["mode"] == "aside"
    units = unpack(frame["sinks"]["units"])
    assert 0 in units
    rest = true.copy()
    rest[:, units] = 0
    keys, weights = kept(frame)
    np.testing.assert_allclose(weights[0], strongest(rest, weights.shape[-1]), rtol=1e-5, atol=1e-8)
    assert not np.isin(keys[weights > 0], units).any()
    np.testing.assert_allclose(
        unpack(frame["sinks"]["to"])[0], true[:, units].sum(axis=1), rtol=1e-5
    )
    # Shares stay those of all attention; all lines that are left are not all of it.
    every = AttentionLines(with_sink, layer=1, top_k=None).frame["shown"]
    assert every["n"] == (rest > 0).sum()
    assert every["mass"] == pytest.approx(rest.sum() / true.sum(), abs=1e-5)


def test_hidden_sinks_leave_rows_that_sum_to_what_they_did(with_sink: Trace) -> None:
    view = AttentionLines(with_sink, layer=1, sinks="hidden", top_k=None)
    true = with_sink.attention(1).numpy().mean(axis=0)
    units = unpack(view.frame["sinks"]["units"])
    rest = true.copy()
    rest[:, units] = 0
    left = rest.sum(axis=1, keepdims=True)
    rest = np.divide(rest, left, out=np.zeros_like(rest), where=left > 0)
    weights = kept(view.frame)[1][0]
    np.testing.assert_allclose(weights, strongest(rest, weights.shape[-1]), rtol=1e-4, atol=1e-7)
    assert view.frame["shown"]["mass"] == 1
    for side, position in (("query", 20), ("key", 7)):
        _, arrays = ask(view, "fan", position=position, side=side)
        drawn, own = (rest, true) if side == "query" else (rest.T, true.T)
        np.testing.assert_allclose(arrays["drawn"][0, 0], drawn[position], rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(arrays["weights"][0].mean(axis=0), own[position], rtol=1e-4)


def test_all_off_leaves_the_lines_of_lit_tokens_only(with_sink: Trace) -> None:
    view = AttentionLines(with_sink, layer=1, blank=True)
    assert len(view.to_frame()) == 0
    view.set(selected=[9], hovered=12)
    found = view.to_frame()
    true = with_sink.attention(1).numpy().mean(axis=0)
    units = unpack(view.frame["sinks"]["units"])
    true[:, units] = 0
    rows, columns = np.nonzero(true >= 0.01)
    lit = np.isin(rows, [9, 12])
    expected = set(zip(rows[lit].tolist(), columns[lit].tolist(), strict=True))
    pairs = found[["source_position", "target_position"]].itertuples(index=False, name=None)
    assert set(pairs) == expected


def test_a_frame_brings_the_weights_of_what_is_lit(with_sink: Trace) -> None:
    view = AttentionLines(with_sink, layer=0, hovered=12, selected=[9])
    view.layer = 1
    true = with_sink.attention(1).numpy()
    fans = {(fan["side"], fan["position"]): fan for fan in view.frame["fans"]}
    assert set(fans) == {("query", 9), ("query", 12)}
    for (_, row), brought in fans.items():
        np.testing.assert_allclose(
            unpack(brought["weights"])[0], true[:, row], rtol=1e-5, atol=1e-8
        )
    # Once the page has asked for what looks at a token, that is what it will want.
    ask(view, "fan", position=12, side="key")
    view.layer = 0
    fans = {(fan["side"], fan["position"]): fan for fan in view.frame["fans"]}
    column = fans["key", 12]
    true = with_sink.attention(0).numpy()
    np.testing.assert_allclose(unpack(column["weights"])[0], true[:, :, 12], rtol=1e-5, atol=1e-8)


def test_a_frame_does_not_wait_for_many_pins(with_sink: Trace) -> None:
    view = AttentionLines(with_sink, layer=0, selected=list(range(20)))
    assert len(view.frame["fans"]) == 4


@pytest.fixture(scope="module")
def long_trace() -> Trace:
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer()),
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=1024,
            initializer_range=0.5,
        )
    )
    return Lens(model.eval(), tokenizer()).trace("the old sea was calm and the fox ran by " * 60)


@pytest.mark.parametrize("aggregate", ["mean", "separate"])
def test_a_long_text_comes_in_parts_that_together_are_all_of_it(
    long_trace: Trace, aggregate: Any
) -> None:
    view = AttentionLines(long_trace, aggregate=aggregate, sinks="shown")
    true = long_trace.attention(0).numpy()
    if aggregate == "mean":
        true = true.mean(axis=0, keepdims=True)
    n_rows = true.shape[1]
    assert n_rows > lines_module.WHOLE_ROWS
    frame = view.frame
    assert unpack(frame["lines"]["key"]).shape[1] == frame["chunk_rows"] == 128
    parts = [ask(view, "lines", chunk=chunk) for chunk in range(-(-n_rows // 128))]
    assert [answer["result"]["first"] for answer, _ in parts] == list(range(0, n_rows, 128))
    assert all(answer["result"]["key"] == frame["key"] for answer, _ in parts)
    weights = np.concatenate([arrays["weight"] for _, arrays in parts], axis=1)
    np.testing.assert_allclose(weights, strongest(true, frame["per_row"]), rtol=1e-5)
    for (_, arrays), start in zip(parts, range(0, n_rows, 128), strict=True):
        of_map, row, key = (arrays[f"from_{name}"].astype(int) for name in ("map", "row", "key"))
        assert ((row < start) | (row >= start + 128)).all(), "its own rows bring their lines"
        assert ((key >= start) & (key < start + 128)).all()
        np.testing.assert_allclose(arrays["from_weight"], true[of_map, row, key], rtol=1e-5)
        assert np.bincount(key, minlength=1).max(initial=0) <= 4
        np.testing.assert_allclose(
            strongest(true, frame["per_row"])[of_map, row, arrays["from_rank"].astype(int)],
            arrays["from_weight"],
            rtol=1e-5,
        )
    top = strongest(true, 2)
    assert frame["shown"]["n"] == (top > 0).sum()
    assert frame["shown"]["mass"] == pytest.approx(top.sum() / true.sum(), rel=1e-5)
    answer, _ = ask(view, "lines", chunk=99)
    assert "out of range" in answer["error"]


def test_the_strongest_of_all_rows_that_arrive_at_a_column_are_told(long_trace: Trace) -> None:
    view = AttentionLines(long_trace, sinks="shown")
    true = long_trace.attention(0).numpy().mean(axis=0)
    _, arrays = ask(view, "lines", chunk=0)
    per_row = view.frame["per_row"]
    least = strongest(true, per_row)[:, -1:]
    arriving = np.where(true >= least, true, 0)[128:, :128]
    column = int(arriving.sum(axis=0).argmax())
    told = np.sort(arrays["from_weight"][arrays["from_key"] == column])[::-1]
    np.testing.assert_allclose(told, np.sort(arriving[:, column])[::-1][: len(told)], rtol=1e-5)
    assert len(told) == 4
