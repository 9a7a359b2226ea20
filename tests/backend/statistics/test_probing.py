"""Linear probes: scikit-learn's own cross-validation on what hooks see, texts never split."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.proportion import proportion_confint

from backend.running.test_model_left_as_found import assert_same, snapshot
from glasshead_backend import (
    Cancelled,
    Lens,
    MemoryBudgetError,
    Probed,
    Probing,
    Step,
    Trace,
    probe,
)
from glasshead_backend.statistics.significance import share_and_interval
from support.tiny_models import WORDS, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOUNS = ("whale", "ship", "boat", "hand", "eye", "captain", "sailor", "bird")


def sentences(n: int = 40) -> tuple[list[str], list[str], list[str]]:
    """Sentences of one length or two, with the number of their first noun, and that noun."""
    rng = np.random.default_rng(0)
    texts, labels, nouns = [], [], []
    for i in range(n):
        noun, plural = NOUNS[i % len(NOUNS)], bool(rng.random() < 0.5)
        other = rng.choice([one for one in NOUNS if one != noun])
        texts.append(f"The {noun}{'s' * plural} near the {other}{'s' * (rng.random() < 0.5)}")
        labels.append("many" if plural else "one")
        nouns.append(noun)
    return texts, labels, nouns


@pytest.fixture(scope="module")
def demo() -> Lens:
    return Lens.demo("decoder")


@pytest.fixture(scope="module")
def tiny() -> Lens:
    return Lens(build("llama"), tokenizer())


def stream_of(lens: Lens, text: str) -> torch.Tensor:
    """Residual stream behind every layer, ``[layers, tokens, hidden]``: hooks of our own."""
    seen: list[torch.Tensor] = []

    def see(_: object, __: object, output: Any) -> None:
        seen.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(see) for layer in lens.model.model.layers]
    try:
        with torch.no_grad():
            lens.model(input_ids=torch.tensor([lens.tokenizer(text)["input_ids"]]))
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(seen).float()


def by_scikit_learn(
    features: torch.Tensor, labels: Sequence[Any], groups: Sequence[Any], folds: int = 5
) -> np.ndarray:
    """What scikit-learn's own cross-validation predicts, ``[layers, units]``."""
    probe_ = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return np.stack(
        [
            cross_val_predict(probe_, own.numpy(), np.array(labels), groups=groups, cv=cut)
            for own in features
        ]
    )


# --- against scikit-learn on what hooks see -------------------------------------------------------
@pytest.mark.parametrize("take", ["last", "mean"])
def test_a_label_for_each_text_is_predicted_as_scikit_learn_predicts_it(
    demo: Lens, take: Any
) -> None:
    texts, labels, _ = sentences()
    found = probe(demo, texts, labels, unit="text", take=take)
    streams = [stream_of(demo, text)[:, 1:] for text in texts]  # without the start token
    of_texts = [one[:, -1] if take == "last" else one.mean(dim=1) for one in streams]
    groups = [texts.index(text) for text in texts]
    expected = by_scikit_learn(torch.stack(of_texts, dim=1), labels, groups)
    assert found.classes == ("many", "one")
    assert found.layers == (0, 1)
    said = [found.units_frame(layer)["predicted"].tolist() for layer in found.layers]
    assert np.mean(np.array(said) == expected) > 0.98  # a unit on the line may fall to either side
    accuracy = (np.array(said) == np.array(labels)).mean(axis=1)
    np.testing.assert_allclose(found.to_frame()["accuracy"], accuracy)


def test_labels_of_words_are_those_of_the_mean_over_their_tokens(demo: Lens) -> None:
    texts, _, _ = sentences(20)
    labels = [[word.endswith("s") for word in text.split()] for text in texts]
    found = probe(demo, texts, labels, unit="word", folds=4)
    features, groups = [], []
    for i, text in enumerate(texts):
        stream, trace = stream_of(demo, text), demo.trace(text)
        for word in trace.words()[1:]:  # behind the start token
            features.append(stream[:, list(word.tokens)].mean(dim=1))
            groups.append(texts.index(text))
        assert [word.text for word in trace.words()[1:]] == text.split(), i
    flat = [label for own in labels for label in own]
    expected = by_scikit_learn(torch.stack(features, dim=1), flat, groups, folds=4)
    assert found.classes == (False, True)
    assert (found.predicted.numpy() == expected).mean() > 0.98
    frame = found.units_frame(1)
    assert frame["word"].tolist() == [word for text in texts for word in text.split()]
    assert frame["text"].tolist() == [i for i, text in enumerate(texts) for _ in text.split()]
    assert found.to_frame()["n_units"].tolist() == [100, 100]


