"""The weights shown are those of the model: compared with transformers' own eager attention."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy import special
from torch import nn
from torch.nn import functional

from glasshead_backend import Lens
from glasshead_backend.capture.tap import SoftmaxTap
from glasshead_backend.trace import run_of
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.parity import EXACT, NOISE, Errors, apart, errors, in_float64
from support.tiny_models import (
    DECODERS,
    ENCODER_DECODERS,
    ENCODERS,
    TEXT,
    build,
    eager_attentions,
    tokenizer,
)
from support.versions import older_than

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

TARGET = "a lazy fox runs over the sea"


def lens_weights(model: PreTrainedModel, *texts: str) -> list[Tensor]:
    """All weights that the lens shows, by kind and layer."""
    trace = Lens(model, tokenizer()).trace(*texts)
    return [
        trace.attention(layer, kind=kind) for kind in trace.kinds for layer in trace.layers(kind)
    ]


def eager_weights(model: PreTrainedModel, *texts: str) -> list[Tensor]:
    """The same by transformers: tokens as the tokenizer has them, the target shifted right."""
    ids = [torch.tensor([tokenizer()(text).input_ids]) for text in texts]
    if len(ids) == 1:
        return [weights[0] for weights in eager_attentions(model, input_ids=ids[0]).attentions]
    start = torch.tensor([[model.config.decoder_start_token_id]])
    shifted = torch.cat([start, ids[1][:, :-1]], dim=1)
    out = eager_attentions(model, input_ids=ids[0], decoder_input_ids=shifted)
    kinds = out.encoder_attentions, out.decoder_attentions, out.cross_attentions
    return [weights[0] for of_kind in kinds for weights in of_kind]


def parity(model: PreTrainedModel, *texts: str) -> Errors:
    return errors(
        model, lambda one: lens_weights(one, *texts), lambda one: eager_weights(one, *texts)
    )


def peakedness(attentions: list[Tensor]) -> float:
    return float(torch.stack([a.amax(-1).mean() for a in attentions]).mean())


@pytest.mark.parametrize("model_type", [*DECODERS, *ENCODERS])
def test_self_attention_equals_eager_output_attentions(model_type: str) -> None:
    model = build(model_type)
    implementation = model.config._attn_implementation
    assert peakedness(eager_weights(model, TEXT)) > 0.15, "a uniform pattern would hide mistakes"
    assert parity(model, TEXT).problem == ""
    assert model.config._attn_implementation == implementation


@pytest.mark.parametrize("model_type", ENCODER_DECODERS)
def test_all_three_kinds_of_an_encoder_decoder_equal_eager(model_type: str) -> None:
    model = build(model_type)
    trace = Lens(model, tokenizer()).trace(TEXT, TARGET)
    assert trace.kinds == ("encoder", "decoder", "cross")
    assert parity(model, TEXT, TARGET).problem == ""


@pytest.mark.parametrize(
    ("model_type", "largest"),
    [
        ("gpt2", EXACT),
        ("bert", EXACT),
        ("t5", EXACT),
        # From 5.24 on its file casts its softmax, too.
        ("gptj", EXACT if older_than("5.24") else NOISE),
        # These files cast their softmax to float32.
        ("llama", NOISE),
        ("phi3", NOISE),
        ("olmo", NOISE),
    ],
)
def test_a_model_in_float64_is_answered_in_float64(model_type: str, largest: float) -> None:
    texts = (TEXT, TARGET) if model_type == "t5" else (TEXT,)
    model = in_float64(build(model_type))
    # Computed by the very same code, one rounding is not magnified by the layers behind it.
    model.set_attn_implementation("eager")
    shown = lens_weights(model, *texts)
    assert {weights.dtype for weights in shown} == {torch.float64}
    assert apart(shown, eager_weights(model, *texts)) <= largest


@pytest.mark.parametrize("model_type", ["llama", "gpt_oss", "t5", "gptj"])
def test_whatever_is_made_of_float64_weights_keeps_their_precision(model_type: str) -> None:
    model = in_float64(build(model_type))
    words = Lens(model, tokenizer(), words=lambda text: [text.split()[0], *text.split()[1:]])
    trace = words.trace(*((TEXT, TARGET) if model_type == "t5" else (TEXT,)))
    kind = trace.kinds[0]
    layers = trace.layers(kind)
    whole = torch.stack([trace.attention(layer, kind=kind) for layer in layers])
    n_tokens = whole.shape[-1]
    pooled = trace.pooled_attention(1, kind=kind, size=n_tokens // 4, pool="mean")
    size, n_pixels = pooled.per_pixel, pooled.values.shape[-1]
    by_pixel = torch.tensor(
        [[i // size == pixel for i in range(n_tokens)] for pixel in range(n_pixels)]
    )
    pool = by_pixel.double() / by_pixel.sum(1, keepdim=True)
    mixed = (whole.mean(1) + torch.eye(n_tokens)) / (whole.mean(1).sum(-1, keepdim=True) + 1)
    expected = {
        "rows": (trace.attention(1, kind=kind, rows=[3])[:, 0], whole[1][:, 3]),
        "head": (trace.attention(1, [2], kind=kind)[0], whole[1][2]),
        "mean": (trace.attention(1, kind=kind, aggregate="mean"), whole[1].mean(0)),
        "layers": (trace.mean_attention(kind=kind), whole.mean((0, 1))),
        "column": (trace.token_attention(2, kind=kind, direction="to"), whole[..., 2]),
        "strongest": (trace.strongest_keys(1, 1, kind=kind).weights[..., 0], whole[1].amax(-1)),
        "picture": (pooled.values, pool @ whole[1] @ pool.T),
        "rollout": (trace.rollout(kind=kind), torch.linalg.multi_dot([*mixed.flip(0)])),
    }
    for name, (found, right) in expected.items():
        assert found.dtype == torch.float64, name
        torch.testing.assert_close(found, right, rtol=0, atol=1e-12, msg=name)


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
    lens = Lens(in_float64(build(model_type)), tokenizer())
    trace = lens.trace(TEXT, TEXT if model_type == "t5" else None)
    for kind in trace.kinds:
        whole = trace.attention(1, kind=kind)
        part = trace.attention(1, [3, 0], kind=kind, rows=[7, 2, -1])
        torch.testing.assert_close(part, whole[[3, 0]][:, [7, 2, -1]])
        torch.testing.assert_close(trace.token_attention(4, kind=kind)[1], whole[:, 4])
        torch.testing.assert_close(
            trace.token_attention(4, kind=kind, direction="to")[1], whole[:, :, 4]
        )
        torch.testing.assert_close(trace.attention(1, kind=kind, aggregate="mean"), whole.mean(0))
        torch.testing.assert_close(trace.attention(1, kind=kind, aggregate="max"), whole.amax(0))


def test_a_text_longer_than_one_row_block_equals_eager_too() -> None:
    model = build("llama", max_position_embeddings=1024)
    text = " ".join([TEXT] * 16)
    assert len(Lens(model, tokenizer()).tokenize(text)) > 256
    assert parity(model, text).problem == ""


@pytest.mark.parametrize("model_type", ["gpt2", "gemma2", "bert"])
def test_scores_are_what_enters_the_softmax(model_type: str) -> None:
    trace = Lens(build(model_type), tokenizer()).trace(TEXT)
    weights = trace.attention(1)
    torch.testing.assert_close(trace.attention(1, scores=True).softmax(-1), weights)
    # Rows that see less than the whole map.
    scores = trace.attention(1, rows=[0, 1], scores=True)
    torch.testing.assert_close(scores.softmax(-1), weights[:, :2])


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
    assert parity(model, *((TEXT, TARGET) if model_type == "t5" else (TEXT,))).problem == ""


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_can_be_recomputed_in_float32(dtype: torch.dtype) -> None:
    trace = Lens(build("llama").to(dtype), tokenizer()).trace(TEXT)
    call = run_of(trace).call(0)

    def computed_in(wide: torch.dtype) -> Tensor:
        query, key = call.query.to(wide), call.key.to(wide).repeat_interleave(2, dim=1)
        scores = query @ key.transpose(-1, -2) * call.scaling
        hidden = torch.ones(scores.shape[-2:]).triu(1).bool()
        return scores.masked_fill(hidden, -torch.inf).softmax(-1)[0]

    exact = computed_in(torch.float64)
    recomputed = trace.attention(0, precision="float32")
    assert recomputed.dtype == torch.float32
    noise = apart([computed_in(torch.float32)], [exact])
    assert apart([recomputed], [exact]) <= 2 * noise + NOISE
    assert apart([trace.attention(0)], [exact]) > 100 * (noise + NOISE)


def test_modules_that_attend_by_themselves_are_recomputed_in_float32_too() -> None:
    model = build_case(case_or_skip("falcon/FalconForCausalLM")).to(torch.bfloat16)
    trace = Lens(model, tokenizer()).trace(TEXT)
    # A row of bfloat16 weights, each rounded to 8 bits, sums to 1 only roughly.
    off = [
        float((trace.attention(0, precision=precision).double().sum(-1) - 1).abs().max())
        for precision in ("model", "float32")
    ]
    assert off[0] > 1e-4
    assert off[1] < 1e-6


@pytest.mark.parametrize(
    "softmax",
    [
        lambda scores: torch.softmax(scores, 1),
        lambda scores: scores.softmax(1),
        lambda scores: functional.softmax(scores, 1),
        lambda scores: torch.softmax(scores, dim=1),
        lambda scores: functional.softmax(scores, dim=-2),
        nn.Softmax(1),
    ],
)
def test_a_softmax_over_any_axis_is_seen_with_that_axis_last(softmax: Any) -> None:
    scores = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    seen: list[tuple[Tensor, Tensor]] = []
    with SoftmaxTap(lambda *pair: seen.append(pair), lambda _: None):
        softmax(scores)
    ((before, weights),) = seen
    assert torch.equal(before, scores.transpose(1, 2))
    expected = special.softmax(scores.double().numpy(), axis=1).transpose(0, 2, 1)
    np.testing.assert_allclose(weights, expected, atol=1e-6)


class AttendsInside(nn.Module):
    """Does nothing to what it is given, but calls torch's fused attention for itself."""

    def forward(self, given: Tensor) -> Tensor:
        pair = torch.zeros(1, 1, 2, 8)
        functional.scaled_dot_product_attention(pair, pair, pair)
        return given


def test_fused_attention_inside_a_module_with_a_softmax_of_its_own_is_not_its_map() -> None:
    model = build_case(case_or_skip("xlnet/XLNetLMHeadModel"))
    expected = eager_weights(model, TEXT)
    for layer in model.get_submodule("transformer.layer").children():
        layer.get_submodule("rel_attn").dropout = AttendsInside()
    shown = lens_weights(model, TEXT)
    assert len(shown) == len(expected)
    for weights, one in zip(shown, expected, strict=True):
        torch.testing.assert_close(weights, one)


@pytest.mark.parametrize("model_type", ["llama", "gpt_oss", "gptj", "t5"])
def test_every_second_row_is_that_of_all(model_type: str) -> None:
    texts = (TEXT, TARGET) if model_type == "t5" else (TEXT,)
    model = build(model_type)
    (expected, *_) = eager_weights(model, *texts)
    trace = Lens(model, tokenizer()).trace(*texts)
    for rows in (range(1, 18, 2), range(12, 3, -3), range(2, 9)):
        found = trace.attention(0, kind=trace.kinds[0], rows=rows)
        torch.testing.assert_close(found, expected[:, list(rows)], rtol=1e-4, atol=1e-5)
