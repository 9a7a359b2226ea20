"""Activation patching: against hooks of our own in float64, and TransformerLens' functions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer

from glasshead_backend import (
    Cancelled,
    Lens,
    MemoryBudgetError,
    ModelChangedError,
    Patched,
    Trace,
    patch,
)
from support.architectures.building import all_cases
from support.architectures.building import build as build_case
from support.tiny_models import CONFIGS, TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from glasshead_backend import Step
    from glasshead_backend.asking import Kind
    from glasshead_backend.questions.patching import What

OTHER = TEXT.replace("from the fox", "from a dog")
SHORT = ("the quick brown fox jumps over", "the quick brown dog jumps over")
TARGET = "a lazy fox"
WHATS: tuple[What, ...] = ("residual", "attention", "mlp", "head")
CASES = {case.name: case for case in all_cases()}


def pair(lens: Lens, target: str | None = None) -> tuple[Trace, Trace]:
    return lens.trace(TEXT, target), lens.trace(OTHER, target)


# ---- against hooks of our own --------------------------------------------------------------------


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
    clean, corrupted = (Lens(bridge).trace(text) for text in SHORT)
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


# ---- what is asked -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens(build("llama"), tokenizer())


@pytest.fixture(scope="module")
def traces(lens: Lens) -> tuple[Trace, Trace]:
    return pair(lens)


def test_what_is_recovered_is_nothing_before_the_texts_differ_and_all_of_it_at_the_end(
    traces: tuple[Trace, Trace],
) -> None:
    found = patch(*traces, token=7)
    assert found.recovered[:, :16] == pytest.approx(0, abs=1e-4)
    assert float(found.recovered[-1, -1]) == pytest.approx(1, abs=1e-4)
    assert found.recovered[-1, :-1] == pytest.approx(0, abs=1e-4)
    share = (found.values - found.f_corrupted) / (found.f_clean - found.f_corrupted)
    assert torch.equal(found.recovered, share)
    table = found.to_frame()
    assert list(table.columns) == [
        *("layer", "position", "clean", "corrupted", "patched", "recovered"),
    ]
    assert table[["clean", "corrupted"]].iloc[17].tolist() == ["fox", "dog"]
    assert (found.unit, found.columns) == ("nats", tuple(range(20)))
    assert repr(found).startswith("log-probability of “brown” behind the last token: -11.3")


def test_by_itself_it_compares_what_the_two_runs_expect(traces: tuple[Trace, Trace]) -> None:
    clean, corrupted = traces
    found = patch(clean, corrupted, layers=[0])
    ours, theirs = (int(trace.logits(-1)[0].argmax()) for trace in traces)
    assert ours != theirs
    assert (found.target.token, found.target.against) == (ours, theirs)
    assert (found.target.position, found.unit) == (20, "logits")
    own = [trace.logits(-1)[0] for trace in traces]
    assert found.f_clean == pytest.approx(float(own[0][ours] - own[0][theirs]))
    assert found.f_corrupted == pytest.approx(float(own[1][ours] - own[1][theirs]))
    assert "is what the clean run expects most" in found.note


def test_two_targets_are_compared_where_the_runs_first_expect_different_tokens() -> None:
    lens = Lens.demo("encoder-decoder")
    target = "le chat noir voit le chien"
    sources = "the black cat sees the dog", "the black dog sees the cat"
    clean, corrupted = (lens.trace(source, target) for source in sources)
    found = patch(clean, corrupted, kind="encoder")
    words = "logit of “chat” minus that of “chien” at position 1"
    assert found.target_in_words == words
    # What the decoder has to know is where the two sources have another animal, in every layer.
    best = found.recovered.argmax(dim=1).tolist()
    assert [found.sequence.tokens[i].text for i in best] == ["cat", "cat"]
    assert float(found.recovered[-1, 2]) == pytest.approx(1, abs=0.01)
    assert patch(clean, corrupted, "mlp").columns == tuple(range(len(clean.tokens)))


def test_only_some_layers_and_tokens_are_the_same_numbers(traces: tuple[Trace, Trace]) -> None:
    whole = patch(*traces, "mlp", token=7)
    some = patch(*traces, "mlp", token=7, layers=[2, 1], positions=[-1, 16])
    assert (some.layers, some.positions) == ((1, 2), (16, 19))
    torch.testing.assert_close(some.values, whole.values[1:][:, [16, 19]])
    # A head at no token that differs changes nothing.
    none = patch(*traces, "head", token=7, positions=range(16))
    assert none.recovered == pytest.approx(0, abs=1e-4)


def test_a_small_budget_makes_small_batches_and_the_same_numbers(
    traces: tuple[Trace, Trace],
) -> None:
    lens = traces[0].lens
    whole = patch(*traces, "head", token=7)
    batches: list[str] = []
    try:
        lens.memory_budget = 1_200_000
        small = patch(*traces, "head", token=7, progress=lambda step: batches.append(str(step)))
        lens.memory_budget = 1000
        with pytest.raises(MemoryBudgetError, match=r"Running 20 tokens .* Trace a shorter text"):
            patch(*traces, token=7)
    finally:
        lens.memory_budget = None
    torch.testing.assert_close(small.values, whole.values, atol=1e-5, rtol=0)
    assert "patching layer 0: 0%" in batches


def test_layers_in_front_of_what_is_put_in_are_run_once(
    traces: tuple[Trace, Trace], lens: Lens
) -> None:
    expected = patch(*traces, token=7)
    runs = [0, 0, 0]

    def count(layer: int) -> Callable[..., None]:
        def one_more(*_: object) -> None:
            runs[layer] += 1

        return one_more

    layers = lens.model.model.layers
    # What computes in a layer: the layer itself is asked, and hands out what it did.
    handles = [
        layer.mlp.gate_proj.register_forward_hook(count(i)) for i, layer in enumerate(layers)
    ]
    try:
        again = pair(lens)
        runs[:] = [0, 0, 0]
        found = patch(*again, token=7)
    finally:
        for handle in handles:
            handle.remove()
    assert runs[0] < runs[1] < runs[2]
    assert torch.equal(found.values, expected.values)


@pytest.mark.parametrize("what", WHATS)
def test_a_patched_run_is_a_trace_with_the_number_of_its_cell(
    what: What, traces: tuple[Trace, Trace]
) -> None:
    clean, corrupted = traces
    found = patch(clean, corrupted, what, token=7)
    column = 2 if what == "head" else 17
    trace = found.trace(1, column)
    assert [token.id for token in trace.tokens] == [token.id for token in corrupted.tokens]
    own = float(trace.logits(-1)[0].log_softmax(-1)[7])
    assert own == pytest.approx(float(found.values[1, column]), abs=1e-5)
    # Whatever is asked later is asked of the same run: here the model goes through it once more.
    if what == "residual":
        states = trace.hidden_states(1)
        torch.testing.assert_close(states[17], clean.hidden_states(1)[17])
        torch.testing.assert_close(states[:17], corrupted.hidden_states(1)[:17])
    else:
        assert not torch.allclose(trace.hidden_states(1), corrupted.hidden_states(1), atol=1e-4)
        torch.testing.assert_close(trace.hidden_states(0), corrupted.hidden_states(0))
    # And it may be put into another one itself.
    both = patch(clean, trace, what, token=7, layers=[1])
    index = both.columns.index(column)
    assert float(both.values[0, index]) == pytest.approx(own, abs=1e-5)


def test_the_model_is_left_as_it_was_also_after_errors(
    traces: tuple[Trace, Trace], lens: Lens
) -> None:
    clean, corrupted = traces
    before = {name: value.clone() for name, value in lens.model.state_dict().items()}
    ids = torch.tensor([corrupted.sequences[0].ids])
    logits = lens.model(ids).logits

    def stop(step: Step) -> None:
        if step.share and step.share > 0.4:
            raise Cancelled

    lens.model.train()
    try:
        with pytest.raises(Cancelled):
            patch(clean, corrupted, token=7, progress=stop)
        patch(clean, corrupted, "head", token=7)
        assert lens.model.training
    finally:
        lens.model.eval()
    for module in lens.model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
        assert "forward" not in vars(module)
    assert torch.equal(lens.model(ids).logits, logits)
    for name, value in lens.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_in_half_precision_a_run_is_patched_as_the_model_runs() -> None:
    lens = Lens(build("llama").to(torch.bfloat16), tokenizer())
    clean, corrupted = pair(lens)
    for what in ("residual", "mlp"):
        found = patch(clean, corrupted, what, token=7, layers=[1], positions=[17])
        expected = by_hand(clean, corrupted, LLAMA.of(what, 1), (0, 17), given=False)
        own = float(expected[-1].float().log_softmax(-1)[7])
        # A bfloat16 near 10 is off by 0.03; batches are rounded otherwise than single texts.
        assert float(found.values[0, 0]) == pytest.approx(own, abs=0.15)
        assert found.values.dtype == torch.float32


def test_rows_come_in_one_by_one(traces: tuple[Trace, Trace]) -> None:
    parts: list[Patched] = []

    def keep(step: Step) -> None:
        if isinstance(partial := step.partial(), Patched):
            parts.append(partial)

    found = patch(*traces, token=7, progress=keep)
    done = [int((~part.values.isnan()).all(dim=1).sum()) for part in parts]
    assert {1, 2} <= set(done)
    assert done == sorted(done)
    for part, n_done in zip(parts, done, strict=True):
        assert torch.equal(part.values[:n_done], found.values[:n_done])


# ---- what is refused -----------------------------------------------------------------------------


def test_two_lengths_are_refused_with_the_place_where_the_texts_part(lens: Lens) -> None:
    with pytest.raises(ValueError, match=r"have 4 and 5 tokens.*from token 3 on, 'fox' and 'old'"):
        patch(lens.trace("the quick brown fox"), lens.trace("the quick brown old whale"))


def test_texts_are_traced_first(traces: tuple[Trace, Trace]) -> None:
    with pytest.raises(TypeError, match=r"one trace into another, got str. Trace both texts"):
        patch(traces[0], OTHER)  # type: ignore[arg-type]


def test_two_models_are_refused(traces: tuple[Trace, Trace]) -> None:
    other = Lens(build("gpt2"), tokenizer()).trace(OTHER)
    with pytest.raises(ValueError, match=r"traced with llama.*another model, gpt2"):
        patch(traces[0], other)


def test_nothing_to_recover_is_said(traces: tuple[Trace, Trace], lens: Lens) -> None:
    with pytest.raises(ValueError, match=r"two texts are the same.*nothing that could come back"):
        patch(traces[0], lens.trace(TEXT), token=7)
    # In front of where they differ both runs are the same.
    with pytest.raises(ValueError, match=r"at position 5 is .* in the clean run and .* Choose a"):
        patch(*traces, position=5, token=7)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"what": "heads"}, "what 'heads' is not one of"),
        ({"layers": [9]}, r"layer 9 is out of range: llama has layers 0-2"),
        ({"layers": []}, "layers is empty"),
        ({"positions": [20]}, "position 20 is out of range"),
        ({"positions": []}, "positions is empty"),
        ({"kind": "cross"}, "kind 'cross' is not there"),
        ({"token": "whales"}, "'whales' is no single token"),
        ({"token": 7, "against": 7}, "their difference is always 0"),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    asked: dict[str, Any], words: str, traces: tuple[Trace, Trace]
) -> None:
    with pytest.raises(ValueError, match=words):
        patch(*traces, **asked)


def test_a_cell_that_was_not_patched_has_no_run(traces: tuple[Trace, Trace]) -> None:
    found = patch(*traces, token=7, layers=[1], positions=[17, 18])
    with pytest.raises(
        ValueError, match=r"Layer 1, position 3 was not patched: .* positions 17-18"
    ):
        found.trace(1, 3)


def test_encoders_and_given_arrays_are_refused() -> None:
    bert = Lens(build("bert"), tokenizer())
    with pytest.raises(ValueError, match="encoder"):
        patch(bert.trace(TEXT), bert.trace(OTHER))
    given = Trace.from_attentions(torch.eye(3)[None, None], ["a", "b", "c"])
    with pytest.raises(ValueError, match="no model"):
        patch(given, given)


def test_a_model_that_has_changed_is_not_patched() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    clean, corrupted = pair(lens)
    with torch.no_grad():
        lens.model.transformer.h[1].mlp.c_fc.weight.add_(0.1)
    with pytest.raises(ModelChangedError, match="has changed"):
        patch(clean, corrupted, token=7)
