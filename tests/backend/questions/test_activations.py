"""Activations of every block, compared with transformers' own hidden states and with hooks."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from glasshead_backend import Lens, MemoryBudgetError, Trace
from support.tiny_models import TEXT, build, tokenizer, without_cache

TARGET = "a lazy fox runs over the sea"
MODULES = {
    ("gpt2", "attention"): "transformer.h.{}.attn.c_proj",
    ("gpt2", "mlp"): "transformer.h.{}.mlp.c_proj",
    ("llama", "attention"): "model.layers.{}.self_attn.o_proj",
    ("llama", "mlp"): "model.layers.{}.mlp.down_proj",
    ("t5", "attention"): "decoder.block.{}.layer.0.SelfAttention.o",
    ("t5", "cross"): "decoder.block.{}.layer.1.EncDecAttention.o",
    ("t5", "mlp"): "decoder.block.{}.layer.2.DenseReluDense.wo",
}
RESIDUAL = {"gpt2": "transformer.h.{}", "llama": "model.layers.{}", "t5": "decoder.block.{}"}


def trace_of(model_type: str, **changes: Any) -> Trace:
    lens = Lens(build(model_type, **changes), tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def inputs_of(trace: Trace) -> dict[str, torch.Tensor]:
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    return dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))


@torch.no_grad()
def outputs_of(trace: Trace, names: list[str]) -> list[torch.Tensor]:
    """What modules return, ``[tokens, hidden]`` each, from a plain forward."""
    kept: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            kept[name] = (output[0] if isinstance(output, tuple) else output)[0]

        return hook

    handles = [
        trace.lens.model.get_submodule(name).register_forward_hook(keep(name)) for name in names
    ]
    trace.lens.model(**inputs_of(trace), **without_cache(trace.lens.model))
    for handle in handles:
        handle.remove()
    return [kept[name] for name in names]


# --- what they are --------------------------------------------------------------------------------
@pytest.mark.parametrize(("model_type", "block"), MODULES)
def test_a_block_gives_what_its_output_projection_returns(model_type: str, block: Any) -> None:
    trace = trace_of(model_type)
    names = [MODULES[model_type, block].format(layer) for layer in range(3)]
    for layer, expected in enumerate(outputs_of(trace, names)):
        torch.testing.assert_close(trace.activations(layer, block), expected)


@pytest.mark.parametrize(
    ("model_type", "kind", "states"),
    [
        ("gpt2", None, "hidden_states"),
        ("llama", None, "hidden_states"),
        ("bert", None, "hidden_states"),
        ("bart", "encoder", "encoder_hidden_states"),
        ("bart", "decoder", "decoder_hidden_states"),
        ("t5", "encoder", "encoder_hidden_states"),
        ("t5", "decoder", "decoder_hidden_states"),
    ],
)
def test_the_residual_stream_is_transformers_hidden_states(
    model_type: str, kind: Any, states: str
) -> None:
    trace = trace_of(model_type)
    with torch.no_grad():
        model = trace.lens.model
        out = model(**inputs_of(trace), output_hidden_states=True, **without_cache(model))
    expected = [state[0] for state in out[states]]
    torch.testing.assert_close(trace.activations(0, "embedding", kind=kind), expected[0])
    # transformers' last hidden state lies behind the final norm.
    for layer, state in enumerate(expected[1:-1]):
        torch.testing.assert_close(trace.activations(layer, "residual", kind=kind), state)


@pytest.mark.parametrize("model_type", RESIDUAL)
def test_the_last_residual_lies_before_the_final_norm(model_type: str) -> None:
    trace = trace_of(model_type)
    (expected,) = outputs_of(trace, [RESIDUAL[model_type].format(2)])
    torch.testing.assert_close(trace.activations(2, "residual"), expected)


@pytest.mark.parametrize("model_type", ["gpt2", "llama"])
def test_blocks_add_up_to_the_residual_stream(model_type: str) -> None:
    trace = trace_of(model_type)
    stream = trace.activations(0, "embedding")
    for layer in range(3):
        stream = stream + trace.activations(layer, "attention") + trace.activations(layer, "mlp")
        torch.testing.assert_close(trace.activations(layer, "residual"), stream)


def test_norms_are_the_lengths_of_activations() -> None:
    trace = trace_of("marian")
    for kind in ("encoder", "decoder"):
        for block, by_layer in trace.norms(kind).items():
            for layer, norms in by_layer.items():
                activations: Any = trace.activations(layer, block, kind=kind)  # pyright: ignore[reportArgumentType]
                torch.testing.assert_close(norms, activations.norm(dim=-1))


# --- storing --------------------------------------------------------------------------------------
def counted(model_type: str) -> tuple[Trace, list[int]]:
    """A trace, and a list that grows with every forward pass from then on."""
    forwards: list[int] = []
    model = build(model_type)
    model.register_forward_pre_hook(lambda *_: forwards.append(1))
    trace = Lens(model, tokenizer()).trace(TEXT)
    forwards.clear()
    return trace, forwards


def test_one_forward_stores_all_layers_of_all_blocks() -> None:
    trace, forwards = counted("llama")
    trace.store_activations(["attention", "mlp", "residual", "embedding"])
    for layer in trace.layers():
        for block in ("attention", "mlp", "residual", "embedding"):
            trace.activations(layer, block)
    trace.store_activations(["mlp"])
    assert len(forwards) == 1


def test_a_block_that_was_not_stored_costs_one_forward_once() -> None:
    trace, forwards = counted("llama")
    first = trace.activations(0, "mlp")
    trace.activations(2, "mlp")
    assert len(forwards) == 1
    trace.activations(0, "attention")
    assert len(forwards) == 2
    assert trace.activations(0, "mlp") is first


def test_half_precision_takes_half_the_memory() -> None:
    whole, half = trace_of("llama"), trace_of("llama")
    before = whole.nbytes
    whole.store_activations()
    half.store_activations(dtype=torch.float16)
    # Two blocks of three layers, 32 numbers for each token, in float32.
    assert whole.nbytes - before == 2 * 3 * len(whole.queries()) * 32 * 4
    assert half.nbytes - before == (whole.nbytes - before) / 2
    stored = half.activations(1, "mlp")
    assert stored.dtype == torch.float16
    torch.testing.assert_close(stored, whole.activations(1, "mlp").half())


def test_closing_the_trace_frees_them() -> None:
    trace = trace_of("gpt2")
    trace.store_activations()
    stored = [weakref.ref(trace.activations(layer, "mlp")) for layer in trace.layers()]
    assert all(one() is not None for one in stored)
    trace.close()
    gc.collect()
    assert all(one() is None for one in stored)
    with pytest.raises(ValueError, match="closed"):
        trace.activations(0, "mlp")


def test_too_little_memory_is_said_before_anything_is_stored() -> None:
    trace = trace_of("gpt2")
    trace.lens.memory_budget = 2000
    with pytest.raises(MemoryBudgetError, match="half precision"):
        trace.store_activations()


# --- heads ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model_type", "block"),
    [("gpt2", "attention"), ("llama", "attention"), ("bart", "attention"), ("bart", "cross")],
)
def test_the_parts_of_all_heads_and_the_bias_make_the_whole(model_type: str, block: Any) -> None:
    names = {"gpt2": "transformer.h.1.attn.c_proj", "llama": "model.layers.1.self_attn.o_proj"}
    bart = "self_attn" if block == "attention" else "encoder_attn"
    name = names.get(model_type, f"model.decoder.layers.1.{bart}.out_proj")
    model = build(model_type)
    bias: Any = getattr(model.get_submodule(name), "bias", None)
    if bias is not None:
        torch.nn.init.normal_(bias)
    trace = Lens(model, tokenizer()).trace(TEXT, None if model_type != "bart" else TARGET)
    parts = sum(trace.activations(1, block, heads=head) for head in range(4))
    whole = trace.activations(1, block)
    torch.testing.assert_close(parts if bias is None else parts + bias, whole)
    together = trace.activations(1, block, heads=[0, 3])
    apart = [trace.activations(1, block, heads=head) for head in (0, 3)]
    np.testing.assert_allclose(together, apart[0] + apart[1], atol=1e-5)


# --- errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("layer", "block", "heads", "message"),
    [
        (7, "mlp", None, "7"),
        (0, "cross", None, "cross"),
        (0, "ffn", None, "ffn"),
        (0, "mlp", 1, "heads"),
        (0, "attention", 9, "9"),
    ],
)
def test_what_is_not_there_is_named(
    layer: int, block: Any, heads: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        trace_of("gpt2").activations(layer, block, heads=heads)
