"""What each head writes into the residual stream, by hand and as parts of its block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glasshead_backend import Lens, MemoryBudgetError, Trace
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

TARGET = "a lazy fox runs over the sea"
PROJECTIONS = {
    ("gpt2", "self"): "transformer.h.1.attn.c_proj",
    ("llama", "self"): "model.layers.1.self_attn.o_proj",
    ("mistral", "self"): "model.layers.1.self_attn.o_proj",
    ("phi3", "self"): "model.layers.1.self_attn.o_proj",
    ("qwen3", "self"): "model.layers.1.self_attn.o_proj",
    ("gpt_neox", "self"): "gpt_neox.layers.1.attention.dense",
    ("gpt_oss", "self"): "model.layers.1.self_attn.o_proj",
    ("t5", "cross"): "decoder.block.1.layer.1.EncDecAttention.o",
    ("bart", "encoder"): "model.encoder.layers.1.self_attn.out_proj",
    ("bart", "cross"): "model.decoder.layers.1.encoder_attn.out_proj",
    ("marian", "decoder"): "model.decoder.layers.1.self_attn.out_proj",
}
NORM_BEHIND = ("olmo2", "gemma2")


def trace_of(model: Any) -> Trace:
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def bias_of(model: Any, name: str) -> torch.Tensor:
    bias = getattr(model.get_submodule(name), "bias", None)
    return torch.zeros(()) if bias is None else bias.detach()


@pytest.mark.parametrize(("model_type", "kind"), PROJECTIONS)
def test_heads_and_bias_make_the_block(model_type: str, kind: Any) -> None:
    model = build(model_type)
    trace = trace_of(model)
    heads = trace.head_outputs(1, kind=kind)
    n_rows, hidden = len(trace.queries(kind)), 32
    assert heads.shape == (trace.n_heads(1, kind), n_rows, hidden)
    block = trace.activations(1, "cross" if kind == "cross" else "attention", kind=kind)
    whole = heads.sum(dim=0) + bias_of(model, PROJECTIONS[model_type, kind])
    assert float((whole - block).abs().max()) <= 1e-4


@pytest.mark.parametrize("model_type", NORM_BEHIND)
def test_a_norm_behind_the_block_is_held_at_each_token(model_type: str) -> None:
    trace = trace_of(build(model_type))
    heads = trace.head_outputs(1)
    block = trace.activations(1, "attention")
    assert float((heads.sum(dim=0) - block).abs().max()) <= 1e-4


def test_a_head_writes_its_weighted_values_through_its_rows_of_the_projection() -> None:
    model = build("gpt2").double()
    trace = trace_of(model)
    inputs = {"input_ids": torch.tensor([trace.sequences[0].ids])}
    weights = eager_attentions(model, **inputs).attentions[1][0]
    kept: list[torch.Tensor] = []
    attention: Any = model.get_submodule("transformer.h.1.attn")

    def keep(_: Any, __: Any, output: torch.Tensor) -> None:
        kept.append(output)

    handle = attention.c_attn.register_forward_hook(keep)
    with torch.no_grad():
        model(**inputs)
    handle.remove()
    value = kept[0][0].split(32, dim=-1)[2].unflatten(-1, (4, 8))
    # Conv1D multiplies from the right: its rows are those of the heads, one after the other.
    out = attention.c_proj.weight.detach().unflatten(0, (4, 8))
    expected = torch.einsum("hqk,khd,hdm->hqm", weights, value, out)
    torch.testing.assert_close(trace.head_outputs(1), expected, rtol=0, atol=1e-10)


def test_heads_and_rows_may_be_chosen() -> None:
    trace = trace_of(build("llama"))
    whole = trace.head_outputs(2)
    torch.testing.assert_close(
        trace.head_outputs(2, [3, 0], rows=[-1, 4]), whole[[3, 0]][:, [-1, 4]]
    )
    torch.testing.assert_close(trace.head_outputs(2, 1, rows=range(5)), whole[[1], :5])
    together = trace.activations(2, "attention", heads=[1, 2])
    torch.testing.assert_close(whole[1] + whole[2], together)


def test_what_would_take_too_much_memory_is_refused_first() -> None:
    trace = trace_of(build("gpt2"))
    trace.moved_norms(0)  # keeps the values
    trace.lens.memory_budget = 9000
    with pytest.raises(MemoryBudgetError, match="fewer heads or rows"):
        trace.head_outputs(0)
    # Of 20 rows they take 4 heads x 20 x 32 numbers of 4 bytes: 10,240.
    assert trace.head_outputs(0, rows=[3]).shape == (4, 1, 32)


def test_a_head_that_is_switched_off_writes_nothing_and_the_others_what_they_did() -> None:
    trace = trace_of(build("llama"))
    whole = trace.head_outputs(1)
    off = trace.ablate([(1, 2)]).head_outputs(1)
    assert not off[2].any()
    torch.testing.assert_close(off[[0, 1, 3]], whole[[0, 1, 3]])
    filled = trace.ablate([(1, 2)], how="mean")
    torch.testing.assert_close(filled.head_outputs(1, [0, 3]), whole[[0, 3]])
    torch.testing.assert_close(filled.moved_norms(1, [0, 3]), trace.moved_norms(1, [0, 3]))
    for ask in (filled.head_outputs, lambda at: filled.activations(at, "attention", heads=[1, 2])):
        with pytest.raises(ValueError, match="head 2 of layer 1 is switched off, with its mean"):
            ask(1)
