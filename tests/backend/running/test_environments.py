"""Wherever a model's weights lie and in whatever precision: its attention can be read."""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import cpu_offload, disk_offload, dispatch_model

from glasshead_backend import Lens, ModelChangedError, Trace
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

TOLERANCE = 1e-5
TARGET = "a lazy fox runs over the sea"
OFFLOADED = ["gpt2", "llama", "gemma2", "gpt_oss", "gptj", "t5", "bart"]


def trace_of(model: PreTrainedModel) -> Trace:
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def expected(model: PreTrainedModel, trace: Trace) -> dict[str, Any]:
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    names = ("input_ids", "decoder_input_ids")
    out = eager_attentions(model, **dict(zip(names, ids, strict=False)))
    if len(ids) == 1:
        return {"self": out.attentions}
    return {
        "encoder": out.encoder_attentions,
        "decoder": out.decoder_attentions,
        "cross": out.cross_attentions,
    }


def worst(trace: Trace, reference: dict[str, Any]) -> float:
    assert trace.kinds == tuple(reference)
    return max(
        float((trace.attention(layer, kind=kind).cpu() - maps[layer][0]).abs().max())
        for kind, maps in reference.items()
        for layer in trace.layers(kind)
    )


def decoder_inputs(model: Any) -> list[str]:
    return ["decoder_input_ids"] if model.config.is_encoder_decoder else []


@pytest.mark.parametrize("model_type", OFFLOADED)
def test_weights_on_disk(model_type: str, tmp_path: Path) -> None:
    model = build(model_type)
    reference = expected(model, trace_of(model))
    disk_offload(model, offload_dir=tmp_path, execution_device=torch.device("cpu"))
    assert all(parameter.is_meta for parameter in model.parameters())
    trace = trace_of(model)
    assert worst(trace, reference) <= TOLERANCE
    assert all(parameter.is_meta for parameter in model.parameters()), "put back afterwards"
    assert trace.activations(1, "mlp").isfinite().all()
    assert trace.logits(-1).isfinite().all()
    assert trace.predictions().perplexity.nan_to_num(1).isfinite().all()


@pytest.mark.parametrize("model_type", ["llama", "gptj", "bart"])
def test_weights_in_memory_that_visit_the_device(model_type: str) -> None:
    model = build(model_type)
    reference = expected(model, trace_of(model))
    weights = dict(model.named_parameters())
    cpu_offload(model, execution_device=torch.device("cpu"))
    trace = trace_of(model)
    assert worst(trace, reference) <= TOLERANCE
    model(**{name: torch.tensor([[5, 6]]) for name in ("input_ids", *decoder_inputs(model))})
    assert trace.logits().isfinite().all(), "weights that come and go are no other model"
    with torch.no_grad():
        next(weight for name, weight in weights.items() if "mlp" in name or "fc1" in name).mul_(2)
    with pytest.raises(ModelChangedError, match="was written to"):
        trace.logits()


def test_a_device_map_with_some_layers_on_disk(tmp_path: Path) -> None:
    model = build("llama")
    reference = expected(model, trace_of(model))
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "model.rotary_emb": "cpu"}
    places |= {"model.layers.0": "cpu", "model.layers.1": "disk", "model.layers.2": "disk"}
    dispatched = dispatch_model(
        model, {**places, "lm_head": "cpu"}, main_device="cpu", offload_dir=tmp_path
    )
    assert worst(trace_of(dispatched), reference) <= TOLERANCE


def test_a_model_without_weights_is_refused() -> None:
    with torch.device("meta"):
        model = build("llama")
    with pytest.raises(ValueError, match="it lies on the meta device"):
        trace_of(model)


@pytest.mark.parametrize("how", ["whole", "in place", "layer by layer"])
@pytest.mark.parametrize("model_type", ["llama", "t5", "gptj"])
def test_compiled_models(model_type: str, how: str) -> None:
    model = build(model_type)
    reference = expected(model, trace_of(model))
    plain = copy.deepcopy(model)
    compiled: Any = model
    if how == "whole":
        compiled = torch.compile(model, backend="eager")
    elif how == "in place":
        model.compile(backend="eager")
    else:
        for module in model.modules():
            if isinstance(module, torch.nn.ModuleList):
                for layer in module:
                    layer.compile(backend="eager")
    inputs = {"input_ids": torch.arange(3, 20)[None]}
    if model_type == "t5":
        inputs["decoder_input_ids"] = torch.arange(3, 12)[None]
    with torch.no_grad():
        compiled(**inputs)  # compiled before the trace
        trace = trace_of(compiled)
        assert worst(trace, reference) <= TOLERANCE
        # It still runs compiled, where sums are taken in another order.
        torch.testing.assert_close(
            compiled(**inputs).logits, plain(**inputs).logits, rtol=1e-4, atol=1e-4
        )
        assert trace.activations(1, "mlp").isfinite().all(), "compiling changes no model"
    assert torch._dynamo.eval_frame._stance.stance == "default"


def quantised(model: PreTrainedModel, bits: int) -> PreTrainedModel:
    """Put linear layers of bitsandbytes in the place of a model's own."""
    import bitsandbytes as bnb  # noqa: PLC0415  installed under Linux only

    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, torch.nn.Linear) and "lm_head" not in name:
                sizes = (child.in_features, child.out_features)
                new = (
                    bnb.nn.Linear8bitLt(*sizes, bias=False, has_fp16_weights=False)
                    if bits == 8
                    else bnb.nn.Linear4bit(*sizes, bias=False, compute_dtype=torch.float32)
                )
                new.load_state_dict(child.state_dict())
                setattr(parent, name, new)
    return model.to("cpu").eval()


@pytest.mark.skipif(sys.platform != "linux", reason="bitsandbytes runs on CPUs under Linux")
@pytest.mark.parametrize("bits", [8, 4])
def test_quantised_linear_layers(bits: int) -> None:
    model = quantised(build("llama", hidden_size=64, head_dim=16), bits)
    trace = trace_of(model)
    reference = expected(model, trace)
    assert trace.activations(1, "mlp").isfinite().all(), "the model has not changed meanwhile"
    assert trace.logits().isfinite().all()
    first = (trace.attention(0) - reference["self"][0][0]).abs().max()
    assert first <= TOLERANCE
    for layer in trace.layers():
        assert trace.attention(layer).sum(-1).allclose(torch.tensor(1.0))


@pytest.mark.parametrize("device", ["cuda", "mps"])
@pytest.mark.parametrize("model_type", OFFLOADED)
def test_models_on_an_accelerator(model_type: str, device: str) -> None:
    if not getattr(torch, device).is_available():
        pytest.skip(f"there is no {device} device")
    model = build(model_type)
    reference = expected(model, trace_of(model))
    trace = trace_of(model.to(device))
    assert trace.attention(0).device.type == device
    assert worst(trace, reference) <= 1e-4  # its matrix products round in another order


@pytest.mark.skipif(sys.platform != "linux", reason="bitsandbytes runs on CPUs under Linux")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_decoder_in_8_bits_and_half_precision_stays_a_decoder(dtype: torch.dtype) -> None:
    # LLM.int8 takes channels that are outliers in any row out of all rows: the last token moves
    # the first output a little.
    for seed in range(5):
        model = quantised(build("llama", hidden_size=64, head_dim=16, seed=seed), 8).to(dtype)
        for module in model.modules():
            if type(module).__name__ == "Linear8bitLt":
                module.state.threshold = 1.5
        assert Lens(model, tokenizer()).family == "decoder"
