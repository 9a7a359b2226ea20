"""Attention in bands and blocks, read as the tokens-by-tokens map that it stands for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BigBirdForMaskedLM,
    PreTrainedModel,
)

from glasshead_backend import Lens, UnsupportedModelError
from glasshead_backend.trace import run_of
from support.parity import EXACT
from support.tiny_models import CONFIGS, N_VOCABULARY, TEXT, tokenizer

HALF_WINDOW = 4
SEQ2SEQ = {"attention_window": 2 * HALF_WINDOW, "max_encoder_position_embeddings": 128}


def build(auto: Any, model_type: str, **config: Any) -> PreTrainedModel:
    """Build a model in float64, whose eager code is then exact."""
    torch.manual_seed(0)
    model = auto.from_config(AutoConfig.for_model(model_type, **config))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "emb" not in name:
                parameter.normal_(0, 2 * parameter.shape[-1] ** -0.5)
    return model.eval().double()


def led() -> PreTrainedModel:
    return build(
        AutoModelForSeq2SeqLM, "led",
        **CONFIGS["bart"], **SEQ2SEQ, max_decoder_position_embeddings=128,
    )  # fmt: skip


def longformer() -> PreTrainedModel:
    return build(
        AutoModelForMaskedLM, "longformer",
        **CONFIGS["bert"], attention_window=2 * HALF_WINDOW, sep_token_id=2,
    )  # fmt: skip


def longt5(kind: str) -> PreTrainedModel:
    return build(
        AutoModelForSeq2SeqLM, "longt5",
        **CONFIGS["t5"], encoder_attention_type=kind, local_radius=3, global_block_size=4,
    )  # fmt: skip


def from_bands(bands: torch.Tensor, n_tokens: int) -> torch.Tensor:
    """Element ``[i, j]`` of a band row lies ``j - half window`` tokens from token ``i``."""
    full = torch.zeros(bands.shape[1], n_tokens, n_tokens, dtype=bands.dtype)
    for i in range(n_tokens):
        for j in range(bands.shape[-1]):
            if 0 <= i + j - HALF_WINDOW < n_tokens:
                full[:, i, i + j - HALF_WINDOW] = bands[0, :, i, j]
    return full


def test_the_bands_of_led_are_unfolded() -> None:
    model = led()
    trace = Lens(model, tokenizer()).trace(TEXT, "the fox runs over the sea")
    source, target = (torch.tensor([s.ids]) for s in trace.sequences)
    with torch.no_grad():
        reported = model(source, decoder_input_ids=target, output_attentions=True)
    for layer in trace.layers("encoder"):
        assert trace.path(layer, "encoder") == "unfold"
        weights = trace.attention(layer, kind="encoder")
        expected = from_bands(reported.encoder_attentions[layer], source.shape[1])
        torch.testing.assert_close(weights, expected, rtol=0, atol=EXACT)
    torch.testing.assert_close(
        trace.attention(1, kind="cross"), reported.cross_attentions[1][0], rtol=0, atol=EXACT
    )


def test_the_bands_of_longformer_are_unfolded() -> None:
    model = longformer()
    trace = Lens(model, tokenizer()).trace(TEXT)
    ids = torch.tensor([trace.sequences[0].ids])
    with torch.no_grad():
        reported = model(ids, output_attentions=True).attentions
    for layer in trace.layers():
        expected = from_bands(reported[layer], ids.shape[1])
        torch.testing.assert_close(trace.attention(layer), expected, rtol=0, atol=EXACT)


def test_the_blocks_of_longt5_are_unfolded() -> None:
    model, n_blocks_of = longt5("local"), 4  # block length = local radius + 1
    trace = Lens(model, tokenizer()).trace(TEXT, "the fox runs")
    source, target = (torch.tensor([s.ids]) for s in trace.sequences)
    with torch.no_grad():
        reported = model(source, decoder_input_ids=target, output_attentions=True)
    n_tokens = source.shape[1]
    for layer in trace.layers("encoder"):
        blocks = reported.encoder_attentions[layer][0]
        expected = torch.zeros(blocks.shape[1], n_tokens, n_tokens, dtype=blocks.dtype)
        for block, start in enumerate(range(0, n_tokens, n_blocks_of)):
            for i in range(start, min(start + n_blocks_of, n_tokens)):
                for j in range(3 * n_blocks_of):
                    key = start - n_blocks_of + j
                    if 0 <= key < n_tokens:
                        expected[:, i, key] = blocks[block, :, i - start, j]
        weights = trace.attention(layer, kind="encoder")
        torch.testing.assert_close(weights, expected, rtol=0, atol=EXACT)


def test_tokens_that_stand_for_blocks_take_the_rest_of_a_row() -> None:
    trace = Lens(longt5("transient-global"), tokenizer()).trace(TEXT, "the fox runs")
    sums = trace.attention(0, kind="encoder").sum(-1)
    assert sums.max() <= 1 + 1e-5
    assert sums.min() < 0.95
    assert "summaries of blocks" in run_of(trace).call(0, "encoder").remainder
    assert run_of(trace).call(0, "cross").remainder == ""


def test_unfolded_texts_of_a_batch_are_as_if_traced_alone() -> None:
    lens = Lens(led(), tokenizer())
    texts, targets = [TEXT, "the old whale runs away"], ["the fox", "a dog at sea"]
    for trace, text, target in zip(lens.trace_many(texts, targets), texts, targets, strict=True):
        alone = lens.trace(text, target)
        for kind in trace.kinds:
            weights = trace.attention(1, kind=kind)
            torch.testing.assert_close(weights, alone.attention(1, kind=kind), rtol=0, atol=EXACT)


def test_what_has_no_scores_says_so() -> None:
    trace = Lens(led(), tokenizer()).trace(TEXT, "the fox")
    with pytest.raises(ValueError, match="scores before the softmax cannot"):
        trace.attention(0, kind="encoder", scores=True)


def test_block_sparse_attention_says_how_to_load_the_model_in_full() -> None:
    config = AutoConfig.for_model("big_bird", **CONFIGS["bert"], attention_type="block_sparse")
    model = BigBirdForMaskedLM(config).eval()
    with pytest.raises(UnsupportedModelError, match="attention_type='original_full'"):
        Lens(model, tokenizer()).trace(TEXT)
    assert model.bert.attention_type == "block_sparse"
    assert model.config.vocab_size == N_VOCABULARY
