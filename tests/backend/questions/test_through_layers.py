"""Beyond the weights of one layer: means, rollout, flow, and what heads move."""

from __future__ import annotations

from functools import reduce
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch

from glasshead_backend import Lens, MemoryBudgetError, Trace
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, eager_attentions, tokenizer
from support.versions import older_than

TARGET = "a lazy fox runs over the sea"
SHORT = "the old whale runs over the sea"


def trace_of(model_type: str, text: str = TEXT, **changes: Any) -> Trace:
    lens = Lens(build(model_type, **changes), tokenizer())
    return lens.trace(text, TARGET if lens.family == "encoder-decoder" else None)


def eager_maps(trace: Trace, kind: str = "self") -> np.ndarray:
    """All weights by transformers' eager mode, float64 ``[layers, heads, queries, keys]``."""
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    names = ("input_ids", "decoder_input_ids")
    out = eager_attentions(trace.lens.model, **dict(zip(names, ids, strict=False)))
    name = "attentions" if kind == "self" else f"{kind}_attentions"
    return torch.cat(out[name]).double().numpy()


def with_residual(maps: np.ndarray) -> list[np.ndarray]:
    mixed = maps.mean(axis=1) + np.eye(maps.shape[-1])
    return list(mixed / mixed.sum(axis=-1, keepdims=True))


# --- means and rollout ----------------------------------------------------------------------------
def test_the_mean_over_layers_is_that_of_eager() -> None:
    trace = trace_of("llama")
    maps = eager_maps(trace)
    np.testing.assert_allclose(trace.mean_attention(), maps.mean(axis=(0, 1)), atol=1e-5)
    some = trace.mean_attention([0, 2], rows=[4, -1], aggregate="max")
    np.testing.assert_allclose(some, maps[[0, 2]].max(axis=1).mean(axis=0)[[4, -1]], atol=1e-5)
    words = trace.mean_attention(unit="word")
    expected = torch.stack([trace.attention(i, unit="word").mean(0) for i in trace.layers()])
    torch.testing.assert_close(words, expected.mean(0))


def test_the_mean_over_layers_takes_room_for_the_sum_and_for_one_layer() -> None:
    trace = trace_of("llama")
    (n,) = {len(weights) for weights in eager_maps(trace)[0, 0]}
    both = 2 * 4 * 3 * n  # bytes of two float32 tensors of three rows
    trace.lens.memory_budget = both
    assert trace.mean_attention(rows=[0, 4, 5]).shape == (3, n)
    trace.lens.memory_budget = both - 1
    with pytest.raises(MemoryBudgetError, match=rf"lens.memory_budget = {both} \(bytes\)"):
        trace.mean_attention(rows=[0, 4, 5])


