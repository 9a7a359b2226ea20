"""TransformerLens beside Glasshead: the same tiny models, the same numbers."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer

from glasshead_backend import Lens, ModelNeededError, Trace, UnsupportedModelError, logit_lens
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend.asking import ActivationBlock, Kind

# It needs transformers 5.9 or newer.
bridges: Any = pytest.importorskip("transformer_lens.model_bridge")

TARGET = "a lazy fox"
TOLERANCE = 1e-5
ONE_TEXT = ["gpt2", "llama", "gpt_neox", "gemma2", "qwen3"]
"""GPT-2; Llama with grouped queries; Pythia's architecture; soft-caps; norms of query and key."""
BLOCKS: dict[ActivationBlock, str] = {
    "attention": "hook_attn_out",
    "mlp": "hook_mlp_out",
    "residual": "hook_resid_post",
}


@pytest.fixture(scope="module")
def boot(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Make a bridge as users do, of a model that is loaded already."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer().save_pretrained(folder)
    read = AutoTokenizer.from_pretrained(folder)
    made: dict[str, Any] = {}

    def boot(model_type: str) -> Any:
        if model_type not in made:
            model: Any = build(model_type)
            model.save_pretrained(folder)
            made[model_type] = bridges.TransformerBridge.boot_transformers(
                str(folder), hf_model=model, tokenizer=read
            )
        return made[model_type]

    return boot


def ids_of(bridge: Any, text: str = TEXT) -> torch.Tensor:
    return bridge.tokenizer(text, return_tensors="pt").input_ids


@torch.no_grad()
def recorded(bridge: Any, text: str = TEXT) -> tuple[torch.Tensor, Any]:
    return bridge.run_with_cache(ids_of(bridge, text))


def is_pattern(name: str) -> bool:
    return name.endswith("hook_pattern")


def seen(scores: torch.Tensor) -> torch.Tensor:
    """What is not masked: TransformerLens writes the dtype's minimum for what is."""
    return scores > torch.finfo(scores.dtype).min / 2


def differs(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max().clamp_min(1))


def require_same_numbers(trace: Trace, logits: torch.Tensor, cache: Any) -> None:
    """Patterns, scores, residual streams, logits: as TransformerLens recorded them."""
    assert trace.layers() == list(range(len(trace.layers())))
    for layer in trace.layers():
        pattern, scores = cache["pattern", layer][0], cache["attn_scores", layer][0]
        assert trace.n_heads(layer) == len(pattern)
        assert differs(trace.attention(layer), pattern) <= TOLERANCE
        ours, there = trace.attention(layer, scores=True), seen(scores)
        assert torch.equal(ours.isfinite(), there)
        assert differs(ours[there], scores[there]) <= TOLERANCE
        for block, hook in BLOCKS.items():
            expected = cache[f"blocks.{layer}.{hook}"][0]
            assert differs(trace.activations(layer, block), expected) <= TOLERANCE
    embedding = cache["blocks.0.hook_resid_pre"][0]
    assert differs(trace.activations(0, "embedding"), embedding) <= TOLERANCE
    assert differs(trace.logits(), logits[0]) <= TOLERANCE


@pytest.mark.parametrize("model_type", ONE_TEXT)
def test_a_lens_of_a_bridge_has_its_numbers(model_type: str, boot: Callable[[str], Any]) -> None:
    bridge = boot(model_type)
    lens = Lens(bridge)  # the tokenizer is the bridge's
    assert lens.model is bridge.original_model
    assert lens.tokenizer is bridge.tokenizer
    require_same_numbers(lens.trace(TEXT), *recorded(bridge))


@pytest.mark.parametrize("model_type", ONE_TEXT)
def test_a_cache_reads_as_a_trace(model_type: str, boot: Callable[[str], Any]) -> None:
    bridge = boot(model_type)
    logits, cache = recorded(bridge)
    trace = Trace.from_cache(cache, ids_of(bridge), logits=logits)
    require_same_numbers(trace, logits, cache)
    traced = Lens(bridge).trace(TEXT)
    assert [token.text for token in trace.tokens] == [token.text for token in traced.tokens]
    assert trace.perplexity == pytest.approx(traced.perplexity, rel=1e-5)
    assert trace.top_k(3)["token"].tolist() == traced.top_k(3)["token"].tolist()
    for block, by_layer in traced.norms().items():
        for layer, norm in by_layer.items():
            assert differs(trace.norms()[block][layer], norm) <= TOLERANCE


@pytest.mark.parametrize("model_type", ONE_TEXT)
def test_layers_of_a_bridge_are_read_out_as_those_of_the_model(
    model_type: str, boot: Callable[[str], Any]
) -> None:
    """It failed, and left the bridge with another forward: what is set there goes elsewhere."""
    bridge = boot(model_type)
    before = recorded(bridge)[0]
    trace = Lens(bridge).trace(TEXT)
    plain = Lens(build(model_type), bridge.tokenizer).trace(TEXT)
    ours, expected = logit_lens(trace).to_frame(), logit_lens(plain).to_frame()
    for name in expected.select_dtypes("number"):
        assert ours[name].to_numpy() == pytest.approx(expected[name].to_numpy(), abs=1e-4)
    readings = trace.layer_readings(5).to_frame()
    assert readings["top"].tolist() == plain.layer_readings(5).to_frame()["top"].tolist()
    assert torch.equal(recorded(bridge)[0], before)
    require_same_numbers(trace, *recorded(bridge))


@pytest.mark.parametrize("model_type", ["gptj", "bert"])
def test_weights_that_a_cache_calls_scores_are_not_taken_for_scores(
    model_type: str, boot: Callable[[str], Any]
) -> None:
    """TransformerLens 4.3 records hook_attn_scores behind the softmax for some architectures."""
    bridge = boot(model_type)
    _, cache = recorded(bridge)
    assert float(cache["attn_scores", 1].min()) >= 0
    trace = Trace.from_cache(cache, ids_of(bridge))
    assert differs(trace.attention(1), cache["pattern", 1][0]) <= TOLERANCE
    with pytest.raises(ValueError, match="without the scores"):
        trace.attention(1, scores=True)


@pytest.mark.parametrize("there", [0.5, torch.finfo(torch.float32).min / 8**0.5])
def test_scores_without_a_mask_or_with_a_scaled_one_are_shown_masked(
    there: float, boot: Callable[[str], Any]
) -> None:
    """As those of T5's decoder and of CodeGen are: what a later token scores decides nothing."""
    bridge = boot("gpt2")
    _, cache = recorded(bridge)
    held = dict(cache.cache_dict)
    scores = held["blocks.1.attn.hook_attn_scores"]
    held["blocks.1.attn.hook_attn_scores"] = torch.where(seen(scores), scores, there)
    trace = Trace.from_cache(held, ids_of(bridge), tokenizer=bridge.tokenizer)
    ours = trace.attention(1, scores=True)
    assert torch.equal(ours.isfinite(), seen(scores)[0])
    assert differs(ours[ours.isfinite()], scores[0][seen(scores)[0]]) <= TOLERANCE


def test_what_attention_adds_in_bert_is_not_what_stands_behind_its_norm(
    boot: Callable[[str], Any],
) -> None:
    """There hook_attn_out has the stream and the norm in it."""
    bridge = boot("bert")
    _, cache = recorded(bridge)
    plain = Lens(build("bert"), bridge.tokenizer).trace(TEXT)
    trace = Trace.from_cache(cache, ids_of(bridge))
    for layer in trace.layers():
        expected = plain.activations(layer, "attention")
        assert differs(trace.activations(layer, "attention"), expected) <= TOLERANCE


def test_encoder_decoder_models_too(boot: Callable[[str], Any]) -> None:
    bridge = boot("t5")
    trace = Lens(bridge).trace(TEXT, TARGET)
    source, target = trace.sequences
    with torch.no_grad():
        logits, cache = bridge.run_with_cache(
            torch.tensor([source.ids]), decoder_input=torch.tensor([target.ids])
        )
    given = Trace.from_cache(cache, target.ids, source_tokens=source.ids, logits=logits)
    assert given.kinds == trace.kinds == ("encoder", "decoder", "cross")
    places: dict[Kind, str] = {
        "encoder": "encoder_blocks.{}.attn",
        "decoder": "decoder_blocks.{}.self_attn",
        "cross": "decoder_blocks.{}.cross_attn",
    }
    for kind, place in places.items():
        assert given.layers(kind) == trace.layers(kind)
        for layer in trace.layers(kind):
            hooks = place.format(layer)
            pattern = cache[f"{hooks}.hook_pattern"][0]
            scores = cache[f"{hooks}.hook_attn_scores"][0]
            for one in (trace, given):
                assert differs(one.attention(layer, kind=kind), pattern) <= TOLERANCE
                # A decoder's own are recorded there before the mask is added.
                ours = one.attention(layer, kind=kind, scores=True)
                there = ours.isfinite() & seen(scores)
                assert bool((there | (pattern == 0)).all())
                assert differs(ours[there], scores[there]) <= TOLERANCE
    blocks: dict[ActivationBlock, str] = {**BLOCKS, "cross": "hook_cross_attn_out"}
    for one in (trace, given):
        for block, hook in blocks.items():
            expected = cache[f"decoder_blocks.1.{hook}"][0]
            assert differs(one.activations(1, block, kind="cross"), expected) <= TOLERANCE
        behind = cache["encoder_blocks.1.hook_resid_post"][0]
        assert differs(one.hidden_states(1, kind="encoder"), behind) <= TOLERANCE
        assert differs(one.logits(), logits[0]) <= TOLERANCE


def test_a_bridge_in_compatibility_mode_is_another_model(boot: Callable[[str], Any]) -> None:
    """Folded norms and centred weights: its own numbers are the ones that are shown."""
    model: Any = build("gpt2", seed=1)
    plain = boot("gpt2")
    bridge: Any = bridges.TransformerBridge.boot_transformers(
        plain.cfg.model_name, hf_model=model, tokenizer=plain.tokenizer
    )
    before = Lens(bridge).trace(TEXT)
    bridge.enable_compatibility_mode()
    require_same_numbers(Lens(bridge).trace(TEXT), *recorded(bridge))
    assert before.perplexity > 0  # stays what it was


def test_what_a_hook_of_the_user_does_is_seen(boot: Callable[[str], Any]) -> None:
    """The bridge is used as it is, and left as it is."""
    bridge = boot("llama")
    usual = Lens(bridge).trace(TEXT)

    def switch_off(values: torch.Tensor, hook: object) -> torch.Tensor:
        del hook
        return values * 0

    with bridge.hooks(fwd_hooks=[("blocks.1.hook_mlp_out", switch_off)]):
        without = Lens(bridge).trace(TEXT)
        assert float(without.activations(1, "mlp").abs().max()) == 0
        require_same_numbers(without, *recorded(bridge))
    require_same_numbers(Lens(bridge).trace(TEXT), *recorded(bridge))
    assert torch.equal(Lens(bridge).trace(TEXT).logits(), usual.logits())


def test_a_cache_without_batch_or_as_plain_dict(boot: Callable[[str], Any]) -> None:
    bridge = boot("gpt2")
    logits, cache = recorded(bridge)
    ids = ids_of(bridge)[0]
    plain = Trace.from_cache(dict(cache.cache_dict), ids, tokenizer=bridge.tokenizer)
    assert torch.equal(plain.attention(1), cache["pattern", 1][0])
    assert plain.predictions().n_scored == 0  # nobody knows what is done behind its unembedding
    alone = cache.remove_batch_dim()
    trace = Trace.from_cache(alone, bridge.to_str_tokens(ids))
    assert torch.equal(trace.attention(1), plain.attention(1))
    assert trace.text == TEXT
    assert trace.perplexity == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits[0, :-1], ids[1:]).exp()), rel=1e-5
    )