def test_tokens_may_be_labelled_with_special_ones_or_without_or_not_at_all(tiny: Lens) -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 6)) for _ in range(20)]
    labels = [[word in WORDS[:8] for word in text.split()] for text in texts]
    plain = probe(tiny, texts, labels, block="embedding")
    holes = [[None, *own[1:]] for own in labels]
    fewer = probe(tiny, texts, holes)
    missing = probe(tiny, texts, [[float("nan"), *own[1:]] for own in labels])
    assert len(plain.labels) == 120
    assert len(fewer.labels) == len(missing.labels) == 100
    assert 0 not in fewer.positions
    # No word is in one class and in another, and an embedding says which word it is.
    assert plain.accuracy.mean.tolist() == [1]


def test_a_start_token_needs_no_label(demo: Lens) -> None:
    texts, _, _ = sentences(12)
    tokens = [demo.trace(text).tokens for text in texts]
    labels = [[token.text.endswith("s") for token in own] for own in tokens]
    every = probe(demo, texts, labels, folds=3)
    without = probe(demo, texts, [own[1:] for own in labels], folds=3)
    assert len(every.labels) == len(without.labels) + len(texts)
    assert int(without.positions.min()) == 1


@pytest.mark.parametrize("array", [np.array, pd.Series, list])
def test_labels_are_plain_whatever_holds_them(tiny: Lens, array: Callable[..., Any]) -> None:
    texts = [f"{word} at sea" for word in WORDS[:6]]
    words = probe(tiny, texts, array(["x", "y"] * 3), unit="text", folds=3)
    assert [type(one) for one in words.classes] == [str, str]
    numbers = probe(tiny, texts, array([1.0, 2.0] * 3), unit="text", folds=3)
    assert numbers.classes == (1, 2)
    assert numbers.predicted.equal(words.predicted)


# --- texts are never split ------------------------------------------------------------------------
def test_a_text_that_comes_twice_is_not_tested_with_what_was_fitted_to_it(tiny: Lens) -> None:
    rng = np.random.default_rng(1)
    different = [" ".join(rng.choice(WORDS, 8)) for _ in range(40)]
    coin = rng.choice(["heads", "tails"], 40)
    twice = probe(
        tiny, [*different, *different], [*coin, *coin], unit="text", take="last", control=False
    )
    once = probe(tiny, different, coin, unit="text", take="last", control=False)
    assert twice.n_texts == 80
    assert twice.n_groups == 40
    assert twice.accuracy.mean.max() < 0.75  # were they split it would be 1: all texts are known
    # Nor does a text said twice make the accuracy more certain.
    width = twice.accuracy.high - twice.accuracy.low
    assert (width > 0.9 * (once.accuracy.high - once.accuracy.low)).all()


def test_texts_of_a_group_stay_together(demo: Lens) -> None:
    """A coin tossed for each noun is read where the noun is known, and not of other nouns."""
    texts, _, nouns = sentences(64)
    coin = dict(zip(NOUNS, ["x", "y"] * 4, strict=True))
    labels = [coin[noun] for noun in nouns]
    known = probe(demo, texts, labels, unit="text", folds=4, control=False)
    unknown = probe(demo, texts, labels, unit="text", folds=4, control=False, groups=nouns)
    assert known.accuracy.mean.max() > 0.9
    assert unknown.accuracy.mean.max() < 0.65
    assert unknown.n_groups == len(NOUNS)
    for fold in StratifiedGroupKFold(4, shuffle=True, random_state=0).split(
        texts, labels, [NOUNS.index(noun) for noun in nouns]
    ):
        assert not {nouns[i] for i in fold[0]} & {nouns[i] for i in fold[1]}


# --- what says nothing ----------------------------------------------------------------------------
def test_shuffled_labels_are_read_no_better_than_chance(demo: Lens) -> None:
    texts, labels, _ = sentences(64)
    found = probe(demo, texts, labels, unit="text", take="mean")
    assert found.accuracy.mean.min() > 0.85
    assert found.control is not None
    assert found.control.mean.max() < 0.65
    assert sorted(found.control_labels.tolist()) == sorted(found.labels.tolist())
    again = probe(demo, texts, labels, unit="text", take="mean", seed=1)
    assert again.control is not None
    assert not torch.equal(again.control_labels, found.control_labels)
    assert probe(demo, texts, labels, unit="text", control=False).control is None


