"""QueryKeyView without a browser: state, links, answers, code, and what a saved page carries."""

from __future__ import annotations

import base64
import gzip
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from traitlets import TraitError

from glasshead import AttentionLines, Lens, QueryKeyView, Trace, link_views
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import unpack
from widgets.test_frames import ask
from widgets.test_saved_pages import Elements
from widgets.test_state import state_from_browser

if TYPE_CHECKING:
    from pathlib import Path

TARGET = "a lazy fox runs over the old sea"


@cache
def trace_of(name: str) -> Trace:
    model = build_case(case_or_skip(name)) if "/" in name else build(name)
    if name == "gemma2":
        model.set_attn_implementation("eager")  # SDPA leaves its soft-cap out
    texts = (TEXT, TARGET) if model.config.is_encoder_decoder else (TEXT,)
    return Lens(model, tokenizer()).trace(*texts)


# ---- state ------------------------------------------------------------------------------------


def test_it_begins_with_the_last_row_and_the_first_head(
    decoder_trace: Trace, translation: Trace
) -> None:
    view, cross = QueryKeyView(decoder_trace), QueryKeyView(translation)
    assert (view.query, view.heads, view.key, view.sort, view.rows) == (
        *(19, [0], None),
        *("dimension", "text"),
    )
    assert (cross.kind, cross.query, cross.frame["n_keys"]) == ("cross", 7, 20)
    assert view.frame["key"] == {"kind": "self", "layer": 0, "heads": [0], "query": 19}


def test_the_frame_has_what_the_question_answers(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace, layer=1, heads=[3, 1], query=9)
    found = decoder_trace.query_key(1, 9, [1, 3])
    frame = view.frame
    assert (frame["heads"], frame["n_keys"], frame["dimensions"]) == ([1, 3], 20, 8)
    assert (frame["start"], frame["stop"]) == (0, 20)
    assert (frame["scaling"], frame["softcap"]) == (found.scaling, None)
    assert (frame["capped"], frame["bias"], frame["sink"]) == (None, None, None)
    for name, there in (
        *(("products", found.products), ("keys_vectors", found.key)),
        *(("query_vector", found.query), ("dot", found.dot)),
        *(("score", found.score), ("weight", found.weight)),
    ):
        assert np.allclose(unpack(frame[name]), there, rtol=1e-6, atol=1e-6), name
    visible = found.products.abs()[:, :10]
    assert np.allclose(unpack(frame["bound"]), visible.amax((1, 2)), rtol=1e-6)
    order = visible.mean(1).argsort(dim=1, descending=True)
    assert np.array_equal(unpack(frame["order"]), order)


def test_all_heads_are_drawn_where_none_is_named(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace, heads=[])
    assert view.frame["heads"] == [0, 1, 2, 3]
    assert view.frame["key"]["heads"] == []


def test_of_a_long_text_the_stretch_with_most_weight_comes_first() -> None:
    model = build("gpt2", n_positions=1024)
    trace = Lens(model, tokenizer()).trace(torch.arange(700) % 80 + 4)
    view = QueryKeyView(trace, layer=1, heads=[2])
    frame = view.frame
    assert frame["stop"] - frame["start"] == 256
    weight = trace.attention(1, [2], rows=[699])[0, 0].double().numpy()
    sums = np.convolve(weight, np.ones(256), "valid")
    assert sums[frame["start"]] == pytest.approx(sums.max(), abs=1e-9)
    assert unpack(frame["products"]).shape == (1, 256, 8)
    assert unpack(frame["score"]).shape == (1, 700)


