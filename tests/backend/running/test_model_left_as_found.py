"""Tracing leaves the user's model and transformers exactly as they were, whatever happens."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers.modeling_utils import AttentionInterface

from glasshead_backend import Lens
from glasshead_backend.capture.recording import record
from glasshead_backend.running.modules import modules_of
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from torch import nn


def attention_functions(model: nn.Module) -> tuple[dict[str, Any], Any]:
    """All through which versions of transformers hand a model its attention function."""
    file = vars(sys.modules[type(model).__module__])
    return dict(vars(AttentionInterface)), file.get("eager_attention_forward")


def snapshot(model: nn.Module) -> dict[str, Any]:
    hooks = {
        name: (len(module._forward_hooks), len(module._forward_pre_hooks))
        for name, module in model.named_modules()
    }
    return {
        "training": {name: module.training for name, module in model.named_modules()},
        "hooks": hooks,
        "implementation": model.config._attn_implementation,
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad_enabled": torch.is_grad_enabled(),
        "threads": torch.get_num_threads(),
        "library": attention_functions(model),
        "weights": [p.detach().clone() for p in model.parameters()],
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert all(map(torch.equal, before.pop("weights"), after.pop("weights")))
    assert before == after


@pytest.mark.parametrize("model_type", ["gpt2", "t5", "bert"])
def test_a_model_in_training_comes_back_in_training(model_type: str) -> None:
    model = build(model_type).train()
    # One frozen, one switched to evaluation: the settings need not be all alike.
    next(model.parameters()).requires_grad_(requires_grad=False)
    next(iter(model.children())).eval()
    before = snapshot(model)
    trace = Lens(model, tokenizer()).trace(TEXT, TEXT if model_type == "t5" else None)
    trace.attention(1, kind=trace.default_kind)
    trace.activations(1, "mlp")
    assert_same(before, snapshot(model))
    torch.set_grad_enabled(mode=True)


@pytest.mark.parametrize("failure", [RuntimeError("out of memory"), KeyboardInterrupt()])
def test_an_exception_in_the_middle_of_a_layer_restores_everything(
    failure: BaseException,
) -> None:
    model = build("llama").train()
    lens = Lens(model, tokenizer())
    _ = lens.family
    before = snapshot(model)

    def fail(*_: object) -> None:
        raise failure

    handle = model.model.layers[1].mlp.register_forward_hook(fail)
    with pytest.raises(type(failure)):
        lens.trace(TEXT)
    handle.remove()
    assert_same(before, snapshot(model))
    assert lens.trace(TEXT).layers() == [0, 1, 2]


def test_a_model_with_another_implementation_gets_it_back() -> None:
    model = build("llama")
    model.set_attn_implementation("flex_attention")
    trace = Lens(model, tokenizer()).trace(TEXT)
    assert model.config._attn_implementation == "flex_attention"
    assert trace.attention(0).isfinite().all()


def test_forwards_in_other_threads_are_not_recorded() -> None:
    mine, other = build("gpt2"), build("gpt2", seed=1)
    ids = torch.arange(3, 9)[None]
    with record((), mine) as recording:
        worker = threading.Thread(target=lambda: other(input_ids=ids))
        worker.start()
        worker.join()
        assert not recording.calls
        mine(input_ids=ids)
    assert len(recording.calls) == 3


def test_nested_recordings_do_not_disturb_each_other() -> None:
    model = build("gpt2")
    stock = attention_functions(model)
    ids = torch.arange(3, 9)[None]
    with record((), model) as outer:
        model(input_ids=ids)
        with record((), model) as inner:
            model(input_ids=ids)
        model(input_ids=ids)
    assert (len(outer.calls), len(inner.calls)) == (6, 3)
    assert attention_functions(model) == stock


def test_logits_are_the_same_with_and_without_recording() -> None:
    model = build("mistral")
    ids = torch.arange(3, 40)[None] % 90
    with torch.no_grad():
        plain = model(input_ids=ids).logits
        with record((), model):
            recorded = model(input_ids=ids).logits
    assert torch.equal(plain, recorded)


def test_closing_a_trace_frees_it_and_later_questions_say_so() -> None:
    with Lens(build("llama"), tokenizer()).trace(TEXT) as trace:
        assert trace.nbytes > 0
    assert trace.nbytes == 0
    with pytest.raises(ValueError, match="This trace is closed"):
        trace.attention(0)


def test_modules_are_listed_as_torch_lists_them() -> None:
    # t5 ties embeddings, whose module stands at several places; the others are torch's own order.
    for name in ("t5", "llama", "gptj"):
        model = build(name)
        assert modules_of(model) == list(model.modules())
