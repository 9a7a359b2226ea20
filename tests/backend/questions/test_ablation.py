"""A head, a block or a layer is switched off: what the model does then, and that it comes back."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glasshead_backend import (
    Cancelled,
    HeadEntropy,
    Lens,
    Trace,
    difference,
    head_statistics,
)
from support.architectures.building import all_cases
from support.architectures.building import build as build_case
from support.parity import in_float64
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = "a lazy fox runs over the sea"
HEADS = [1, 3]

DECODERS = {
    "gpt2": "transformer.h.{}.attn.c_proj",
    "llama": "model.layers.{}.self_attn.o_proj",
    "mistral": "model.layers.{}.self_attn.o_proj",
    "phi3": "model.layers.{}.self_attn.o_proj",
    "olmo2": "model.layers.{}.self_attn.o_proj",  # a norm behind the projection
    "gemma2": "model.layers.{}.self_attn.o_proj",  # norms before and behind
    "qwen3": "model.layers.{}.self_attn.o_proj",
    "gpt_neox": "gpt_neox.layers.{}.attention.dense",  # attention and MLP side by side
    "gptj": "transformer.h.{}.attn.out_proj",  # side by side; computes its attention by itself
    "gpt_oss": "model.layers.{}.self_attn.o_proj",  # mixture of experts, attention sinks
}
"""Where the heads go into the output projection, by each model's own code."""

OTHERS = {
    "bloom": "transformer.h.{}.self_attention.dense",
    "mixtral": "model.layers.{}.self_attn.o_proj",
    "phi": "model.layers.{}.self_attn.dense",
    "falcon": "transformer.h.{}.self_attention.dense",
    "opt": "model.decoder.layers.{}.self_attn.out_proj",
    "deepseek_v3": "model.layers.{}.self_attn.o_proj",  # latent attention, experts
}

ENCODER_DECODERS = {
    ("t5", "cross"): "decoder.block.{}.layer.1.EncDecAttention.o",
    ("t5", "encoder"): "encoder.block.{}.layer.0.SelfAttention.o",
    ("bart", "cross"): "model.decoder.layers.{}.encoder_attn.out_proj",
    ("marian", "decoder"): "model.decoder.layers.{}.self_attn.out_proj",
}


def case_of(model_type: str) -> Any:
    return next(c for c in all_cases() if c.model_type == model_type and "CausalLM" in c.autos)


def traced(model: Any) -> Trace:
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def inputs_of(trace: Trace) -> dict[str, torch.Tensor]:
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    return dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))


def without(n_heads: int, heads: list[int], fill: torch.Tensor | None = None) -> Callable[..., Any]:
    """A hook as one writes it by hand: the heads' part of the projection's input is replaced."""

    def hook(_: Any, args: tuple[Any, ...]) -> Any:
        apart = args[0].clone().unflatten(-1, (n_heads, -1))
        for head in heads:
            apart[..., head, :] = 0 if fill is None else fill.view(n_heads, -1)[head]
        return (apart.flatten(-2), *args[1:])

    return hook


@torch.no_grad()
def run_by_hand(trace: Trace, hooks: dict[str, Callable[..., Any]], *, pre: bool = True) -> Any:
    """A copy of the model in float64, with hooks on modules by their names."""
    model = in_float64(trace.lens.model)
    for name, hook in hooks.items():
        module = model.get_submodule(name)
        (module.register_forward_pre_hook if pre else module.register_forward_hook)(hook)
    return model(**inputs_of(trace), use_cache=False)


def close(found: torch.Tensor, truth: torch.Tensor) -> None:
    assert truth.dtype == torch.float64
    assert (found.double() - truth).abs().max() <= 2e-4 * truth.abs().max()