def test_what_a_model_adds_is_in_the_frame_with_its_name() -> None:
    for name, words in (("t5", "position bias"), ("bloom/BloomForCausalLM", "ALiBi")):
        trace = trace_of(name)
        frame = QueryKeyView(trace, kind=trace.kinds[-2 if len(trace.kinds) > 1 else 0]).frame
        assert frame["bias_words"] == words
        scores = unpack(frame["dot"]) + unpack(frame["bias"])
        assert np.allclose(scores, unpack(frame["score"]), rtol=1e-5, atol=1e-4)
    gemma = QueryKeyView(trace_of("gemma2"), layer=2).frame
    capped = 50 * np.tanh(unpack(gemma["dot"]) / 50)
    assert gemma["softcap"] == 50
    assert np.allclose(unpack(gemma["capped"]), capped, rtol=1e-5)
    sinks = QueryKeyView(trace_of("gpt_oss")).frame
    assert unpack(sinks["sink"]).shape == (1,)
    assert sinks["note"] == "The weights sum to less than 1: attention sinks take the rest."


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("query", 20, "query 20 is out of range: the query side of self attention has positions 0"),
        ("query", -21, "query -21 is out of range"),
        ("query", None, "query is a whole number; got None"),
        ("key", 20, "key 20 is out of range: the key side of self attention has positions 0-19"),
        ("sort", "size", "size"),
        ("rows", "weak", "weak"),
        ("heads", [4], "head 4 is out of range"),
    ],
)
def test_a_wrong_value_is_named_with_those_that_there_are(
    name: str, value: object, says: str, decoder_trace: Trace
) -> None:
    view = QueryKeyView(decoder_trace)
    frame = view.frame
    with pytest.raises(TraitError, match=says):
        setattr(view, name, value)
    with pytest.raises(TraitError, match=says):
        QueryKeyView(decoder_trace, **{name: value})
    assert view.frame is frame


def test_positions_count_from_the_end_as_everywhere_in_python(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace, query=-3, key=-1)
    assert (view.query, view.key) == (17, 19)


def test_its_state_makes_it_anew(translation: Trace) -> None:
    view = QueryKeyView(
        translation, kind="decoder", layer=1, heads=[1, 2], query=3, key=0, sort="largest"
    )
    view.rows = "strongest"
    again = QueryKeyView(translation, **view.state())
    assert again.state() == view.state()
    assert again.frame == view.frame


def test_another_kind_or_text_keeps_query_and_key_within_it(translation: Trace) -> None:
    view = QueryKeyView(translation, kind="encoder", layer=1, query=15, key=19)
    view.kind = "decoder"
    assert (view.query, view.key, view.error) == (7, None, "")
    view.kind = "cross"
    view.key = 12
    view.trace = translation.lens.trace("the old sea", "a whale")
    assert (view.query, view.key, view.error) == (1, None, "")
    assert view.frame["n_keys"] == 3


def test_attention_without_products_is_said_and_the_picture_stays() -> None:
    trace = trace_of("longt5/LongT5ForConditionalGeneration")
    view = QueryKeyView(trace)
    frame = view.frame
    view.kind = "encoder"
    assert "LongT5LocalAttention attends in bands or blocks" in view.error
    assert view.frame is frame
    with pytest.raises(ValueError, match="attends in bands or blocks"):
        QueryKeyView(trace, kind="encoder")
    given = Trace.from_attentions(np.full((1, 2, 3, 3), 1 / 3), ["a", "b", "c"])
    with pytest.raises(ValueError, match="no queries and keys are read"):
        QueryKeyView(given)


# ---- links ------------------------------------------------------------------------------------


def test_a_token_that_is_pinned_becomes_the_query(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace)
    view.selected = [4]
    assert view.query == 4
    state_from_browser(view, selected=[4, 11])
    assert view.query == 11
    view.selected = [4]  # one goes: nothing is new
    assert view.query == 11
    view.selected = []
    assert (view.query, view.frame["key"]["query"]) == (11, 11)
    state_from_browser(view, query=2)
    assert (view.query, view.selected) == (2, [])


def test_in_cross_attention_a_pinned_source_token_becomes_the_key(translation: Trace) -> None:
    view = QueryKeyView(translation)
    view.selected_source = [13]
    assert (view.query, view.key) == (7, 13)
    view.selected = [2]
    assert (view.query, view.key) == (2, 13)
    view.kind = "encoder"
    view.selected_source = [5, 13]
    assert (view.query, view.key) == (5, 13)


def test_a_pin_in_a_linked_view_moves_the_query(decoder_trace: Trace) -> None:
    lines = AttentionLines(decoder_trace, layer=2, heads=[1])
    view = QueryKeyView(decoder_trace)
    link_views(lines, view)
    assert (view.layer, view.heads, view.frame["key"]["layer"]) == (2, [1], 2)
    lines.selected = [6]
    assert (view.selected, view.query, view.frame["key"]["query"]) == ([6], 6, 6)
    lines.heads = [0, 3]
    assert view.frame["heads"] == [0, 3]
    view.query = 8
    assert lines.selected == [6]


# ---- answers ----------------------------------------------------------------------------------


