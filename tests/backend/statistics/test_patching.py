"""Activation patching: against hooks of our own in float64, and TransformerLens' functions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer

from glasshead_backend import Lens, Trace, patch
from support.architectures.building import all_cases
from support.architectures.building import build as build_case
from support.tiny_models import CONFIGS, TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glasshead_backend.asking import Kind
    from glasshead_backend.questions.patching import What

OTHER = TEXT.replace("from the fox", "from a dog")
TARGET = "a lazy fox"
WHATS: tuple[What, ...] = ("residual", "attention", "mlp", "head")
CASES = {case.name: case for case in all_cases()}


def pair(lens: Lens, target: str | None = None) -> tuple[Trace, Trace]:
    return lens.trace(TEXT, target), lens.trace(OTHER, target)


# ---- against hooks of our own -------------------------------------------------------------------


@dataclass(frozen=True)
class Paths:
    """Where a model file keeps what patching is about: names below a layer's."""

    layer: str
    attention: str
    mlp: str
    projection: str

    def of(self, what: What, layer: int) -> str:
        below = {
            "residual": "",
            "attention": self.attention,
            "mlp": self.mlp,
            "head": self.projection,
        }[what]
        return f"{self.layer.format(layer)}.{below}".removesuffix(".")


LLAMA = Paths("model.layers.{}", "self_attn", "mlp", "self_attn.o_proj")
POST_NORM = Paths(
    "model.layers.{}",
    "post_attention_layernorm",
    "post_feedforward_layernorm",
    "self_attn.o_proj",
)
_BART = ("encoder_attn", "fc2", "encoder_attn.out_proj")
PLACES: dict[str, tuple[Kind, Paths]] = {
    "gpt2": ("self", Paths("transformer.h.{}", "attn", "mlp", "attn.c_proj")),
    "llama": ("self", LLAMA),
    "mistral": ("self", LLAMA),
    "phi3": ("self", LLAMA),
    "olmo": ("self", LLAMA),
    "qwen3": ("self", LLAMA),
    "gpt_oss": ("self", LLAMA),  # a mixture of experts, with sinks
    "granitemoe/GraniteMoeForCausalLM": (
        "self",
        Paths("model.layers.{}", "self_attn", "block_sparse_moe", "self_attn.o_proj"),
    ),
    "olmo2": ("self", POST_NORM),
    "gemma2": ("self", POST_NORM),
    "hyperclovax/HyperCLOVAXForCausalLM": (
        "self",
        Paths("model.layers.{}", "post_norm1", "post_norm2", "self_attn.o_proj"),
    ),
    # Attention and MLP side by side.
    "gpt_neox": ("self", Paths("gpt_neox.layers.{}", "attention", "mlp", "attention.dense")),
    "gptj": ("self", Paths("transformer.h.{}", "attn", "mlp", "attn.out_proj")),
    "falcon/FalconForCausalLM": (
        "self",
        Paths("transformer.h.{}", "self_attention.dense", "mlp", "self_attention.dense"),
    ),
    "bloom/BloomForCausalLM": (
        "self",
        Paths(
            "transformer.h.{}",
            "self_attention.dense",
            "mlp.dense_4h_to_h",
            "self_attention.dense",
        ),
    ),
    "t5": (
        "cross",
        Paths(
            "decoder.block.{}",
            "layer.1.EncDecAttention",
            "layer.2.DenseReluDense",
            "layer.1.EncDecAttention.o",
        ),
    ),
    "bart": ("cross", Paths("model.decoder.layers.{}", *_BART)),
    "marian": (
        "encoder",
        Paths("model.encoder.layers.{}", "self_attn", "fc2", "self_attn.out_proj"),
    ),
}


def first(value: Any) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else value[0]


def with_first(value: Any, tensor: torch.Tensor) -> Any:
    return tensor if isinstance(value, torch.Tensor) else (tensor, *value[1:])


def logits_of(trace: Trace, hooks: dict[str, Callable[..., Any]], *, given: bool) -> torch.Tensor:
    """Run the model itself, with a hook on what a module is given or puts out."""
    model: Any = trace.lens.model
    ids = [torch.tensor([of.ids]) for of in trace.sequences]
    inputs = dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))
    with ExitStack() as stack, torch.no_grad():
        for path, hook in hooks.items():
            module = model.get_submodule(path)
            add = module.register_forward_pre_hook if given else module.register_forward_hook
            stack.callback(add(hook).remove)
        return model(**inputs, use_cache=False).logits[0]


