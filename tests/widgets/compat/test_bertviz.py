"""BertViz' own calls, on the same tiny models: the weights that BertViz writes into its page."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import bertviz
import numpy as np
import pytest
import torch
from bertviz import neuron_view as bertviz_neuron_view

import glasshead.compat.bertviz as ours
from glasshead import AttentionLines, HeadFinder, Lens, QueryKeyView, Trace
from glasshead.compat import showing
from support.tiny_models import TEXT, build, eager_copy, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = "a lazy fox runs"
PAIR = ("the quick brown fox", "a lazy dog runs over the sea")


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cell shows."""
    views: list[Any] = []
    monkeypatch.setattr(showing, "display", views.append)
    return views


def payload(page: Any) -> list[dict[str, Any]]:
    """The attention that BertViz writes into its page: names, weights, texts."""
    written: Any = re.search(r"(?:params|config)\w* = (\{.*?\});", page.data, re.DOTALL)
    assert written is not None
    return json.loads(written[1])["attention"]


def outputs_of(model_type: str, *texts: str) -> tuple[Any, Any]:
    encoding: Any = tokenizer()(*texts, return_tensors="pt")
    model: Any = eager_copy(build(model_type))
    with torch.no_grad():
        return model(**encoding, output_attentions=True), encoding.input_ids


def names(ids: torch.Tensor) -> Any:
    return tokenizer().convert_ids_to_tokens(ids[0])


def translated() -> dict[str, Any]:
    """README, "Encoder-Decoder Models": what a user has in hand."""
    source: Any = tokenizer()(TEXT, return_tensors="pt").input_ids
    target: Any = tokenizer()(TARGET, return_tensors="pt").input_ids
    model: Any = eager_copy(build("t5"))
    with torch.no_grad():
        outputs = model(input_ids=source, decoder_input_ids=target, output_attentions=True)
    return {
        "encoder_attention": outputs.encoder_attentions,
        "decoder_attention": outputs.decoder_attentions,
        "cross_attention": outputs.cross_attentions,
        "encoder_tokens": names(source),
        "decoder_tokens": names(target),
    }


def same(view: Any, kind: str, written: dict[str, Any], layers: list[int]) -> None:
    trace = view.trace
    assert trace.layers(kind) == layers
    for layer, weights in zip(layers, written["attn"], strict=True):
        assert np.array_equal(trace.attention(layer, kind=kind).numpy(), np.float32(weights))
    strip = [text.strip() for text in written["left_text"]]
    assert [token.text.strip() for token in trace.queries(kind)] == strip
    strip = [text.strip() for text in written["right_text"]]
    assert [token.text.strip() for token in trace.keys(kind)] == strip


@pytest.mark.parametrize("name", ["head_view", "model_view"])
def test_parameters_are_bertviz_own_in_its_order(name: str) -> None:
    theirs = inspect.signature(getattr(bertviz, name)).parameters
    here = inspect.signature(getattr(ours, name)).parameters
    assert list(here) == list(theirs)
    differ = [key for key in theirs if theirs[key].default != here[key].default]
    assert differ == ([] if name == "head_view" else ["display_mode"])


def test_parameters_of_the_neuron_view_are_bertviz_own() -> None:
    theirs = inspect.signature(bertviz_neuron_view.show).parameters
    assert list(inspect.signature(ours.neuron_view).parameters) == list(theirs)


@pytest.mark.parametrize("model_type", ["gpt2", "bert", "llama"])
def test_head_view_of_a_text(model_type: str, displayed: list[Any]) -> None:
    outputs, ids = outputs_of(model_type, TEXT)
    ours.head_view(outputs.attentions, names(ids))
    [view] = displayed
    assert isinstance(view, AttentionLines)
    assert (view.layer, view.heads, view.aggregate) == (0, [], "separate")
    [written] = payload(bertviz.head_view(outputs.attentions, names(ids), html_action="return"))
    same(view, "self", written, view.trace.layers())


def test_head_view_of_a_sentence_pair(displayed: list[Any]) -> None:
    outputs, ids = outputs_of("bert", *PAIR)
    start = len(tokenizer()(PAIR[0]).input_ids)
    ours.head_view(outputs.attentions, names(ids), start)
    [view] = displayed
    assert view.axes["query"]["segments"] == [0] * start + [1] * (ids.shape[1] - start)
    page = bertviz.head_view(outputs.attentions, names(ids), start, html_action="return")
    everything, first_first, second_second, first_second, second_first = payload(page)
    same(view, "self", everything, view.trace.layers())
    parts = {
        "A": slice(0, start),
        "B": slice(start, None),
    }
    for written, (row, column) in zip(
        (first_first, second_second, first_second, second_first),
        ("AA", "BB", "AB", "BA"),
        strict=True,
    ):
        of_layer = view.trace.attention(1)[:, parts[row], parts[column]]
        assert np.array_equal(of_layer.numpy(), np.float32(written["attn"][1]))


