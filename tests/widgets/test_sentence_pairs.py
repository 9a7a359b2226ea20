"""AttentionLines of a sentence pair: lines from one sentence to one, weights as they are."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import traitlets

from backend.tracing.test_given_texts import with_pairs
from glasshead import AttentionLines, Lens, Trace, explore
from glasshead_backend.frames import lines as lines_module
from support.tiny_models import build, eager_attentions
from widgets.frames import ask, unpack
from widgets.test_code_on_screen import run

if TYPE_CHECKING:
    import torch

FIRST, SECOND = "the brown fox jumps", "a lazy dog is over"
B_START = 6
"""``<s> the brown fox jumps </s>``: the second sentence begins behind it."""
PAIRS = ["AA", "BB", "AB", "BA"]
SETTINGS = list(product(PAIRS, ["mean", "max", "separate"], ["shown", "aside", "hidden"]))


@pytest.fixture(scope="module")
def pair() -> Trace:
    return Lens(build("bert"), with_pairs()).trace(FIRST, SECOND)


@pytest.fixture(scope="module")
def true() -> np.ndarray:
    """Layer 1 of transformers' own eager attention."""
    inputs = with_pairs()(FIRST, SECOND, return_tensors="pt")
    names = ("input_ids", "token_type_ids")
    given: dict[str, torch.Tensor] = {name: inputs[name] for name in names}
    return eager_attentions(build("bert"), **given).attentions[1][0].double().numpy()


def between(weights: np.ndarray, sentences: str, b_start: int = B_START) -> np.ndarray:
    """Weights of one sentence's rows to one sentence's columns; all others are 0."""
    place = {"A": slice(None, b_start), "B": slice(b_start, None)}
    kept = np.zeros_like(weights)
    at = (..., place[sentences[0]], place[sentences[1]])
    kept[at] = weights[at]
    return kept


