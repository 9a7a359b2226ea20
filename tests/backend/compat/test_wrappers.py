"""Models in the wrappers of nnsight and peft: what they compute is what is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import AutoTokenizer

from glasshead_backend import Lens, ModelChangedError, UnsupportedModelError
from support.tiny_models import TEXT, build, eager_copy, tokenizer

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model")
    tokenizer().save_pretrained(made)
    build("gpt2").save_pretrained(made)
    return made


@pytest.mark.parametrize("way", ["loaded already", "loaded later", "loaded at once"])
def test_a_model_of_nnsight_is_the_model_in_it(way: str, folder: Path) -> None:
    nnsight = pytest.importorskip("nnsight")
    read = AutoTokenizer.from_pretrained(folder)
    model: Any = {
        "loaded already": lambda: nnsight.LanguageModel(build("gpt2"), tokenizer=read),
        "loaded later": lambda: nnsight.LanguageModel(str(folder), tokenizer=read),
        "loaded at once": lambda: nnsight.LanguageModel(str(folder), tokenizer=read, dispatch=True),
    }[way]()
    trace = Lens(model).trace(TEXT)
    plain = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    assert [token.text for token in trace.tokens] == [token.text for token in plain.tokens]
    with model.trace(TEXT):
        behind = model.transformer.h[1].output[0].save()
    hidden: Any = behind
    behind_layer = hidden[0] if hidden.dim() == 3 else hidden
    assert torch.allclose(trace.hidden_states(1), behind_layer, atol=TOLERANCE)
    for layer in trace.layers():
        assert torch.allclose(trace.attention(layer), plain.attention(layer), atol=TOLERANCE)
    assert trace.perplexity == pytest.approx(plain.perplexity, rel=1e-5)


def adapted(model: Any, **options: Any) -> Any:
    peft = pytest.importorskip("peft")
    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, target_modules=["c_attn"], init_lora_weights=False, **options)
    return peft.get_peft_model(model, config)


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(**tokenizer()(TEXT, return_tensors="pt")).logits[0]


def test_adapters_of_peft_are_active_in_the_trace() -> None:
    model = adapted(build("gpt2"))
    lens = Lens(model, tokenizer())
    trace = lens.trace(TEXT)
    assert torch.allclose(trace.logits(), logits_of(model), atol=TOLERANCE)
    ids = tokenizer()(TEXT, return_tensors="pt").input_ids
    merged = eager_copy(adapted(build("gpt2")).merge_and_unload())
    with torch.no_grad():
        expected: Any = merged(ids, output_attentions=True)
    for layer in trace.layers():
        assert torch.allclose(trace.attention(layer), expected.attentions[layer][0], atol=TOLERANCE)
    plain = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    assert not torch.allclose(trace.attention(0), plain.attention(0), atol=1e-3)


def test_an_adapter_that_is_switched_off_is_not_in_the_trace() -> None:
    model = adapted(build("gpt2"))
    with model.disable_adapter():
        trace = Lens(model, tokenizer()).trace(TEXT)
        logits = trace.logits()
    plain = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    assert torch.allclose(trace.attention(1), plain.attention(1), atol=TOLERANCE)
    assert torch.allclose(logits, plain.logits(), atol=TOLERANCE)
    with pytest.raises(ModelChangedError, match="_disable_adapters"):
        trace.logits()  # it is on again


def test_learnt_prompts_are_refused_with_the_way_out() -> None:
    peft = pytest.importorskip("peft")
    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = peft.get_peft_model(build("gpt2"), config)
    with pytest.raises(UnsupportedModelError, match=r"learnt prompts \(PROMPT_TUNING\)"):
        Lens(model, tokenizer())
    assert Lens(model.get_base_model(), tokenizer()).trace(TEXT).perplexity > 0


def test_a_wrapper_without_a_tokenizer_asks_for_one() -> None:
    with pytest.raises(TypeError, match="Lens needs a transformers tokenizer second"):
        Lens(adapted(build("gpt2")))
