"""Every text model that can be loaded is looked into, or refused with what it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
import transformers
from transformers import AutoModel, AutoModelForSeq2SeqLM

from glasshead_backend import Lens, UnsupportedModelError
from support.architectures.building import build as build_case
from support.architectures.shrinking import tiny_config
from support.architectures.versions import case_or_skip
from support.parity import EXACT, Float64Throughout, apart, in_float64
from support.tiny_models import TEXT, WORDS, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glasshead_backend import Trace

SEEDS = range(20)
TARGET = "a lazy fox runs"
HEADS = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering")
NAMES = {"encoder": "encoder_attentions", "decoder": "decoder_attentions"}
NAMES |= {"cross": "cross_attentions", "self": "attentions"}
POOLED = {
    "decoder": {
        "gpt2": [f"GPT2{head}" for head in HEADS],
        "llama": [f"Llama{head}" for head in HEADS],
        "qwen3": ["Qwen3ForSequenceClassification", "Qwen3ForTokenClassification"],
        "gptj": ["GPTJForSequenceClassification"],
        "opt": ["OPTForSequenceClassification", "OPTForQuestionAnswering"],
    },
    "encoder": {
        "bert": [f"Bert{head}" for head in HEADS],
        "roberta": ["RobertaForSequenceClassification"],
        "distilbert": ["DistilBertForSequenceClassification"],
        "electra": ["ElectraForSequenceClassification"],
        "mobilebert": ["MobileBertForSequenceClassification"],
        "longformer": ["LongformerForSequenceClassification"],
        "modernbert": ["ModernBertForSequenceClassification"],
        "neomme": ["NeoMMEForMaskedLM"],
        "dpr": ["DPRQuestionEncoder", "DPRContextEncoder", "DPRReader"],
    },
}
FEWER_LAYERS = {"longformer": {"num_hidden_layers": 2}}


def fresh(class_name: str, model_type: str, **changes: Any) -> PreTrainedModel:
    """Build a tiny model with the weights that its class begins with."""
    if not hasattr(transformers, class_name):
        pytest.skip(f"transformers {transformers.__version__} has no {class_name}")
    config = tiny_config(model_type, **FEWER_LAYERS.get(model_type, {}), **changes)
    return getattr(transformers, class_name)(config).eval()


def peaked(model: PreTrainedModel) -> PreTrainedModel:
    """Draw weights that make attention far from uniform."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "emb" not in name and "shared" not in name:
                parameter.normal_(0, 1.2 * parameter.shape[-1] ** -0.5)
    return model


@pytest.mark.parametrize(
    ("model_type", "class_name", "family"),
    [
        (model_type, class_name, family)
        for family, by_type in POOLED.items()
        for model_type, classes in by_type.items()
        for class_name in classes
    ],
)
def test_the_family_follows_from_the_mask_whatever_the_head_makes_of_it(
    model_type: str, class_name: str, family: str
) -> None:
    # The model files say which: those of decoders call create_causal_mask.
    for seed in SEEDS:
        torch.manual_seed(seed)
        # A classifier with one label is a reward model.
        labels = {"num_labels": 1 + seed % 2} if "SequenceClassification" in class_name else {}
        assert Lens(fresh(class_name, model_type, **labels), tokenizer()).family == family, seed


@pytest.mark.parametrize(
    ("class_name", "model_type", "reason"),
    [
        ("GPT2ForSequenceClassification", "gpt2", "has no language-model head"),
        ("LlamaForTokenClassification", "llama", "has no language-model head"),
        ("BartForSequenceClassification", "bart", "has no language-model head"),
        ("BertForSequenceClassification", "bert", "is an encoder"),
        ("DPRQuestionEncoder", "dpr", "is an encoder"),
    ],
)
def test_a_classifier_predicts_no_token_and_says_so(
    class_name: str, model_type: str, reason: str
) -> None:
    model = fresh(class_name, model_type)
    trace = Lens(model, tokenizer()).trace(TEXT, TARGET if model_type == "bart" else None)
    assert reason in trace.predictions().reason
    assert trace.predictions().surprisal.isnan().all()
    with pytest.raises(ValueError, match=reason):
        _ = trace.perplexity