def by_hand(clean: Trace, corrupted: Trace, path: str, where: Any, *, given: bool) -> torch.Tensor:
    """Run the clean text, then the corrupted one with the clean one's numbers at one place."""
    kept: list[torch.Tensor] = []

    def keep(_: Any, args: Any, *output: Any) -> None:
        kept.append(first(output[0] if output else args).clone())

    def put(_: Any, args: Any, *output: Any) -> Any:
        value = output[0] if output else args
        new = first(value).clone()
        new[where] = kept[0].view_as(new)[where]
        return with_first(value, new)

    logits_of(clean, {path: keep}, given=given)
    return logits_of(corrupted, {path: put}, given=given)


@pytest.mark.parametrize("name", PLACES)
def test_every_architecture_says_what_hooks_of_our_own_say(name: str) -> None:
    model: Any = build(name) if name in CONFIGS else build_case(CASES[name])
    if hasattr(model, "set_experts_implementation"):  # that of float32 knows no float64
        model.set_experts_implementation("eager")
    lens = Lens(model.double(), tokenizer())
    kind, paths = PLACES[name]
    target = None if kind == "self" else TARGET
    clean, corrupted = pair(lens, target)
    columns = [2] if kind == "cross" else [16, 17, 19]
    for what in WHATS:
        found = patch(
            *(clean, corrupted, what),
            token=7,
            kind=kind,
            positions=None if what == "head" else columns,
        )
        row = found.target.row
        assert found.layers == tuple(clean.layers(kind))
        for i, layer in enumerate(found.layers):
            for j, column in enumerate(found.columns):
                where: Any = (0, column)
                if what == "head":
                    module: Any = model.get_submodule(paths.of(what, layer))
                    weight = module.weight
                    width = weight.shape[0] if name == "gpt2" else weight.shape[1]
                    size = width // clean.n_heads(layer, kind)
                    where = (0, slice(None), slice(column * size, (column + 1) * size))
                expected = by_hand(
                    clean, corrupted, paths.of(what, layer), where, given=what == "head"
                )[row].log_softmax(-1)[7]
                assert found.values[i, j] == pytest.approx(float(expected), abs=1e-5)
        for trace, f in ((clean, found.f_clean), (corrupted, found.f_corrupted)):
            expected = logits_of(trace, {}, given=False)[row].log_softmax(-1)[7]
            assert f == pytest.approx(float(expected), abs=1e-5)


# ---- against TransformerLens ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gpt2", "llama", "gpt_neox", "gemma2"])
def test_transformer_lens_says_the_same(name: str, tmp_path: Path) -> None:
    bridges: Any = pytest.importorskip("transformer_lens.model_bridge")
    patching: Any = pytest.importorskip("transformer_lens.patching")
    tokenizer().save_pretrained(tmp_path)
    model: Any = build(name)
    model.save_pretrained(tmp_path)
    bridge = bridges.TransformerBridge.boot_transformers(
        str(tmp_path), hf_model=model, tokenizer=AutoTokenizer.from_pretrained(tmp_path)
    )
    clean, corrupted = pair(Lens(bridge))
    ids = torch.tensor([corrupted.sequences[0].ids])
    with torch.no_grad():
        _, cache = bridge.run_with_cache(torch.tensor([clean.sequences[0].ids]))

        def logit(logits: torch.Tensor) -> torch.Tensor:
            return logits[0, -1, 7] - logits[0, -1, 9]

        pre = patching.get_act_patch_resid_pre(bridge, ids, cache, logit)
        theirs = {
            "attention": patching.get_act_patch_attn_out(bridge, ids, cache, logit),
            "mlp": patching.get_act_patch_mlp_out(bridge, ids, cache, logit),
            "head": patching.get_act_patch_attn_head_out_all_pos(bridge, ids, cache, logit),
        }
    for what, expected in theirs.items():
        ours = patch(clean, corrupted, what, token=7, against=9)  # type: ignore[arg-type]
        torch.testing.assert_close(ours.values, expected, atol=1e-4, rtol=0)
    # What is in front of a layer is behind the one before it.
    behind = patch(clean, corrupted, "residual", token=7, against=9)
    torch.testing.assert_close(behind.values[:-1], pre[1:], atol=1e-4, rtol=0)
