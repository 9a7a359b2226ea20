"""Many texts in one pass: every trace is as if its text had been traced alone."""

from __future__ import annotations

import copy
from itertools import product
from typing import TYPE_CHECKING

import pytest
import torch

from glasshead_backend import Lens
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.parity import EXACT, Float64Throughout, apart, in_float64
from support.tiny_models import (
    ENCODER_DECODERS,
    ENCODERS,
    TEXT,
    WORDS,
    build,
    eager_attentions,
    tokenizer,
)

if TYPE_CHECKING:
    from glasshead_backend import Trace

TEXTS = [
    "the quick fox",
    TEXT,
    "a whale at sea and the old dog",
    "the lazy dog jumps over a quick brown fox and runs away from the whale",
]
TARGETS = ["a dog", "the fox runs over the sea", "old whale", TEXT]


def padded(tokens: list[list[int]], side: str) -> tuple[torch.Tensor, torch.Tensor]:
    most = max(map(len, tokens))
    ids, mask = torch.zeros(len(tokens), most, dtype=torch.long), torch.zeros(len(tokens), most)
    for row, own in enumerate(tokens):
        at = slice(most - len(own), most) if side == "left" else slice(0, len(own))
        ids[row, at], mask[row, at] = torch.tensor(own), 1
    return ids, mask.long()


@pytest.mark.parametrize(
    ("model_type", "side"),
    [
        *product(["gpt2", "llama", "mistral", "gemma2", "gpt_oss", "gptj"], ["left", "right"]),
        *product(ENCODERS, ["right"]),
    ],
)
def test_padded_texts_have_the_attention_that_eager_reports_of_the_padded_batch(
    model_type: str, side: str
) -> None:
    model, words = in_float64(build(model_type)), tokenizer()
    words.padding_side = side
    with Float64Throughout():
        traces = list(Lens(model, words).trace_many(TEXTS))
    assert [trace.sequences[0].text for trace in traces] == TEXTS
    ids, mask = padded([trace.sequences[0].ids for trace in traces], side)
    inputs = {"input_ids": ids, "attention_mask": mask}
    if side == "left":
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp_min(0)
    with Float64Throughout():
        reference = eager_attentions(model, **inputs).attentions
        for row, trace in enumerate(traces):
            real = mask[row].bool()
            weights = [trace.attention(layer) for layer in trace.layers()]
            expected = [layer[row][:, real][:, :, real] for layer in reference]
            assert apart(weights, expected) <= EXACT


@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_padded_sources_and_targets_change_nothing(model_type: str) -> None:
    lens = Lens(in_float64(build(model_type)), tokenizer())
    with Float64Throughout():
        batch = lens.trace_many(TEXTS, TARGETS)
        for together, text, target in zip(batch, TEXTS, TARGETS, strict=True):
            same_answers(together, lens.trace(text, target))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gptj", "bert"])
def test_a_text_traced_with_others_answers_as_if_traced_alone(model_type: str, side: str) -> None:
    words = tokenizer()
    words.padding_side = side
    lens = Lens(in_float64(build(model_type)), words)
    with Float64Throughout():
        for together, text in zip(lens.trace_many(TEXTS, batch_size=3), TEXTS, strict=True):
            same_answers(together, lens.trace(text))


PADDING_CHANGES = [
    "convbert/ConvBertForMaskedLM",
    "nystromformer/NystromformerForMaskedLM",
    "doge/DogeForCausalLM",
    "deepseek_v32/DeepseekV32ForCausalLM",
    "glm_moe_dsa/GlmMoeDsaForCausalLM",
    "axk2/AXK2ForCausalLM",
    "dots3_note_text/Dots3NoteForCausalLM",
    "hy_v4/HYV4ForCausalLM",
    "cpmant/CpmAntForCausalLM",
]


def forwards_of(lens: Lens) -> int:
    """How many forwards it takes to trace the texts once more."""
    seen: list[int] = []
    handle = lens.model.register_forward_pre_hook(lambda *_: seen.append(1))
    for trace in lens.trace_many(TEXTS):
        trace.close()
    handle.remove()
    return len(seen)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", PADDING_CHANGES)
def test_a_text_among_others_is_as_alone_where_padding_changes_the_models_own_output(
    name: str, side: str
) -> None:
    words = tokenizer()
    words.padding_side = side
    lens = Lens(in_float64(build_case(case_or_skip(name))), words)
    with Float64Throughout():
        for together, text in zip(lens.trace_many(TEXTS), TEXTS, strict=True):
            same_answers(together, lens.trace(text))
    assert forwards_of(lens) == len(TEXTS), "one by one"


def test_a_text_among_others_is_as_alone_where_rows_are_pooled_from_neighbours() -> None:
    # Funnel pools pairs, and cuts what is left over: that depends on the length of the batch.
    lens = Lens(in_float64(build_case(case_or_skip("funnel/FunnelForMaskedLM"))), tokenizer())
    texts = [" ".join(WORDS[:n]) for n in (17, 16, 15, 13, 10, 8, 7, 6, 5)]
    with Float64Throughout():
        for together, text in zip(lens.trace_many(texts, batch_size=9), texts, strict=True):
            same_answers(together, lens.trace(text))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("model_type", ["gpt2", "qwen3"])
def test_where_padding_changes_nothing_texts_stay_in_one_forward(
    model_type: str, side: str
) -> None:
    words = tokenizer()
    words.padding_side = side
    lens = Lens(build(model_type), words)
    assert lens.family == "decoder"
    assert forwards_of(lens) == 3, "one of all, and two texts alone to see that it may be"
    assert lens.anatomy.padding.side(side) == side
    assert forwards_of(lens) == 1


def same_answers(one: Trace, other: Trace) -> None:
    assert one.kinds == other.kinds
    for kind in one.kinds:
        for layer in one.layers(kind):
            weights = [trace.attention(layer, kind=kind) for trace in (one, other)]
            assert apart(weights[:1], weights[1:]) <= EXACT
        for block, by_layer in one.norms(kind).items():
            for layer, norm in by_layer.items():
                torch.testing.assert_close(norm, other.norms(kind)[block][layer])
    torch.testing.assert_close(
        one.predictions().surprisal,
        other.predictions().surprisal,
        equal_nan=True,
        rtol=0,
        atol=1e-4,
    )


def test_a_stream_of_texts_is_traced_as_it_comes() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    taken: list[int] = []

    def stream() -> object:
        number = 0
        while True:
            taken.append(number)
            yield TEXTS[number % len(TEXTS)]
            number += 1

    traces = lens.trace_many(stream(), batch_size=2)  # type: ignore[arg-type]
    assert next(traces).text == TEXTS[0]
    assert len(taken) == 8


def test_mistakes_name_the_text() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    with pytest.raises(ValueError, match="Text 1: The text is empty"):
        list(lens.trace_many(["the fox", ""]))
    with pytest.raises(TypeError, match="single one use trace"):
        next(lens.trace_many("the fox"))
    with pytest.raises(ValueError, match="at least 1"):
        next(lens.trace_many(["the fox"], batch_size=0))
    with pytest.raises(ValueError, match="no target number 1"):
        list(Lens(build("bart"), tokenizer()).trace_many(["the fox", "a dog"], ["the sea"]))


def test_the_model_is_left_as_found_by_a_batch() -> None:
    model = build("t5")
    before = copy.deepcopy(model.state_dict())
    list(Lens(model, tokenizer()).trace_many(TEXTS, TARGETS))
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