@pytest.mark.parametrize("model_type", [*DECODERS, *OTHERS])
def test_heads_are_off_as_with_hooks_written_by_hand(model_type: str) -> None:
    model = build(model_type) if model_type in DECODERS else build_case(case_of(model_type))
    trace = traced(model)
    layer = trace.layers()[-2]
    path = {**DECODERS, **OTHERS}[model_type].format(layer)
    n_heads = trace.n_heads(layer)
    found = trace.ablate({layer: HEADS}).logits()
    effects = trace.head_effects(position=-2)
    truth = run_by_hand(trace, {path: without(n_heads, HEADS)}).logits[0]
    close(found, truth)
    whole = run_by_hand(trace, {}).logits[0]
    assert (truth - whole).abs().max() > 1e-2 * whole.abs().max(), "these heads do nothing"
    row, token = len(trace.tokens) - 3, trace.tokens[-2].id
    for head in (0, n_heads - 1):
        off = run_by_hand(trace, {path: without(n_heads, [head])}).logits[0, row]
        true = (off.log_softmax(-1) - whole[row].log_softmax(-1))[token]
        found = effects.values[effects.layers.index(layer), head].double()
        assert abs(found - true) < 2e-3 * max(1, abs(true)), (head, found, true)


@pytest.mark.parametrize(("model_type", "kind"), ENCODER_DECODERS)
def test_heads_of_every_kind_can_be_switched_off(model_type: str, kind: Any) -> None:
    trace = traced(build(model_type))
    layer = trace.layers(kind)[-1]
    path = ENCODER_DECODERS[model_type, kind].format(layer)
    found = trace.ablate([(layer, 1), (kind, layer, 3)], kind=kind).logits()
    effects = trace.head_effects(kind=kind)
    truth = run_by_hand(trace, {path: without(4, HEADS)}).logits[0]
    close(found, truth)
    whole = run_by_hand(trace, {}).logits[0, -1].log_softmax(-1)
    off = run_by_hand(trace, {path: without(4, [2])}).logits[0, -1].log_softmax(-1)
    true = (off - whole)[trace.labels[-1].id]
    assert effects.values[-1, 2].double() == pytest.approx(float(true), rel=2e-3, abs=1e-4)


def test_heads_of_an_encoder_can_be_switched_off_and_their_absence_is_seen_above() -> None:
    model = build("bert")
    trace = traced(model)
    off = trace.ablate([(0, 1), (0, 3)])
    hook = without(4, HEADS)
    dense = model.get_submodule("bert.encoder.layer.0.attention.output.dense")
    handle = dense.register_forward_pre_hook(hook)
    eager = eager_attentions(model, **inputs_of(trace))["attentions"]
    handle.remove()
    torch.testing.assert_close(off.attention(1), eager[1][0], atol=1e-5, rtol=0)
    assert (trace.attention(1) - eager[1][0]).abs().max() > 1e-3
    with pytest.raises(ValueError, match=r"[Pp]redict"):
        trace.head_effects()


def test_a_head_that_is_off_on_average_is_its_mean_over_the_text_or_over_others() -> None:
    trace = traced(build("llama"))
    given: list[torch.Tensor] = []
    name = DECODERS["llama"].format(1)

    def keep(_: Any, args: tuple[Any, ...]) -> None:
        given.append(args[0][0])

    others = ["a quick dog", "the old whale jumps over the brown sea"]
    of_text = trace.ablate([(1, 2)], how="mean").logits()
    of_others = trace.ablate([(1, 2)], how="mean", over=others)
    assert of_others.ablated is not None
    assert of_others.ablated.n_texts == 2
    effects = trace.head_effects(how="mean")
    of_others = of_others.logits()
    run_by_hand(trace, {name: keep})
    fill = given[0].mean(0)
    truth = run_by_hand(trace, {name: without(4, [2], fill)}).logits[0]
    close(of_text, truth)
    whole = run_by_hand(trace, {}).logits[0, -1].log_softmax(-1)
    true = (truth[-1].log_softmax(-1) - whole)[effects.target.token]
    assert effects.values[1, 2].double() == pytest.approx(float(true), abs=1e-4)
    given.clear()
    for text in others:
        run_by_hand(trace.lens.trace(text), {name: keep})
    fill = torch.cat(given).mean(0)
    close(of_others, run_by_hand(trace, {name: without(4, [2], fill)}).logits[0])