@pytest.mark.parametrize(
    ("model_type", "kind"),
    [("gpt2", "self"), ("gpt_oss", "self"), ("gptj", "self"), ("bert", "self"), ("t5", "encoder"),
     ("bart", "decoder")],
)  # fmt: skip
def test_rollout_multiplies_attention_and_residual_through_the_layers(
    model_type: str, kind: Any
) -> None:
    trace = trace_of(model_type)
    expected = reduce(np.matmul, reversed(with_residual(eager_maps(trace, kind))))
    rolled = trace.rollout(kind=kind)
    np.testing.assert_allclose(rolled, expected, atol=1e-5)
    np.testing.assert_allclose(rolled.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(trace.rollout(kind=kind, rows=[-1, 2]), expected[[-1, 2]], atol=1e-5)


def test_rollout_of_a_text_longer_than_a_block() -> None:
    trace = trace_of("llama", " ".join([TEXT] * 30), max_position_embeddings=1024)
    layers = with_residual(eager_maps(trace))
    expected = reduce(np.matmul, reversed(layers[:2]))
    np.testing.assert_allclose(trace.rollout(last_layer=1), expected, atol=1e-5)
    trace.lens.memory_budget = 600 * 600
    with pytest.raises(MemoryBudgetError, match=r"Ask for fewer rows \(rows=\)"):
        trace.rollout()
    assert trace.rollout(rows=[599]).shape == (1, 600)


def test_rollout_by_words_fuses_that_of_the_tokens() -> None:
    lens = Lens(build("llama"), tokenizer(), words=lambda text: text.split(" fox "))
    trace = lens.trace("the old fox runs over the fox at sea")
    spans = [(0, 2), (2, 3), (3, 6), (6, 7), (7, 9)]
    assert [word.tokens for word in trace.words()] == [tuple(range(*span)) for span in spans]
    rolled = trace.rollout().numpy()
    summed = np.stack([rolled[:, a:b].sum(axis=1) for a, b in spans], axis=1)
    expected = np.stack([summed[a:b].mean(axis=0) for a, b in spans])
    np.testing.assert_allclose(trace.rollout(unit="word"), expected, atol=1e-6)
    np.testing.assert_allclose(trace.rollout(unit="word", rows=[4, 1]), expected[[4, 1]], atol=1e-6)


def test_cross_attention_cannot_be_rolled_out() -> None:
    with pytest.raises(ValueError, match="Take kind='encoder' or kind='decoder'"):
        trace_of("t5").rollout(kind="cross")


def test_flow_through_one_layer_is_its_weight_beside_the_residual() -> None:
    trace = trace_of("llama", num_hidden_layers=1)
    mixed = with_residual(eager_maps(trace))[0]
    np.testing.assert_allclose(trace.flow(5), mixed[5], atol=1e-5)


# --- flow -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("model_type", "kind"), [("gpt2", "self"), ("bert", "self")])
@pytest.mark.parametrize("position", [-1, 3])
def test_flow_is_the_maximum_flow_that_networkx_finds(
    model_type: str, kind: Any, position: int
) -> None:
    trace = trace_of(model_type, SHORT)
    layers = with_residual(eager_maps(trace, kind))
    n_tokens = len(layers[0])
    graph = nx.DiGraph()
    for level, mixed in enumerate(layers, start=1):
        for query, key in zip(*np.nonzero(mixed), strict=True):
            graph.add_edge((level, query), (level - 1, key), capacity=mixed[query, key])
    source = (len(layers), range(n_tokens)[position])
    reached = [graph.has_node((0, key)) for key in range(n_tokens)]
    expected = [
        nx.maximum_flow_value(graph, source, (0, key)) if there else 0.0
        for key, there in enumerate(reached)
    ]
    np.testing.assert_allclose(trace.flow(position, kind=kind), expected, atol=1e-5)
    np.testing.assert_allclose(
        trace.flow(position, [0, 2], kind=kind), [expected[0], expected[2]], atol=1e-5
    )


# --- what heads move ------------------------------------------------------------------------------
def contributions(trace: Trace, layer: int) -> np.ndarray:
    """``a[h, q, k] f[h, k]`` in float64, from the model's own weights by name."""
    model, ids = trace.lens.model, torch.tensor([trace.sequences[0].ids])
    n_heads = trace.n_heads(layer)
    kept: list[torch.Tensor] = []
    if model.config.model_type == "gpt2":
        attention = model.transformer.h[layer].attn
        projected, out = attention.c_attn, attention.c_proj.weight.T
    elif model.config.model_type == "bert":
        attention = model.bert.encoder.layer[layer].attention
        projected, out = attention.self.value, attention.output.dense.weight
    else:
        attention = model.model.layers[layer].self_attn
        projected, out = attention.v_proj, attention.o_proj.weight
    handle = projected.register_forward_hook(lambda _, __, output: kept.append(output[0]))
    with torch.no_grad():
        model(input_ids=ids)
    handle.remove()
    value = kept[0].double()
    if model.config.model_type == "gpt2":
        value = value.chunk(3, dim=-1)[2]
    size = out.shape[1] // n_heads
    value = value.unflatten(-1, (-1, size)).repeat_interleave(
        n_heads * size // value.shape[-1], dim=1
    )
    by_head = out.detach().double().unflatten(1, (n_heads, size))
    f = torch.einsum("khd,ohd->hko", value, by_head).numpy()
    return eager_maps(trace)[layer][..., None] * f[:, None]


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "bert", "gpt_oss"])
def test_moved_norms_are_those_of_kobayashi(model_type: str) -> None:
    if model_type == "bert" and older_than("5.0"):
        pytest.skip("BERT computes its attention by itself before transformers 5")
    trace = trace_of(model_type)
    each = contributions(trace, 1)
    norms = np.linalg.norm(each, axis=-1)
    np.testing.assert_allclose(trace.moved_norms(1), norms, atol=1e-5 * norms.max())
    np.testing.assert_allclose(
        trace.moved_norms(1, [3, 1], rows=[2, 7]), norms[[3, 1]][:, [2, 7]], atol=1e-5 * norms.max()
    )
    together = np.linalg.norm(each.sum(axis=0), axis=-1)
    np.testing.assert_allclose(
        trace.moved_norms(1, aggregate="sum"), together, atol=1e-4 * together.max()
    )
    two = np.linalg.norm(each[[0, 2]].sum(axis=0), axis=-1)
    np.testing.assert_allclose(
        trace.moved_norms(1, [0, 2], aggregate="sum"), two, atol=1e-4 * two.max()
    )


def test_what_heads_move_sums_to_what_the_block_adds() -> None:
    trace = trace_of("llama")
    total = contributions(trace, 1).sum(axis=(0, 2))
    np.testing.assert_allclose(trace.activations(1, "attention"), total, atol=1e-4)


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_moved_norms_of_every_kind_follow_the_weights(kind: Any) -> None:
    trace = trace_of("bart")
    weights, norms = trace.attention(1, kind=kind), trace.moved_norms(1, kind=kind)
    ratio = norms / weights
    # A key's values are the same for all queries.
    for key in range(ratio.shape[-1]):
        of_key = ratio[..., key]
        for head in of_key:
            seen = head[head.isfinite()]
            torch.testing.assert_close(seen, seen[:1].expand_as(seen), rtol=1e-3, atol=1e-4)


def test_values_of_modules_that_compute_by_themselves_are_refused() -> None:
    with pytest.raises(ValueError, match="GPTJAttention computes attention by itself"):
        trace_of("gptj").moved_norms(0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("qwen3_next/Qwen3NextForCausalLM", "gates or normalises what its heads have gathered"),
        ("bitnet/BitNetForCausalLM", "gates or normalises what its heads have gathered"),
        ("granite_swa/GraniteSWAForCausalLM", "scales what it gathers"),
    ],
)
def test_what_gated_heads_move_is_not_made_up(name: str, message: str) -> None:
    case = case_or_skip(name)
    trace = Lens(build_case(case), tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match=message):
        trace.moved_norms(trace.layers()[0])
