"""Generated text: the same as the model writes by itself, with the attention of every step."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import LogitsProcessor

from backend.parity import Errors, Float64Throughout, apart, in_float64, rounded_differently
from backend.tiny_models import DECODERS, ENCODER_DECODERS, TEXT, build, tokenizer
from glasshead_backend import Cancelled, Lens, Step, Trace

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
    reference = copy.deepcopy(model)
    reference.set_attn_implementation("eager")
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