def test_products_of_a_stretch_and_of_chosen_keys_are_answered(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace, layer=1, heads=[0, 2], query=12)
    found = decoder_trace.query_key(1, 12, [0, 2])
    shown = {"kind": "self", "layer": 1, "heads": [0, 2], "query": 12}
    answer, arrays = ask(view, "products", start=3, stop=7)
    assert answer["result"] == {**shown, "start": 3, "stop": 7}
    assert np.allclose(arrays["products"], found.products[:, 3:7])
    assert np.allclose(arrays["key_vectors"], found.key[:, 3:7])
    answer, arrays = ask(view, "chosen_products", keys=[11, 0, 5])
    assert answer["result"] == {**shown, "keys": [11, 0, 5]}
    assert np.allclose(arrays["products"], found.products[:, [11, 0, 5]])
    assert np.allclose(arrays["key_vectors"], found.key[:, [11, 0, 5]])
    assert ask(view, "chosen_products", keys=[])[1]["products"].shape == (2, 0, 8)


@pytest.mark.parametrize(
    ("question", "args", "says"),
    [
        ("products", {"start": 3, "stop": 21}, "keys 3 to 21 are no part of 0 to 20"),
        ("products", {"start": 5, "stop": 5}, "keys 5 to 5 are no part of 0 to 20"),
        ("chosen_products", {"keys": [20]}, "position 20 is out of range: there are 20"),
        ("chosen_products", {"keys": [0] * 257}, "257 keys are too many at once: ask for 256"),
    ],
)
def test_a_wrong_question_is_answered_in_words(
    question: str, args: dict[str, Any], says: str, decoder_trace: Trace
) -> None:
    answer, _ = ask(QueryKeyView(decoder_trace), question, **args)
    assert not answer["ok"]
    assert says in answer["error"]


@pytest.mark.parametrize(
    "state",
    [
        {"layer": 2, "heads": [1, 3], "query": 6},
        {"layer": 1, "heads": [], "query": 0},
        {"kind": "cross", "layer": 1, "heads": [0], "query": 4},
        {"kind": "encoder", "layer": 1, "heads": [2], "query": 19},
    ],
)
def test_the_code_gives_what_is_on_screen(
    state: dict[str, Any], decoder_trace: Trace, translation: Trace
) -> None:
    trace = translation if "kind" in state else decoder_trace
    view = QueryKeyView(trace, **state)
    found = eval(view.code(), {"trace": trace})  # noqa: S307  our own code
    frame = view.frame
    some = slice(frame["start"], frame["stop"])
    assert np.allclose(unpack(frame["products"]), found.products[:, some], rtol=1e-6, atol=1e-6)
    for name in ("dot", "score", "weight"):
        assert np.allclose(unpack(frame[name]), getattr(found, name), rtol=1e-6, atol=1e-6)
    table, shown = found.to_frame(), view.to_frame()
    assert table[["head", "position", "token"]].equals(shown[["head", "position", "token"]])
    assert np.allclose(table["score"], shown["score"], rtol=1e-6)
    assert list(table.columns) == list(shown.columns)


def test_it_says_which_dimensions_make_the_largest_weights(decoder_trace: Trace) -> None:
    view = QueryKeyView(decoder_trace, layer=1, heads=[0], query=12)
    found = decoder_trace.query_key(1, 12, [0])
    best = int(found.weight[0].argmax())
    products = found.products[0, best]
    first = int(products.abs().argmax())
    said = view.in_words()
    assert len(said) == 5
    assert (
        f"with {float(found.weight[0, best]):.2f}: score {float(found.score[0, best]):.2f}"
        in (said[0])
    )
    assert f"dimensions {first} ({float(products[first]):+.2f})" in said[0]


def test_a_poster_shows_the_strongest_keys_wherever_they_stand() -> None:
    model = build("gpt2", n_positions=1024)
    trace = Lens(model, tokenizer()).trace(torch.arange(700) % 80 + 4)
    view = QueryKeyView(trace, layer=1, heads=[2])
    poster = view.static("poster").html
    (picture,) = re.findall(r"base64,([A-Za-z0-9+/=]+)", poster)
    drawn = base64.b64decode(picture).decode("utf-8")
    scores = view.to_frame().sort_values("score", ascending=False)["score"]
    assert all(f">{score:.2f}</text>" in drawn for score in scores.head(40))
    assert "the 40 strongest keys" in poster


