"""Attention weights that come from elsewhere, as traces: exact, checked, honest about the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glasshead_backend import Lens, ModelNeededError, Trace, head_statistics
from glasshead_backend.trace import run_of
from support import tokenizers
from support.tiny_models import TEXT, build, eager_attentions, eager_copy, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def softmax(scores: NDArray[Any]) -> NDArray[Any]:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def weights(
    layers: int = 2, heads: int = 3, rows: int = 5, columns: int = 5, seed: int = 0
) -> NDArray[Any]:
    return softmax(np.random.default_rng(seed).normal(size=(layers, heads, rows, columns)))


FIVE = ["[CLS]", "the", "wh", "##ale", "[SEP]"]


@pytest.fixture(scope="module")
def of_a_model() -> tuple[Any, Any]:
    """What people have at hand: a model loaded with eager attention, its tuple and its tokens."""
    ids = tokenizer()(TEXT, return_tensors="pt").input_ids
    model = eager_copy(build("gpt2"))
    return eager_attentions(model, input_ids=ids), tokenizer().convert_ids_to_tokens(ids[0])


def test_the_tuple_of_a_model_reads_as_the_trace_of_the_lens(
    of_a_model: tuple[Any, Any],
) -> None:
    outputs, names = of_a_model
    attentions = outputs if isinstance(outputs, tuple) else outputs.attentions
    given_trace = Trace.from_attentions(attentions, names, tokenizer=tokenizer())
    traced = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    assert [token.text for token in given_trace.tokens] == [token.text for token in traced.tokens]
    assert [word.text for word in given_trace.words()] == [word.text for word in traced.words()]
    assert (given_trace.family, given_trace.kinds) == ("decoder", ("self",))
    for layer in traced.layers():
        assert torch.equal(given_trace.attention(layer), attentions[layer][0])
        assert given_trace.path(layer) == "given"
        fused = given_trace.attention(layer, unit="word")
        assert torch.allclose(fused, traced.attention(layer, unit="word"), atol=1e-6)
    ours = head_statistics(given_trace).to_frame()
    assert np.allclose(ours, head_statistics(traced).to_frame(), atol=1e-5, equal_nan=True)


def test_encoder_decoder_arrays_have_three_kinds() -> None:
    target, source = ["▁Der", "▁Wal", "</s>"], ["▁The", "▁whale", "</s>"]
    trace = Trace.from_attentions(
        np.tril(np.ones((2, 3, 3))) / np.arange(1, 4)[:, None],  # one layer
        target,
        cross=weights(rows=3, columns=3),
        encoder=weights(layers=4, rows=3, columns=3),
        source_tokens=source,
    )
    assert trace.kinds == ("encoder", "decoder", "cross")
    assert trace.family == "encoder-decoder"
    assert {kind: trace.layers(kind) for kind in trace.kinds} == {
        "encoder": [0, 1, 2, 3],
        "decoder": [0],
        "cross": [0, 1],
    }
    assert [token.text for token in trace.queries("cross")] == ["Der", " Wal", "</s>"]
    assert [token.text for token in trace.keys("cross")] == ["The", " whale", "</s>"]


def test_cross_attention_alone_will_do() -> None:
    given_weights = weights(rows=3, columns=5)
    trace = Trace.from_attentions(None, ["a", "b", "c"], cross=given_weights, source_tokens=FIVE)
    assert trace.kinds == ("cross",)
    assert np.array_equal(trace.attention(1).numpy(), given_weights[1])


AS_PEOPLE_HAVE_THEM: dict[str, Callable[[NDArray[Any]], Any]] = {
    "one array": lambda given_weights: given_weights,
    "with a batch of one": lambda given_weights: given_weights[:, None],
    "a tuple of tensors": lambda given_weights: tuple(map(torch.tensor, given_weights)),
    "a list of batches": lambda given_weights: [torch.tensor(one)[None] for one in given_weights],
    "by layer": lambda given_weights: dict(enumerate(given_weights)),
    "nested lists": lambda given_weights: given_weights.tolist(),
    "what needs a gradient": lambda given_weights: torch.tensor(given_weights, requires_grad=True),
}


@pytest.mark.parametrize("way", AS_PEOPLE_HAVE_THEM)
def test_arrays_come_in_every_shape_that_people_have(way: str) -> None:
    given_weights = weights()
    trace = Trace.from_attentions(AS_PEOPLE_HAVE_THEM[way](given_weights), FIVE)
    assert trace.layers() == [0, 1]
    for layer in (0, 1):
        # Lists are read as float64 by numpy, as numpy's own arrays are.
        assert np.array_equal(trace.attention(layer).numpy(), given_weights[layer])


def test_arrays_of_jax_are_read() -> None:
    jax = pytest.importorskip("jax.numpy")
    for dtype in (jax.float32, jax.bfloat16):
        given_weights = jax.asarray(weights(), dtype=dtype)
        trace = Trace.from_attentions(given_weights, FIVE)
        assert np.array_equal(trace.attention(1).numpy(), np.asarray(given_weights[1], np.float32))


def test_layers_keep_their_numbers() -> None:
    first, second = weights()
    hybrid = Trace.from_attentions([None, None, first, None, second], FIVE)
    assert hybrid.layers() == [2, 4]
    assert Trace.from_attentions({7: first, 3: second}, FIVE).layers() == [3, 7]
    with pytest.raises(ValueError, match="layers 2, 4"):
        hybrid.attention(0)


def test_weights_are_not_copied_and_answers_are_the_askers_own() -> None:
    given_weights = torch.tensor(weights())
    trace = Trace.from_attentions(given_weights, FIVE)
    assert trace.nbytes == given_weights.nbytes
    trace.attention(0).zero_()
    assert torch.equal(trace.attention(0), torch.tensor(weights())[0])


def test_the_second_sentence_is_known() -> None:
    trace = Trace.from_attentions(weights(), FIVE, sentence_b_start=2)
    assert trace.sequences[0].segments == (0, 0, 1, 1, 1)
    with pytest.raises(ValueError, match="sentence_b_start 5 is out of range: there are 5 tokens"):
        Trace.from_attentions(weights(), FIVE, sentence_b_start=5)


STRINGS = {
    # As GPT-2, Llama, BERT, XLM and BERTweet write tokens; then pieces of a text, and words.
    "byte-level": (["The", "Ġcaf", "Ã©", "Ċ"], "The café\n", ["The", " caf", "é", "\n"]),
    "SentencePiece": (["<s>", "▁The", "▁wh", "ale", "<0x0A>"], "The whale\n", None),
    "WordPiece": (FIVE, "the whale", ["[CLS]", "the", "wh", "ale", "[SEP]"]),
    "word ends": (["th", "e</w>", "sea</w>"], "the sea", ["th", "e", "sea"]),
    "unfinished": (["th@@", "e", "sea"], "the sea", ["th", "e", "sea"]),
    "pieces": (["The", " white", " whale", "!"], "The white whale!", None),
    "words": (["The", "white", "whale"], "The white whale", ["The", "white", "whale"]),
}


@pytest.mark.parametrize("way", STRINGS)
def test_strings_are_read_by_the_marks_they_carry(way: str) -> None:
    strings, text, shown = STRINGS[way]
    n = len(strings)
    trace = Trace.from_attentions(weights(rows=n, columns=n), strings)
    assert trace.text == text
    if shown is not None:
        assert [token.text for token in trace.tokens] == shown
    special = [token.text for token in trace.tokens if token.special]
    assert special == [s for s in strings if s in ("[CLS]", "[SEP]", "<s>")]


@pytest.mark.parametrize("make", [tokenizers.gpt2, tokenizers.llama2, tokenizers.llama3])
@settings(max_examples=25, deadline=None)
@given(text=st.text(alphabet="ab cé鯨🐋\n.", min_size=1, max_size=20))
def test_strings_of_a_tokenizer_spell_what_its_ids_spell(
    make: Callable[[], Any], text: str
) -> None:
    one = make()
    ids = one(f"a b {text}", add_special_tokens=False).input_ids  # a mark is among them
    n = len(ids)
    of_ids = Trace.from_attentions(weights(rows=n, columns=n), ids, tokenizer=one)
    of_strings = Trace.from_attentions(weights(rows=n, columns=n), one.convert_ids_to_tokens(ids))
    assert of_strings.text == of_ids.text
    assert [token.text for token in of_strings.tokens] == [token.text for token in of_ids.tokens]


WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "too few tokens": (
        lambda: Trace.from_attentions(weights(), FIVE[:4]),
        *(ValueError, "self attention of layer 0 has 5 rows, but there are 4 tokens"),
    ),
    "too few source tokens": (
        lambda: Trace.from_attentions(
            None, ["a", "b"], cross=weights(rows=2, columns=5), source_tokens=FIVE[:3]
        ),
        *(ValueError, "cross attention of layer 0 has 5 columns, but there are 3 tokens of the"),
    ),
    "a model without eager attention": (
        lambda: Trace.from_attentions((), FIVE),
        *(ValueError, 'attentions is empty.*attn_implementation="eager".*Lens'),
    ),
    "several texts": (
        lambda: Trace.from_attentions([torch.rand(3, 2, 5, 5)], FIVE),
        *(ValueError, r"is of 3 texts, shape \[3, 2, 5, 5\]"),
    ),
    "scores instead of weights": (
        lambda: Trace.from_attentions(weights() * 20 - 3, FIVE),
        *(ValueError, "has values from -.* to .*softmax"),
    ),
    "columns that sum to 1": (
        lambda: Trace.from_attentions(weights().swapaxes(-1, -2), FIVE),
        *(ValueError, "has rows that sum to 1.*transpose it"),
    ),
    "scores from 0 to 1": (
        lambda: Trace.from_attentions(np.ones((2, 4, 5, 5)), FIVE),
        *(ValueError, "has rows that sum to 5.*softmax"),
    ),
    "no number": (
        lambda: Trace.from_attentions(np.full((2, 4, 5, 5), np.nan), FIVE),
        *(ValueError, "has no number in it"),
    ),
    "some NaN": (
        lambda: Trace.from_attentions(np.where(weights() > 0.3, np.nan, weights()), FIVE),
        *(ValueError, "some weights are NaN"),
    ),
    "what generate returns": (
        lambda: Trace.from_attentions(((torch.rand(1, 2, 5, 5),) * 2,) * 3, FIVE),
        *(TypeError, "as generate.* returns them by step"),
    ),
    "words": (
        lambda: Trace.from_attentions("attention", FIVE),
        *(TypeError, "attentions is no array of numbers but str"),
    ),
    "one string": (
        lambda: Trace.from_attentions(weights(), "the whale"),
        *(TypeError, "tokens is one string, 'the whale'"),
    ),
    "ids without a tokenizer": (
        lambda: Trace.from_attentions(weights(), [1, 2, 3, 4, 5]),
        *(ValueError, "ids say nothing without their tokenizer"),
    ),
    "cross-attention of one text": (
        lambda: Trace.from_attentions(weights(), FIVE, cross=weights()),
        *(ValueError, "give source_tokens"),
    ),
    "nothing": (
        lambda: Trace.from_attentions(None, FIVE),
        *(ValueError, "There are no attention weights"),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_fits_not_is_refused_with_the_way_out(what: str) -> None:
    make, kind, words = WRONG[what]
    with pytest.raises(kind, match=words):
        make()


def test_a_row_that_may_look_nowhere_is_undefined() -> None:
    given_weights = weights()
    given_weights[:, :, 0] = np.nan
    trace = Trace.from_attentions(given_weights, FIVE)
    assert trace.attention(0)[:, 0].isnan().all()
    assert not trace.attention(0)[:, 1:].isnan().any()


NEEDS_A_MODEL: dict[str, Callable[[Trace], object]] = {
    "activations": lambda trace: trace.activations(0, "mlp"),
    "hidden states": lambda trace: trace.hidden_states(1),
    "another text": lambda trace: trace.continue_with(2, 1),
    "moved norms": lambda trace: trace.moved_norms(0),
    "head outputs": lambda trace: trace.head_outputs(0),
    "logit contributions": lambda trace: trace.logit_contributions(),
    "the model": lambda trace: trace.lens.model.config,
    "its tokenizer": lambda trace: trace.lens.tokenizer.vocab,
}


@pytest.mark.parametrize("question", NEEDS_A_MODEL)
def test_what_takes_a_model_says_that_there_is_none(question: str) -> None:
    trace = Trace.from_attentions(weights(), FIVE, name="My notebook")
    with pytest.raises(ModelNeededError, match="My notebook: this trace is of arrays"):
        NEEDS_A_MODEL[question](trace)


def test_nothing_is_made_up_of_predictions_and_scores() -> None:
    trace = Trace.from_attentions(weights(), FIVE)
    assert trace.predictions().n_scored == 0
    with pytest.raises(ValueError, match="arrays that were given"):
        trace.top_k(2)
    with pytest.raises(ValueError, match="given without the scores"):
        trace.attention(0, scores=True)
    assert trace.norms() == {}
    assert run_of(trace).logits is None
