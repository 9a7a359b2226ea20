"""Generated text: the same as the model writes by itself, with the attention of every step."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tokenizers import normalizers, processors
from transformers import AddedToken, GenerationConfig, LogitsProcessor

from glasshead_backend import Cancelled, Lens, Step, Trace
from support.parity import Errors, Float64Throughout, apart, in_float64, rounded_differently
from support.tiny_models import DECODERS, ENCODER_DECODERS, TEXT, build, eager_copy, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

PROMPT = "the quick brown fox jumps over"
MODES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 1.5},
    "beams": {"num_beams": 4, "min_new_tokens": 6},
    "sampled beams": {"num_beams": 3, "do_sample": True},
}


class Dictated(LogitsProcessor):
    """Lets a model write given tokens, each in a step of its own."""

    def __init__(self, ids: Sequence[int]) -> None:
        self.ids = ids

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        others = torch.ones_like(scores, dtype=torch.bool)
        others[:, self.ids[input_ids.shape[1]]] = False
        return scores.masked_fill(others, -torch.inf)


def written(model: Any, options: dict[str, Any]) -> list[int]:
    """What the model writes by itself, in its own implementation."""
    ids = torch.tensor([tokenizer()(PROMPT).input_ids])
    torch.manual_seed(3)
    return model.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, **options
    )[0].tolist()


def by_steps(model: Any, ids: list[int], names: Sequence[str]) -> list[list[Tensor]]:
    """Rows that eager generation reports of every step that led to these tokens, by kind.

    For each kind and layer a list of ``[heads, queries, keys]``. A window's cache reports only its
    own, last keys.
    """
    reference = eager_copy(model)
    prompt = torch.tensor([tokenizer()(PROMPT).input_ids])
    n_before = 1 if model.config.is_encoder_decoder else prompt.shape[1]
    out = reference.generate(
        input_ids=prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=len(ids) - n_before,
        logits_processor=[Dictated(ids)],
        output_attentions=True,
        return_dict_in_generate=True,
    )
    assert out.sequences[0].tolist() == ids
    return [[layer[0] for layer in step] for name in names for step in zip(*out[name], strict=True)]


def same_rows(trace: Trace, kind: str, steps_by_layer: list[list[Tensor]]) -> list[Tensor]:
    """Rows of a trace as the steps have them."""
    rows: list[Tensor] = []
    for layer, steps in zip(trace.layers(kind), steps_by_layer, strict=True):
        whole, first = trace.attention(layer, kind=kind), 0
        for step in steps:
            own = whole[:, first : first + step.shape[1]]
            first += step.shape[1]
            own = own if kind == "cross" else own[..., :first]
            hidden, seen = own[..., : -step.shape[-1]], own[..., -step.shape[-1] :]
            assert not hidden.any()
            rows.append(seen)
    return rows


def parity_of_rows(lens: Lens, trace: Trace, ids: list[int], names: dict[str, str]) -> Errors:
    """Compare all rows of a trace with those of every step, against eager steps in float64."""
    double = in_float64(lens.model)
    with Float64Throughout():
        exact = by_steps(double, ids, [*names.values()])
        options = {"logits_processor": [Dictated(ids)], "do_sample": False, "num_beams": 1}
        given = len(ids) - (1 if lens.family != "decoder" else len(lens.tokenize(PROMPT)))
        precise = Lens(double, tokenizer()).generate(PROMPT, max_new_tokens=given, **options)
        n = len(exact) // len(names)
        steps = {kind: exact[i * n : (i + 1) * n] for i, kind in enumerate(names)}
        ours = [row for kind, of in steps.items() for row in same_rows(precise, kind, of)]
    flat = [row for layer in exact for row in layer]
    eager = [
        [row for layer in by_steps(model, ids, [*names.values()]) for row in layer]
        for model in rounded_differently(lens.model)
    ]
    shown = [row for kind, of in steps.items() for row in same_rows(trace, kind, of)]
    return Errors(apart(ours, flat), apart(shown, flat), max(apart(one, flat) for one in eager))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", DECODERS)
def test_rows_of_a_continuation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    lens = Lens(build(model_type), tokenizer())
    ids = written(lens.model, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    assert trace.sequences[0].ids == ids
    assert [token.generated for token in trace.queries()].count(True) == len(ids) - 6
    assert len(ids) > 6 + 3
    assert parity_of_rows(lens, trace, ids, {"self": "attentions"}).problem == ""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_rows_of_a_translation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    # transformers' cache counts the layers of T5's encoder, whichever side it is for.
    changes = {"num_decoder_layers": 2} if model_type == "t5" else {}
    lens = Lens(build(model_type, **changes), tokenizer())
    ids = written(lens.model, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    start, *labels = ids
    assert [token.id for token in trace.labels or ()] == labels
    assert [token.id for token in trace.queries("cross")] == [start, *labels[:-1]]
    names = {"decoder": "decoder_attentions", "cross": "cross_attentions"}
    assert parity_of_rows(lens, trace, ids, names).problem == ""


def test_a_translation_that_is_cut_off_keeps_its_start_token() -> None:
    lens = Lens(build("bart", decoder_start_token_id=5), tokenizer())
    trace = lens.generate(PROMPT, max_new_tokens=3)
    assert trace.queries("cross")[0].id == 5
    assert len(trace.labels) == 3


def test_progress_counts_tokens_and_can_stop_the_model() -> None:
    lens = Lens(build("llama"), tokenizer())
    _ = lens.family
    told: list[Step] = []
    lens.generate(PROMPT, max_new_tokens=4, min_new_tokens=4, progress=told.append)
    assert [str(step) for step in told if step.what == "generating"] == [
        "generating: 0%",
        "generating: 25%",
        "generating: 50%",
        "generating: 75%",
    ]

    def stop(step: Step) -> None:
        if step.share:
            raise Cancelled

    with pytest.raises(Cancelled):
        lens.generate(PROMPT, progress=stop)


def test_several_sequences_at_once_are_refused() -> None:
    lens = Lens(build("llama"), tokenizer())
    with pytest.raises(ValueError, match="leave out num_return_sequences"):
        lens.generate(TEXT, num_return_sequences=3)


def test_more_tokens_than_the_window_holds_are_refused_before_the_model_writes() -> None:
    lens = Lens(build("llama", max_position_embeddings=32), tokenizer())
    with pytest.raises(ValueError, match=r"6 tokens and 40 new ones.*max_new_tokens=26 at most"):
        lens.generate(PROMPT, max_new_tokens=40)
    assert len(lens.generate(PROMPT, max_new_tokens=26, min_new_tokens=26).queries()) == 32


def test_a_length_of_the_whole_takes_the_place_of_the_number_of_new_tokens() -> None:
    lens = Lens(build("llama"), tokenizer())
    assert len(lens.generate(PROMPT, max_length=9, min_length=9).queries()) == 9


def test_generation_may_return_a_dictionary() -> None:
    lens = Lens(build("llama"), tokenizer())
    plain = lens.generate(PROMPT, max_new_tokens=5)
    other = lens.generate(PROMPT, max_new_tokens=5, return_dict_in_generate=True)
    assert plain.sequences[0].ids == other.sequences[0].ids


# --- the prompt is what was written ---------------------------------------------------------------
def closing() -> Any:
    """A tokenizer that puts ``</s>`` behind every text, and has tags that swallow space."""
    made = tokenizer()
    tags = [AddedToken(name, rstrip=True, special=True) for name in ("<|end|>", "<|assistant|>")]
    made.add_tokens(tags, special_tokens=True)
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return made


@pytest.mark.parametrize(
    ("prompt", "ids"),
    [
        ("the brown fox", [1, 4, 7, 8]),
        ("the brown fox</s>", [1, 4, 7, 8, 2]),
        ("the fox</s></s> <s>", [1, 4, 8, 2, 2, 1]),
        ("the fox<|end|>\n<|assistant|>\n", [1, 4, 8, 50, 51]),
        ("</s>", [1, 2]),
    ],
)
def test_special_tokens_at_the_end_of_a_prompt_are_continued_if_the_user_wrote_them(
    prompt: str, ids: list[int]
) -> None:
    lens = Lens(build("llama"), closing())
    assert lens.tokenizer.convert_ids_to_tokens(ids)[-1] != "<unk>"
    given = torch.tensor([ids])
    expected = lens.model.generate(
        given, attention_mask=torch.ones_like(given), max_new_tokens=6, do_sample=False
    )
    trace = lens.generate(prompt, max_new_tokens=6)
    assert trace.sequences[0].ids == expected[0].tolist()
    assert trace.sequences[0].text.startswith(prompt)


def test_the_prompt_is_shown_as_it_was_written() -> None:
    words = tokenizer()
    words.backend_tokenizer.normalizer = normalizers.Lowercase()
    prompt = "  The  QUICK Zyxw fox\n"
    trace = Lens(build("llama"), words).generate(prompt, max_new_tokens=4, min_new_tokens=4)
    (own,) = trace.sequences
    assert own.text.startswith(prompt)
    assert [own.text[t.start : t.end] for t in own.tokens[:4]] == ["The", "QUICK", "Zyxw", "fox"]
    written = [token for token in own.tokens[4:] if not token.special]
    assert all(token.generated for token in written)
    assert [own.text[token.start : token.end] for token in written] == [t.text for t in written]
    assert own.text[len(prompt) :].split(" ") == [token.text for token in written]


# --- a configuration of one's own -----------------------------------------------------------------
CONFIGURATIONS = {
    "new tokens": {"max_new_tokens": 7},
    "length": {"max_length": 11},
    "sampled": {"do_sample": True, "temperature": 1.5, "max_new_tokens": 9},
    "beams": {"num_beams": 3, "max_new_tokens": 6, "length_penalty": 2.0},
    "penalty": {"repetition_penalty": 1.7, "max_new_tokens": 12, "return_dict_in_generate": True},
}


@pytest.mark.parametrize("name", CONFIGURATIONS)
@pytest.mark.parametrize("model_type", ["llama", "bart"])
def test_a_configuration_counts_as_it_is(model_type: str, name: str) -> None:
    lens = Lens(build(model_type), tokenizer())
    config = GenerationConfig(**CONFIGURATIONS[name])
    before = config.to_dict()
    ids = torch.tensor([[token.id for token in lens.tokenize(PROMPT)]])
    torch.manual_seed(5)
    # transformers' own generation with the same configuration
    out = lens.model.generate(
        ids, attention_mask=torch.ones_like(ids), generation_config=copy.deepcopy(config)
    )
    expected = getattr(out, "sequences", out)[0].tolist()
    torch.manual_seed(5)
    trace = lens.generate(PROMPT, generation_config=config)
    found = trace.sequences[0].ids
    if model_type == "bart":
        found = [trace.queries("cross")[0].id, *(token.id for token in trace.labels)]
    assert found == expected
    assert config.to_dict() == before, "left as it was found"


def test_keywords_count_before_a_configuration() -> None:
    lens = Lens(build("llama"), tokenizer())
    config = GenerationConfig(max_new_tokens=20, do_sample=True, min_new_tokens=3)
    trace = lens.generate(PROMPT, generation_config=config, max_new_tokens=3, do_sample=False)
    greedy = lens.generate(PROMPT, max_new_tokens=3, min_new_tokens=3)
    assert trace.sequences[0].ids == greedy.sequences[0].ids
    assert len(trace.queries()) == 6 + 3


@pytest.mark.parametrize("config", [None, GenerationConfig(min_new_tokens=50)])
def test_fifty_tokens_are_written_where_nobody_says_otherwise(
    config: GenerationConfig | None,
) -> None:
    lens = Lens(build("llama"), tokenizer())
    options = {"min_new_tokens": 50} if config is None else {"generation_config": config}
    assert len(lens.generate(PROMPT, **options).queries()) == 6 + 50
    assert len(lens.generate(PROMPT, max_length=None, **options).queries()) == 6 + 50


def test_a_models_own_configuration_samples_only_if_it_is_asked_for() -> None:
    lens = Lens(build("llama"), tokenizer())
    greedy = lens.generate(PROMPT, max_new_tokens=12).sequences[0].ids
    lens.model.generation_config.do_sample = True
    lens.model.generation_config.temperature = 5.0
    assert lens.generate(PROMPT, max_new_tokens=12).sequences[0].ids == greedy
    config = GenerationConfig(max_new_tokens=12)
    ids = torch.tensor([[token.id for token in lens.tokenize(PROMPT)]])
    torch.manual_seed(1)
    expected = lens.model.generate(
        ids, attention_mask=torch.ones_like(ids), generation_config=config
    )
    torch.manual_seed(1)
    sampled = lens.generate(PROMPT, generation_config=config).sequences[0].ids
    assert sampled == expected[0].tolist()
    assert sampled != greedy


@pytest.mark.parametrize(
    ("options", "n_new"), [({"max_new_tokens": 40}, 40), ({"max_length": 40}, 34)]
)
def test_the_window_is_checked_for_what_a_configuration_asks(
    options: dict[str, int], n_new: int
) -> None:
    lens = Lens(build("llama", max_position_embeddings=32), tokenizer())
    message = rf"6 tokens and {n_new} new ones.*max_new_tokens=26 at most"
    with pytest.raises(ValueError, match=message):
        lens.generate(PROMPT, generation_config=GenerationConfig(**options))
    with pytest.raises(ValueError, match=message):
        lens.generate(PROMPT, **options)


@pytest.mark.parametrize("model_type", ["llama", "bart"])
def test_a_model_without_a_head_cannot_write(model_type: str) -> None:
    lens = Lens(build(model_type).base_model, tokenizer())
    with pytest.raises(ValueError, match=r"has no head to write text with\. Load the model with"):
        lens.generate(PROMPT)


def test_a_configuration_that_asks_for_several_sequences_is_refused_as_well() -> None:
    lens = Lens(build("llama"), tokenizer())
    config = GenerationConfig(num_return_sequences=2, do_sample=True)
    with pytest.raises(ValueError, match="leave out num_return_sequences"):
        lens.generate(PROMPT, generation_config=config)
    with pytest.raises(TypeError, match=r"a transformers.GenerationConfig; got dict"):
        lens.generate(PROMPT, generation_config={"max_new_tokens": 3})  # type: ignore[arg-type]
