"""Layers, attention blocks and MLPs are found without names; compared with hooks set by name."""

from __future__ import annotations

import pytest
import torch

from glasshead_backend import Lens
from support.tiny_models import TEXT, build, tokenizer

# Architecture, path of what writes the attention output, path of what writes the MLP output: as a
# person who knows the architecture would hook them.
WRITERS = [
    ("gpt2", "transformer.h.{}.attn.c_proj", "transformer.h.{}.mlp.c_proj"),
    ("llama", "model.layers.{}.self_attn.o_proj", "model.layers.{}.mlp.down_proj"),
    ("olmo", "model.layers.{}.self_attn.o_proj", "model.layers.{}.mlp.down_proj"),
    # norms behind the blocks: what is added is what leaves the norm
    (
        "olmo2",
        "model.layers.{}.post_attention_layernorm",
        "model.layers.{}.post_feedforward_layernorm",
    ),
    ("gpt_neox", "gpt_neox.layers.{}.attention.dense", "gpt_neox.layers.{}.mlp.dense_4h_to_h"),
    # post-norm: the projection in front of the norm
    ("bert", "bert.encoder.layer.{}.attention.output.dense", "bert.encoder.layer.{}.output.dense"),
]


@pytest.mark.parametrize(("model_type", "attention", "mlp"), WRITERS)
def test_block_outputs_are_those_of_the_modules_that_write_them(
    model_type: str, attention: str, mlp: str
) -> None:
    model = build(model_type)
    written: dict[str, torch.Tensor] = {}

    def keep(name: str) -> object:
        return lambda _, __, output: written.__setitem__(name, output[0])

    # Before the trace: a hook that comes later is a change of the model.
    for layer in range(3):
        for path in (attention, mlp):
            name = path.format(layer)
            model.get_submodule(name).register_forward_hook(keep(name))
    trace = Lens(model, tokenizer()).trace(TEXT)
    with torch.no_grad():
        model(input_ids=torch.tensor([[token.id for token in trace.queries()]]))
    norms = trace.norms()
    for layer in range(3):
        for block, path in (("attention", attention), ("mlp", mlp)):
            expected = written[path.format(layer)]
            torch.testing.assert_close(trace.activations(layer, block), expected)
            torch.testing.assert_close(norms[block][layer], expected.norm(dim=-1))


@pytest.mark.parametrize("model_type", ["gpt2", "llama", "olmo2", "gpt_neox", "t5"])
def test_embedding_plus_all_blocks_is_the_last_residual_stream(model_type: str) -> None:
    trace = Lens(build(model_type), tokenizer()).trace(TEXT, TEXT if model_type == "t5" else None)
    blocks = ("attention", "cross", "mlp") if model_type == "t5" else ("attention", "mlp")
    total = trace.activations(0, "embedding")
    for layer in range(3):
        for block in blocks:
            total = total + trace.activations(layer, block)
        torch.testing.assert_close(
            total, trace.activations(layer, "residual"), rtol=1e-4, atol=1e-4
        )


def test_cross_attention_and_the_encoder_have_their_own_blocks() -> None:
    trace = Lens(build("bart"), tokenizer()).trace(TEXT, "a fox")
    assert {block: list(norms) for block, norms in trace.norms("encoder").items()} == {
        "attention": [0, 1],
        "mlp": [0, 1],
    }
    assert {block: list(norms) for block, norms in trace.norms("cross").items()} == {
        "attention": [0, 1, 2],
        "cross": [0, 1, 2],
        "mlp": [0, 1, 2],
    }
    assert len(trace.norms("encoder")["mlp"][0]) == len(trace.keys("cross"))
    assert len(trace.norms("cross")["mlp"][0]) == len(trace.queries("cross"))


def test_a_layer_shared_by_all_layers_is_told_apart_by_its_turn() -> None:
    trace = Lens(build("albert"), tokenizer()).trace(TEXT)
    assert trace.layers() == [0, 1, 2]
    assert list(trace.norms()["attention"]) == [0, 1, 2]
    assert not torch.equal(trace.activations(0, "mlp"), trace.activations(2, "mlp"))


@pytest.mark.parametrize(
    ("model_type", "family"),
    [("llama", "decoder"), ("gpt2", "decoder"), ("bert", "encoder"), ("t5", "encoder-decoder")],
)
def test_the_family_is_found_by_whether_the_future_matters(model_type: str, family: str) -> None:
    assert Lens(build(model_type), tokenizer()).family == family