def test_the_majority_share_is_that_of_the_most_frequent_label(tiny: Lens) -> None:
    texts = [f"{word} at sea" for word in WORDS]
    labels = ["rare" if i % 3 == 0 else "often" for i in range(len(texts))]
    found = probe(tiny, texts, labels, unit="text", folds=3)
    assert found.majority == ("often", 11 / 17)
    assert set(found.to_frame()["majority"]) == {11 / 17}


# --- intervals ------------------------------------------------------------------------------------
def test_with_one_unit_in_a_text_the_interval_is_wilsons() -> None:
    right = torch.tensor([[1, 1, 1, 0, 1, 0, 1, 1, 1, 1], [1] * 10]).bool()
    found = share_and_interval(right, torch.arange(10), 0.9)
    for layer, n_right in enumerate((8, 10)):
        low, high = proportion_confint(n_right, 10, alpha=0.1, method="wilson")
        assert found.low[layer] == pytest.approx(low)
        assert found.high[layer] == pytest.approx(high)


def test_many_tokens_of_a_text_that_are_right_together_count_as_one() -> None:
    right = (torch.arange(20) < 14).repeat_interleave(30)[None]
    found = share_and_interval(right, torch.arange(20).repeat_interleave(30), 0.95)
    low, high = proportion_confint(14, 20, method="wilson")
    assert (float(found.low[0]), float(found.high[0])) == pytest.approx((low, high))
    # Where none is wrong nothing says that they are not alike.
    all_right = share_and_interval(
        torch.ones(1, 600).bool(), torch.arange(20).repeat_interleave(30), 0.95
    )
    assert float(all_right.low[0]) == pytest.approx(proportion_confint(20, 20, method="wilson")[0])


@pytest.mark.parametrize("spread", [0.0, 0.2])
def test_the_interval_holds_the_true_share_as_often_as_it_says(spread: float) -> None:
    rng = np.random.default_rng(0)
    n_texts, n_tokens, share = 30, 12, 0.8
    text_of = torch.arange(n_texts).repeat_interleave(n_tokens)
    held = []
    for _ in range(400):
        of_text = np.clip(share + spread * rng.choice([-1, 1], n_texts), 0, 1)
        right = rng.random((n_texts, n_tokens)) < of_text[:, None]
        found = share_and_interval(torch.from_numpy(right).reshape(1, -1), text_of, 0.95)
        held.append(float(found.low[0]) <= share <= float(found.high[0]))
    assert np.mean(held) > 0.92


# --- any model ------------------------------------------------------------------------------------
ARCHITECTURES = (
    "gpt2", "llama", "mistral", "phi3", "olmo2", "qwen3", "gpt_neox", "gptj", "gemma2", "gpt_oss",
    "bert", "albert", "t5", "bart", "marian",
)  # fmt: skip


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_every_architecture_is_probed_by_the_stream_of_each_text_alone(model_type: str) -> None:
    lens = Lens(build(model_type), tokenizer())
    texts = [f"the {word} runs {'away ' * (i % 2)}at sea" for i, word in enumerate(WORDS[:8])]
    labels = [i % 2 for i in range(8)]
    before = snapshot(lens.model)
    found, kept = gathered(lens, texts, labels)
    assert_same(before, snapshot(lens.model))
    with torch.no_grad():
        for i, text in enumerate(texts):
            ids = torch.tensor([lens.tokenizer(text)["input_ids"]])
            body = lens.model.get_encoder() if lens.family == "encoder-decoder" else lens.model
            hidden = body(input_ids=ids, output_hidden_states=True).hidden_states[1:]
            for layer, own in enumerate(hidden[:-1]):  # the last one is behind the final norm
                expected = own[0].float().mean(dim=0)
                torch.testing.assert_close(kept[layer, i], expected, atol=1e-4, rtol=1e-4)
    assert found.layers == tuple(range(len(hidden)))


def gathered(lens: Lens, texts: list[str], labels: list[Any]) -> tuple[Probed, torch.Tensor]:
    """The result, and the activations that probes were fitted to."""
    kept: list[torch.Tensor] = []

    def watch(self: Probing, units: Any) -> Probed:
        kept.append(units.activations.clone())
        return original(self, units)

    original: Callable[..., Probed] = Probing._probe
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Probing, "_probe", watch)
        found = probe(lens, texts, labels, unit="text", folds=2)
    return found, kept[0]


