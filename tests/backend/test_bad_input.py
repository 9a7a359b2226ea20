"""Bad input is refused where it enters, with words that say what to do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2LMHeadModel

from glasshead_backend import Lens, UnsupportedModelError
from support.tiny_models import TEXT, WORDS, build, tokenizer


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens(build("llama", max_position_embeddings=32), tokenizer())


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_empty_text(lens: Lens, text: str) -> None:
    with pytest.raises(ValueError, match=r"The text is empty.*at least one word"):
        lens.trace(text)


@pytest.mark.parametrize("text", [None, ["a fox", "a dog"], 3])
def test_something_that_is_no_text(lens: Lens, text: object) -> None:
    with pytest.raises(TypeError, match=r"one text, a str; got (NoneType|list|int)"):
        lens.trace(text)


def test_one_token_is_shown_though_nothing_predicts_it(lens: Lens) -> None:
    trace = lens.trace("whale")
    assert trace.attention(0).tolist() == [[[1.0]]] * 4
    assert trace.predictions().surprisal.isnan().all()
    with pytest.raises(ValueError, match=r"There is no perplexity\. The first token has no value"):
        _ = trace.perplexity


def test_a_text_longer_than_the_window(lens: Lens) -> None:
    with pytest.raises(ValueError, match=r"has 40 tokens, but llama reads at most 32"):
        lens.trace(" ".join(["whale"] * 40))


def test_a_tokenizer_that_does_not_fit_the_model() -> None:
    foreign = tokenizer()
    foreign.add_tokens([f"word{i}" for i in range(200)])
    with pytest.raises(ValueError, match=r"do not belong together.*resize_token_embeddings"):
        Lens(build("llama"), foreign)


def test_something_that_is_no_model() -> None:
    with pytest.raises(TypeError, match=r"needs a transformers model first, got str"):
        Lens("gpt2", tokenizer())
    with pytest.raises(TypeError, match=r"needs a transformers tokenizer second, got str"):
        Lens(build("gpt2"), "gpt2")


def test_a_target_for_a_model_that_takes_none(lens: Lens) -> None:
    with pytest.raises(ValueError, match="not an encoder-decoder model: it takes one text"):
        lens.trace(TEXT, "a fox")


def test_an_encoder_decoder_without_target_generates_it() -> None:
    lens = Lens(build("bart"), tokenizer())
    trace = lens.trace(TEXT, max_new_tokens=5)
    assert 1 <= len(trace.labels) <= 6
    assert all(token.generated for token in trace.labels)
    with pytest.raises(ValueError, match="The target is empty"):
        lens.trace(TEXT, "")


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (lambda t: t.attention(3), "layer 3 is out of range: llama has layers 0-2"),
        (lambda t: t.attention(0, 4), "head 4 is out of range: layer 0 of llama has heads 0-3"),
        (lambda t: t.attention(0, kind="cross"), "kind 'cross' is not there: llama has 'self'"),
        (lambda t: t.attention(0, rows=[99]), "position 99 is out of range"),
        (lambda t: t.attention(0, unit="letter"), "unit 'letter' is not one of 'token', 'word'"),
        (lambda t: t.attention(0, aggregate="sum"), "aggregate 'sum' is not one of"),
        (lambda t: t.attention(0, unit="word", scores=True), "Use unit='token'"),
        (lambda t: t.notable_pairs(0, 2.0), "threshold 2.0 is out of range"),
        (lambda t: t.activations(0, "cross"), "Layer 0 has no cross block"),
        (lambda t: t.sequence("source"), "this trace has 'text'"),
        (lambda t: t.attention(0, []), "heads is empty: name at least one"),
        (lambda t: t.moved_norms(0, []), "heads is empty: name at least one"),
        (lambda t: t.head_outputs(0, 4), "head 4 is out of range: layer 0 of llama has heads 0-3"),
        (lambda t: t.head_outputs(0, rows=[99]), "position 99 is out of range"),
        (lambda t: t.logit_contributions(position=99), "position 99 is out of range"),
        (lambda t: t.logit_contributions(position=0), "There is no prediction at position 0"),
        (lambda t: t.logit_contributions(token="fo"), "'fo' is no single token of llama"),
        (lambda t: t.logit_contributions(token="fox", against="fox"), "difference is always 0"),
        (lambda t: t.attention(0, 1.5), "head 1.5 is no whole number"),
        (lambda t: t.attention(0, rows=[1.0]), "position 1.0 is no whole number"),
        (lambda t: t.attention(0, rows="12"), "position '1' is no whole number"),
        (lambda t: t.attention(0, kind=["self"]), r"kind \['self'\] is not there"),
        (lambda t: t.attention("0"), "layer '0' is out of range"),
        (lambda t: t.pooled_attention(0, size=2.5), "size 2.5 is no whole number"),
        (lambda t: t.strongest_keys(0, 0), "k 0 is too small"),
        (lambda t: t.strongest_keys(0, 2.5), "k 2.5 is no whole number"),
        (lambda t: t.token_attention(2.0), "position 2.0 is no whole number"),
        (lambda t: t.pooled_attention(0, queries=(5, 2)), r"queries \(5, 2\) is no part of 0-6"),
        (lambda t: t.mean_attention([]), "layers is empty"),
        (lambda t: t.notable_pairs(0, "0.3"), "threshold '0.3' is out of range"),
        (lambda t: t.lens.trace("a fox", max_new_tokens=3), "writes no target"),
        (lambda t: t.flow(99), "position 99 is out of range"),
    ],
)
def test_questions_about_what_is_not_there(lens: Lens, question: object, message: str) -> None:
    trace = lens.trace("a fox runs over the sea")
    with pytest.raises(ValueError, match=message):
        question(trace)  # type: ignore[operator]


def test_a_closed_trace_can_still_be_shown(lens: Lens) -> None:
    trace = lens.trace("a fox")
    trace.close()
    assert repr(trace) == "Trace(llama; closed)"


@pytest.mark.parametrize("budget", [0, -5, "1GB", 1e9])
def test_a_memory_budget_is_a_number_of_bytes(budget: object) -> None:
    lens = Lens(build("llama"), tokenizer())
    with pytest.raises(ValueError, match="memory_budget"):
        lens.memory_budget = budget
    assert lens.memory_budget is None


@pytest.mark.parametrize(
    "made", [None, [1, 2], [(0, 1, 2)], [(0.0, 1.0)], [None], [[0, 1], "fox", 3]]
)
def test_a_segmentation_that_returns_no_words_is_told_what_to_return(made: object) -> None:
    lens = Lens(build("gpt2"), tokenizer(), words=lambda _: made)
    with pytest.raises(ValueError, match=r"\(words=\) must return words, or spans"):
        lens.trace("a fox")


def test_what_cannot_be_called(lens: Lens) -> None:
    with pytest.raises(TypeError, match=r"words is a function.*words=lambda text"):
        Lens(build("gpt2"), tokenizer(), words=["a", "fox"])
    with pytest.raises(TypeError, match="progress is a function such as print"):
        lens.trace("a fox", progress=3)


def test_numbers_of_numpy_and_torch_are_numbers(lens: Lens) -> None:
    trace = lens.trace("a fox runs over the sea")
    row = trace.attention(1, 2, rows=[3])
    assert torch.equal(trace.attention(1, np.int64(2), rows=np.array([3], dtype=np.int8)), row)
    assert torch.equal(trace.attention(np.int64(1), torch.tensor(2), rows=torch.tensor([3])), row)
    assert torch.equal(trace.attention(1, [2], rows=np.array([-3])), row)
    assert torch.equal(trace.attention(1, 2, rows=3), row)
    assert trace.attention(1, rows=[]).shape == (4, 0, 6)


def test_text_that_is_no_unicode_and_targets_that_are_one_text(lens: Lens) -> None:
    with pytest.raises(ValueError, match="half of a character"):
        lens.trace("a fox \ud800")
    two = Lens(build("bart"), tokenizer())
    with pytest.raises(TypeError, match="takes a list of targets"):
        list(two.trace_many(["the fox", "a dog"], "ab"))


def test_a_model_without_attention_says_so() -> None:
    config = AutoConfig.for_model(
        "mamba", hidden_size=32, num_hidden_layers=2, state_size=4, vocab_size=96
    )
    lens = Lens(AutoModelForCausalLM.from_config(config).eval(), tokenizer())
    with pytest.raises(UnsupportedModelError, match="has no attention weights to look at"):
        lens.trace(TEXT)


def test_the_probe_fits_a_window_of_a_few_tokens() -> None:
    lens = Lens(build("gpt2", n_positions=6), tokenizer())
    assert isinstance(lens.model, GPT2LMHeadModel)
    assert len(lens.trace(" ".join(WORDS[:6])).queries()) == 6
