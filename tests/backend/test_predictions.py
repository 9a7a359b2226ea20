"""Surprisal, rank, entropy and alternatives, compared with a softmax over the whole logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from backend.tiny_models import TEXT, build, tokenizer
from glasshead_backend import Lens, prediction


def logits_of(model: torch.nn.Module, **inputs: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return model(**inputs).logits[0].double().numpy()


# gemma2 caps its logits behind the unembedding: hidden states alone would not give them back.
@pytest.mark.parametrize("model_type", ["gpt2", "llama", "gemma2"])
def test_a_decoder_scores_each_token_by_the_position_before_it(model_type: str) -> None:
    model = build(model_type)
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = [token.id for token in trace.queries()]
    logits = logits_of(model, input_ids=torch.tensor([ids]))[:-1]
    log_p = log_softmax(logits, axis=-1)
    true = log_p[np.arange(len(ids) - 1), ids[1:]]
    predictions = trace.predictions()
    np.testing.assert_allclose(predictions.surprisal[1:], -true, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        predictions.entropy[1:], entropy(np.exp(log_p), axis=-1), rtol=1e-4, atol=1e-5
    )
    rank = 1 + (log_p > true[:, None]).sum(-1)
    assert predictions.rank[1:].tolist() == rank.tolist()
    assert predictions.correct[1:].tolist() == (log_p.argmax(-1) == ids[1:]).astype(int).tolist()
    assert math.isclose(trace.perplexity, math.exp(-true.mean()), rel_tol=1e-5)


def test_the_first_token_has_no_value_and_says_why() -> None:
    predictions = Lens(build("gpt2"), tokenizer()).trace(TEXT).predictions()
    assert predictions.surprisal[0].isnan()
    assert predictions.rank[0] == -1
    assert predictions.correct[0] == -1
    assert "first token" in predictions.reason


@pytest.mark.parametrize("model_type", ["t5", "bart", "marian"])
def test_label_i_is_scored_by_decoder_row_i(model_type: str) -> None:
    model = build(model_type)
    trace = Lens(model, tokenizer()).trace(TEXT, "the lazy whale jumps")
    labels = [token.id for token in trace.labels]
    logits = logits_of(
        model,
        input_ids=torch.tensor([[token.id for token in trace.keys("cross")]]),
        decoder_input_ids=torch.tensor([[token.id for token in trace.queries("cross")]]),
    )
    true = log_softmax(logits, axis=-1)[np.arange(len(labels)), labels]
    np.testing.assert_allclose(trace.predictions().surprisal, -true, rtol=1e-4, atol=1e-5)
    assert trace.predictions().n_scored == len(labels)


def test_top_k_lists_the_alternatives_at_the_place_of_a_token() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = torch.tensor([[token.id for token in trace.queries()]])
    p = softmax(logits_of(model, input_ids=ids)[4])
    top = trace.top_k(5, 7)
    assert top["id"].tolist() == np.argsort(-p)[:7].tolist()
    np.testing.assert_allclose(top["probability"], np.sort(p)[::-1][:7], rtol=1e-5)
    with pytest.raises(ValueError, match="no prediction at position 0"):
        trace.top_k(0)


def test_blocks_over_the_text_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lens = Lens(build("llama"), tokenizer())
    whole = lens.trace(TEXT).predictions()
    monkeypatch.setattr(prediction, "_BLOCK_VALUES", 96 * 3)
    blocks = lens.trace(TEXT).predictions()
    torch.testing.assert_close(whole.surprisal, blocks.surprisal, equal_nan=True)
    assert torch.equal(whole.rank, blocks.rank)


def test_an_encoder_has_no_perplexity_and_says_so() -> None:
    trace = Lens(build("bert"), tokenizer()).trace(TEXT)
    assert math.isnan(trace.perplexity)
    assert "encoder" in trace.predictions().reason
    assert trace.predictions().n_scored == 0


def test_a_model_without_a_head_says_which_class_to_load() -> None:
    trace = Lens(build("llama").model, tokenizer()).trace(TEXT)
    assert "AutoModelForCausalLM" in trace.predictions().reason
    assert trace.attention(0).shape[0] == 4
