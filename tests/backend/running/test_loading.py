"""A checkpoint is loaded as the model that it says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers

from glasshead_backend import Lens
from support.architectures.shrinking import tiny_config
from support.tiny_models import TEXT, tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel

TARGET = "a lazy fox runs"


def saved(class_name: str, model_type: str, folder: Path, **changes: Any) -> PreTrainedModel:
    """Save a tiny model with its tokenizer, as a checkpoint of the hub lies in the cache."""
    torch.manual_seed(0)
    model = getattr(transformers, class_name)(tiny_config(model_type, **changes)).eval()
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return model


@pytest.mark.parametrize(
    ("class_name", "model_type"),
    [
        ("GPT2LMHeadModel", "gpt2"),
        ("BertForMaskedLM", "bert"),
        ("T5ForConditionalGeneration", "t5"),
        ("BartForConditionalGeneration", "bart"),
        ("GPT2ForSequenceClassification", "gpt2"),
        ("LlamaForTokenClassification", "llama"),
        ("BertForSequenceClassification", "bert"),
        ("BartForSequenceClassification", "bart"),
        ("T5EncoderModel", "t5"),
        ("BertModel", "bert"),
        ("DistilBertModel", "distilbert"),
        ("AlbertModel", "albert"),
        ("DPRQuestionEncoder", "dpr"),
    ],
)
def test_a_checkpoint_becomes_the_class_that_it_names_with_its_own_weights(
    class_name: str, model_type: str, tmp_path: Path
) -> None:
    start = {"decoder_start_token_id": 0} if model_type in ("t5", "bart") else {}
    model = saved(class_name, model_type, tmp_path, **start)
    lens = Lens.from_pretrained(tmp_path)
    assert type(lens.model).__name__ == class_name
    weights = lens.model.state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(weights[name], weight), name
    assert lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None).layers


@pytest.mark.parametrize(
    ("class_name", "model_type"),
    [("GPT2ForSequenceClassification", "gpt2"), ("BartForSequenceClassification", "bart")],
)
def test_a_classifier_predicts_nothing_by_an_unembedding_of_random_numbers(
    class_name: str, model_type: str, tmp_path: Path
) -> None:
    saved(class_name, model_type, tmp_path)
    lens = Lens.from_pretrained(tmp_path)
    trace = lens.trace(TEXT, TARGET if model_type == "bart" else None)
    assert "has no language-model head" in trace.predictions().reason
    assert trace.predictions().surprisal.isnan().all()


@pytest.mark.parametrize(
    ("class_name", "model_type", "whole"),
    [
        ("GPT2Model", "gpt2", "GPT2LMHeadModel"),
        ("T5Model", "t5", "T5ForConditionalGeneration"),
        ("BartModel", "bart", "BartForConditionalGeneration"),
    ],
)
def test_layers_whose_unembedding_is_their_embedding_become_a_language_model(
    class_name: str, model_type: str, whole: str, tmp_path: Path
) -> None:
    start = {} if model_type == "gpt2" else {"decoder_start_token_id": 0}
    tied = {"tie_word_embeddings": True}
    model = saved(class_name, model_type, tmp_path, **start, **tied)
    lens = Lens.from_pretrained(tmp_path)
    assert type(lens.model).__name__ == whole
    embedding: Any = model.get_input_embeddings()
    assert torch.equal(lens.model.get_output_embeddings().weight, embedding.weight)
    trace = lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)
    assert trace.perplexity > 1


def test_layers_with_an_unembedding_that_was_not_saved_stay_layers(tmp_path: Path) -> None:
    saved("LlamaModel", "llama", tmp_path, tie_word_embeddings=False)
    lens = Lens.from_pretrained(tmp_path)
    assert type(lens.model).__name__ == "LlamaModel"
    assert "has no language-model head" in lens.trace(TEXT).predictions().reason