def test_views_of_an_encoder_and_a_decoder(displayed: list[Any]) -> None:
    given = translated()
    for function in (ours.head_view, ours.model_view):
        function(**given)
    lines, finder = displayed
    assert isinstance(finder, HeadFinder)
    for kind in ("encoder", "decoder", "cross"):
        # BertViz shows two of the decoder's three layers where it has the encoder's, too.
        sides = {"encoder": ["encoder"], "decoder": ["decoder"], "cross": ["encoder", "decoder"]}
        asked = {name: given[name] for name in (f"{side}_tokens" for side in sides[kind])}
        attention = {f"{kind}_attention": given[f"{kind}_attention"]}
        [part] = payload(bertviz.model_view(**attention, **asked, html_action="return"))
        for view in (lines, finder):
            same(view, kind, part, list(range(2 if kind == "encoder" else 3)))
    assert lines.kind == finder.kind == "encoder"  # what BertViz shows first


def test_model_view_of_some_layers_and_heads(displayed: list[Any]) -> None:
    outputs, ids = outputs_of("gpt2", TEXT)
    some: dict[str, Any] = {"include_layers": [1, 2], "include_heads": [0, 3]}
    ours.model_view(outputs.attentions, names(ids), display_mode="light", **some)
    [view] = displayed
    assert (view.theme, view.only_heads, view.trace.layers()) == ("light", [0, 3], [1, 2])
    page = bertviz.model_view(outputs.attentions, names(ids), html_action="return", **some)
    [written] = payload(page)
    for layer, weights in zip([1, 2], written["attn"], strict=True):
        assert np.array_equal(view.trace.attention(layer, [0, 3]).numpy(), np.float32(weights))
    shown = view.to_frame()[["layer", "head"]].to_numpy().tolist()
    assert shown == [[1, 0], [1, 3], [2, 0], [2, 3]]


def test_a_layer_and_heads_that_are_shown_first(displayed: list[Any]) -> None:
    outputs, ids = outputs_of("gpt2", TEXT)
    ours.head_view(outputs.attentions, names(ids), layer=2, heads=[3, 1])
    [view] = displayed
    assert (view.layer, view.heads) == (2, [1, 3])


def test_the_neuron_view(displayed: list[Any]) -> None:
    """Its README: ``show(model, model_type, tokenizer, sentence_a, sentence_b, layer=, head=)``."""
    model = build("bert")
    ours.neuron_view(model, "bert", tokenizer(), *PAIR, layer=1, head=2)
    [view] = displayed
    assert isinstance(view, QueryKeyView)
    assert (view.layer, view.heads) == (1, [2])
    ids: Any = tokenizer()(*PAIR, return_tensors="pt")
    with torch.no_grad():
        outputs: Any = eager_copy(model)(**ids, output_attentions=True)
    weights = outputs.attentions[1][0, 2, view.query]
    assert np.allclose(view.to_frame()["weight"], weights, atol=1e-6)


def test_returned_html_is_a_page_of_its_own(displayed: list[Any]) -> None:
    outputs, ids = outputs_of("gpt2", TEXT)
    for function in (ours.head_view, ours.model_view):
        page: Any = function(outputs.attentions, names(ids), html_action="return")
        assert page._repr_html_().startswith("<iframe")  # a page within a page would break it
        assert page.data.startswith("<!doctype html>")
        assert "https://" not in re.sub(r"<!--.*?-->", "", page.data[:2000])
    page = ours.neuron_view(build("gpt2"), "gpt2", tokenizer(), TEXT, html_action="return")
    assert page is not None
    assert not displayed