# ---- saved pages ------------------------------------------------------------------------------


def contents_of(html: str) -> tuple[Elements, dict[str, Any]]:
    page = Elements(html)
    return page, page.contents()


def array(packed: dict[str, Any]) -> np.ndarray:
    data = base64.b64decode(packed["data"]["base64"])
    return np.frombuffer(data, packed["dtype"]).reshape(packed["shape"])


def made_of(page: Elements, stored: dict[str, Any], row: int) -> dict[str, np.ndarray]:
    """What the page makes of a layer for one query token, by the rule that it goes by."""
    data = np.frombuffer(
        page.stored(stored["element"]),
        f"<{stored['dtype'].replace('float', 'f')}".replace("f32", "f4").replace("f16", "f2"),
    )
    n_heads, dims = len(stored["heads"]), stored["dimensions"]
    split = n_heads * stored["rows"] * dims
    query = data[:split].reshape(n_heads, stored["rows"], dims).astype(float)[:, row]
    key = data[split:].reshape(stored["key_heads"], stored["keys"], dims).astype(float)
    products = stored["scaling"] * query[:, None] * key[stored["of_head"]]
    score = products.sum(-1)
    if stored["softcap"] is not None:
        score = stored["softcap"] * np.tanh(score / stored["softcap"])
    n_keys = stored["keys"]
    bias = np.zeros_like(score)
    if stored["bias"]:
        values = array(stored["bias"]["values"])
        start = stored["rows"] - 1 - row
        bias = {
            "distance": lambda: values[:, start : start + n_keys],
            "key": lambda: values,
            "cell": lambda: values[:, row],
        }[stored["bias"]["by"]]()
    hidden = np.zeros(score.shape, bool)
    if stored["triangular"]:
        hidden[:, row + 1 :] = True
    if stored["hidden"]:
        bits = np.unpackbits(array(stored["hidden"])[:, row], axis=-1)[:, :n_keys]
        hidden |= bits.astype(bool)
    score = np.where(hidden, -np.inf, score + bias)
    rest = np.exp(array(stored["rest"])[:, row].astype(float)) if stored["rest"] else 0.0
    whole = np.exp(score).sum(-1) + rest
    return {"products": products, "score": score, "weight": np.exp(score) / whole[:, None]}


