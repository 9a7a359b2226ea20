"""Texts as people have them: strings, conversations, ids, encodings, sentence pairs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer

from glasshead_backend import Lens
from glasshead_backend.frames.scene import axes
from glasshead_backend.text.tokens import encode_pair
from support import tokenizers
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from glasshead_backend import Trace

FIRST, SECOND = "the quick brown fox", "a lazy dog runs away"
MESSAGES = [
    {"role": "system", "content": "the old dog"},
    {"role": "user", "content": "a whale at sea !"},
]
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{{ message['content'] }}</s>{% endfor %}"
    "{% if tools %}{{ tools[0]['name'] }}{% endif %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def with_pairs(*, first_type: int = 0) -> PreTrainedTokenizerFast:
    """A tokenizer that writes ``<s> A </s> B </s>``, and says which sentence a token is of."""
    made = tokenizer()
    made.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # as BERT's
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"<s>:{first_type} $A </s>",
        pair=f"<s>:{first_type} $A </s> $B:1 </s>:1",
        special_tokens=[("<s>", 1), ("</s>", 2)],
    )
    return made


def chatting() -> PreTrainedTokenizerFast:
    """A tokenizer with a chat template that begins with the start token, as it does itself."""
    made = with_pairs()
    made.add_tokens(["<|system|>", "<|user|>", "<|assistant|>"], special_tokens=True)
    made.chat_template = TEMPLATE
    return made


def check_against_eager(trace: Trace, model: PreTrainedModel, **inputs: torch.Tensor) -> None:
    """Attention of a one-sequence trace equals what transformers reports of the same inputs."""
    reference = eager_attentions(model, **inputs).attentions
    for layer in trace.layers():
        torch.testing.assert_close(trace.attention(layer), reference[layer][0], rtol=0, atol=2e-5)


# --- conversations --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "options", [{}, {"add_generation_prompt": True}, {"tools": [{"name": "sea"}]}]
)
def test_messages_are_read_as_the_chat_template_writes_them(options: dict[str, Any]) -> None:
    model, words = build("llama"), chatting()
    trace = Lens(model, words).trace(MESSAGES, template_options=options)
    inputs = words.apply_chat_template(MESSAGES, return_tensors="pt", return_dict=True, **options)
    (own,) = trace.sequences
    assert own.ids == inputs["input_ids"][0].tolist()
    assert own.ids.count(words.bos_token_id) == 1, "the template's alone"
    assert own.text == words.apply_chat_template(MESSAGES, tokenize=False, **options)
    tokenized = Lens(model, words).tokenize(MESSAGES, template_options=options)
    assert [token.id for token in tokenized] == own.ids
    assert [own.text[t.start : t.end] for t in own.tokens if t.special][:2] == ["<s>", "<|system|>"]
    check_against_eager(trace, model, input_ids=inputs["input_ids"])


def test_a_model_answers_messages_as_it_does_by_itself() -> None:
    model, words = build("llama"), chatting()
    trace = Lens(model, words).generate(MESSAGES, max_new_tokens=8)
    prompt = words.apply_chat_template(
        MESSAGES, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    expected = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=8, do_sample=False
    )
    assert trace.sequences[0].ids == expected[0].tolist()
    written = words.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    assert trace.sequences[0].text.startswith(written)
    assert [t.generated for t in trace.queries()].index(True) == prompt.shape[1]


def test_a_last_message_of_the_model_can_be_continued() -> None:
    lens = Lens(build("llama"), chatting())
    begun = [*MESSAGES, {"role": "assistant", "content": "the fox"}]
    options = {"continue_final_message": True}
    trace = lens.generate(begun, max_new_tokens=2, template_options=options)
    prompt = [token.text for token in trace.queries() if not token.generated]
    assert prompt[-3:] == ["<|assistant|>", "the", "fox"]


def test_tokens_that_a_template_makes_otherwise_than_its_text_are_the_templates() -> None:
    model, words = build("llama"), chatting()
    options = {"tokenizer_kwargs": {"split_special_tokens": True}}
    trace = Lens(model, words).trace(MESSAGES, template_options=options)
    ids = words.apply_chat_template(MESSAGES, return_dict=True, **options)["input_ids"]
    assert trace.sequences[0].ids == ids


# --- ids ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "as_given",
    [
        list,
        tuple,
        torch.tensor,
        np.array,
        lambda ids: torch.tensor([ids]),
        lambda ids: np.array([ids], dtype=np.int32),
        lambda ids: [ids],
        lambda ids: [torch.tensor(id_) for id_ in ids],
        lambda ids: {"input_ids": ids, "attention_mask": [1] * len(ids)},
    ],
)
def test_ids_are_taken_as_they_are(as_given: Callable[[list[int]], Any]) -> None:
    model, words = build("llama"), with_pairs()
    ids = [2, 1, 4, 7, 8, 2]
    lens = Lens(model, words)
    trace = lens.trace(as_given(ids))
    assert trace.sequences[0].ids == ids
    assert trace.sequences[0].text == "the brown fox"
    assert [token.text for token in lens.tokenize(as_given(ids))] == [
        "</s>", "<s>", "the", "brown", "fox", "</s>"
    ]  # fmt: skip
    check_against_eager(trace, model, input_ids=torch.tensor([ids]))


def test_ids_are_continued_from_where_they_end() -> None:
    model, words = build("llama"), with_pairs()
    ids = torch.tensor([[1, 4, 7, 2]])
    expected = model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=5, do_sample=False
    )
    trace = Lens(model, words).generate(ids, max_new_tokens=5)
    assert trace.sequences[0].ids == expected[0].tolist()


def test_a_prompt_of_a_single_start_token_is_enough() -> None:
    assert len(Lens(build("llama"), tokenizer()).generate([1], max_new_tokens=3).queries()) == 4


def test_what_the_tokenizer_returns_is_run_as_the_model_runs_it() -> None:
    model, words = build("bert"), with_pairs()
    encoding = words(FIRST, SECOND, return_tensors="pt", return_special_tokens_mask=True)
    trace = Lens(model, words).trace(encoding)
    del encoding["special_tokens_mask"]
    check_against_eager(trace, model, **encoding)
    (own,) = trace.sequences
    assert own.text == f"{FIRST}\n{SECOND}"
    assert own.segments == tuple(encoding["token_type_ids"][0].tolist())


def test_zeros_of_an_encoding_reach_a_model_that_counts_them() -> None:
    # GPT-2 adds the embedding of token 0 to every token of type 0, if it is told the types.
    model, words = build("gpt2"), tokenizer()
    encoding = words(FIRST, return_tensors="pt", return_token_type_ids=True)
    check_against_eager(Lens(model, words).trace(encoding), model, **encoding)
    ids = encoding["input_ids"]
    check_against_eager(Lens(model, words).trace(FIRST), model, input_ids=ids)


def test_source_and_target_may_be_ids() -> None:
    lens = Lens(build("bart"), with_pairs())
    trace = lens.trace([4, 7, 8, 2], torch.tensor([5, 12, 2]))
    assert trace.sequences[0].ids == [4, 7, 8, 2]
    assert [token.id for token in trace.labels] == [5, 12, 2]
    same = lens.trace("the brown fox</s>", "a dog</s>", add_special_tokens=False)
    assert torch.equal(trace.attention(1), same.attention(1))


def test_ids_of_a_source_are_read_with_its_own_vocabulary() -> None:
    words = tokenizers.fsmt()
    config = {"src_vocab_size": len(words), "tgt_vocab_size": len(words), "langs": ["en", "de"]}
    lens = Lens(build("bart", vocab_size=len(words), **config), words)
    ids = words("the dog said")["input_ids"]
    assert [token.text for token in lens.tokenize(ids)] == ["the", "dog", "said", "</s>"]
    # What is predicted is of the other one.
    named = [lens.vocabulary.piece(id_) for id_ in range(len(words))]
    theirs = words.convert_ids_to_tokens(list(range(len(words))))
    assert [one.data.decode() for one in named] == [one.replace("</w>", "") for one in theirs]


# --- special tokens -------------------------------------------------------------------------------
def test_special_tokens_can_be_left_out() -> None:
    model, words = build("bert"), with_pairs()
    lens = Lens(model, words)
    assert [t.text for t in lens.tokenize("the fox")] == ["<s>", "the", "fox", "</s>"]
    with pytest.raises(ValueError, match="The text is empty"):
        lens.trace("")  # what the tokenizer puts in covers nothing
    whole = lens.trace("the fox")
    assert [t.id for t in whole.queries()] == words("the fox")["input_ids"]
    trace = lens.trace("the fox", add_special_tokens=False)
    assert [t.text for t in trace.queries()] == ["the", "fox"]
    plain = lens.trace("the fox", "a dog", add_special_tokens=False)
    assert [t.text for t in plain.queries()] == ["the", "fox", "a", "dog"]
    many = lens.trace_many(["the fox", "a dog runs"], add_special_tokens=False)
    assert [len(one.queries()) for one in many] == [2, 3]


# --- sentence pairs -------------------------------------------------------------------------------
def pair_inputs(words: PreTrainedTokenizerFast, *pair: str) -> dict[str, torch.Tensor]:
    encoding = words(*pair, return_tensors="pt")
    return {name: encoding[name] for name in ("input_ids", "token_type_ids")}


@pytest.mark.parametrize("model_type", ["bert", "albert"])
def test_a_pair_is_run_with_its_segments(model_type: str) -> None:
    model, words = build(model_type), with_pairs()
    trace = Lens(model, words).trace(FIRST, SECOND)
    inputs = pair_inputs(words, FIRST, SECOND)
    assert inputs["token_type_ids"].sum() == 6
    assert trace.sequences[0].ids == inputs["input_ids"][0].tolist()
    check_against_eager(trace, model, **inputs)
    with pytest.raises(AssertionError):  # segments count
        check_against_eager(trace, model, input_ids=inputs["input_ids"])


def test_what_runs_the_model_once_more_knows_the_segments() -> None:
    model, words = build("bert"), with_pairs()
    trace = Lens(model, words).trace(FIRST, SECOND)
    with torch.no_grad():
        states = model(**pair_inputs(words, FIRST, SECOND), output_hidden_states=True).hidden_states
    for layer in trace.layers():
        torch.testing.assert_close(
            trace.activations(layer, "residual"), states[layer + 1][0], rtol=0, atol=1e-5
        )


def test_the_sentences_of_a_pair_are_known() -> None:
    trace = Lens(build("bert"), with_pairs()).trace("the fox", "a dog")
    (own,) = trace.sequences
    assert own.text == "the fox\na dog"
    assert [(t.text, own.text[t.start : t.end]) for t in own.tokens] == [
        ("<s>", ""), ("the", "the"), ("fox", "fox"), ("</s>", ""),
        ("a", "a"), ("dog", "dog"), ("</s>", ""),
    ]  # fmt: skip
    assert own.segments == (0, 0, 0, 0, 1, 1, 1)
    assert [word.text for word in trace.words()] == [
        "<s>",
        "the",
        "fox",
        "</s>",
        "a",
        "dog",
        "</s>",
    ]
    assert axes(trace, "self", "word")["query"]["segments"] == [0, 0, 0, 0, 1, 1, 1]
    assert axes(trace.lens.trace("the fox"), "self", "token")["key"]["segments"] is None


@pytest.mark.parametrize("family", tokenizers.BUILDERS)
def test_every_tokenizer_keeps_the_sentences_of_a_pair_apart(family: str) -> None:
    words = tokenizers.BUILDERS[family]()
    pair = ('The animal "didn\'t" cross ', "  le café 🦜 d'eau")
    found = encode_pair(words, *pair)
    encoding = words(*pair)
    assert [token.id for token in found.tokens] == encoding["input_ids"]
    assert found.token_types == (
        tuple(encoding["token_type_ids"]) if "token_type_ids" in encoding else None
    )
    border = len(pair[0]) + 1
    assert found.segments is not None
    for token, segment in zip(found.tokens, found.segments, strict=True):
        if token.start < token.end:
            assert (token.start >= border) == bool(segment)
            assert token.end < border or segment
    alone = [t.text for t in Lens(build("bert", vocab_size=600), words).tokenize(pair[1])]
    own = [
        t.text for t, s in zip(found.tokens, found.segments, strict=True) if s and t.start < t.end
    ]
    assert [text for text in alone if text in own] == own


@pytest.mark.parametrize(
    ("types", "segments"),
    [
        ([0, 0, 1, 1], (0, 0, 1, 1)),
        ([0, 0, 1, 2], (0, 0, 1, 1)),  # XLNet ends with a type of its own
        ([2, 0, 0, 1], (0, 0, 0, 1)),  # Funnel begins with one
        ([0, 1, 0, 1], None),
        ([0, 0, 0, 2], None),
        ([0, 0, 0, 0], None),
    ],
)
def test_segments_of_an_encoding_are_its_token_types(
    types: list[int], segments: tuple[int, ...] | None
) -> None:
    lens = Lens(build("bert", type_vocab_size=3), with_pairs())
    encoding = {"input_ids": [4, 7, 8, 9], "token_type_ids": types}
    (own,) = lens.trace(encoding).sequences
    assert (own.segments, own.token_types) == (segments, tuple(types))
    assert own.text == ("the brown fox jumps" if segments is None else own.text)
    assert own.text.replace("\n", " ") == "the brown fox jumps"


def test_what_follows_a_prompt_with_segments_is_of_the_last_one() -> None:
    # GPT-2 adds an embedding of the token type; transformers' generate() repeats the last type.
    model, words = build("gpt2"), with_pairs()
    encoding = words(FIRST, SECOND, return_tensors="pt")
    expected = model.generate(**encoding, max_new_tokens=6, do_sample=False)
    trace = Lens(model, words).generate(encoding, max_new_tokens=6)
    assert trace.sequences[0].ids == expected[0].tolist()
    types = torch.cat([encoding["token_type_ids"], torch.ones(1, 6, dtype=torch.long)], dim=1)
    check_against_eager(trace, model, input_ids=expected, token_type_ids=types)


def test_pairs_are_traced_together_as_alone() -> None:
    lens = Lens(build("bert"), with_pairs())
    firsts, seconds = [FIRST, TEXT, "a dog"], [SECOND, "the fox", TEXT]
    for one, *pair in zip(lens.trace_many(firsts, seconds), firsts, seconds, strict=True):
        alone = lens.trace(*pair)
        for layer in one.layers():
            torch.testing.assert_close(
                one.attention(layer), alone.attention(layer), rtol=0, atol=1e-5
            )
        assert one.sequences[0].segments == alone.sequences[0].segments
        torch.testing.assert_close(one.activations(2, "mlp"), alone.activations(2, "mlp"))


def test_a_type_that_the_tokenizer_gives_to_single_texts_reaches_the_model() -> None:
    # As Funnel and XLNet do: their start or end token is of a type of its own.
    model, words = build("bert", type_vocab_size=3), with_pairs(first_type=2)
    lens = Lens(model, words)
    trace = lens.trace(FIRST)
    assert trace.sequences[0].token_types == (2, 0, 0, 0, 0, 0)
    check_against_eager(trace, model, **pair_inputs(words, FIRST))
    plain = Lens(model, with_pairs()).trace(FIRST)
    assert not torch.allclose(plain.attention(0), trace.attention(0))


# --- a real chat model ----------------------------------------------------------------------------
SMOLLM2 = Path(
    os.environ.get(
        "GLASSHEAD_SMOLLM2", Path(__file__).parents[3] / ".models" / "smollm2-135m-instruct"
    )
)


@pytest.mark.real_model
@pytest.mark.skipif(
    not (SMOLLM2 / "model.safetensors").exists(), reason="run scripts/fetch_smollm2.py"
)
def test_a_chat_model_answers() -> None:
    model = AutoModelForCausalLM.from_pretrained(SMOLLM2, dtype=torch.float32)
    words = AutoTokenizer.from_pretrained(SMOLLM2)
    lens = Lens(model, words)
    messages = [{"role": "user", "content": "What is two plus two?"}]
    inputs = words.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    expected = model.generate(**inputs, max_new_tokens=8, do_sample=False)[0].tolist()
    trace = lens.generate(messages, max_new_tokens=8)
    assert trace.sequences[0].ids == expected
    assert trace.sequences[0].text.endswith(
        "<|im_start|>assistant\nTwo plus two is a classic math problem"
    )
    # The same written by hand, up to the end of the question: the model goes on with its own turn.
    written = "<|im_start|>user\nWhat is two plus two?<|im_end|>"
    trace = lens.generate(written, max_new_tokens=6)
    said = [token.text for token in trace.queries() if token.generated]
    assert said == ["\n", "<|im_start|>", "ass", "istant", "\n", "Two"]


# --- what is refused ------------------------------------------------------------------------------
ENCODING = {"input_ids": [4, 5], "attention_mask": [1, 1]}


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (["a fox", "a dog"], TypeError, r"got list of 2 str.*use trace_many\(texts\)"),
        ([[4, 5], [6]], ValueError, "got 2 sequences. Use trace_many"),
        (torch.ones(2, 3, dtype=torch.long), ValueError, "got 2 sequences. Use trace_many"),
        ([], ValueError, "The text is empty"),
        (torch.tensor([4.0]), TypeError, "A token id is a whole number; got 4.0"),
        ([True], TypeError, "A token id is a whole number; got True"),
        ([4, None], TypeError, "A token id is a whole number; got None"),
        ([4, 96], ValueError, "id 96 is out of range: llama knows ids 0-95"),
        ([-1], ValueError, "id -1 is out of range"),
        (torch.tensor(4), TypeError, "one text, a str; got Tensor"),
        ({"role": "user", "content": "x"}, TypeError, r"got one chat message.*a list: \[message\]"),
        ({"labels": [1]}, TypeError, r"got a dict of \['labels'\]"),
        ([{"content": "x"}], ValueError, r"a dict with a role.*got {'content': 'x'}"),
        ([[*MESSAGES], [*MESSAGES]], ValueError, "got 2 sequences. Use trace_many"),
        ([ENCODING, ENCODING], TypeError, "several encodings use trace_many"),
        (MESSAGES, ValueError, r"has no chat template.*template_options"),
        ({**ENCODING, "attention_mask": [1, 0]}, ValueError, "padded: 1 of its 2 places"),
        ({**ENCODING, "attention_mask": [1]}, ValueError, "2 input_ids, but 1 attention_mask"),
        ({**ENCODING, "labels": [1, 1]}, ValueError, "The encoding has labels"),
    ],
)
def test_what_is_no_text_is_told_what_would_be_one(
    text: object, error: type[Exception], message: str
) -> None:
    lens = Lens(build("llama"), tokenizer())
    with pytest.raises(error, match=message):
        lens.trace(text)  # type: ignore[arg-type]
    with pytest.raises(error, match=message.replace("The text", "The prompt")):
        lens.generate(text)  # type: ignore[arg-type]


def test_messages_that_the_template_refuses() -> None:
    lens = Lens(build("llama"), chatting())
    lens.tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(ValueError, match="cannot write these messages: roles must alternate"):
        lens.trace(MESSAGES)
    with pytest.raises(ValueError, match="template_options cannot set truncation"):
        lens.trace(MESSAGES, template_options={"truncation": True})
    with pytest.raises(TypeError, match="A target is one text"):
        Lens(build("bart"), chatting()).trace("a fox", MESSAGES)


def test_pairs_that_are_none() -> None:
    lens = Lens(build("bert"), with_pairs())
    with pytest.raises(TypeError, match=r"two texts, both str; got str and list"):
        lens.trace("a fox", [4, 5])
    with pytest.raises(ValueError, match="sentence of the pair is empty: ' '"):
        lens.trace("a fox", " ")
    with pytest.raises(ValueError, match=r"it takes one text. Use trace\(text\)"):
        Lens(build("llama"), with_pairs()).trace("a fox", "a dog")
    with pytest.raises(TypeError, match="not the encoding of all"):
        next(lens.trace_many(with_pairs()(["a fox", "a dog"])))  # type: ignore[arg-type]


def test_many_texts_of_every_kind() -> None:
    lens = Lens(build("llama"), chatting())
    given: list[Any] = [FIRST, MESSAGES, [4, 5], lens.tokenizer(SECOND), torch.tensor([[6, 7]])]
    for together, text in zip(lens.trace_many(given), given, strict=True):
        alone = lens.trace(text)
        assert together.sequences[0].ids == alone.sequences[0].ids
        torch.testing.assert_close(together.attention(1), alone.attention(1), rtol=0, atol=1e-5)
    with pytest.raises(TypeError, match="Text 1: A trace is made of one text"):
        list(lens.trace_many([FIRST, ["a fox", "a dog"]]))  # type: ignore[list-item]