GPT2: tuple[Any, Any] = outputs_of("gpt2", TEXT)
WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no tokens": (lambda: ours.head_view(GPT2[0].attentions), "tokens is missing"),
    "too few tokens": (
        lambda: ours.head_view(GPT2[0].attentions, names(GPT2[1])[:-2]),
        r"self attention of layer 0 has 20 rows, but there are 18 tokens",
    ),
    "both kinds of model": (
        lambda: ours.head_view(GPT2[0].attentions, names(GPT2[1]), encoder_tokens=["a"]),
        "attention is of a model with one text",
    ),
    "nothing": (ours.model_view, "There are no attention weights"),
    "sdpa": (lambda: ours.head_view((), ["a"]), 'attention is empty.*attn_implementation="eager"'),
    "a layer that is not included": (
        lambda: ours.head_view(GPT2[0].attentions, names(GPT2[1]), layer=0, include_layers=[1, 2]),
        r"layer 0 is not among those that are shown: \[1, 2\]",
    ),
    "layers that are not there": (
        lambda: ours.model_view(GPT2[0].attentions, names(GPT2[1]), include_layers=[1, 7]),
        r"include_layers \[1, 7\]: there are the layers",
    ),
    "another action": (
        lambda: ours.head_view(GPT2[0].attentions, names(GPT2[1]), html_action="save"),  # pyright: ignore[reportArgumentType]
        "html_action is 'view' or 'return', got 'save'",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_fits_not_is_named(what: str) -> None:
    call, words = WRONG[what]
    with pytest.raises(ValueError, match=words):
        call()


def test_bertviz_own_copies_of_models_are_refused() -> None:
    class BertModel:
        """As it comes with BertViz."""

    BertModel.__module__ = "bertviz.transformers_neuron_view.modeling_bert"
    with pytest.raises(TypeError, match="BertModel is BertViz' own copy of a model"):
        ours.show(BertModel(), "bert", tokenizer(), TEXT)


def test_strings_can_stay_as_they_are(displayed: list[Any]) -> None:
    weights = np.full((1, 1, 2, 2), 0.5)
    ours.head_view(weights, ["Ġthe", "Ġsea"], prettify_tokens=False)
    ours.head_view(weights, ["Ġthe", "Ġsea"])
    raw, pretty = displayed
    assert raw.axes["query"]["labels"] == ["Ġthe", "Ġsea"]
    assert pretty.axes["query"]["labels"] == [" the", " sea"]


# ---- the other way: a trace, drawn by BertViz ----------------------------------------------------


def test_a_trace_is_drawn_by_bertviz() -> None:
    """Whichever attention function the model runs: SDPA, here."""
    trace = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    for view in ("head", "model"):
        [written] = payload(trace.to_bertviz(view, html_action="return"))
        assert np.array_equal(np.float32(written["attn"][2]), trace.attention(2).numpy())
        assert written["left_text"] == [token.text for token in trace.tokens]


def test_bertviz_draws_encoders_and_decoders_of_different_depth() -> None:
    """By itself it raises IndexError, or leaves decoder layers out without a word."""
    model = build("t5", num_layers=2, num_decoder_layers=4)
    trace = Lens(model, tokenizer()).trace(TEXT, TARGET)
    page = trace.to_bertviz("head", html_action="return")
    found = re.findall(r"params = (\{.*?\});", page.data, re.DOTALL)
    written = {json.loads(one)["attention"][0]["name"] or "": json.loads(one) for one in found}
    assert {name: one["include_layers"] for name, one in written.items()} == {
        "Encoder": [0, 1],
        "Decoder": [0, 1, 2, 3],
        "Cross": [0, 1, 2, 3],
    }
    for layer in range(4):
        weights = np.float32(written["Cross"]["attention"][0]["attn"][layer])
        assert np.array_equal(weights, trace.attention(layer, kind="cross").numpy())


def test_bertviz_numbers_the_layers_of_hybrids_as_the_model_does() -> None:
    weights = np.full((2, 1, 3, 3), 1 / 3)
    trace = Trace.from_attentions([None, weights[0], None, weights[1]], ["a", "b", "c"])
    page = trace.to_bertviz("model", html_action="return")
    assert re.search(r'"include_layers": \[1, 3\]', page.data)
    [written] = payload(page)
    assert np.array_equal(np.float32(written["attn"]), np.float32(weights))


def test_no_token_ends_the_script_that_it_is_written_into() -> None:
    texts = ["</script><script>alert(1)</script>", "<!-- a", "PYTHON_PARAMS"]
    trace = Trace.from_attentions(np.full((1, 1, 3, 3), 1 / 3), texts)
    page = trace.to_bertviz(html_action="return")
    assert page.data.count("</script>") == 2  # its own
    assert "<!--" not in page.data
    [written] = payload(page)
    assert written["left_text"][0].replace("\u200b", "") == texts[0]


def test_more_than_a_browser_opens_is_refused() -> None:
    trace = Trace.from_attentions(torch.full((8, 16, 260, 260), 1 / 260), ["a"] * 260)
    with pytest.raises(ValueError, match=r"would write 2\d\d MB into the page.*include_layers"):
        trace.to_bertviz()
    assert trace.to_bertviz(include_layers=[0], html_action="return") is not None


def test_undefined_rows_are_no_numbers() -> None:
    weights = np.full((1, 1, 2, 2), 0.5)
    weights[0, 0, 0] = np.nan
    [written] = payload(Trace.from_attentions(weights, ["a", "b"]).to_bertviz(html_action="return"))
    assert written["attn"] == [[[[0.0, 0.0], [0.5, 0.5]]]]