def test_the_decoder_of_a_translator_is_probed_with_the_labels_of_its_targets() -> None:
    lens = Lens(build("bart"), tokenizer())
    sources = [f"the {word} at sea" for word in WORDS[:8]]
    targets = [f"a {word} runs {'away ' * (i % 2)}" for i, word in enumerate(WORDS[:8])]
    labels = [i % 2 for i in range(8)]
    found = probe(lens, sources, labels, unit="text", targets=targets, kind="decoder", folds=2)
    assert found.layers == (0, 1, 2)
    assert found.units[0].strip() == targets[0].strip()
    of_source = probe(lens, sources, labels, unit="text", targets=targets, folds=2)
    assert of_source.layers == (0, 1)
    assert of_source.units == tuple(sources)


def test_texts_that_change_each_other_are_read_one_at_a_time(tiny: Lens) -> None:
    """Experts with room for so many tokens of a batch, say; here what a hook adds."""
    model = copy.deepcopy(tiny.model)
    model.model.layers[0].mlp.register_forward_hook(lambda _, __, out: out + out.mean(dim=0))
    lens = Lens(model, tokenizer())
    texts = [f"the {word} runs away at sea" for word in WORDS[:6]]
    _, kept = gathered(lens, texts, [0, 1] * 3)
    alone = torch.stack([stream_of(lens, text).mean(dim=1) for text in texts], dim=1)
    torch.testing.assert_close(kept, alone, atol=1e-5, rtol=1e-5)


def test_blocks_and_embeddings_are_probed_too(tiny: Lens) -> None:
    texts = [f"{word} at sea" for word in WORDS[:12]]
    labels = ["x", "y"] * 6
    embedding = probe(tiny, texts, labels, unit="text", block="embedding", folds=3)
    assert embedding.layers == (0,)
    mlp = probe(tiny, texts, labels, unit="text", block="mlp", layers=[2, 0, 2], folds=3)
    assert mlp.layers == (0, 2)


# --- on the way -----------------------------------------------------------------------------------
def test_layers_that_are_done_can_be_seen_while_others_are_fitted(tiny: Lens) -> None:
    texts = [f"{word} at sea" for word in WORDS[:12]]
    seen: list[Step] = []
    partials: list[Probed] = []

    def watch(step: Step) -> None:
        seen.append(step)
        partial = step.partial()
        if isinstance(partial, Probed):
            partials.append(partial)

    found = probe(tiny, texts, ["x", "y"] * 6, unit="text", folds=3, progress=watch)
    assert list(dict.fromkeys(step.what for step in seen)) == [
        "reading texts",
        "looking at the model",
        "running the model",
        "fitting probes",
    ]
    shares = [step.share for step in seen]
    assert shares == sorted(shares)
    first = partials[0].to_frame()["accuracy"]
    assert first[0] == found.to_frame()["accuracy"][0]
    assert np.isnan(first[2])
    assert partials[0].detail(2) == []
    assert partials[0].chart().mean[0, 2].isnan()


@pytest.mark.parametrize("at", ["running the model", "fitting probes"])
def test_it_can_be_cancelled_and_leaves_the_model_as_it_was(tiny: Lens, at: str) -> None:
    before = snapshot(tiny.model)

    def stop(step: Step) -> None:
        if step.what == at:
            raise Cancelled

    with pytest.raises(Cancelled):
        probe(tiny, [f"{w} at sea" for w in WORDS[:12]], ["x", "y"] * 6, unit="text", progress=stop)
    assert_same(before, snapshot(tiny.model))


# --- what cannot be -------------------------------------------------------------------------------
TEXTS = [f"{word} at sea" for word in WORDS[:6]]