def as_drawn(view: AttentionLines, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All weights that lines may be of, and those of them that are: heads combined, sinks gone."""
    every = AttentionLines(view.trace, layer=view.layer, aggregate=view.aggregate, sinks="aside")
    units, of_map = (unpack(every.frame["sinks"][name]) for name in ("units", "of_map"))
    whole = true if view.aggregate == "separate" else getattr(np, view.aggregate)(true, 0)[None]
    rest = whole.copy()
    if view.sinks != "shown":
        for each, sinks in zip(rest, of_map, strict=True):
            each[:, units[sinks > 0]] = 0
    if view.sinks == "hidden":
        left = rest.sum(-1, keepdims=True)
        sums = whole.sum(-1, keepdims=True)
        rest = np.divide(rest * sums, left, out=np.zeros_like(rest), where=left > 0)
        whole = rest
    return whole, between(rest, view.sentences)


@pytest.mark.parametrize(("sentences", "aggregate", "sinks"), SETTINGS)
def test_lines_are_those_from_one_sentence_to_one_with_their_true_weights(
    pair: Trace, true: np.ndarray, sentences: Any, aggregate: Any, sinks: Any
) -> None:
    state = {"aggregate": aggregate, "sinks": sinks, "sentences": sentences}
    view = AttentionLines(pair, layer=1, top_k=None, **state)
    whole, expected = as_drawn(view, true)
    keys, weights = (unpack(view.frame["lines"][name]) for name in ("key", "weight"))
    found = np.zeros_like(expected)
    maps, rows, ranks = np.nonzero(weights)
    found[maps, rows, keys[maps, rows, ranks]] = weights[maps, rows, ranks]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
    assert view.frame["n_total"] == (expected > 0).sum() == len(view.to_frame())
    assert view.frame["shown"]["mass"] == pytest.approx(expected.sum() / whole.sum(), abs=1e-5)
    gone = 1 - between(whole, sentences).sum() / whole.sum()
    assert view.frame["elsewhere"] == pytest.approx(gone, abs=1e-5)
    assert view.frame["key"]["sentences"] == sentences
    words = f"{gone:.1%} of the attention is not from sentence {sentences[0]} to sentence"
    assert view.in_words()[-1].startswith(words)


@pytest.mark.parametrize(("top_k", "threshold"), [(1, None), (3, None), (None, 0.09), (2, 0.05)])
@pytest.mark.parametrize("sentences", PAIRS)
def test_the_rule_is_of_the_lines_that_are_left(
    pair: Trace, true: np.ndarray, sentences: Any, top_k: int | None, threshold: float | None
) -> None:
    rule = {"top_k": top_k, "threshold": threshold}
    view = AttentionLines(pair, layer=1, sinks="shown", sentences=sentences, **rule)
    kept = between(true.mean(0), sentences)
    strongest = -np.sort(-kept, -1)[:, : top_k or kept.shape[-1]]
    strongest = strongest[(strongest > 0) & (strongest >= (threshold or 0))]
    table = view.to_frame()
    np.testing.assert_allclose(table["weight"], np.sort(strongest)[::-1], rtol=1e-4)
    asked, _ = ask(view, "shown", top_k=top_k or 0, threshold=threshold or 0)
    for shown in (view.frame["shown"], asked["result"]):
        assert shown["n"] == len(strongest)
        assert shown["mass"] == pytest.approx(strongest.sum() / true.mean(0).sum(), abs=1e-5)


@pytest.mark.parametrize("sentences", PAIRS)
def test_fans_and_lit_lines_keep_to_the_sentences(
    pair: Trace, true: np.ndarray, sentences: Any
) -> None:
    state: dict[str, Any] = {"sinks": "shown", "sentences": sentences, "blank": True}
    view = AttentionLines(pair, layer=1, selected=[2, 9], **state)
    kept = between(true, sentences)
    for position, side in product((2, 9), ("query", "key")):
        _, arrays = ask(view, "fan", position=position, side=side)
        own = kept if side == "query" else kept.swapaxes(1, 2)
        np.testing.assert_allclose(arrays["weights"][0], own[:, position], rtol=1e-4, atol=1e-7)
        mean = own[:, position].mean(0)
        np.testing.assert_allclose(arrays["drawn"][0, 0], mean, rtol=1e-4, atol=1e-7)
    lit = kept.mean(0)[[2, 9]]
    np.testing.assert_allclose(
        np.sort(view.to_frame()["weight"]), np.sort(lit[lit >= 0.01]), rtol=1e-4
    )
    (first, second) = view.frame["fans"]
    for fan, position in ((first, 2), (second, 9)):
        drawn = unpack(fan["drawn"])[0, 0]
        np.testing.assert_allclose(drawn, kept.mean(0)[position], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize(("sentences", "aggregate", "sinks"), SETTINGS)
def test_the_code_gives_the_lines_of_the_sentences(
    pair: Trace, sentences: Any, aggregate: Any, sinks: Any, unit: Any
) -> None:
    state = {"aggregate": aggregate, "sinks": sinks, "sentences": sentences, "unit": unit}
    view = AttentionLines(pair, layer=1, top_k=3, **state)
    *before, last = view.code().splitlines()
    found = run("\n".join([*before, f"found = {last}"]), trace=pair)["found"].values.numpy()
    np.testing.assert_allclose(
        np.sort(found[found > 0]), np.sort(view.to_frame()["weight"]), rtol=1e-4
    )


def test_what_goes_to_sinks_is_of_the_sentences_too() -> None:
    weights = np.full((1, 1, 20, 20), 0.5 / 19)
    weights[..., 12] = 0.5  # a sink in sentence B
    trace = Trace.from_attentions(weights, [f"t{i}" for i in range(20)], sentence_b_start=10)
    view = AttentionLines(trace, sinks="aside", sentences="AB")
    sinks = view.frame["sinks"]
    assert unpack(sinks["units"]).tolist() == [12]
    np.testing.assert_allclose(unpack(sinks["to"])[0], [0.5] * 10 + [0] * 10)
    assert sinks["share"] == pytest.approx(0.25)
    view.sentences = "BA"
    assert unpack(view.frame["sinks"]["units"]).tolist() == []
    assert view.frame["sinks"]["share"] == 0


def test_a_long_pair_keeps_to_them_in_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "WHOLE_ROWS", 40)
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(300), size=(1, 2, 300)).astype(np.float32)
    trace = Trace.from_attentions(weights, [f"t{i}" for i in range(300)], sentence_b_start=170)
    view = AttentionLines(trace, sinks="shown", sentences="BA", top_k=None)
    expected = -np.sort(-between(weights[0].mean(0), "BA", 170), -1)
    for chunk in range(3):
        _, arrays = ask(view, "lines", chunk=chunk)
        rows = expected[chunk * 128 : (chunk + 1) * 128, : arrays["weight"].shape[-1]]
        np.testing.assert_allclose(arrays["weight"][0], rows, rtol=1e-5)
        assert (arrays["from_row"] >= 170).all()
        assert (arrays["from_key"] < 170).all()


def test_a_text_that_is_no_pair_has_no_sentences(pair: Trace) -> None:
    alone = pair.lens.trace(FIRST)
    with pytest.raises(
        traitlets.TraitError, match=r"'AB'.* this trace is not of one: trace a pair"
    ):
        AttentionLines(alone, sentences="AB")
    view = AttentionLines(pair, layer=1, sentences="AB")
    with pytest.raises(traitlets.TraitError, match="sentences"):
        view.sentences = "CC"
    assert view.state()["sentences"] == "AB"
    view.trace = alone
    assert (view.sentences, view.frame["elsewhere"]) == ("all", 0)
    view.trace = pair
    assert AttentionLines(pair, **view.state()).sentences == "all"


def test_cross_attention_is_between_no_two_sentences(translation: Trace) -> None:
    with pytest.raises(traitlets.TraitError, match="the cross attention of this trace is not"):
        AttentionLines(translation, kind="cross", sentences="AA")


def test_an_explorer_has_them_for_its_lines(pair: Trace) -> None:
    explorer = explore(pair, lines_sentences="BA", panes=["lines"])
    explorer.lines._finish()
    assert explorer.lines.frame["key"]["sentences"] == "BA"
    explorer.lines_sentences = "AA"
    explorer.lines._finish()
    assert explorer.lines.frame["key"]["sentences"] == "AA"