PAGES = (
    *("llama", "gpt2", "mistral", "gemma2", "gpt_oss", "bert", "t5"),
    *("bloom/BloomForCausalLM", "mpt/MptForCausalLM", "xlnet/XLNetLMHeadModel"),
    "t5gemma2/T5Gemma2ForConditionalGeneration",
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_what_makes_every_query_tokens_scores_in_every_layer(name: str) -> None:
    trace = trace_of(name)
    page, contents = contents_of(QueryKeyView(trace).to_html())
    places = [(kind, layer) for kind in trace.kinds for layer in trace.layers(kind)]
    assert [(one["kind"], one["layer"]) for one in contents["query_key"]] == places
    for stored in contents["query_key"]:
        kind, layer = stored["kind"], stored["layer"]
        assert stored["dtype"] == "float32"
        assert stored["heads"] == list(range(trace.n_heads(layer, kind)))
        for row in range(0, stored["rows"], 3):
            made, found = made_of(page, stored, row), trace.query_key(layer, row, kind=kind)
            largest = float(found.score[~found.hidden].abs().max())
            assert np.allclose(made["products"], found.products, rtol=1e-5, atol=1e-6)
            assert np.array_equal(np.isneginf(made["score"]), found.hidden)
            there = ~found.hidden.numpy()
            assert np.allclose(
                made["score"][there], found.score[~found.hidden], atol=1e-5 * largest
            )
            assert np.allclose(made["weight"], found.weight, atol=1e-5)
            assert stored["bias_words"] == (found.bias_words if stored["bias"] else "")


def test_biases_travel_as_what_they_depend_on() -> None:
    by = {}
    for name in ("t5", "bloom/BloomForCausalLM", "mpt/MptForCausalLM", "xlnet/XLNetLMHeadModel"):
        _, contents = contents_of(QueryKeyView(trace_of(name)).to_html())
        by[name] = {one["bias"] and one["bias"]["by"] for one in contents["query_key"]}
    assert by["t5"] == {"distance", None}  # there is none in its cross-attention
    assert by["bloom/BloomForCausalLM"] == {"key"}
    assert by["mpt/MptForCausalLM"] in ({"key"}, {"distance"})
    assert by["xlnet/XLNetLMHeadModel"] == {"cell"}


@pytest.fixture(scope="module")
def long() -> Trace:
    model = build("llama", max_position_embeddings=1024)
    return Lens(model, tokenizer()).trace(torch.arange(600) % 80 + 4)


def test_where_there_is_little_room_numbers_are_halved_and_then_layers_left_out(
    long: Trace, tmp_path: Path
) -> None:
    view = QueryKeyView(long, layer=2)
    whole = view.save_html(tmp_path / "whole.html")
    assert (whole.relative_error, whole.left_out, whole.layers) == (0.0, (), {"self": (0, 1, 2)})
    assert whole.error == "Queries and keys are those of the model, in single precision."
    half = view.save_html(tmp_path / "half.html", max_bytes=int(0.7 * whole.bytes))
    assert half.relative_error == 2**-11
    assert half.left_out == ()
    page, contents = contents_of(half.path.read_text("utf-8"))
    assert [one["dtype"] for one in contents["query_key"]] == ["float16"] * 3
    made, found = made_of(page, contents["query_key"][1], 333), long.query_key(1, 333)
    off = np.abs(made["products"] - found.products.numpy())
    assert (off <= 2.1 * 2**-11 * np.abs(found.products.numpy()) + 1e-6).all()
    assert "Queries and keys are true to 0.049 % of themselves (half precision)." in half.error
    least = _least(view, tmp_path)
    some = view.save_html(tmp_path / "some.html", max_bytes=(least + half.bytes) // 2)
    assert 2 in some.layers["self"]
    assert some.left_out
    assert some.bytes <= (least + half.bytes) // 2
    _, contents = contents_of(some.path.read_text("utf-8"))
    (kind,) = contents["state"]["scene"]["kinds"]
    assert [one["number"] for one in kind["layers"]] == list(some.layers["self"])
    last = view.save_html(tmp_path / "last.html", max_bytes=int(1.02 * least))
    assert last.layers == {"self": (2,)}
    assert last.left_out == ("self attention of layers 0, 1", "heads other than 0")
    _, contents = contents_of(last.path.read_text("utf-8"))
    assert contents["query_key"][0]["heads"] == [0]


def test_what_a_model_has_in_half_precision_is_written_in_half_as_it_is(tmp_path: Path) -> None:
    trace = Lens(build("llama").half(), tokenizer()).trace(TEXT)
    saved = QueryKeyView(trace, layer=1).save_html(tmp_path / "page.html")
    assert (saved.relative_error, saved.left_out) == (0.0, ())
    assert saved.error == "Queries and keys are those of the model, in half precision."
    page, contents = contents_of(saved.path.read_text("utf-8"))
    stored = contents["query_key"][1]
    assert stored["dtype"] == "float16"
    assert stored["note"].startswith("Weights are rounded as the model rounds them")
    found = trace.query_key(1, 7)
    assert np.allclose(made_of(page, stored, 7)["products"], found.products, rtol=1e-5, atol=1e-6)


def _least(view: QueryKeyView, folder: Path) -> int:
    with pytest.raises(ValueError, match="too small for this page of QueryKeyView") as error:
        view.save_html(folder / "none.html", max_bytes=30_000)
    return int(re.findall(r"about ([\d,]+)", str(error.value))[0].replace(",", ""))


def test_layers_without_products_are_left_out_of_a_page_and_named() -> None:
    trace = trace_of("longt5/LongT5ForConditionalGeneration")
    html = QueryKeyView(trace).to_html()
    layers = ", ".join(map(str, trace.layers("encoder")))
    assert f"Not in this page: encoder attention of layers {layers}." in html
    _, contents = contents_of(html)
    assert {one["kind"] for one in contents["query_key"]} == {"decoder", "cross"}


def test_a_page_says_how_to_see_the_same_live(decoder_trace: Trace) -> None:
    html = QueryKeyView(decoder_trace, layer=1, query=0).to_html()
    assert "QueryKeyView(Lens(model, tokenizer).trace(text), layer=1, heads=[0], query=0)" in html
    assert json.loads(gzip.decompress(base64.b64decode(Elements(html).texts["gh-contents"][0])))
