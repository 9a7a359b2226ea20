"""Predictions read out behind every layer, compared with a model whose last layer is replaced."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from glasshead_backend import Lens, Trace, logit_lens
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import CONFIGS, TEXT, build, tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYERS = {
    "gpt2": "transformer.h",
    "t5": "decoder.block",
    "bart": "model.decoder.layers",
    "marian": "model.decoder.layers",
}
# gemma2 caps its logits, granite and cohere scale them, T5 scales the hidden states, marian adds a
# bias, bart and marian have no final norm.
MODELS = ("gpt2", "llama", "gemma2", "granite", "cohere", "t5", "bart", "marian")


@cache
def trace_of(model_type: str) -> Trace:
    if model_type in CONFIGS:
        model = build(model_type)
    else:
        names = {"granite": "granite/GraniteForCausalLM", "cohere": "cohere/CohereForCausalLM"}
        model = build_case(case_or_skip(names[model_type]))
    lens = Lens(model, tokenizer())
    return lens.trace(TEXT, "a lazy fox runs over" if lens.family == "encoder-decoder" else None)


@torch.no_grad()
def by_replacing(trace: Trace) -> NDArray[np.float64]:
    """Logits ``[layers, rows, vocabulary]``, each layer's output put in the last one's place."""
    model: Any = trace.lens.model
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    inputs = dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))
    layers = model.get_submodule(LAYERS.get(model.config.model_type, "model.layers"))
    states: list[torch.Tensor] = []

    def keep(_: Any, __: Any, output: Any) -> None:
        states.append(output[0] if isinstance(output, tuple) else output)

    handles = [layer.register_forward_hook(keep) for layer in layers]
    model(**inputs, use_cache=False)
    for handle in handles:
        handle.remove()
    logits: list[torch.Tensor] = []
    for state in states:

        def replace(_: Any, __: Any, output: Any, state: torch.Tensor = state) -> Any:
            return (state, *output[1:]) if isinstance(output, tuple) else state

        handle = layers[-1].register_forward_hook(replace)
        logits.append(model(**inputs, use_cache=False).logits[0])
        handle.remove()
    return torch.stack(logits).double().numpy()


def rows_and_truth(trace: Trace) -> tuple[slice, list[int]]:
    """Which rows predict something, and what comes there."""
    if trace.family == "decoder":
        return slice(None, -1), [token.id for token in trace.queries()][1:]
    return slice(None), [token.id for token in trace.labels]


# --- layers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", MODELS)
def test_every_layer_predicts_what_the_model_would_if_it_ended_there(model_type: str) -> None:
    trace = trace_of(model_type)
    rows, truth = rows_and_truth(trace)
    log_p = log_softmax(by_replacing(trace)[:, rows], axis=-1)
    true = np.take_along_axis(log_p, np.array(truth)[None, :, None], axis=-1)
    found = logit_lens(trace)
    shift = found.surprisal.shape[1] - len(truth)
    assert found.surprisal.shape[0] == len(log_p)
    np.testing.assert_allclose(found.surprisal[:, shift:], -true[..., 0], rtol=1e-4, atol=1e-4)
    ranks = 1 + (log_p > true).sum(axis=-1)
    assert found.rank[:, shift:].tolist() == ranks.tolist()
    assert (
        found.correct[:, shift:].tolist() == (log_p.argmax(axis=-1) == truth).astype(int).tolist()
    )
    assert found.top_ids[:, shift:].tolist() == np.argsort(-log_p, axis=-1)[..., :5].tolist()


@pytest.mark.parametrize("model_type", MODELS)
def test_the_last_layer_predicts_what_the_model_predicts(model_type: str) -> None:
    trace = trace_of(model_type)
    found, predictions = logit_lens(trace), trace.predictions()
    torch.testing.assert_close(
        found.surprisal[-1], predictions.surprisal, rtol=1e-4, atol=1e-4, equal_nan=True
    )
    torch.testing.assert_close(found.rank[-1], predictions.rank, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found.correct[-1], predictions.correct, equal_nan=True)


def test_where_there_is_no_prediction_there_is_no_number() -> None:
    found = logit_lens(trace_of("llama"))
    assert found.surprisal[:, 0].isnan().all()
    assert found.rank[:, 0].isnan().all()
    assert found.correct[:, 0].isnan().all()
    assert 0 not in set(found.tokens_frame()["position"])


# --- frames ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("model_type", ["llama", "t5"])
def test_a_layer_has_accuracy_mean_surprisal_and_median_rank(model_type: str) -> None:
    trace = trace_of(model_type)
    found = logit_lens(trace)
    frame = found.to_frame().set_index("layer")
    tokens = found.tokens_frame().groupby("layer")
    assert frame.index.tolist() == [0, 1, 2]
    np.testing.assert_allclose(frame["accuracy"], tokens["correct"].mean(), rtol=1e-6)
    np.testing.assert_allclose(frame["surprisal"], tokens["surprisal"].mean(), rtol=1e-6)
    np.testing.assert_allclose(frame["rank"], tokens["rank"].median(), rtol=1e-6)


def test_words_that_a_layer_would_write_are_listed_best_first() -> None:
    trace = trace_of("gpt2")
    found = logit_lens(trace, k=3)
    logits = by_replacing(trace)
    columns = ["layer", "position", "token", "surprisal", "rank", "correct", "top"]
    assert list(found.tokens_frame()) == columns
    for row in found.tokens_frame().itertuples():
        best = np.argsort(-logits[row.layer, row.position - 1])[:3].tolist()
        assert row.top == trace.lens.spelled(best)
        assert row.token == trace.queries()[row.position].text
        assert row.correct == (row.rank == 1)


def test_a_trained_model_knows_more_from_layer_to_layer() -> None:
    words = "the whale saw the captain and the captain saw the sea "
    found = logit_lens(Lens.demo("decoder").trace(words * 3))
    frame, tokens = found.to_frame().set_index("layer"), found.tokens_frame().groupby("layer")
    assert frame["surprisal"].is_monotonic_decreasing
    np.testing.assert_allclose(frame["accuracy"], tokens["correct"].mean(), rtol=1e-6)
    assert frame["accuracy"].nunique() > 1


# --- errors ---------------------------------------------------------------------------------------
def test_an_encoder_has_no_next_token_to_read() -> None:
    with pytest.raises(ValueError, match="encoder"):
        logit_lens(Lens(build("bert"), tokenizer()).trace(TEXT))
    with pytest.raises(ValueError, match="encoder"):
        logit_lens(trace_of("t5"), kind="encoder")


def test_no_word_at_all_is_too_few() -> None:
    with pytest.raises(ValueError, match="k"):
        logit_lens(trace_of("llama"), k=0)


UNUSUAL = (
    "mllama/MllamaForCausalLM",  # passes some of its layers over
    "fsmt/FSMTForConditionalGeneration",  # tokens first
    "jamba/JambaForCausalLM",  # layers without attention
    "gemma4/Gemma4ForConditionalGeneration",
    "deepseek_v32/DeepseekV32ForCausalLM",
)


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_last_layer_of_unusual_architectures_says_what_the_model_predicts(name: str) -> None:
    lens = Lens(build_case(case_or_skip(name)), tokenizer())
    two = lens.family == "encoder-decoder"
    trace = lens.trace(TEXT, "a lazy fox") if two else lens.trace(TEXT)
    found = logit_lens(trace)
    torch.testing.assert_close(
        found.surprisal[-1], trace.predictions().surprisal, equal_nan=True, rtol=1e-4, atol=1e-4
    )
    assert found.surprisal[:, -1].isfinite().all()
