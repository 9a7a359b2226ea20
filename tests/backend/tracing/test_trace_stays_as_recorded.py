"""A trace answers for the moment it was recorded, whatever becomes of the model afterwards.

Right values are computed from plain forwards of the model at that moment, or asked of the trace
before anything has changed.
"""

from __future__ import annotations

import copy
import gc
import weakref
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from backend.capture.test_local_attention import longformer
from glasshead_backend import Lens, ModelChangedError, Trace, logit_lens
from glasshead_backend.questions.predictions import first_alternatives
from glasshead_backend.questions.readout import read_out_layers
from glasshead_backend.trace import run_of
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from transformers import PreTrainedModel

STALE = "The model has changed since this text was traced"


def model_of(name: str) -> PreTrainedModel:
    if name == "longformer":
        return longformer()
    if name == "granite_swa":
        return build_case(case_or_skip("granite_swa/GraniteSWAForCausalLM"))
    return build(name)


def trace_of(model: PreTrainedModel) -> Trace:
    return Lens(model, tokenizer()).trace(TEXT)


def train(model: Any, n_steps: int = 20, *, fused: bool | None = None) -> None:
    ids = torch.tensor([tokenizer()(TEXT)["input_ids"]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()


def perplexity_by_hand(model: Any, trace: Trace) -> float:
    ids = torch.tensor([trace.sequences[0].ids])
    with torch.no_grad():
        logits = model.eval()(input_ids=ids).logits[0]
    return float(nn.functional.cross_entropy(logits[:-1].double(), ids[0, 1:]).exp())


# --- ways to change a model -----------------------------------------------------------------------
class LowRank(nn.Module):
    """A linear layer with an adapter, as PEFT puts it around one."""

    def __init__(self, base: nn.Linear, rank: int = 2) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        self.active_adapters = ["default"]
        self.scale = {"default": 2.0}

    @property
    def weight(self) -> torch.Tensor:
        return self.base.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.base(x)
        for name in self.active_adapters:
            out = out + self.scale[name] * self.up(self.down(x))
        return out


def with_adapter(model: Any) -> Any:
    attention = model.model.layers[1].self_attn
    attention.q_proj = LowRank(attention.q_proj)
    return model


def load_another(model: Any) -> None:
    model.load_state_dict(build("llama", seed=1).state_dict())


def assign_another(model: Any) -> None:
    model.load_state_dict(build("llama", seed=1).state_dict(), assign=True)


def write_one_column(model: Any) -> None:
    model.model.layers[2].mlp.down_proj.weight.data[:, 17] = 0.0


def write_one_row(model: Any) -> None:
    model.model.layers[2].mlp.gate_proj.weight.data[17] = 0.0


def add_an_adapter(model: Any) -> None:
    with_adapter(model)


def add_a_hook(model: Any) -> None:
    model.model.layers[1].mlp.register_forward_hook(lambda *_: torch.zeros(1))


def patch_a_forward(model: Any) -> None:
    mlp = model.model.layers[1].mlp
    mlp.forward = MethodType(lambda _, x: 0 * x, mlp)


def rescale(model: Any) -> None:
    model.model.layers[1].self_attn.scaling *= 2


def skip_a_layer(model: Any) -> None:
    del model.model.layers[1]


def another_attention(model: Any) -> None:
    model.set_attn_implementation("eager")


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "training": (train, "was written to"),
    "fused training": (partial(train, n_steps=1, fused=True), "weights were written to"),
    "another checkpoint": (load_another, "was written to"),
    "another checkpoint, assigned": (assign_another, "was replaced"),
    "a column zeroed behind torch's back": (write_one_column, "weights were written to"),
    "a row zeroed behind torch's back": (write_one_row, "weights were written to"),
    "an adapter added": (add_an_adapter, "modules were added"),
    "a hook added": (add_a_hook, r"hooks on model\.layers\.1\.mlp"),
    "a forward patched": (patch_a_forward, r"forward of model\.layers\.1\.mlp was replaced"),
    "a scale changed": (rescale, r"model\.layers\.1\.self_attn\.scaling is"),
    "a layer taken out": (skip_a_layer, "modules were added, removed"),
    "other attention functions": (another_attention, "attn_implementation is 'eager', not 'sdpa'"),
    "half precision": (lambda m: m.half(), r"is torch\.float16, not torch\.float32"),
    "no device": (lambda m: m.to("meta"), "lies on meta, not on cpu"),
    "there and back": (lambda m: m.half().float(), "was replaced|was written to"),
}


# --- and ways that leave no trace in weights, hooks and forwards ----------------------------------
def another_activation_function(model: Any) -> Iterator[None]:
    for module in model.modules():
        if callable(vars(module).get("act")):
            module.act = torch.tanh
    yield


def a_method_patched(model: Any) -> Iterator[None]:
    attention = model.transformer.h[2].attn
    stock = attention._attn
    attention._attn = lambda *args, **options: tuple(1.5 * x for x in stock(*args, **options))
    yield


def another_class(model: Any) -> Iterator[None]:
    mlp = model.model.layers[2].mlp

    class Doubled(type(mlp)):  # type: ignore[misc]
        def __call__(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().__call__(x)

    mlp.__class__ = Doubled
    yield


def a_hook_on_all_modules(_: Any) -> Iterator[None]:
    handle = register_module_forward_hook(lambda *_: None)
    yield
    handle.remove()


def another_registered_function(_: Any) -> Iterator[None]:
    ALL_ATTENTION_FUNCTIONS["sdpa"] = partial(ALL_ATTENTION_FUNCTIONS["sdpa"])
    yield
    del ALL_ATTENTION_FUNCTIONS["sdpa"]  # what transformers registered is behind it


SILENT: dict[str, tuple[str, Callable[[Any], Iterator[None]], str]] = {
    "an activation function": ("bert", another_activation_function, r"\.act was replaced"),
    "a method": ("gptj", a_method_patched, "_attn was replaced"),
    "a class": ("llama", another_class, r"model\.layers\.2\.mlp was replaced"),
    "a hook on all modules": ("gpt2", a_hook_on_all_modules, "global hooks is"),
    "a registered function": (
        "llama",
        another_registered_function,
        "attn_implementation function was",
    ),
}
NEEDS_THE_MODEL: dict[str, Callable[[Trace], Any]] = {
    "activations": lambda trace: trace.activations(1, "mlp"),
    "activations of heads": lambda trace: trace.activations(1, "attention", heads=0),
    "moved norms": lambda trace: trace.moved_norms(1),
    "head outputs": lambda trace: trace.head_outputs(1),
    "logit contributions": lambda trace: trace.logit_contributions(),
    "logit lens": logit_lens,
    "logits": lambda trace: trace.logits(),
    "next token": lambda trace: trace.next_token(),
    "top k": lambda trace: trace.top_k(4),
    "alternatives": lambda trace: first_alternatives(run_of(trace), 5, 3),
}


def needs_no_model(trace: Trace) -> list[torch.Tensor]:
    predictions = trace.predictions()
    return [
        *(trace.attention(layer) for layer in trace.layers()),
        trace.attention(1, scores=True),
        *(norm for by_layer in trace.norms().values() for norm in by_layer.values()),
        predictions.surprisal,
        predictions.entropy,
        predictions.rank,
        predictions.correct,
        torch.tensor(trace.perplexity),
    ]


# --- what is kept ---------------------------------------------------------------------------------
def test_perplexity_stays_what_it_was_when_the_model_is_trained_on() -> None:
    lens = Lens.demo("decoder")
    asked_before, asked_after = lens.trace(TEXT), lens.trace(TEXT)
    before = asked_before.perplexity
    by_hand = perplexity_by_hand(lens.model, asked_before)
    ids = torch.tensor([asked_before.sequences[0].ids])
    optimizer = torch.optim.AdamW(lens.model.parameters(), lr=1e-3)
    for _ in range(20):
        optimizer.zero_grad()
        lens.model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    assert perplexity_by_hand(lens.model, asked_before) < by_hand / 2
    assert asked_before.perplexity == asked_after.perplexity == before
    assert before == pytest.approx(by_hand, rel=1e-5)


def test_each_trace_of_a_training_run_keeps_the_numbers_of_its_checkpoint() -> None:
    model = build("llama")
    lens = Lens(model, tokenizer())
    checkpoints = [build("llama", seed=seed).state_dict() for seed in range(3)]
    traces, by_hand = [], []
    for checkpoint in checkpoints:
        model.load_state_dict(checkpoint)
        traces.append(lens.trace(TEXT))
        by_hand.append(perplexity_by_hand(model, traces[-1]))
    assert len({round(value) for value in by_hand}) == 3
    assert [trace.perplexity for trace in traces] == pytest.approx(by_hand, rel=1e-5)
    batch = [*lens.trace_many([TEXT, "the whale runs", TEXT])]
    model.load_state_dict(checkpoints[0])
    assert batch[2].perplexity == pytest.approx(by_hand[2], rel=1e-4)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_recorded_is_answered_whatever_happens_to_the_model(change: str) -> None:
    model = build("llama")
    trace = trace_of(model)
    trace.store_activations(["mlp"])
    stored = trace.activations(1, "mlp").clone()
    expected = [one.clone() for one in needs_no_model(trace_of(model))]
    CHANGES[change][0](model)
    for found, was in zip(needs_no_model(trace), expected, strict=True):
        torch.testing.assert_close(found, was, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(trace.activations(1, "mlp"), stored)


# --- what needs the model -------------------------------------------------------------------------
def test_notes_that_a_model_takes_of_every_text_are_no_change() -> None:
    # Funnel keeps the length of the last text: 13 tokens, as the probe's before it.
    lens = Lens(build_case(case_or_skip("funnel/FunnelForMaskedLM")), tokenizer())
    trace = lens.trace(" ".join(TEXT.split()[:13]))
    expected = lens.trace(" ".join(TEXT.split()[:13])).attention(0)
    lens.trace(" ".join(TEXT.split()[:9]))
    assert torch.equal(trace.attention(0), expected)


@pytest.mark.parametrize("change", SILENT)
def test_what_is_put_in_the_place_of_functions_is_seen(change: str) -> None:
    model_type, replace, words = SILENT[change]
    model = build(model_type)
    trace = trace_of(model)
    assert trace.activations(2, "residual").isfinite().all(), "nothing has changed so far"
    replaced = replace(model)
    next(replaced)
    try:
        with pytest.raises(ModelChangedError, match=words):
            trace.activations(2, "mlp")
    finally:
        next(replaced, None)


@pytest.mark.parametrize("change", CHANGES)
def test_what_would_be_of_another_model_is_refused_in_words(change: str) -> None:
    model = build("llama")
    trace = trace_of(model)
    do, words = CHANGES[change]
    do(model)
    for question in NEEDS_THE_MODEL.values():
        with pytest.raises(ModelChangedError, match=f"{STALE}: .*({words}).*Trace it again"):
            question(trace)
    with pytest.raises(
        ModelChangedError, match=r"or record activations at once.*store_activations"
    ):
        trace.activations(1, "mlp")


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
def test_a_model_that_is_used_but_not_changed_is_asked_again() -> None:
    model = build("llama")
    traces = {name: trace_of(model) for name in NEEDS_THE_MODEL}
    ids = torch.tensor([traces["logits"].sequences[0].ids])
    model.train()
    model(ids, labels=ids, output_hidden_states=True, output_attentions=True).loss.backward()
    model.zero_grad()
    model.requires_grad_(requires_grad=False)
    model.gradient_checkpointing_enable()
    model.gradient_checkpointing_disable()
    model.generate(ids, max_new_tokens=2, do_sample=False, cache_implementation="static")
    model.set_attn_implementation("eager")
    model.set_attn_implementation("sdpa")
    copy.deepcopy(model)
    model.config.pad_token_id = 3
    model.model.layers[0].register_forward_hook(lambda *_: None).remove()
    trace_of(model)
    for name, question in NEEDS_THE_MODEL.items():
        question(traces[name])


def test_an_adapter_that_is_switched_changes_the_model() -> None:
    model = with_adapter(build("llama"))
    trace = trace_of(model)
    adapter = model.model.layers[1].self_attn.q_proj
    before = trace.activations(1, "attention")
    adapter.active_adapters = []
    with pytest.raises(ModelChangedError, match=r"q_proj\.active_adapters"):
        trace.logits()
    adapter.active_adapters, adapter.scale = ["default"], {"default": 1.0}
    with pytest.raises(ModelChangedError, match=r"q_proj\.scale is .*1\.0"):
        trace.logits()
    adapter.scale = {"default": 2.0}
    assert torch.equal(trace.activations(1, "attention"), before)
    assert trace.logits().isfinite().all()


def test_removing_an_ablation_hook_changes_the_model() -> None:
    model: Any = build("llama")
    handle = model.model.layers[1].mlp.register_forward_hook(lambda _, __, out: 0.01 * out)
    trace = trace_of(model)
    ablated = perplexity_by_hand(model, trace)
    handle.remove()
    assert trace.perplexity == pytest.approx(ablated, rel=1e-5)
    assert perplexity_by_hand(model, trace) != pytest.approx(ablated, rel=1e-2)
    for question in ("logits", "moved norms", "logit lens"):
        with pytest.raises(ModelChangedError, match="hooks on"):
            NEEDS_THE_MODEL[question](trace)


def test_a_deleted_model_is_said() -> None:
    model = build("llama")
    expected = needs_no_model(trace_of(model))
    trace = trace_of(model)
    trace.lens.model = build("llama", seed=1)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None, "a trace keeps no model alive that its lens has let go of"
    with pytest.raises(ModelChangedError, match="it was deleted"):
        trace.logits()
    for found, was in zip(needs_no_model(trace), expected, strict=True):
        torch.testing.assert_close(found, was, rtol=0, atol=0, equal_nan=True)


def test_buffers_that_every_run_writes_to_do_not_count() -> None:
    model: Any = build("llama")
    counter = model.model.layers[1].mlp
    counter.register_buffer("n_runs", torch.zeros(1))
    counter.times = 0

    def count(module: Any, *_: object) -> None:
        module.n_runs += 1
        module.times += 1

    counter.register_forward_hook(count)
    trace = trace_of(model)
    model(torch.tensor([trace.sequences[0].ids]))
    assert trace.activations(1, "mlp").isfinite().all()
    train(model, 1)
    with pytest.raises(ModelChangedError):
        trace.logits()


def test_a_model_that_changes_while_it_is_asked_gives_nothing() -> None:
    model: Any = build("llama")
    writing: list[int] = []

    def write(module: Any, *_: object) -> None:
        if writing:
            module.weight.mul_(2)

    model.lm_head.register_forward_hook(write)
    trace = trace_of(model)
    writing.append(1)
    with pytest.raises(ModelChangedError, match=r"lm_head\.weight was written to"):
        trace.activations(1, "mlp")
    assert run_of(trace).store.get(("activations", "self", "mlp")) is None


# --- every way to the weights ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "path"),
    [("llama", "capture"), ("gpt_oss", "capture"), ("granite_swa", "eager")],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_of_recorded_queries_and_keys_stays(
    name: str, path: str, dtype: torch.dtype
) -> None:
    model = model_of(name).to(dtype)
    trace = trace_of(model)
    assert dtype != torch.float32 or trace.path(1) == path
    expected = [trace_of(model).attention(layer) for layer in trace.layers()]
    if dtype == torch.float32:
        reference = eager_attentions(model, input_ids=torch.tensor([trace.sequences[0].ids]))
        torch.testing.assert_close(expected[0], reference.attentions[0][0], rtol=0, atol=1e-5)
    with torch.no_grad():  # sinks among them
        for parameter in model.parameters():
            parameter.mul_(-3)
    for layer, was in zip(trace.layers(), expected, strict=True):
        assert torch.equal(trace.attention(layer), was)
    del trace.lens.model
    model.to("meta")
    assert torch.equal(trace.attention(1), expected[1])


@pytest.mark.parametrize(("name", "path"), [("gptj", "replay"), ("longformer", "unfold")])
def test_a_module_that_has_to_run_again_must_be_what_it_was(name: str, path: str) -> None:
    model = model_of(name)
    trace, asked = trace_of(model), trace_of(model)
    assert trace.path(1) == path
    before = asked.attention(1).clone()
    torch.testing.assert_close(trace.attention(1), before)
    handle = model.get_input_embeddings().register_forward_hook(lambda *_: None)
    with pytest.raises(ModelChangedError, match="hooks on"):
        trace.attention(0)
    handle.remove()
    torch.testing.assert_close(trace.attention(0), trace_of(model).attention(0))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    assert torch.equal(asked.attention(1), before), "what is known of that moment still is"
    with pytest.raises(ModelChangedError, match=STALE):
        asked.attention(0)
    model.to("meta")
    with pytest.raises(ModelChangedError, match="lies on meta"):
        trace.attention(2)


def test_an_eager_function_that_looks_into_the_module_needs_it_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from transformers.models.llama import modeling_llama  # noqa: PLC0415

    stock = modeling_llama.eager_attention_forward

    def scaled(module: Any, *args: Any, **options: Any) -> Any:
        output, weights = stock(module, *args, **options)
        return output, weights * module.q_proj.weight.abs().mean()

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", scaled)
    model = build("llama")
    model.set_attn_implementation("eager")
    trace = trace_of(model)
    assert trace.path(1) == "eager"
    assert trace.attention(1).sum() > 0
    train(model, 1)
    with pytest.raises(ModelChangedError, match="was written to"):
        trace.attention(1)


# --- memory ---------------------------------------------------------------------------------------
def test_nbytes_counts_what_questions_leave_behind() -> None:
    trace = trace_of(build("llama"))
    before = trace.nbytes
    trace.predictions()
    with_predictions = trace.nbytes
    n_tokens = len(trace.queries())
    assert with_predictions - before == 6 * n_tokens * 4
    first_alternatives(run_of(trace), 8, 5)
    assert trace.nbytes - with_predictions == 8 * 5 * (8 + 4)
    with_ids = trace.nbytes
    trace.moved_norms(0)
    # Values of 2 layers in 2 heads of 32 / 4 = 8, and products of 4 heads with each other at a key.
    model = trace.lens.model.config
    heads, size = model.num_attention_heads, model.hidden_size // model.num_attention_heads
    values = model.num_hidden_layers * model.num_key_value_heads * size
    assert trace.nbytes - with_ids == n_tokens * (values + heads**2) * 4
    replayed = trace_of(build("gptj"))
    held = replayed.nbytes
    replayed.attention(0)
    assert replayed.nbytes - held == 2 * 4 * n_tokens**2 * 4  # scores and weights of one layer
    trace.close()
    assert trace.nbytes == 0


def test_a_closed_trace_answers_nothing_any_more() -> None:
    trace = trace_of(build("llama"))
    predictions = trace.predictions()
    first_alternatives(run_of(trace), 4, 4)
    trace.close()
    questions: list[Callable[[], Any]] = [
        trace.predictions,
        lambda: trace.perplexity,
        trace.next_token,
        trace.logits,
        lambda: trace.top_k(3),
        lambda: first_alternatives(run_of(trace), 4, 4),
        lambda: trace.norms("self"),
        lambda: next(read_out_layers(run_of(trace))),
    ]
    for question in questions:
        with pytest.raises(ValueError, match="This trace is closed"):
            question()
    assert predictions.n_scored > 0, "what was handed out is the caller's"


def test_thousands_of_traces_share_what_the_model_is() -> None:
    model = build("llama")
    lens = Lens(model, tokenizer())
    one, other = lens.trace(TEXT), lens.trace("the whale")
    assert run_of(one).state is run_of(other).state
    train(model, 1)
    assert run_of(lens.trace(TEXT)).state is not run_of(one).state
