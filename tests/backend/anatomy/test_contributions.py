"""What a block adds to the residual stream is what makes the sum close, or it is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from glasshead_backend import Lens, layer_similarity, mutual_information
from glasshead_backend.statistics.norms import Norm
from support.adapters import LowRank
from support.architectures.building import all_cases
from support.architectures.building import build as build_case
from support.architectures.checking import batch_inputs
from support.architectures.contributions import check_contributions
from support.architectures.reference import call
from support.tiny_models import CONFIGS, TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from glasshead_backend import Trace

TARGET = "a lazy fox runs over the sea"
CASES = {case.name: case for case in all_cases()}


def trace_of(model: Any) -> Trace:
    return Lens(model, tokenizer()).trace(TEXT, TARGET if model.config.is_encoder_decoder else None)


def inputs_of(trace: Trace) -> dict[str, Tensor]:
    return batch_inputs([[sequence.ids] for sequence in trace.sequences], left=False)


@torch.no_grad()
def put_out(trace: Trace, paths: list[str]) -> list[Tensor]:
    """What modules return at the moment when they return it, one text, ``[tokens, hidden]``."""
    model, kept = trace.lens.model, {}
    handles = [
        model.get_submodule(path).register_forward_hook(
            lambda _, __, output, path=path: kept.__setitem__(
                path, (output if isinstance(output, torch.Tensor) else output[0]).clone()
            )
        )
        for path in paths
    ]
    call(model, inputs_of(trace))
    for handle in handles:
        handle.remove()
    return [kept[path].reshape(-1, kept[path].shape[-1]) for path in paths]


# --- the sum closes -------------------------------------------------------------------------------
# As a person who has read the model file would hook them: class, layer, attention, MLP.
NAMED = [
    ("falcon/FalconForCausalLM", "transformer.h.{}.", "self_attention.dense", "mlp"),
    ("gptj/GPTJForCausalLM", "transformer.h.{}.", "attn.out_proj", "mlp"),
    ("granitemoe/GraniteMoeForCausalLM", "model.layers.{}.", "self_attn", "block_sparse_moe"),
    ("llama4_text/Llama4ForCausalLM", "model.layers.{}.", "self_attn", "feed_forward"),
    ("minicpm3/MiniCPM3ForCausalLM", "model.layers.{}.", "self_attn", "mlp"),
    ("minimax/MiniMaxForCausalLM", "model.layers.{}.", "self_attn", "mlp"),
    (
        "convbert/ConvBertForMaskedLM",
        "convbert.encoder.layer.{}.",
        "attention.output.dense",
        "output.dense",
    ),
    ("xlnet/XLNetLMHeadModel", "transformer.layer.{}.", "rel_attn.dropout", "ff.layer_2"),
    ("bloom/BloomForCausalLM", "transformer.h.{}.", "self_attention.dense", "mlp.dense_4h_to_h"),
    ("hyperclovax/HyperCLOVAXForCausalLM", "model.layers.{}.", "post_norm1", "post_norm2"),
]


@pytest.mark.parametrize(("name", "layer", "attention", "mlp"), NAMED, ids=[n[0] for n in NAMED])
def test_attention_and_mlp_are_those_of_the_model_file(
    name: str, layer: str, attention: str, mlp: str
) -> None:
    trace = trace_of(build_case(CASES[name]))
    config: Any = trace.lens.model.config
    scale = 1.0
    if config.model_type == "minicpm3":
        scale = config.scale_depth / config.num_hidden_layers**0.5
        assert scale != 1
    for number in trace.layers():
        paths = [layer.format(number) + path for path in (attention, mlp)]
        for block, one in zip(("attention", "mlp"), put_out(trace, paths), strict=True):
            expected = scale * one
            torch.testing.assert_close(trace.activations(number, block), expected)  # type: ignore[arg-type]
            torch.testing.assert_close(trace.norms()[block][number], expected.norm(dim=-1))


@pytest.mark.parametrize(
    "name",
    [
        "bart/BartForConditionalGeneration",
        "beam/BeamForCausalLM",
        "cpmant/CpmAntForCausalLM",
        "deberta-v2/DebertaV2ForMaskedLM",
        "doge/DogeForCausalLM",
        "esmc/EsmcForMaskedLM",
        "falcon_h1/FalconH1ForCausalLM",
        "fsmt/FSMTForConditionalGeneration",
        "gemma4_text/Gemma4ForCausalLM",
        "gpt_neox_japanese/GPTNeoXJapaneseForCausalLM",
        "granitemoehybrid/GraniteMoeHybridForCausalLM",
        "longformer/LongformerForMaskedLM",
        "nemotron_h/NemotronHForCausalLM",
        "neomme/NeoMMEForMaskedLM",
        "nystromformer/NystromformerForMaskedLM",
        "prophetnet/ProphetNetForConditionalGeneration",
        "xmod/XmodForMaskedLM",
    ],
)
def test_input_and_contributions_make_the_output_of_every_layer(name: str) -> None:
    trace = trace_of(build_case(CASES[name]))
    said = check_contributions(trace, inputs_of(trace))
    assert set(said.split("; ")) <= {"closes", "closes behind the norm", "closes, stream scaled"}
    for kind in trace.kinds:
        assert trace.unclear_blocks(kind) == {}


def scaled(model_type: str, **changes: Any) -> nn.Module:
    """A tiny Llama-like model of another type, with other numbers in its configuration."""
    config = AutoConfig.for_model(model_type, **{**CONFIGS["llama"], **changes})
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "emb" not in name:
                parameter.normal_(0, 2.0 * parameter.shape[-1] ** -0.5)
    return model.eval()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_granites_multiplier_counts(dtype: torch.dtype) -> None:
    model = scaled("granite", residual_multiplier=0.22).to(dtype)
    trace = trace_of(model)
    paths = ["model.layers.1.self_attn.o_proj", "model.layers.1.mlp.down_proj"]
    for block, one in zip(("attention", "mlp"), put_out(trace, paths), strict=True):
        torch.testing.assert_close(trace.activations(1, block), one * 0.22)  # type: ignore[arg-type]
        expected = (one * 0.22).float().norm(dim=-1)
        torch.testing.assert_close(trace.norms()[block][1], expected)


def test_minimax_scales_what_is_added_and_what_it_is_added_to() -> None:
    case = CASES["minimax/MiniMaxForCausalLM"]
    model: Any = build_case(case)
    for layer in model.model.layers:
        layer.attn_alpha_factor, layer.attn_beta_factor = 1.5, 0.4
        layer.mlp_alpha_factor, layer.mlp_beta_factor = 0.8, 0.3
    trace = trace_of(model)
    (attention, mlp) = put_out(trace, ["model.layers.0.self_attn", "model.layers.0.mlp"])
    torch.testing.assert_close(trace.activations(0, "attention"), 0.4 * attention)
    torch.testing.assert_close(trace.activations(0, "mlp"), 0.3 * mlp)


def test_zaya_shifts_and_scales_every_channel_of_what_it_adds() -> None:
    model: Any = build_case(CASES["zaya/ZayaForCausalLM"])
    torch.manual_seed(1)
    with torch.no_grad():
        for layer in model.model.layers:
            for name in ("hidden_states_scale", "hidden_states_bias", "residual_scale"):
                for module in (layer.post_attention_residual_scale, layer.post_mlp_residual_scale):
                    getattr(module, name).normal_(1.0, 0.3)
    trace = trace_of(model)
    (attention,) = put_out(trace, ["model.layers.1.self_attn.o_proj"])
    by_channel = model.model.layers[1].post_attention_residual_scale
    expected = (attention + by_channel.hidden_states_bias) * by_channel.hidden_states_scale
    torch.testing.assert_close(trace.activations(1, "attention"), expected.detach())
    assert check_contributions(trace, inputs_of(trace)) == "closes, stream scaled"


def test_gemma_4s_per_layer_inputs_are_another_block() -> None:
    model: Any = build_case(CASES["gemma4_text/Gemma4ForCausalLM"])
    for layer in model.model.layers:
        layer.layer_scalar.fill_(1.3)
    trace = trace_of(model)
    paths = ["post_attention_layernorm", "post_feedforward_layernorm", "post_per_layer_input_norm"]
    expected = put_out(trace, [f"model.layers.2.{path}" for path in paths])
    blocks: Any = ("attention", "mlp", "other")
    for block, one in zip(blocks, expected, strict=True):
        torch.testing.assert_close(trace.activations(2, block), one)
    # The whole stream is scaled behind them: that is nobody's contribution.
    total = trace.activations(1, "residual") + sum(expected)
    torch.testing.assert_close(trace.activations(2, "residual"), 1.3 * total)


def test_a_state_space_beside_attention_is_a_mixer() -> None:
    trace = trace_of(build_case(CASES["falcon_h1/FalconH1ForCausalLM"]))
    layer = "model.layers.1."
    paths = [f"{layer}self_attn.o_proj", f"{layer}mamba.out_proj", f"{layer}feed_forward"]
    blocks: Any = ("attention", "mixer", "mlp")
    for block, one in zip(blocks, put_out(trace, paths), strict=True):
        torch.testing.assert_close(trace.activations(1, block), one)


def test_a_layer_that_adds_its_input_twice_is_refused_by_name() -> None:
    model: Any = build("llama")
    layer = model.model.layers[1]

    def twice(hidden_states: Tensor, **options: Any) -> Tensor:
        attended = layer.self_attn(layer.input_layernorm(hidden_states), **options)[0]
        behind = hidden_states + attended
        behind = behind + layer.mlp(layer.post_attention_layernorm(behind))
        return behind + hidden_states

    layer.forward = twice
    trace = trace_of(model)
    blocks: Any = ("attention", "mlp")
    for block in blocks:
        assert list(trace.norms()[block]) == [0, 2]
        why = trace.unclear_blocks()[block][1]
        assert "it adds up several versions of what it is given" in why


# --- layers at several places ---------------------------------------------------------------------
def test_a_layer_at_several_places_has_norms_and_activations_at_each() -> None:
    shared: Any = build("llama")
    layers = list(shared.model.layers)
    order = [0, 1, 1, 2, 1]
    shared.model.layers = torch.nn.ModuleList(layers[i] for i in order)
    shared.config.num_hidden_layers = len(order)
    apart: Any = copy.deepcopy(shared)
    apart.model.layers = torch.nn.ModuleList(copy.deepcopy(layers[i]) for i in order)
    twice, once = trace_of(shared), trace_of(apart)
    blocks: Any = ("attention", "mlp", "residual")
    for layer in range(len(order)):
        for block in blocks:
            one = once.activations(layer, block)
            torch.testing.assert_close(twice.activations(layer, block), one)
            if block != "residual":
                torch.testing.assert_close(twice.norms()[block][layer], one.norm(dim=-1))


# --- refused by name ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "block", "why"),
    [
        ("mobilebert/MobileBertForMaskedLM", "attention", "no module puts out just what is added"),
        ("xlm/XLMWithLMHeadModel", "mlp", "its output is not its input with something added"),
        ("xlm/XLMWithLMHeadModel", "residual", "its layers add nothing"),
        ("deepseek_v4/DeepseekV4ForCausalLM", "attention", "13 x 4 x 32 numbers for 13 tokens"),
        ("gemma3n_text/Gemma3nForCausalLM", "residual", "4 x 1 x 13 x 32 numbers for 13 tokens"),
        ("longcat_flash/LongcatFlashForCausalLM", "mlp", "holds several attention blocks"),
        ("squeezebert/SqueezeBertForMaskedLM", "embedding", "not called as modules"),
    ],
)
def test_what_is_not_known_is_refused_with_the_reason(name: str, block: Any, why: str) -> None:
    trace = trace_of(build_case(CASES[name]))
    assert 0 not in trace.norms().get(block, {})
    assert why in trace.unclear_blocks()[block][0]
    with pytest.raises(ValueError, match=rf"Layer 0 of {name.split('/')[1]}: .*is not known: "):
        trace.activations(0, block)


@pytest.mark.parametrize(
    "measure",
    [
        lambda trace: Norm().measure(trace),
        lambda trace: mutual_information(trace, [0, 5, 9, 14]),
        layer_similarity,
    ],
)
def test_statistics_say_why_they_have_nothing_to_work_on(measure: Any) -> None:
    trace = trace_of(build_case(CASES["xlm/XLMWithLMHeadModel"]))
    with pytest.raises(ValueError, match=r"Layer 0 of XLMWithLMHeadModel: .* is not known: its"):
        measure(trace)


def test_attention_that_feeds_another_block_adds_nothing_itself() -> None:
    trace = trace_of(build_case(CASES["zamba/ZambaForCausalLM"]))
    assert trace.layers() == [2, 4]
    assert list(trace.norms()) == ["mixer"]
    with pytest.raises(ValueError, match="goes into another block there"):
        trace.activations(2, "attention")


def test_a_module_whose_output_a_hook_changes_adds_what_the_hook_makes_of_it() -> None:
    model: Any = build("llama")
    model.model.layers[1].mlp.register_forward_hook(lambda _, __, output: output.abs())
    trace = trace_of(model)
    (expected,) = put_out(trace, ["model.layers.1.mlp"])
    assert bool((expected >= 0).all())
    torch.testing.assert_close(trace.activations(1, "mlp"), expected)


# --- the text's own rows --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        # The model pads to its window; puts prompts first; has streams that look further ahead.
        ("longformer/LongformerForMaskedLM", lambda tensor: tensor[0, :20]),
        ("cpmant/CpmAntForCausalLM", lambda tensor: tensor[0, 32:52]),
        ("prophetnet/ProphetNetForCausalLM", lambda tensor: tensor[0, :20]),
        ("xlnet/XLNetLMHeadModel", lambda tensor: tensor[:20, 0]),
    ],
)
def test_only_the_texts_own_rows_count(name: str, rows: Any) -> None:
    model: Any = build_case(CASES[name])
    trace = trace_of(model)
    layers = trace.lens.anatomy.structure.stacks["self"]
    kept: dict[str, Tensor] = {}

    def keep(_: object, args: Any, kwargs: Any, output: Any) -> None:
        kept["before"] = (args[0] if args else kwargs["hidden_states"]).clone()
        kept["behind"] = (output if isinstance(output, torch.Tensor) else output[0]).clone()

    handle = layers[0].register_forward_hook(keep, with_kwargs=True)
    with torch.no_grad():
        call(model, inputs_of(trace))
    handle.remove()
    torch.testing.assert_close(trace.activations(0, "embedding"), rows(kept["before"]))
    torch.testing.assert_close(trace.activations(0, "residual"), rows(kept["behind"]))
    assert all(len(norm) == 20 for of in trace.norms().values() for norm in of.values())


@pytest.mark.parametrize(
    "name",
    [
        "longformer/LongformerForMaskedLM",
        "fsmt/FSMTForConditionalGeneration",
        "granitemoe/GraniteMoeForCausalLM",
        "llama/LlamaForCausalLM",
    ],
)
def test_norms_of_a_padded_batch_are_those_of_each_text(name: str) -> None:
    model = build_case(CASES[name])
    lens = Lens(model, tokenizer())
    texts = [TEXT, "the old fox", "a quick dog jumps over the whale"]
    pairs = [(text, TARGET) for text in texts] if model.config.is_encoder_decoder else None
    together = list(lens.trace_many(texts, None if pairs is None else [t for _, t in pairs]))
    for text, trace in zip(texts, together, strict=True):
        alone = lens.trace(text, TARGET if pairs else None)
        for kind in trace.kinds:
            for block, by_layer in trace.norms(kind).items():
                for layer, norm in by_layer.items():
                    expected = alone.norms(kind)[block][layer]
                    torch.testing.assert_close(norm, expected, rtol=1e-4, atol=1e-4)


# --- what heads move ------------------------------------------------------------------------------
def shares(trace: Trace, layer: int) -> np.ndarray:
    """``a[h, q, k] v[h, k] W_O``, float64, of Llama-like models, by the names of their modules."""
    module: Any = trace.lens.model.get_submodule(f"model.layers.{layer}.self_attn")
    (value,) = put_out(trace, [f"model.layers.{layer}.self_attn.v_proj"])
    n_heads, size = trace.n_heads(layer), module.head_dim
    value = value.double().unflatten(-1, (-1, size))
    value = value.repeat_interleave(n_heads // value.shape[1], dim=1)
    out = module.o_proj.weight.detach().double().unflatten(1, (n_heads, size))
    weights = eager_attentions(trace.lens.model, **inputs_of(trace)).attentions[layer][0].double()
    return (weights[..., None] * torch.einsum("khd,ohd->hko", value, out)[:, None]).numpy()


@pytest.mark.parametrize("model_type", ["gemma2", "olmo2"])
def test_heads_move_what_the_norm_behind_them_lets_through(model_type: str) -> None:
    model: Any = build(model_type)
    norm = model.model.layers[1].post_attention_layernorm
    torch.nn.init.normal_(norm.weight, 1.0, 0.5)
    trace = trace_of(model)
    before, behind = put_out(
        trace,
        ["model.layers.1.self_attn.o_proj", "model.layers.1.post_attention_layernorm"],
    )
    # The norm's factor at every query and dimension, taken from what it really did.
    factor = (behind.double() / before.double()).numpy()
    each = shares(trace, 1) * factor[None, :, None]
    norms = np.linalg.norm(each, axis=-1)
    np.testing.assert_allclose(trace.moved_norms(1), norms, atol=2e-4 * norms.max())
    together = np.linalg.norm(each.sum(axis=0), axis=-1)
    found = trace.moved_norms(1, aggregate="sum")
    np.testing.assert_allclose(found, together, atol=2e-4 * together.max())
    words = trace.moved_norms(1, unit="word")
    np.testing.assert_allclose(words, norms, atol=2e-4 * norms.max())  # every token is a word
    parts = sum(trace.activations(1, "attention", heads=head) for head in range(4))
    torch.testing.assert_close(parts, behind, rtol=1e-4, atol=1e-4)


def test_heads_move_granites_multiple() -> None:
    trace = trace_of(scaled("granite", residual_multiplier=0.22))
    norms = 0.22 * np.linalg.norm(shares(trace, 1), axis=-1)
    np.testing.assert_allclose(trace.moved_norms(1), norms, atol=1e-5 * norms.max())
    parts = sum(trace.activations(1, "attention", heads=head) for head in range(4))
    torch.testing.assert_close(parts, trace.activations(1, "attention"), rtol=1e-4, atol=1e-5)


def test_a_norm_that_does_more_than_rescale_is_refused_by_name() -> None:
    model: Any = build("gemma2")
    model.model.layers[1].post_attention_layernorm = torch.nn.LayerNorm(32)
    trace = trace_of(model)
    assert trace.moved_norms(0).shape == (4, 20, 20)
    with pytest.raises(ValueError, match="LayerNorm stands behind the projection"):
        trace.moved_norms(1)


def test_an_adapter_on_the_output_projection_is_part_of_it() -> None:
    adapted: Any = build("llama")
    merged: Any = copy.deepcopy(adapted)
    torch.manual_seed(1)
    for layer, other in zip(adapted.model.layers, merged.model.layers, strict=True):
        layer.self_attn.o_proj = LowRank(layer.self_attn.o_proj)
        layer.mlp.down_proj = LowRank(layer.mlp.down_proj)
        other.self_attn.o_proj.weight.data = layer.self_attn.o_proj.merged().detach()
        other.mlp.down_proj.weight.data = layer.mlp.down_proj.merged().detach()
    found, expected = trace_of(adapted), trace_of(merged)
    blocks: Any = ("attention", "mlp")
    for block in blocks:
        one = expected.activations(1, block)
        torch.testing.assert_close(found.activations(1, block), one, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.norms()[block][1], one.norm(dim=-1), rtol=1e-4, atol=1e-4)
    moved = expected.moved_norms(1)
    torch.testing.assert_close(found.moved_norms(1), moved, rtol=1e-4, atol=1e-4)
    norms = np.linalg.norm(shares(expected, 1), axis=-1)
    np.testing.assert_allclose(moved, norms, atol=1e-5 * norms.max())
