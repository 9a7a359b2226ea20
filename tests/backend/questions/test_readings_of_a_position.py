"""Distribution, layers and comparison of a place, against transformers' own and numpy."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from glasshead_backend import Lens, Trace, logit_lens
from support.tiny_models import TEXT, build, tokenizer


def trace_of(model_type: str, text: str = TEXT) -> Trace:
    lens = Lens(build(model_type), tokenizer())
    return lens.trace(
        text, "a lazy fox runs over the old sea" if lens.family == "encoder-decoder" else None
    )


@torch.no_grad()
def logits_of(trace: Trace) -> torch.Tensor:
    """Logits ``[rows, vocabulary]`` by the model itself."""
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    names = ("input_ids", "decoder_input_ids")
    return trace.lens.model(**dict(zip(names, ids, strict=False))).logits[0].float()


# --- distribution ---------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", ["gpt2", "gemma2", "t5"])
def test_a_distribution_is_the_softmax_of_the_row_that_predicts(model_type: str) -> None:
    trace = trace_of(model_type)
    row = 3 if trace.family == "decoder" else 4
    logits = logits_of(trace)[row].double().numpy()
    found = trace.distribution(4)
    np.testing.assert_allclose(found.probability, softmax(logits), rtol=1e-4, atol=1e-9)
    assert found.kept.all()
    assert found.rank == 1 + (logits > logits[found.token.id]).sum()
    assert found.mass(10) == pytest.approx(np.sort(softmax(logits))[::-1][:10].sum(), rel=1e-5)
    p = softmax(logits)
    assert found.entropy == pytest.approx(-(p * np.log(p)).sum(), rel=1e-5)


# What transformers' own warpers leave, in the order in which generate() applies them.
@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 5, 1.0), (0.5, None, 0.6), (1.7, 40, 0.5), (0.3, 200, 0.95), (1.0, None, 1e-6)],
)
def test_what_sampling_keeps_is_what_generate_would_keep(
    temperature: float, top_k: int | None, top_p: float
) -> None:
    trace = trace_of("llama")
    scores = logits_of(trace)[3:4]
    ids = torch.tensor([[0]])
    scores = TemperatureLogitsWarper(temperature)(ids, scores)
    if top_k is not None:
        scores = TopKLogitsWarper(top_k)(ids, scores)
    scores = TopPLogitsWarper(top_p)(ids, scores)
    found = trace.distribution(4, temperature=temperature, top_k=top_k, top_p=top_p)
    assert found.kept.tolist() == scores[0].isfinite().tolist()
    by_id = found.to_frame().sort_values("id")
    np.testing.assert_allclose(by_id["sampled"], scores[0].softmax(-1), rtol=1e-4, atol=1e-9)


def test_a_distribution_after_the_last_token_is_of_what_would_follow() -> None:
    trace = trace_of("gpt2")
    found = trace.distribution(len(trace.tokens))
    assert found.token is None
    assert found.rank is None
    np.testing.assert_allclose(found.probability, logits_of(trace)[-1].softmax(-1), rtol=1e-4)
    assert len(found.to_frame(7)) == 7


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"temperature": 0}, "temperature 0"),
        ({"top_p": 1.2}, "top_p 1.2"),
        ({"top_k": 0}, "top_k 0"),
        ({"position": 0}, "no prediction at position 0"),
        ({"position": 999}, "position 999"),
    ],
)
def test_a_distribution_that_cannot_be_asked_for_says_what_can(asked: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trace_of("gpt2").distribution(**{"position": 4, **asked})


# --- layers ---------------------------------------------------------------------------------------
@torch.no_grad()
def test_layer_readings_are_the_models_own_norm_and_unembedding_behind_each_layer() -> None:
    trace = trace_of("llama")
    model = trace.lens.model
    ids = torch.tensor([trace.sequences[0].ids])
    out = model(ids, output_hidden_states=True)
    # transformers norms the last hidden state itself; the others are what the layers put out.
    read = [model.lm_head(model.model.norm(state[0, 4])) for state in out.hidden_states[1:-1]]
    logs = log_softmax(torch.stack([*read, out.logits[0, 4]]).double().numpy(), axis=-1)
    true = trace.tokens[5].id
    found = trace.layer_readings(5, k=4)
    np.testing.assert_allclose(found.surprisal, -logs[:, true], rtol=1e-4)
    assert found.rank.tolist() == (1 + (logs > logs[:, [true]]).sum(-1)).tolist()
    assert found.top_ids.tolist() == np.argsort(-logs, axis=-1)[:, :4].tolist()
    assert found.followed_ids[0] == true
    chosen = [7, 11]
    followed = trace.layer_readings(5, followed=chosen)
    np.testing.assert_allclose(followed.followed_probability, np.exp(logs[:, chosen]), rtol=1e-4)
    ranks = 1 + (logs[:, :, None] > logs[:, None, chosen]).sum(1)
    assert followed.followed_rank.tolist() == ranks.tolist()


@pytest.mark.parametrize("model_type", ["gpt2", "gemma2", "t5", "marian"])
def test_layer_readings_agree_with_the_logit_lens_of_the_whole_text(model_type: str) -> None:
    trace = trace_of(model_type)
    whole, one = logit_lens(trace, k=3), trace.layer_readings(2, k=3)
    np.testing.assert_allclose(one.surprisal, whole.surprisal[:, 2], rtol=1e-4, atol=1e-5)
    assert one.rank.tolist() == whole.rank[:, 2].tolist()
    assert one.top_ids.tolist() == whole.top_ids[:, 2].tolist()


def test_an_encoder_has_neither_a_distribution_nor_layers_to_read() -> None:
    trace = trace_of("bert")
    for ask in (trace.distribution, trace.layer_readings):
        with pytest.raises(ValueError, match="is an encoder"):
            ask(3)


# --- comparison -----------------------------------------------------------------------------------
def test_two_models_are_compared_token_by_token() -> None:
    trace = trace_of("gpt2")
    changed = copy.deepcopy(trace.lens.model)
    with torch.no_grad():
        changed.lm_head.weight.add_(torch.randn_like(changed.lm_head.weight) * 0.05)
    other = Lens(changed, tokenizer()).trace(TEXT)
    found = trace.compare_predictions(other)
    ids = trace.sequences[0].ids
    true = np.arange(len(ids) - 1), ids[1:]
    ours, theirs = (log_softmax(logits_of(t).numpy()[:-1], axis=-1)[true] for t in (trace, other))
    assert found.partner.tolist() == list(range(len(ids)))
    np.testing.assert_allclose(found.surprisal[1:], theirs - ours, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(
        found.probability[1:], np.exp(ours) - np.exp(theirs), rtol=1e-3, atol=1e-6
    )
    assert found.surprisal[0].isnan()


def test_the_same_words_in_another_context_are_partners_and_others_have_none() -> None:
    lens = Lens(build("gpt2"), tokenizer())
    trace = lens.trace("the lazy dog jumps over the old whale")
    other = lens.trace("a brown fox and the lazy dog jumps over a sea")
    found = trace.compare_predictions(other)
    ids, others = trace.sequences[0].ids, other.sequences[0].ids
    for i, j in enumerate(found.partner.tolist()):
        assert j < 0 or ids[i] == others[j]
    whale = [token.text.strip() for token in trace.tokens].index("whale")
    dog = [token.text.strip() for token in trace.tokens].index("dog")
    assert found.partner[whale] == -1
    assert found.surprisal[whale].isnan()
    assert other.tokens[int(found.partner[dog])].text == trace.tokens[dog].text
    expected = (
        trace.predictions().surprisal[dog] - other.predictions().surprisal[int(found.partner[dog])]
    )
    assert found.surprisal[dog] == expected


def test_texts_without_a_word_in_common_and_encoders_are_not_compared() -> None:
    trace = Lens(build("gpt2"), tokenizer()).trace("whale sea")
    with pytest.raises(ValueError, match="no token in common"):
        trace.compare_predictions(Lens(build("gpt2"), tokenizer()).trace("fox dog"))
    with pytest.raises(ValueError, match="is an encoder"):
        trace.compare_predictions(trace_of("bert"))
