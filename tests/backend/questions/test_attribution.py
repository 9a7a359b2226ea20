"""What moved the model to say a token: gradients, against autograd written by hand and Captum.

Expected values come from transformers' eager mode in float64, run from embeddings of our own
(``inputs_embeds``), from Captum called directly, and from attention weights that eager mode gives
with their gradients retained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from captum.attr import IntegratedGradients

from glasshead_backend import Cancelled, Lens, MemoryBudgetError, Trace
from glasshead_backend.questions import integrated_gradients
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.parity import Float64Throughout, in_float64
from support.tiny_models import TEXT, build, eager_copy, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


@pytest.mark.parametrize("name", ["gpt_neox", "bart"])
def test_a_way_in_pieces_leads_where_very_many_steps_lead(name: str) -> None:
    trace = trace_of(model_of(name), "the quick brown fox jumps")
    found = trace.attribution("integrated_gradients", steps=20)
    assert found.steps > 20
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