@pytest.mark.parametrize(
    ("model_type", "name"),
    [("gpt2", "transformer.h.1.mlp"), ("gpt_neox", "gpt_neox.layers.1.mlp"),
     ("gpt_oss", "model.layers.1.mlp"), ("gemma2", "model.layers.1.post_feedforward_layernorm")],
)  # fmt: skip
def test_a_block_that_is_off_adds_nothing(model_type: str, name: str) -> None:
    trace = traced(build(model_type))
    off = trace.ablate(blocks=[(1, "mlp")])
    assert not off.norms()["mlp"][1].any()
    found = off.logits()

    def nothing(_: Any, __: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return torch.zeros_like(output[0]), *output[1:]
        return torch.zeros_like(output)

    close(found, run_by_hand(trace, {name: nothing}, pre=False).logits[0])


def test_a_layer_that_is_off_passes_on_what_it_is_given() -> None:
    trace = traced(build("llama"))
    off = trace.ablate(layers=1)
    assert off.ablated is not None
    assert off.ablated.in_words() == "the attention of layer 1 and the mlp of layer 1"
    found = off.logits()

    def skip(_: Any, args: tuple[Any, ...], output: Any) -> Any:
        return args[0] if isinstance(output, torch.Tensor) else (args[0], *output[1:])

    close(found, run_by_hand(trace, {"model.layers.1": skip}, pre=False).logits[0])


def test_every_answer_of_an_ablated_trace_is_of_the_run_without() -> None:
    model = build("llama")
    trace = traced(model)
    off = trace.ablate([(0, 1)])
    other = copy.deepcopy(model)
    name = DECODERS["llama"].format(0)
    other.get_submodule(name).register_forward_pre_hook(without(4, [1]))
    by_hand = Lens(other, tokenizer()).trace(TEXT)
    for layer in trace.layers():
        torch.testing.assert_close(off.attention(layer), by_hand.attention(layer))
        torch.testing.assert_close(off.hidden_states(layer), by_hand.hidden_states(layer))
    surprisal, true = off.predictions().surprisal, by_hand.predictions().surprisal
    torch.testing.assert_close(surprisal, true, equal_nan=True)
    assert off.top_k(-1, 5).equals(by_hand.top_k(-1, 5))
    readings, true = off.layer_readings(5).to_frame(), by_hand.layer_readings(5).to_frame()
    assert readings.round(5).equals(true.round(5))
    # What the head moves is nothing; what the others move is theirs.
    moved, before = off.moved_norms(0), trace.moved_norms(0)
    assert not moved[1].any()
    torch.testing.assert_close(moved[[0, 2, 3]], before[[0, 2, 3]])
    # Off stays off.
    both = off.ablate([(1, 2)])
    assert both.ablated is not None
    assert both.ablated.heads == (("self", 0, 1), ("self", 1, 2))
    at_once = trace.ablate({0: 1, 1: 2, 2: 0}).logits()
    torch.testing.assert_close(both.ablate([(2, 0)]).logits(), at_once)
    assert "without head 1 of layer 0" in repr(off)


def test_the_model_is_left_as_found_and_nobody_else_sees_the_switch() -> None:
    model = build("gpt2")
    trace = traced(model)
    before = model(**inputs_of(trace)).logits
    seen: list[torch.Tensor] = []

    @torch.no_grad()
    def elsewhere() -> None:
        seen.append(model(**inputs_of(trace)).logits)

    def stop(_: Any) -> None:
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        raise Cancelled

    with pytest.raises(Cancelled):
        trace.head_effects(progress=stop)
    with pytest.raises(Cancelled):
        trace.ablate([(0, 1)], how="mean", progress=stop)
    assert seen
    for logits in (*seen, model(**inputs_of(trace)).logits):
        torch.testing.assert_close(logits, before)
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert trace.ablate([(0, 1)]).perplexity != trace.perplexity
    model.get_submodule("transformer.h.0.attn.c_proj").weight.data.mul_(2)
    with pytest.raises(ValueError, match="has changed"):
        trace.ablate([(0, 1)])


def test_heads_that_a_model_mixes_before_it_projects_them_are_refused_by_name() -> None:
    trace = traced(build_case(case_of("diffllama")))
    with pytest.raises(ValueError, match="DiffLlamaAttention mixes or normalises"):
        trace.ablate([(0, 1)])
    with pytest.raises(ValueError, match="DiffLlamaAttention mixes or normalises"):
        trace.head_effects()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "Nothing to switch off: give heads"),
        ({"heads": [(9, 0)]}, "layer 9 is out of range: .* layers 0-2"),
        ({"heads": [(1, 4)]}, "head 4 is out of range: layer 1 of .* has heads 0-3"),
        ({"heads": [("cross", 1, 0)]}, "kind 'cross' is not there"),
        ({"blocks": [(1, "attn")]}, "block 'attn' is not one of"),
        ({"blocks": [(1, "cross")]}, "has no block 'cross': it has 'attention', 'mlp'"),
        ({"layers": [5]}, "layer 5 is out of range"),
        ({"heads": [(1, 0)], "how": "resample"}, "how 'resample' is not one of"),
        ({"heads": [(1, 0)], "over": ["a fox"]}, "give how='mean'"),
    ],
)
def test_what_is_not_there_cannot_be_switched_off(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        traced(build("llama")).ablate(**asked)


def test_without_its_previous_token_head_the_demo_model_no_longer_copies() -> None:
    """Its card says so: "Without head L0H5, the accuracy on the second copy drops from 0.98 to
    0.00" (on 64 such texts of random tokens)."""
    lens = Lens.demo("decoder")
    generator = torch.Generator().manual_seed(3)
    start = lens.tokenizer.bos_token_id
    right: dict[str, list[torch.Tensor]] = {"whole": [], "without": [], "other": []}
    for _ in range(4):
        once = torch.randint(300, 1500, (30,), generator=generator).tolist()
        trace = lens.trace([start, *once, *once])
        if not right["whole"]:
            effects = trace.head_effects(position=-1).to_frame()
            assert tuple(effects.loc[0, ["layer", "head"]]) == (0, 5)
        for name, one in (
            ("whole", trace),
            ("without", trace.ablate([(0, 5)])),
            ("other", trace.ablate([(0, 8)])),
        ):
            right[name].append(one.predictions().correct[32:].float())
    share = {name: float(torch.cat(of).mean()) for name, of in right.items()}
    assert share["whole"] > 0.93
    assert share["without"] < 0.05
    assert share["other"] > 0.9


def test_two_runs_of_one_text_differ_in_surprisal_and_in_any_statistic() -> None:
    trace = traced(build("llama"))
    off = trace.ablate([(0, 1), (1, 2)])
    changed = difference(trace, off)
    names = {
        DECODERS["llama"].format(layer): without(4, [head]) for layer, head in ((0, 1), (1, 2))
    }
    whole, cut = (run_by_hand(trace, hooks).logits[0].log_softmax(-1) for hooks in ({}, names))
    ids = torch.tensor([token.id for token in trace.tokens[1:]])
    true = (whole - cut)[torch.arange(len(ids)), ids]
    assert changed.surprisal[0].isnan()
    torch.testing.assert_close(changed.surprisal[1:].double(), true, atol=2e-4, rtol=1e-3)
    heads = changed.statistic(HeadEntropy())
    assert len(heads) == 12
    before, after = (head_statistics(one).entropy.flatten() for one in (trace, off))
    np.testing.assert_allclose(heads["entropy_difference"], after - before, atol=1e-6)
    blocks = changed.statistic("norm")
    assert {"layer", "block"} <= set(blocks.columns)
    assert "without head 1 of layer 0" in repr(changed)
    with pytest.raises(ValueError, match="two runs of the same tokens; the texts have 20 and 4"):
        difference(trace, trace.lens.trace("a quick dog jumps"))


def test_the_model_writes_on_without_its_head() -> None:
    trace = Lens.demo("decoder").trace("The white whale swam. The white")
    off = trace.ablate([(0, 5)])
    behind = len(trace.tokens)
    written = off.continue_with(behind, " whale", max_new_tokens=6)
    assert written.ablated == off.ablated
    model = copy.deepcopy(trace.lens.model)
    name = DECODERS["llama"].format(0)
    model.get_submodule(name).register_forward_pre_hook(without(12, [5]))
    ids = torch.tensor([written.sequences[0].ids[: behind + 1]])
    true = model.generate(ids, max_new_tokens=6, do_sample=False)[0].tolist()
    assert written.sequences[0].ids == true
    whole = trace.continue_with(behind, " whale", max_new_tokens=6)
    assert whole.sequences[0].ids != true
