"""Logits split into what blocks and heads add, by hand, by removal, and as TransformerLens does."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertLMHeadModel

from glasshead_backend import Lens, Trace
from glasshead_backend.progress import Cancelled
from support.architectures import building
from support.tiny_models import DECODERS, ENCODER_DECODERS, TEXT, build, tokenizer, without_cache

TARGET = "a lazy fox runs over the sea"
EVERY = (*DECODERS, "gptj", *ENCODER_DECODERS)
"""With norms behind blocks (OLMo 2, Gemma 2), on the stream (BART, Marian), blocks side by side
(GPT-NeoX, GPT-J), experts and sinks (gpt-oss), caps (Gemma 2), cross-attention."""

ROUNDED = 1e-6
"""Of models in float64: their root-mean-square norms round to float32 all the same."""


def trace_of(model: Any) -> Trace:
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def inputs_of(trace: Trace) -> dict[str, torch.Tensor]:
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    return dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))


@torch.no_grad()
def logits_of(trace: Trace) -> torch.Tensor:
    model = trace.lens.model
    return model(**inputs_of(trace), **without_cache(model)).logits[0]


# --- sums -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", EVERY)
def test_the_parts_sum_to_the_logit(model_type: str) -> None:
    trace = trace_of(build(model_type))
    logits = logits_of(trace)
    shift = 0 if trace.labels else 1
    for position, against in ((4, None), (-2, "the")):
        found = trace.logit_contributions(position=position, token="fox", against=against)
        row = found.target.position - shift
        expected = float(logits[row, trace.lens.tokenizer.convert_tokens_to_ids("fox")])
        if against:
            expected -= float(logits[row, trace.lens.tokenizer.convert_tokens_to_ids(against)])
        assert found.final == pytest.approx(expected, abs=1e-5)
        parts = found.to_frame()["logit"]
        assert parts.sum() == pytest.approx(found.logit, abs=1e-12)
        assert abs(found.remainder) <= 1e-4
        # Nothing is left out: every layer has its blocks, and the heads make their block.
        assert len(found.layers) == 3
        for kind, of_heads in found.heads.items():
            block = found.blocks["cross" if kind == "cross" else "attention"]
            together = of_heads.sum(dim=-1) + found.biases[kind]
            torch.testing.assert_close(together, block, rtol=0, atol=1e-4)
        assert set(found.heads) == ({"decoder", "cross"} if trace.labels else {"self"})
        assert found.unclear == {}


def test_by_default_it_is_the_token_that_is_most_probable_behind_the_last() -> None:
    trace = trace_of(build("llama"))
    logits = logits_of(trace)
    found = trace.logit_contributions()
    assert found.target.token == int(logits[-1].argmax())
    assert found.logit == pytest.approx(float(logits[-1].max()), abs=1e-5)
    assert trace.logit_contributions(position=3).target.token == trace.tokens[3].id


# --- by hand --------------------------------------------------------------------------------------
def test_a_block_adds_its_output_over_the_norms_scale_times_the_unembedding() -> None:
    model = build("llama").double()
    trace = trace_of(model)
    kept: dict[str, torch.Tensor] = {}
    names = {
        "embedding": "model.embed_tokens",
        **{f"attention {i}": f"model.layers.{i}.self_attn.o_proj" for i in range(3)},
        **{f"mlp {i}": f"model.layers.{i}.mlp.down_proj" for i in range(3)},
        "stream": "model.layers.2",
    }

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            kept[name] = (output[0] if isinstance(output, tuple) else output)[0, 5]

        return hook

    handles = [model.get_submodule(p).register_forward_hook(keep(n)) for n, p in names.items()]
    logits_of(trace)
    for handle in handles:
        handle.remove()
    norm: Any = model.model.norm
    scale = (kept["stream"].square().mean() + norm.variance_epsilon).rsqrt()
    fox, sea = map(trace.lens.tokenizer.convert_tokens_to_ids, ("fox", "sea"))
    unembedding = model.lm_head.weight.detach()
    direction = (unembedding[fox] - unembedding[sea]) * norm.weight.detach() * scale
    found = trace.logit_contributions(position=6, token="fox", against="sea")
    assert found.embedding == pytest.approx(float(kept["embedding"] @ direction), abs=ROUNDED)
    for block in ("attention", "mlp"):
        expected = [float(kept[f"{block} {i}"] @ direction) for i in range(3)]
        assert found.blocks[block].tolist() == pytest.approx(expected, abs=ROUNDED)
    assert found.constant == 0
    # A head: its slice of what the projection is given, through the same slice of the projection.
    heads = trace.head_outputs(1, rows=[5])[:, 0] @ direction
    torch.testing.assert_close(found.heads["self"][1], heads, rtol=0, atol=ROUNDED)


_REMOVED = {
    "bart": (
        "model.decoder.layers.{}.self_attn.out_proj",
        "model.decoder.layers.{}.encoder_attn.out_proj",
        "model.decoder.layers.{}.fc2",
    ),
    "gemma2": (
        "model.layers.{}.post_attention_layernorm",
        "model.layers.{}.post_feedforward_layernorm",
    ),
    "gpt_neox": ("gpt_neox.layers.{}.attention.dense", "gpt_neox.layers.{}.mlp.dense_4h_to_h"),
}
"""The modules that put out what attention, cross-attention and MLP add."""


@pytest.mark.parametrize("model_type", _REMOVED)
def test_a_part_is_what_is_missing_when_it_is_taken_out_and_all_else_held(model_type: str) -> None:
    """Own hooks hold all blocks and the scales of all norms; then one block is left out."""
    model = build(model_type).double()
    trace = trace_of(model)
    found = trace.logit_contributions(position=5, token="fox")
    fox, row = trace.lens.tokenizer.convert_tokens_to_ids("fox"), found.target.row
    blocks = [
        (model.get_submodule(path.format(i)), i, block)
        for path, block in zip(
            _REMOVED[model_type],
            ("attention", "cross", "mlp") if model_type == "bart" else ("attention", "mlp"),
            strict=True,
        )
        for i in range(3)
    ]
    if model_type == "gemma2":  # it is of the logits before the cap
        model.config.final_logit_softcapping = None
    held: dict[Any, Any] = {}
    taken_out: list[Any] = []

    def block(module: Any, _: Any, out: torch.Tensor) -> torch.Tensor:
        out = held.setdefault((module, "out"), out)
        return torch.zeros_like(out) if module in taken_out else out

    def norm(module: Any, args: Any, _: object) -> torch.Tensor:
        x = args[0]
        centred = isinstance(module, torch.nn.LayerNorm)
        epsilon = module.eps
        centre = x - x.mean(-1, keepdim=True) if centred else x
        scale = (centre.square().mean(-1, keepdim=True) + epsilon).rsqrt()
        scale = held.setdefault((module, "scale"), scale)
        weight = module.weight if centred else 1 + module.weight  # Gemma's are about zero
        return centre * scale * weight + (module.bias if centred else 0)

    at_blocks = [module for module, _, _ in blocks]
    norms = [
        module
        for module in model.modules()
        if "norm" in type(module).__name__.lower() and module not in at_blocks
    ]
    for module in norms:
        module.register_forward_hook(norm)
    for module in at_blocks:
        module.register_forward_hook(block)
    whole = logits_of(trace)[row, fox]
    assert found.logit == pytest.approx(float(whole), abs=ROUNDED)
    for module, layer, name in blocks:
        taken_out[:] = [module]
        missing = whole - logits_of(trace)[row, fox]
        assert float(found.blocks[name][layer]) == pytest.approx(float(missing), abs=ROUNDED)


# --- TransformerLens ------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gpt_neox", "qwen3"])
def test_parts_are_those_of_transformer_lens(model_type: str, tmp_path: Any) -> None:
    bridges: Any = pytest.importorskip("transformer_lens.model_bridge")
    tokenizer().save_pretrained(tmp_path)
    own = build(model_type)
    own.save_pretrained(tmp_path)
    bridge = bridges.TransformerBridge.boot_transformers(
        str(tmp_path),
        hf_model=copy.deepcopy(own),
        tokenizer=AutoTokenizer.from_pretrained(tmp_path),
    )
    # Folds the final norm's weight into the unembedding, which its functions presume.
    bridge.enable_compatibility_mode(fold_value_biases=False)
    ids = torch.tensor([tokenizer()(TEXT).input_ids])
    _, cache = bridge.run_with_cache(ids)
    fox, sea = map(tokenizer().convert_tokens_to_ids, ("fox", "sea"))
    found = trace_of(own).logit_contributions(position=-1, token="fox", against="sea")
    row = len(ids[0]) - 2

    def of(stack: torch.Tensor) -> list[float]:
        tokens = torch.full(ids.shape, fox), torch.full(ids.shape, sea)
        with torch.no_grad():
            return cache.logit_attrs(stack, *tokens)[:, 0, row].tolist()

    stack, names = cache.decompose_resid(return_labels=True)
    theirs = dict(zip(names, of(stack), strict=True))
    assert found.embedding == pytest.approx(
        sum(number for name, number in theirs.items() if "embed" in name), abs=1e-4
    )
    for block, name in (("attention", "attn_out"), ("mlp", "mlp_out")):
        expected = [theirs[f"{layer}_{name}"] for layer in range(3)]
        assert found.blocks[block].tolist() == pytest.approx(expected, abs=1e-4)
    cache.compute_head_results()
    heads = of(cache.stack_head_results())
    assert found.heads["self"].flatten().tolist() == pytest.approx(heads, abs=1e-4)


# --- what it is of --------------------------------------------------------------------------------
def test_of_capped_logits_it_is_the_logit_before() -> None:
    trace = trace_of(build("gemma2", final_logit_softcapping=2.0))
    found = trace.logit_contributions(position=5, token="fox")
    fox = trace.lens.tokenizer.convert_tokens_to_ids("fox")
    final = float(logits_of(trace)[4, fox])
    assert found.final == pytest.approx(final, abs=1e-5)
    assert found.logit == pytest.approx(2 * math.atanh(final / 2), abs=1e-4)
    assert "before it is capped" in repr(found)
    assert "capped" not in repr(trace_of(build("llama")).logit_contributions())


def test_a_scale_and_a_bias_behind_the_unembedding_belong_to_the_logit() -> None:
    model: Any = build("marian")
    model.final_logits_bias = torch.randn_like(model.final_logits_bias)
    trace = trace_of(model)
    found = trace.logit_contributions(position=3)
    assert found.final == found.logit
    bias = float(model.final_logits_bias[0, found.target.token])
    plain = trace_of(build("marian")).logit_contributions(position=3, token=found.target.token)
    assert found.constant == pytest.approx(plain.constant + bias, abs=1e-5)
    assert found.embedding == pytest.approx(plain.embedding, abs=1e-5)


def test_in_half_precision_it_closes_within_its_rounding() -> None:
    trace, exact = trace_of(build("llama").bfloat16()), trace_of(build("llama"))
    found = trace.logit_contributions(position=5, token="fox")
    expected = exact.logit_contributions(position=5, token="fox")
    # A bfloat16 has 8 bits: 0.4 % of the parts.
    size = sum(float(one.abs().sum()) for one in expected.blocks.values())
    assert abs(found.remainder) <= 0.02 * size
    for block, numbers in expected.blocks.items():
        torch.testing.assert_close(found.blocks[block], numbers, rtol=0, atol=0.05 * size)


# --- refused --------------------------------------------------------------------------------------
def test_a_head_with_an_activation_function_in_it_is_refused_by_name() -> None:
    config = BertConfig(
        vocab_size=96,
        hidden_size=32,
        num_attention_heads=4,
        num_hidden_layers=2,
        intermediate_size=64,
        is_decoder=True,
    )
    torch.manual_seed(0)
    trace = trace_of(BertLMHeadModel(config).eval())
    with pytest.raises(ValueError, match=r"BertLMHeadModel makes its logits.*more than norms"):
        trace.logit_contributions()


def test_what_predicts_nothing_is_refused_with_its_reason() -> None:
    with pytest.raises(ValueError, match="bert is an encoder"):
        trace_of(build("bert")).logit_contributions()
    masking = tokenizer()
    masking.mask_token = "z"
    scored = Lens(build("bert"), masking).score("the quick fox")
    with pytest.raises(ValueError, match="under masks"):
        scored.logit_contributions(position=1)


def test_what_has_no_residual_stream_of_vectors_is_refused_by_name() -> None:
    pytest.importorskip("transformers.models.gemma3n")
    case = building.Case("gemma3n_text", ("CausalLM",), "Gemma3nForCausalLM")
    with pytest.raises(ValueError, match=r"Layer 0 of Gemma3nForCausalLM.*cannot be split"):
        trace_of(building.build(case)).logit_contributions()


# --- of a run with something switched off ---------------------------------------------------------
def test_a_head_that_is_switched_off_adds_nothing_and_the_rest_still_sums() -> None:
    trace = trace_of(build("llama"))
    before = trace.logit_contributions(position=5, token="fox")
    found = trace.ablate([(1, 2)], blocks=[(2, "mlp")]).logit_contributions(position=5, token="fox")
    assert float(found.heads["self"][1, 2]) == float(found.blocks["mlp"][2]) == 0
    assert abs(found.remainder) <= 1e-4
    assert found.unclear == {}
    # What comes before is as it was, but for the scale of the final norm.
    ratio = found.blocks["attention"][0] / before.blocks["attention"][0]
    torch.testing.assert_close(found.heads["self"][0], ratio * before.heads["self"][0])
    mean = trace.ablate([(1, 2)], how="mean").logit_contributions(position=5, token="fox")
    assert float(mean.heads["self"][1, 2]) != 0
    assert abs(mean.remainder) <= 1e-4


# --- the model as it was found --------------------------------------------------------------------
def state_of(model: Any) -> dict[str, Any]:
    return {
        "hooks": [
            (len(one._forward_hooks), len(one._forward_pre_hooks)) for one in model.modules()
        ],
        "forwards": ["forward" in vars(one) for one in model.modules()],
        "gradients": [(p.requires_grad, p.grad) for p in model.parameters()],
        "training": [one.training for one in model.modules()],
        "grad": torch.is_grad_enabled(),
    }


@pytest.mark.parametrize("model_type", ["gpt2", "bart"])
def test_the_model_is_left_as_found_also_when_it_is_cancelled(model_type: str) -> None:
    model = build(model_type).train()
    trace = trace_of(model)
    weights = [p.detach().clone() for p in model.parameters()]
    before, expected = state_of(model), trace.logits(range(3))
    n_steps: list[Any] = []
    trace.logit_contributions(progress=n_steps.append)
    assert state_of(model) == before
    assert len(n_steps) > 4

    def cancel(step: Any) -> None:
        if step.share > 0.6:
            raise Cancelled

    with pytest.raises(Cancelled):
        trace.logit_contributions(position=3, progress=cancel)
    assert state_of(model) == before
    with torch.inference_mode():
        trace.logit_contributions(position=2)
    assert state_of(model) == before
    assert all(map(torch.equal, weights, model.parameters()))
    torch.testing.assert_close(trace.logits(range(3)), expected)
