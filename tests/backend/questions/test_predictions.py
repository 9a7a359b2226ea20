"""Surprisal, rank, entropy and alternatives, compared with a softmax over the whole logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from glasshead_backend import Lens, MemoryBudgetError
from glasshead_backend.running import logits as logits_module
from glasshead_backend.running.logits import NextTokenLogits
from glasshead_backend.tracing.scores import scores_of
from support.tiny_models import TEXT, build, tokenizer


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
    assert predictions.rank[0].isnan()
    assert predictions.correct[0].isnan()
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


# gemma2's logits are kept as they are: its soft-cap stands behind the unembedding.
@pytest.mark.parametrize("model_type", ["llama", "gemma2", "t5"])
def test_logits_are_those_of_a_plain_forward(model_type: str) -> None:
    model = build(model_type)
    trace = Lens(model, tokenizer()).trace(
        TEXT, "the fox runs over the sea" if model_type == "t5" else None
    )
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    names = ("input_ids", "decoder_input_ids")
    expected = logits_of(model, **dict(zip(names, ids, strict=False)))
    assert trace.logits().dtype == torch.float32
    np.testing.assert_allclose(trace.logits(), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(trace.logits([2, -1, 0]), expected[[2, -1, 0]], rtol=1e-5, atol=1e-5)
    assert trace.logits(-1).shape == (1, expected.shape[1])
    assert trace.logits([]).shape == (0, expected.shape[1])
    with pytest.raises(ValueError, match="position 99 is out of range"):
        trace.logits([99])
    trace.lens.memory_budget = 3 * 4 * expected.shape[1]
    assert len(trace.logits(range(3))) == 3
    with pytest.raises(MemoryBudgetError, match=r"3 positions would fit \(positions=\)"):
        trace.logits(range(4))


def test_what_follows_the_last_token_is_known() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = torch.tensor([[token.id for token in trace.queries()]])
    p = softmax(logits_of(model, input_ids=ids), axis=-1)
    follows = trace.next_token(5)
    assert follows["id"].tolist() == np.argsort(-p[-1])[:5].tolist()
    np.testing.assert_allclose(follows["probability"], np.sort(p[-1])[::-1][:5], rtol=1e-5)
    generated = model.generate(ids, max_new_tokens=1, do_sample=False, pad_token_id=0)
    assert follows["id"][0] == int(generated[0, -1])
    # The place behind the last token has a number of its own; -1 is the last token's place.
    assert trace.top_k(ids.shape[1], 5).equals(follows)
    assert trace.top_k(-1, 5)["id"].tolist() == np.argsort(-p[-2])[:5].tolist()
    with pytest.raises(ValueError, match="out of range"):
        trace.top_k(ids.shape[1] + 1)


def test_a_text_of_one_token_has_no_perplexity_but_a_next_token() -> None:
    trace = Lens(build("llama"), tokenizer()).trace("whale")
    with pytest.raises(ValueError, match=r"There is no perplexity\. The first token has no value"):
        _ = trace.perplexity
    assert trace.next_token(3)["probability"].is_monotonic_decreasing
    assert trace.predictions().to_frame()["rank"].isna().all()


def test_what_follows_a_target_is_not_known_and_the_reason_is_said() -> None:
    trace = Lens(build("t5"), tokenizer()).trace(TEXT, "the lazy whale")
    with pytest.raises(ValueError, match="has not read its last token, 'whale'"):
        trace.next_token()
    with pytest.raises(ValueError, match="has not read its last token"):
        trace.top_k(len(trace.labels))


@pytest.mark.parametrize("question", ["next_token", "logits"])
def test_an_encoder_has_no_logits_of_next_tokens(question: str) -> None:
    trace = Lens(build("bert"), tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match="is an encoder"):
        getattr(trace, question)()


# --- means ----------------------------------------------------------------------------------------
def test_means_over_a_frame_leave_out_what_has_no_prediction() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = [token.id for token in trace.queries()]
    log_p = log_softmax(logits_of(model, input_ids=torch.tensor([ids]))[:-1], axis=-1)
    true = np.take_along_axis(log_p, np.array(ids[1:])[:, None], axis=-1)
    n_right, ranks = (log_p.argmax(-1) == ids[1:]).mean(), 1 + (log_p > true).sum(-1)
    frame = trace.predictions().to_frame()
    assert frame["correct"].mean() == pytest.approx(n_right)
    assert frame["rank"].mean() == pytest.approx(ranks.mean())
    assert frame["rank"].dtype == "Int64"
    assert frame["correct"].dtype == "boolean"
    assert frame["surprisal"].mean() == pytest.approx(-true.mean(), rel=1e-5)
    assert len(frame[frame["correct"]]) == round(n_right * (len(ids) - 1))
    predictions = trace.predictions()
    assert float(predictions.correct.nanmean()) == pytest.approx(n_right)
    assert predictions.rank.mean().isnan(), "a mean that is not asked to leave any out says so"


def test_of_logits_that_are_no_numbers_nothing_is_said() -> None:
    logits = torch.full((2, 7), torch.nan)
    held = NextTokenLogits(logits=logits, n_vocabulary=7)
    assert scores_of(held, [1, 2]).isnan().all()


def test_a_token_that_is_ruled_out_leaves_the_entropy_of_the_others() -> None:
    logits = torch.randn(5, 7)
    logits[:, 2] = -torch.inf
    scores = scores_of(NextTokenLogits(logits=logits, n_vocabulary=7), [1] * 5)
    others = softmax(np.delete(logits.double().numpy(), 2, axis=1), axis=1)
    np.testing.assert_allclose(scores[1], entropy(others, axis=1), rtol=1e-5)


def test_blocks_over_the_text_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    lens = Lens(build("llama"), tokenizer())
    whole = lens.trace(TEXT).predictions()
    monkeypatch.setattr(logits_module, "_BLOCK_VALUES", 96 * 3)
    blocks = lens.trace(TEXT).predictions()
    torch.testing.assert_close(whole.surprisal, blocks.surprisal, equal_nan=True)
    torch.testing.assert_close(whole.rank, blocks.rank, rtol=0, atol=0, equal_nan=True)


def test_an_encoder_has_no_perplexity_and_says_so() -> None:
    trace = Lens(build("bert"), tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match=r"There is no perplexity\. .* is an encoder"):
        _ = trace.perplexity
    assert "encoder" in trace.predictions().reason
    assert trace.predictions().n_scored == 0


def test_a_model_without_a_head_says_which_class_to_load() -> None:
    trace = Lens(build("llama").model, tokenizer()).trace(TEXT)
    assert "AutoModelForCausalLM" in trace.predictions().reason
    assert trace.attention(0).shape[0] == 4