def require_eager(trace: Trace, layers: Any) -> None:
    """Compare with what transformers' own eager code reports of the same inputs."""
    ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
    inputs = dict(zip(("input_ids", "decoder_input_ids"), ids, strict=False))
    with Float64Throughout():
        reported = eager_attentions(layers, **inputs)
    for kind in trace.kinds:
        ours = [trace.attention(layer, kind=kind) for layer in trace.layers(kind)]
        assert apart(ours, [maps[0] for maps in reported[NAMES[kind]]]) <= EXACT
        assert all(maps.std() > 0.01 for maps in ours), "flat maps would hide mistakes"


@pytest.mark.parametrize("model_type", ["marian", "bart", "t5"])
def test_layers_without_a_head_read_source_and_target(model_type: str) -> None:
    # As AutoModel loads them: with no settings for generating.
    config = tiny_config(model_type, decoder_start_token_id=0)
    model = in_float64(peaked(AutoModel.from_config(config).eval()))
    assert not hasattr(model, "generation_config")
    with Float64Throughout():
        trace = Lens(model, tokenizer()).trace(TEXT, TARGET)
    assert trace.kinds == ("encoder", "decoder", "cross")
    assert trace.sequences[1].ids[0] == 0, "the start token"
    require_eager(trace, model)
    with pytest.raises(ValueError, match=r"no head to write text with.*trace\(source, target\)"):
        Lens(model, tokenizer()).trace(TEXT)


@pytest.mark.parametrize(
    ("class_name", "model_type"),
    [
        ("GPT2ForSequenceClassification", "gpt2"),
        ("LlamaForSequenceClassification", "llama"),
        ("BartForSequenceClassification", "bart"),
        ("BartForQuestionAnswering", "bart"),
        ("T5ForSequenceClassification", "t5"),
        ("T5ForQuestionAnswering", "t5"),
        ("DPRReader", "dpr"),
    ],
)
def test_classifiers_without_a_padding_token_or_with_a_target_of_another_length(
    class_name: str, model_type: str
) -> None:
    start = {"decoder_start_token_id": 0} if model_type in ("bart", "t5") else {}
    model: Any = in_float64(peaked(fresh(class_name, model_type, **start)))
    if not start:
        model.config.pad_token_id = None
    lens = Lens(model, tokenizer())
    texts, targets = [TEXT, "a fox", "the dog"], [TARGET, TEXT, "a whale"]
    dpr = class_name == "DPRReader"
    layers = model.span_predictor.encoder.bert_model if dpr else model.base_model
    with Float64Throughout():
        traces = list(lens.trace_many(texts, targets if start else None))
    for trace in traces:
        require_eager(trace, layers)


@pytest.mark.parametrize("model_type", ["gpt2", "bert", "t5", "gptj"])
def test_a_model_that_returns_tuples_is_read_and_left_so(model_type: str) -> None:
    target = TARGET if model_type == "t5" else None
    model = build(model_type)
    expected = Lens(build(model_type), tokenizer()).trace(TEXT, target)
    model.config.return_dict = False
    trace = Lens(model, tokenizer()).trace(TEXT, target)
    assert model.config.return_dict is False
    kind = trace.kinds[0]
    assert torch.equal(trace.attention(1, kind=kind), expected.attention(1, kind=kind))
    surprisal = expected.predictions().surprisal
    torch.testing.assert_close(
        trace.predictions().surprisal, surprisal, rtol=0, atol=0, equal_nan=True
    )


def test_gemma_2_in_float64_is_read_though_its_own_padded_rows_are_undefined() -> None:
    lens = Lens(build("gemma2").double(), tokenizer())
    with Float64Throughout():
        traces = list(lens.trace_many([TEXT, "a fox"]))
    for trace in traces:
        require_eager(trace, lens.model)
        assert trace.predictions().surprisal[1:].isfinite().all()