@pytest.mark.parametrize(
    ("labels", "options", "error", "says"),
    [
        (["x"] * 6, {"unit": "text"}, ValueError, "all labels are 'x': two or more"),
        ([None] * 6, {"unit": "text"}, ValueError, "No text has a label"),
        (["x", "y"], {"unit": "text"}, ValueError, "6 texts and 2 labels"),
        (["x", "y"] * 3, {}, TypeError, "Text 0 has the label 'x': with unit='token'"),
        (
            ["x", "y"] * 3,
            {"unit": "text"},
            ValueError,
            "folds=5: 'x' is in 3, 'y' is in 3. .* take folds=3, or give more texts",
        ),
        (
            ["x", "y", "y", "y", "y", "y"],
            {"unit": "text", "folds": 2},
            ValueError,
            "'x' is in 1. .* groups of texts\\): give more texts, or None",
        ),
        (
            [["x", "y"]] * 6,
            {},
            ValueError,
            "Text 0 has 2 labels, and its text 3 tokens: 'the', 'at', 'sea'. Give one for each",
        ),
        ([0.25, 1, 2, 3, 4, 5], {"unit": "text"}, ValueError, "label 0.25 is a number between"),
        ([["x"]] * 6, {"unit": "text"}, TypeError, "of type list: labels are words"),
        (["x", "y"] * 3, {"unit": "line"}, ValueError, "unit 'line' is not one of 'token'"),
        (["x", "y"] * 3, {"unit": "text", "folds": 1}, ValueError, "folds 1 is too small"),
        (["x", "y"] * 3, {"unit": "text", "C": 0}, ValueError, "C 0 must be above 0"),
        (["x", "y"] * 3, {"unit": "text", "groups": [1]}, ValueError, "6 texts and 1 groups"),
        (
            ["x", "y"] * 3,
            {"unit": "text", "folds": 3, "layers": [7]},
            ValueError,
            "Layer 7 has no residual block: 0, 1, 2 has one",
        ),
        (
            ["x", "y"] * 3,
            {"unit": "text", "folds": 3, "block": "cross"},
            ValueError,
            "Layer 0 has no cross block",
        ),
    ],
)
def test_what_cannot_be_is_said_in_words(
    tiny: Lens, labels: list[Any], options: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        probe(tiny, TEXTS, labels, **options)


def test_what_is_given_first_is_a_lens(tiny: Lens) -> None:
    with pytest.raises(TypeError, match="it takes a lens first, got list"):
        probe(TEXTS, TEXTS, TEXTS)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="texts is a list of texts, got a single one"):
        probe(tiny, "the sea", ["x"], unit="text")


def test_a_text_that_cannot_be_read_is_named_by_its_number(tiny: Lens) -> None:
    with pytest.raises(ValueError, match="Text 3: "):
        probe(tiny, [*TEXTS[:3], "", *TEXTS[4:]], ["x", "y"] * 3, unit="text", folds=3)


def test_activations_take_no_more_memory_than_they_may(tiny: Lens) -> None:
    tiny.memory_budget = 3 * 6 * 32 * 4
    try:
        probe(tiny, TEXTS, ["x", "y"] * 3, unit="text", folds=3)
        tiny.memory_budget -= 1
        with pytest.raises(MemoryBudgetError, match="residual activations of 6 labelled units in"):
            probe(tiny, TEXTS, ["x", "y"] * 3, unit="text", folds=3)
    finally:
        tiny.memory_budget = None


def test_activations_that_are_no_numbers_are_told_with_text_and_layer(tiny: Lens) -> None:
    model = copy.deepcopy(tiny.model)
    whale = tiny.tokenizer.convert_tokens_to_ids("quick")
    with torch.no_grad():
        model.get_input_embeddings().weight[whale] = torch.inf
    with pytest.raises(ValueError, match="Text 2: some residual activations of layer 0"):
        probe(Lens(model, tokenizer()), TEXTS, ["x", "y"] * 3, unit="text", folds=3)


def test_a_fit_that_does_not_settle_is_said(tiny: Lens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasshead_backend.statistics.probe_fits._MOST_ITERATIONS", 2)
    found = probe(tiny, TEXTS, ["x", "y"] * 3, unit="text", folds=3)
    assert found.unsettled == (0, 1, 2)
    assert found.chart().note.startswith("Layer 0, 1, 2: a fit was stopped")


def test_given_attention_has_no_model_that_could_read_texts() -> None:
    weights = np.tril(np.ones((1, 2, 3, 3))) / np.arange(1, 4)[:, None]
    trace = Trace.from_attentions(weights, ["a", "b", "c"])
    assert "a model is needed to read the texts" in Probing.lacks(trace)


# --- as a chart -----------------------------------------------------------------------------------
def test_the_chart_has_the_control_and_the_majority_beside_the_accuracy(demo: Lens) -> None:
    texts, labels, _ = sentences()
    found = probe(demo, texts, labels, unit="text", take="last")
    chart = found.chart()
    assert [one.label for one in chart.series] == ["probe of residual stream", "always “one”"]
    torch.testing.assert_close(chart.mean[0], found.accuracy.mean)
    assert set(chart.mean[1].tolist()) == {found.majority[1]}
    assert chart.null is not None
    assert found.control is not None
    torch.testing.assert_close(chart.null.mean[0], found.control.mean)
    above = found.chart("above_control")
    torch.testing.assert_close(above.mean[0], found.accuracy.mean - found.control.mean)
    bars, table = found.detail(1)
    confusion = found.confusion(1)
    assert confusion.sum() == len(texts)
    assert bars.values.tolist() == pytest.approx(
        (confusion.diagonal() / confusion.sum(dim=1)).tolist()
    )
    assert table.rows[0] == ["many", *map(str, confusion[0].tolist())]