def test_what_was_not_recorded_says_so(boot: Callable[[str], Any]) -> None:
    bridge = boot("gpt2")
    ids = ids_of(bridge)
    with torch.no_grad():
        _, patterns = bridge.run_with_cache(ids, names_filter=is_pattern)
        _, mlps = bridge.run_with_cache(ids, names_filter="blocks.0.hook_mlp_out")
        _, two = bridge.run_with_cache(ids.repeat(2, 1))
    trace = Trace.from_cache(patterns, ids)
    with pytest.raises(ModelNeededError, match="no model"):
        trace.activations(0, "mlp")
    with pytest.raises(ValueError, match="without the scores"):
        trace.attention(0, scores=True)
    with pytest.raises(ValueError, match="no attention patterns"):
        Trace.from_cache(mlps, ids)
    with pytest.raises(ValueError, match="a trace shows one"):
        Trace.from_cache(two, ids)
    n = ids.shape[1]
    with pytest.raises(ValueError, match=f"has {n} rows, but there are {n - 1} tokens"):
        Trace.from_cache(patterns, ids[:, :-1])
    with pytest.raises(ValueError, match=f"logits have {n - 2} rows, but there are {n} tokens"):
        Trace.from_cache(patterns, ids, logits=torch.zeros(n - 2, 96))
    with pytest.raises(TypeError, match=r"run_with_cache\(tokens\) returns second, got Tensor"):
        Trace.from_cache(ids, ids)


def test_a_model_of_its_own_kind_is_refused_with_the_way_in() -> None:
    class HookedTransformer(torch.nn.Module):
        """As TransformerLens 2 and 3 had: no transformers model is in it."""

    HookedTransformer.__module__ = "transformer_lens.HookedTransformer"
    with pytest.raises(UnsupportedModelError, match=r"Trace\.from_cache\(cache, tokens\)"):
        Lens(HookedTransformer(), tokenizer())


def test_the_library_is_not_loaded_for_models_of_others() -> None:
    code = """
import sys
from glasshead_backend import Lens
Lens.demo("decoder").trace("The whale swam.")
loaded = {"transformer_lens", "nnsight", "peft", "glasshead_backend.compat.transformer_lens"}
print(sorted(loaded & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