@pytest.mark.parametrize(
    ("class_name", "model_type", "reads"),
    [
        ("WhisperForConditionalGeneration", "whisper", "reads audio, not text"),
        ("WhisperModel", "whisper", "reads audio, not text"),
        ("Wav2Vec2ForCTC", "wav2vec2", "reads audio, not text"),
        ("Wav2Vec2Model", "wav2vec2", "reads audio, not text"),
        ("Speech2TextForConditionalGeneration", "speech_to_text", "reads audio, not text"),
        ("SpeechT5ForTextToSpeech", "speecht5", "reads audio besides text"),
        ("ViTModel", "vit", "reads images, not text"),
        ("ViTForImageClassification", "vit", "reads images, not text"),
        ("CLIPModel", "clip", "reads images besides text"),
        ("CLIPVisionModel", "clip_vision_model", "reads images, not text"),
        ("BlipForConditionalGeneration", "blip", "reads images besides text"),
        ("SiglipModel", "siglip", "reads images besides text"),
        ("ClapModel", "clap", "reads audio besides text"),
        ("ViltModel", "vilt", "reads images besides text"),
        ("LxmertForQuestionAnswering", "lxmert", "reads images besides text"),
        ("VitsModel", "vits", "keeps no table of token embeddings"),
        ("DecisionTransformerModel", "decision_transformer", "reads `states`, not text"),
    ],
)
def test_a_model_of_something_else_is_refused_with_what_it_reads(
    class_name: str, model_type: str, reads: str
) -> None:
    model = fresh(class_name, model_type)
    with pytest.raises(UnsupportedModelError, match=rf"^{class_name} {reads}"):
        Lens(model, tokenizer()).trace(TEXT)


def test_a_classifier_around_layers_that_take_no_ids_is_run_as_a_whole() -> None:
    lens = Lens(fresh("PerceiverForSequenceClassification", "perceiver"), tokenizer())
    with pytest.raises(UnsupportedModelError, match="is no map of tokens by tokens"):
        lens.trace(TEXT)


def test_learned_virtual_tokens_before_the_text_are_refused_by_name() -> None:
    # What PEFT's own class says of itself; it is not installed here.
    model: Any = build("gpt2")
    model.active_peft_config = SimpleNamespace(
        is_prompt_learning=True, peft_type=SimpleNamespace(value="PREFIX_TUNING")
    )
    with pytest.raises(UnsupportedModelError, match=r"virtual tokens.*\(PREFIX_TUNING\)"):
        Lens(model, tokenizer())


@pytest.mark.parametrize(
    ("name", "window", "target"),
    [
        # Tables of 128 places: from behind the padding index 0; all; ProphetNet from 2 on.
        ("ibert/IBertForMaskedLM", 127, 0),
        ("roberta/RobertaForMaskedLM", 127, 0),
        ("nystromformer/NystromformerForMaskedLM", 128, 0),
        ("mpnet/MPNetForMaskedLM", 126, 0),
        ("prophetnet/ProphetNetForCausalLM", 126, 0),
        ("prophetnet/ProphetNetForConditionalGeneration", 127, 126),
    ],
)
def test_a_text_that_fills_the_window_runs_and_one_more_token_is_refused(
    name: str, window: int, target: int
) -> None:
    lens = Lens(build_case(case_or_skip(name)), tokenizer())
    two = lens.family == "encoder-decoder"
    assert (lens.window, lens.target_window) == (window, target or window)
    words = WORDS * 8
    full, full_target = " ".join(words[:window]), " ".join(words[:target])
    trace = lens.trace(full, full_target if two else None)
    for kind in trace.kinds:
        maps = trace.attention(0, kind=kind)
        n_queries = window if kind in ("self", "encoder") else target
        assert maps.shape[1:] == (n_queries, target if kind == "decoder" else window)
        assert maps.isfinite().all()
    told = "has {} tokens, but .* reads at most {} \\(its window\\)"
    with pytest.raises(ValueError, match="The text " + told.format(window + 1, window)):
        lens.trace(f"{full} fox", "a fox" if two else None)
    if two:
        with pytest.raises(ValueError, match="The target " + told.format(target + 1, target)):
            lens.trace("a fox", f"{full_target} fox")
    # The model itself can do no more.
    for n_source, n_target in ((window + 1, 3), (3, target + 1)):
        inputs = {"input_ids": torch.full((1, n_source), 5)}
        if two:
            inputs["decoder_input_ids"] = torch.full((1, n_target), 5)
        if two or n_source > window:
            with pytest.raises((IndexError, RuntimeError)), torch.no_grad():
                lens.model(**inputs)


def test_a_source_may_be_longer_than_the_decoders_table_of_positions() -> None:
    # LED reads 16 times as many tokens as it writes.
    config = tiny_config("led", max_decoder_position_embeddings=32)
    lens = Lens(AutoModelForSeq2SeqLM.from_config(config).eval(), tokenizer())
    trace = lens.trace(" ".join((WORDS * 8)[:100]), "a fox")
    assert len(trace.keys("cross")) == 100
    with pytest.raises(ValueError, match=r"The target has 33 tokens, but .* at most 32"):
        lens.trace("a fox", " ".join((WORDS * 2)[:33]))
