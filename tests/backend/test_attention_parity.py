"""The weights shown are those of the model: compared with transformers' own eager attention."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch

from backend.tiny_models import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    TEXT,
    build,
    eager_attentions,
    tokenizer,
)
from backend.versions import older_than
from glasshead_backend import Lens, Trace

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-5


def worst(trace: Trace, kind: str, reference: tuple[Tensor, ...]) -> float:
    layers = trace.layers(kind)
    assert layers == list(range(len(reference)))
    differences = [
        (trace.attention(layer, kind=kind) - reference[layer][0]).abs().max() for layer in layers
    ]
    return float(torch.stack(differences).max())


def peakedness(attentions: tuple[Tensor, ...]) -> float:
    return float(torch.stack([a.amax(-1).mean() for a in attentions]).mean())


@pytest.mark.parametrize("model_type", [*DECODERS, *ENCODERS])
def test_self_attention_equals_eager_output_attentions(model_type: str) -> None:
    model = build(model_type)
    implementation = model.config._attn_implementation
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = torch.tensor([[token.id for token in trace.queries()]])
    reference = eager_attentions(model, input_ids=ids).attentions
    assert peakedness(reference) > 0.15, "a uniform pattern would hide mistakes"
    assert worst(trace, "self", reference) <= TOLERANCE
    assert model.config._attn_implementation == implementation


@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_all_three_kinds_of_an_encoder_decoder_equal_eager(model_type: str) -> None:
    model = build(model_type)
    trace = Lens(model, tokenizer()).trace(TEXT, "a lazy fox runs over the sea")
    assert trace.kinds == ("encoder", "decoder", "cross")
    reference = eager_attentions(
        model,
        input_ids=torch.tensor([[token.id for token in trace.keys("cross")]]),
        decoder_input_ids=torch.tensor([[token.id for token in trace.queries("cross")]]),
    )
    assert worst(trace, "encoder", reference.encoder_attentions) <= TOLERANCE
    assert worst(trace, "decoder", reference.decoder_attentions) <= TOLERANCE
    assert worst(trace, "cross", reference.cross_attentions) <= TOLERANCE


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "mistral", "t5", "bert"])
def test_the_models_run_sdpa_while_they_are_traced(
    model_type: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    stock = torch.nn.functional.scaled_dot_product_attention

    def counted(*args: object, **kwargs: object) -> Tensor:
        calls.append(1)
        return stock(*args, **kwargs)

    if model_type == "t5" and older_than("5.15"):
        pytest.skip("T5 cannot be run by SDPA before transformers 5.15")
    model = build(model_type)
    assert model.config._attn_implementation == "sdpa"
    lens = Lens(model, tokenizer())
    _ = lens.family  # the probe is not counted
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", counted)
    trace = lens.trace(TEXT, TEXT if model_type == "t5" else None)
    assert len(calls) == sum(len(trace.layers(kind)) for kind in trace.kinds)


@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_rows_heads_and_columns_asked_for_are_parts_of_the_whole(model_type: str) -> None:
    trace = Lens(build(model_type), tokenizer()).trace(TEXT, TEXT if model_type == "t5" else None)
    for kind in trace.kinds:
        whole = trace.attention(1, kind=kind)
        part = trace.attention(1, [3, 0], kind=kind, rows=[7, 2, -1])
        torch.testing.assert_close(part, whole[[3, 0]][:, [7, 2, -1]])
        torch.testing.assert_close(
            trace.token_attention(4, kind=kind)[1], whole[:, 4], rtol=0, atol=1e-6
        )
        torch.testing.assert_close(
            trace.token_attention(4, kind=kind, direction="to")[1], whole[:, :, 4]
        )
        torch.testing.assert_close(trace.attention(1, kind=kind, aggregate="mean"), whole.mean(0))
        torch.testing.assert_close(trace.attention(1, kind=kind, aggregate="max"), whole.amax(0))


def test_a_text_longer_than_one_row_block_equals_eager_too() -> None:
    model = build("llama", max_position_embeddings=1024)
    text = " ".join([TEXT] * 16)
    trace = Lens(model, tokenizer()).trace(text)
    assert len(trace.queries()) > 256
    ids = torch.tensor([[token.id for token in trace.queries()]])
    assert worst(trace, "self", eager_attentions(model, input_ids=ids).attentions) <= TOLERANCE


@pytest.mark.parametrize("model_type", ["gpt2", "gemma2", "bert"])
def test_scores_are_what_enters_the_softmax(model_type: str) -> None:
    trace = Lens(build(model_type), tokenizer()).trace(TEXT)
    weights = trace.attention(1)
    torch.testing.assert_close(trace.attention(1, scores=True).softmax(-1), weights)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_are_those_that_the_model_reports(dtype: torch.dtype) -> None:
    model = build("llama").to(dtype)
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = torch.tensor([[token.id for token in trace.queries()]])
    reference = eager_attentions(model, input_ids=ids).attentions
    # In the first layer the inputs are the same to the bit; later ones differ by what SDPA and
    # eager round differently.
    assert torch.equal(trace.attention(0), reference[0][0].float())


def test_a_models_eager_function_is_used_where_our_arithmetic_would_differ(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build("llama")
    whole = Lens(model, tokenizer()).trace(TEXT).attention(1)
    file = sys.modules[type(model).__module__]
    stock = file.eager_attention_forward

    def halved(*args: object, **kwargs: object) -> tuple[Tensor, Tensor]:
        output, weights = stock(*args, **kwargs)
        return output, weights / 2

    monkeypatch.setattr(file, "eager_attention_forward", halved)
    trace = Lens(model, tokenizer()).trace(TEXT)
    assert trace.path(1) == "eager"
    torch.testing.assert_close(trace.attention(1), whole / 2)


def test_sinks_leave_rows_that_sum_to_less_than_one() -> None:
    trace = Lens(build("gpt_oss"), tokenizer()).trace(TEXT)
    sums = trace.attention(0).sum(-1)
    assert sums.min() < 0.95
    assert sums.max() <= 1 + 1e-6


@pytest.mark.parametrize("model_type", ["llama", "mistral", "bert", "t5"])
def test_an_eager_model_is_read_as_well(model_type: str) -> None:
    model = build(model_type)
    model.set_attn_implementation("eager")
    target = TEXT if model_type == "t5" else None
    trace = Lens(model, tokenizer()).trace(TEXT, target)
    kind = trace.default_kind
    sides = {"input_ids": torch.tensor([[t.id for t in trace.keys(kind)]])}
    if target:
        sides["decoder_input_ids"] = torch.tensor([[t.id for t in trace.queries(kind)]])
    out = eager_attentions(model, **sides)
    reference = out.cross_attentions if target else out.attentions
    assert worst(trace, kind, reference) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_can_be_recomputed_in_float32(dtype: torch.dtype) -> None:
    trace = Lens(build("llama").to(dtype), tokenizer()).trace(TEXT)
    call = trace.call(0)
    query, key = call.query.double(), call.key.double().repeat_interleave(2, dim=1)
    scores = query @ key.transpose(-1, -2) * call.scaling
    hidden = torch.ones(scores.shape[-2:]).triu(1).bool()
    exact = scores.masked_fill(hidden, -torch.inf).softmax(-1)[0]
    recomputed = trace.attention(0, precision="float32")
    torch.testing.assert_close(recomputed.double(), exact, rtol=0, atol=1e-6)
    assert not torch.equal(recomputed, trace.attention(0))
