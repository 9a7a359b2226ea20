"""Generated text: the same as the model writes by itself, with the attention of every step."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from tokenizers import normalizers, processors
from transformers import AddedToken, GenerationConfig

from backend.tiny_models import DECODERS, ENCODER_DECODERS, TEXT, build, eager_copy, tokenizer
from glasshead_backend import Cancelled, Lens, Step, Trace

TOLERANCE = 1e-5
PROMPT = "the quick brown fox jumps over"
MODES: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampled": {"do_sample": True, "temperature": 1.5},
    "beams": {"num_beams": 4, "min_new_tokens": 6},
    "sampled beams": {"num_beams": 3, "do_sample": True},
}


def generate_by_steps(lens: Lens, options: dict[str, Any]) -> Any:
    """What transformers' own generation reports, in eager mode."""
    reference = eager_copy(lens.model)
    ids = torch.tensor([[token.id for token in lens.tokenize(PROMPT)]])
    return reference.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=12,
        output_attentions=True,
        return_dict_in_generate=True,
        **options,
    )


def rows_by_steps(out: Any, attentions: Any) -> list[list[torch.Tensor]]:
    """Rows of the sequence that was returned, ``[heads, queries, keys]`` by step and layer."""
    beams = getattr(out, "beam_indices", None)
    chosen = [0] * len(attentions) if beams is None else beams[0].tolist()
    return [
        [layer[row] for layer in step]
        for step, row in zip(attentions, chosen, strict=False)
        if row >= 0  # a finished sequence is not run any more
    ]


def worst(trace: Trace, kind: str, by_steps: list[list[torch.Tensor]]) -> float:
    """Largest difference of any row. A window's cache reports only its own, last keys."""
    differences: list[torch.Tensor] = []
    row = 0
    for step in by_steps:
        for layer, reported in enumerate(step):
            rows = range(row, row + reported.shape[1])
            own = trace.attention(layer, kind=kind, rows=rows)
            own = own if kind == "cross" else own[..., : rows.stop]
            kept = reported.shape[-1]
            assert not own[..., :-kept].any()
            differences.append((own[..., -kept:] - reported).abs().max())
        row += step[0].shape[1]
    return float(torch.stack(differences).max())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", DECODERS)
def test_rows_of_a_continuation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    lens = Lens(build(model_type), tokenizer())
    torch.manual_seed(3)
    out = generate_by_steps(lens, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    assert trace.sequences[0].ids == out.sequences[0].tolist()
    assert [token.generated for token in trace.queries()].count(True) == len(trace.queries()) - 6
    by_steps = rows_by_steps(out, out.attentions)
    assert len(by_steps) > 3
    assert worst(trace, "self", by_steps) <= TOLERANCE


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_rows_of_a_translation_equal_those_of_every_step(model_type: str, mode: str) -> None:
    # transformers' cache counts the layers of T5's encoder, whichever side it is for.
    changes = {"num_decoder_layers": 2} if model_type == "t5" else {}
    lens = Lens(build(model_type, **changes), tokenizer())
    torch.manual_seed(3)
    out = generate_by_steps(lens, MODES[mode])
    torch.manual_seed(3)
    trace = lens.generate(PROMPT, max_new_tokens=12, **MODES[mode])
    start, *labels = out.sequences[0].tolist()
    assert [token.id for token in trace.labels] == labels
    assert [token.id for token in trace.queries("cross")] == [start, *labels[:-1]]
    for kind, reported in (("decoder", out.decoder_attentions), ("cross", out.cross_attentions)):
        by_steps = rows_by_steps(out, reported)
        assert worst(trace, kind, by_steps) <= TOLERANCE
    torch.testing.assert_close(trace.attention(1, kind="encoder"), out.encoder_attentions[1][0])


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
