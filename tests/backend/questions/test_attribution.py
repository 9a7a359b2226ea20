"""What moved the model to say a token: gradients, against autograd written by hand and Captum.

Expected values come from transformers' eager mode in float64, run from embeddings of our own
(``inputs_embeds``), from Captum called directly, and from attention weights that eager mode gives
with their gradients retained.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch
from captum.attr import IntegratedGradients
from torch.utils.checkpoint import checkpoint

from glasshead_backend import Cancelled, Lens, MemoryBudgetError, Trace
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.parity import Float64Throughout, in_float64
from support.tiny_models import TEXT, build, eager_copy, tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

TARGET = "a lazy fox runs over the sea"
DECODERS = [
    *("gpt2", "llama", "mistral", "phi3", "olmo", "qwen3", "gptj"),
    "olmo2",  # norms behind the blocks
    "gemma2",  # the same, and soft-caps, also of the logits
    "gpt_neox",  # attention and MLP side by side
    "gpt_oss",  # mixture of experts, attention sinks
    "mixtral/MixtralForCausalLM",
    "falcon/FalconForCausalLM",
    "bloom/BloomForCausalLM",
]
PAIRS = ["t5", "bart", "marian"]


def model_of(name: str) -> Any:
    model = build_case(case_or_skip(name)) if "/" in name else build(name)
    return in_float64(model)


def trace_of(model: Any, text: str = TEXT) -> Trace:
    lens = Lens(model, tokenizer())
    return lens.trace(text, TARGET if lens.family == "encoder-decoder" else None)


class ByHand:
    """The same model in eager mode, run from embeddings."""

    def __init__(self, trace: Trace) -> None:
        self.model: Any = eager_copy(trace.lens.model).requires_grad_(False)
        self.ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
        self.names = ["inputs_embeds", "decoder_inputs_embeds"][: len(self.ids)]
        embed = [self.model.get_input_embeddings()] * 2
        if len(self.ids) > 1:
            parts = self.model.get_encoder(), self.model.get_decoder()
            embed = [part.get_input_embeddings() for part in parts]
        found = zip(embed, self.ids, strict=False)
        self.embeddings = [module(ids).detach().requires_grad_() for module, ids in found]

    def logits(self, *embeddings: Tensor, **options: Any) -> Any:
        given = dict(zip(self.names, embeddings or self.embeddings, strict=True))
        out = self.model(**given, use_cache=False, **options)
        return out if options else out.logits

    def gradient_x_input(self, number: Tensor) -> list[Tensor]:
        found = torch.autograd.grad(number, self.embeddings)
        pairs = zip(found, self.embeddings, strict=True)
        return [(gradient * own).sum(-1)[0].detach() for gradient, own in pairs]


def close(found: dict[str, Tensor], expected: Sequence[Tensor], tolerance: float = 1e-5) -> None:
    largest = max(float(one.abs().max()) for one in expected)
    assert largest > 0
    for one, other in zip(found.values(), expected, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one.double(), other, rtol=0, atol=tolerance * largest)


# --- gradient × input -----------------------------------------------------------------------------
@pytest.mark.parametrize("name", DECODERS)
def test_gradient_times_input_is_that_of_autograd_on_the_eager_model(name: str) -> None:
    with Float64Throughout():
        trace = trace_of(model_of(name))
        by_hand = ByHand(trace)
        behind = by_hand.logits()[0].log_softmax(-1)[-1].max()
        close(trace.attribution().values, by_hand.gradient_x_input(behind))
        by_hand = ByHand(trace)
        number = by_hand.logits()[0].log_softmax(-1)[6, trace.sequences[0].ids[7]]
        found = trace.attribution(position=7)
        close(found.values, by_hand.gradient_x_input(number))
    assert found.value == pytest.approx(number.item(), abs=1e-5)
    assert not found.values["text"][7:].any()  # what comes later moved nothing


@pytest.mark.parametrize("name", PAIRS)
def test_of_an_encoder_decoder_model_source_and_target_moved_it(name: str) -> None:
    trace = trace_of(model_of(name))
    assert trace.labels is not None
    by_hand = ByHand(trace)
    number = by_hand.logits()[0].log_softmax(-1)[3, trace.labels[3].id]
    found = trace.attribution(position=3)
    assert list(found.values) == ["source", "target"]
    close(found.values, by_hand.gradient_x_input(number))
    last = trace.attribution()
    assert last.target.position == len(trace.labels) - 1
    assert last.target.token == trace.labels[-1].id


def test_a_logit_and_the_difference_of_two_are_explained_as_well() -> None:
    trace = trace_of(model_of("gpt2"))
    by_hand = ByHand(trace)
    one, other = 17, 23
    found = trace.attribution(position=5, token=one, quantity="logit")
    assert (found.unit, found.target.quantity) == ("logits", "logit")
    close(found.values, by_hand.gradient_x_input(by_hand.logits()[0, 4, one]))
    by_hand = ByHand(trace)
    logits = by_hand.logits()[0, 4]
    found = trace.attribution(position=5, token=one, against=other)
    close(found.values, by_hand.gradient_x_input(logits[one] - logits[other]))
    texts = trace.lens.spelled([one, other])
    assert found.words == f"logit of “{texts[0]}” minus that of “{texts[1]}”"


def test_many_predictions_at_once_are_each_by_itself() -> None:
    trace = trace_of(model_of("qwen3"), f"{TEXT} {TEXT}")
    matrix = trace.attributions()
    n_tokens = len(trace.tokens)
    assert matrix.values["text"].shape == (n_tokens - 1, n_tokens)  # more than one graph's worth
    for row in (0, 1, 31, 32, n_tokens - 2):
        alone = trace.attribution(position=row + 1)
        torch.testing.assert_close(matrix.values["text"][row], alone.values["text"])
        assert float(matrix.value[row]) == pytest.approx(alone.value, abs=1e-5)
    some = trace.attributions([5, -1], quantity="logit")
    assert [one.position for one in some.targets] == [5, n_tokens - 1]
    torch.testing.assert_close(
        some.values["text"][0], trace.attribution(position=5, quantity="logit").values["text"]
    )


def test_words_have_the_sums_of_their_tokens() -> None:
    trace = Lens.demo("decoder").trace("Unfathomable whales, and the unfathomable sea!")
    matrix, found = trace.attributions(), trace.attribution(position=6)
    words = trace.words()
    assert len(words) < len(trace.tokens)
    by_word = found.by_word()["text"]
    for index, word in enumerate(words):
        assert float(by_word[index]) == pytest.approx(
            sum(float(found.values["text"][i]) for i in word.tokens), abs=1e-6
        )
    rows, values = matrix.by_word()
    word = max(rows, key=lambda one: len(words[one].tokens))
    of = [one.position for one in matrix.targets if one.position in words[word].tokens]
    assert len(of) > 1
    alone = [trace.attribution(position=one).by_word()["text"] for one in of]
    torch.testing.assert_close(values["text"][rows.index(word)], torch.stack(alone).sum(0))
    frame = found.to_frame("word")
    assert frame["attribution"].sum() == pytest.approx(found.total, abs=1e-5)
    assert frame["share"].sum() == pytest.approx(1)
    assert matrix.to_frame().shape == (len(matrix.targets), len(trace.tokens))


# --- integrated gradients -------------------------------------------------------------------------
def captum_by_hand(trace: Trace, baselines: Sequence[Tensor], steps: int) -> list[Tensor]:
    by_hand = ByHand(trace)
    token = trace.attribution().target.token

    def number(*embeddings: Tensor) -> Tensor:
        return by_hand.logits(*embeddings)[:, -1].log_softmax(-1)[:, token]

    found: Any = IntegratedGradients(number).attribute(
        tuple(by_hand.embeddings), baselines=tuple(baselines), n_steps=steps
    )
    return [one.sum(-1)[0].detach() for one in found]


def test_integrated_gradients_are_those_of_captum_called_directly() -> None:
    trace = trace_of(model_of("gpt2"))
    baselines = [torch.zeros_like(one) for one in ByHand(trace).embeddings]
    found = trace.attribution("integrated_gradients", baseline="zero", steps=30)
    assert found.steps == 30
    close(found.values, captum_by_hand(trace, baselines, 30))


def padding(trace: Trace) -> list[Tensor]:
    by_hand, pad = ByHand(trace), torch.tensor([[trace.lens.tokenizer.pad_token_id]])
    modules = [by_hand.model.get_input_embeddings()]
    if len(by_hand.ids) > 1:
        modules = [
            part().get_input_embeddings()
            for part in (by_hand.model.get_encoder, by_hand.model.get_decoder)
        ]
    pairs = zip(modules, by_hand.embeddings, strict=True)
    return [module(pad).detach().expand_as(own) for module, own in pairs]


@pytest.mark.parametrize(("name", "steps"), [("gpt_neox", 5), ("bart", 20)])
def test_a_way_in_pieces_leads_where_very_many_steps_lead(name: str, steps: int) -> None:
    trace = trace_of(model_of(name), "the quick brown fox jumps")
    found = trace.attribution("integrated_gradients", steps=steps)
    assert found.steps > steps
    assert found.is_complete
    close(found.values, captum_by_hand(trace, padding(trace), 600), tolerance=0.05)


# --- attention × gradient -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "kind"),
    [*((name, "self") for name in ("gpt2", "mistral", "gemma2", "gpt_oss", "gpt_neox")),
     *(("t5", kind) for kind in ("encoder", "decoder", "cross")), ("bart", "cross")],
)  # fmt: skip
def test_attention_times_gradient_is_that_of_eager_weights_with_their_gradients_retained(
    name: str, kind: Any
) -> None:
    with Float64Throughout():
        trace = trace_of(model_of(name))
        by_hand = ByHand(trace)
        target = trace.attribution().target
        out = by_hand.logits(output_attentions=True)
        of = out.attentions if kind == "self" else getattr(out, f"{kind}_attentions")
        number = out.logits[0, target.row].log_softmax(-1)[target.token]
        gradients = torch.autograd.grad(number, of, allow_unused=True)
        for layer in (0, len(of) - 1):
            expected = (of[layer] * gradients[layer])[0].detach()
            found = trace.attention_gradient(layer, kind=kind)
            largest = float(expected.abs().max())
            assert largest > 0
            torch.testing.assert_close(found.double(), expected, rtol=0, atol=1e-6 * largest)
            some = trace.attention_gradient(layer, [2], kind=kind, rows=[4, -1])
            torch.testing.assert_close(some, found[[2]][:, [4, -1]])


def test_a_module_that_computes_attention_by_itself_is_refused_by_name() -> None:
    trace = trace_of(build("gptj"))
    with pytest.raises(ValueError, match="GPTJAttention computes attention by itself"):
        trace.attention_gradient(0)


# --- what it is done to ---------------------------------------------------------------------------
def state_of(model: Any) -> tuple[object, ...]:
    """Everything about a model that somebody could miss."""
    parameters = dict(model.named_parameters())
    return (
        [(name, one._version, one.requires_grad, one.grad) for name, one in parameters.items()],
        [module.training for module in model.modules()],
        [
            (len(module._forward_hooks), len(module._forward_pre_hooks), sorted(vars(module)))
            for module in model.modules()
        ],
        model.config.to_dict(),
        torch.is_grad_enabled(),
    )


@pytest.mark.parametrize("name", ["gpt2", "t5"])
def test_the_model_is_left_as_it_was_found_also_after_an_error_and_when_cancelled(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = trace_of(build(name))
    model = trace.lens.model.train()
    model.get_input_embeddings().requires_grad_(False)
    before = state_of(model)
    trace.attribution()
    trace.attributions([3, 4])
    trace.attribution("integrated_gradients", steps=2)
    trace.attention_gradient(0)
    assert state_of(model) == before

    def cancel(_: object) -> None:
        raise Cancelled

    for ask in (trace.attribution, trace.attributions):
        with pytest.raises(Cancelled):
            ask(method="integrated_gradients", steps=3, progress=cancel)
    assert state_of(model) == before

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("no derivative of this")

    with monkeypatch.context() as patched:
        patched.setattr(torch.autograd, "grad", fails)
        with pytest.raises(ValueError, match=r"cannot be differentiated .* no derivative of this"):
            trace.attribution(position=2)
    assert state_of(model) == before


def test_gradients_are_there_where_nobody_wants_any() -> None:
    trace = trace_of(build("llama"))
    expected = trace.attribution(position=5).values["text"]
    trace.lens.model.requires_grad_(False)
    for mode in (torch.no_grad(), torch.inference_mode()):
        again = trace_of(trace.lens.model)
        with mode:
            torch.testing.assert_close(again.attribution(position=5).values["text"], expected)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = build("llama")
    expected = trace_of(model).attributions([4, 9]).values["text"]
    # As model.gradient_checkpointing_enable() does, in every version.
    for layer in model.model.layers:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = checkpoint
    model.train()
    found = trace_of(model).attributions([4, 9]).values["text"]
    torch.testing.assert_close(found, expected)


def test_in_bfloat16_it_is_what_the_model_computes_there() -> None:
    # Of the same model in float32: bfloat16 has eight bits, and rounds at every layer.
    whole = trace_of(build("gpt2"))
    half = trace_of(build("gpt2").bfloat16())
    token = 17
    expected = whole.attribution(position=8, token=token).values["text"]
    found = half.attribution(position=8, token=token).values["text"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=0.06 * float(expected.abs().max()))


def test_of_a_run_with_a_head_switched_off_it_is_without_that_head() -> None:
    trace = trace_of(model_of("gpt2"))
    without = trace.ablate([(1, 2)])
    by_hand = ByHand(trace)
    projection = by_hand.model.transformer.h[1].attn.c_proj

    def off(_: object, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        alone = args[0].clone()
        alone[..., 16:24] = 0  # four heads of eight
        return (alone,)

    projection.register_forward_pre_hook(off)
    number = by_hand.logits()[0, 5].log_softmax(-1)[trace.sequences[0].ids[6]]
    close(without.attribution(position=6).values, by_hand.gradient_x_input(number))
    found = without.attribution("integrated_gradients", position=6, steps=20)
    assert found.is_complete


# --- what cannot be done --------------------------------------------------------------------------
def test_an_encoder_predicts_nothing_that_could_be_explained() -> None:
    trace = trace_of(build("bert"))
    for ask in (trace.attribution, trace.attributions, lambda: trace.attention_gradient(0)):
        with pytest.raises(ValueError, match="predict"):
            ask()


def test_a_text_that_was_scored_only_has_no_layers_to_trace_back_through() -> None:
    scored = Lens.demo("decoder").score("The white whale")
    with pytest.raises(ValueError, match="scored without its layers"):
        scored.attribution()


def test_memory_that_is_not_there_is_said_before_it_is_taken() -> None:
    trace = trace_of(build("llama"))
    trace.lens.memory_budget = 20_000
    with pytest.raises(MemoryBudgetError, match=r"gradients need of this text \(20 tokens\)"):
        trace.attribution()
    trace.lens.memory_budget = None
    trace.attribution()


def test_without_captum_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    trace = trace_of(build("gpt2"))
    with pytest.raises(ImportError, match=r'pip install "glasshead\[attribution\]"'):
        trace.attribution("integrated_gradients")
    trace.attribution()


def test_what_does_not_add_up_is_said() -> None:
    trace = trace_of(build("llama"))
    found = trace.attribution("integrated_gradients", baseline="zero", steps=1)
    assert found.completeness_error is not None
    assert found.completeness_error == pytest.approx(
        abs(found.total - (found.value - (found.baseline_value or 0)))
    )
    assert not found.is_complete
    assert "more than 1 %: do not trust these numbers" in found.in_words()


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"method": "saliency"}, "method 'saliency' is not one of"),
        ({"baseline": "mean"}, "baseline 'mean' is not one of"),
        ({"steps": 0}, "steps 0 is too small"),
        ({"position": 0}, "no prediction at position 0"),
        ({"position": 99}, "position 99 is out of range"),
        ({"token": "no such token"}, "no single token"),
        ({"quantity": "probability"}, "quantity 'probability' is not one of"),
    ],
)
def test_what_is_asked_for_wrongly_is_named(asked: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Lens.demo("decoder").trace("The white whale").attribution(**asked)


def test_steps_are_told_and_a_second_look_costs_nothing() -> None:
    trace, told = trace_of(build("gpt2")), list[Any]()
    first = trace.attribution("integrated_gradients", steps=4, progress=told.append)
    assert told
    assert all("integrating gradients" in step.what for step in told)
    told.clear()
    assert trace.attribution("integrated_gradients", steps=4, progress=told.append) is first
    assert not told
