"""Numbers do not depend on the user's settings: threads, dtypes, autocast, inference mode."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glasshead_backend import Lens, Step, Trace
from support.architectures.building import build as build_case
from support.architectures.versions import case_or_skip
from support.tiny_models import TEXT, build, eager_attentions, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "a lazy fox runs over the sea"
MODELS = ["gpt2", "gptj", "t5"]


def trace_of(model_type: str) -> Trace:
    lens = Lens(build(model_type), tokenizer())
    return lens.trace(TEXT, TARGET if lens.family == "encoder-decoder" else None)


def everything(trace: Trace) -> dict[str, Any]:
    kind = trace.kinds[0]
    found: dict[str, Any] = {
        "attention": trace.attention(1, kind=kind),
        "words": trace.attention(1, kind=kind, unit="word", aggregate="mean"),
        "picture": trace.pooled_attention(1, kind=kind, size=5, pool="mean").values,
        "strongest": trace.strongest_keys(1, 3, kind=kind).weights,
        "to": trace.token_attention(2, kind=kind, direction="to"),
        "rollout": trace.rollout(kind=kind),
        "mean": trace.mean_attention(kind=kind),
        "flow": trace.flow(-1, [0, 1], kind=kind),
        "surprisal": trace.predictions().surprisal.nan_to_num(0),
    }
    if trace.path(1, kind) == "capture":
        found["moved"] = trace.moved_norms(1, kind=kind)
        found["heads"] = trace.activations(1, "attention", kind=kind, heads=[0, 1])
    return found


@pytest.fixture(scope="module")
def plain() -> dict[str, dict[str, Any]]:
    return {model_type: everything(trace_of(model_type)) for model_type in MODELS}


def assert_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, tensor in expected.items():
        assert found[name].dtype == torch.float32, name
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5, msg=name)


@pytest.fixture
def default_dtype() -> Iterator[None]:
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("default_dtype")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("model_type", MODELS)
def test_another_default_dtype(plain: Any, model_type: str, dtype: torch.dtype) -> None:
    trace = trace_of(model_type)
    torch.set_default_dtype(dtype)
    assert_same(everything(trace), plain[model_type])


@pytest.mark.parametrize("model_type", MODELS)
def test_asking_inside_autocast(plain: Any, model_type: str) -> None:
    trace = trace_of(model_type)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert_same(everything(trace), plain[model_type])


def test_attention_that_was_computed_under_autocast_is_that_of_eager_under_autocast() -> None:
    model = build("t5")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        trace = Lens(model, tokenizer()).trace(TEXT, TARGET)
        ids = [torch.tensor([sequence.ids]) for sequence in trace.sequences]
        reported = eager_attentions(model, input_ids=ids[0], decoder_input_ids=ids[1])
    # T5's position bias is float32 there, its queries and keys are bfloat16.
    # In the first layers, that is: SDPA and eager round what goes into later ones differently.
    for kind in ("encoder", "decoder"):
        theirs = reported[f"{kind}_attentions"][0][0]
        torch.testing.assert_close(trace.attention(0, kind=kind), theirs.float())


def test_a_module_that_ran_under_autocast_is_run_so_again() -> None:
    lens = Lens(build("gptj"), tokenizer())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        trace = lens.trace(TEXT)
        inside = trace.attention(0)
    trace.attention(1)  # forget it
    assert torch.equal(trace.attention(0), inside)


@pytest.mark.parametrize("model_type", MODELS)
def test_inside_inference_mode(plain: Any, model_type: str) -> None:
    with torch.inference_mode():
        assert_same(everything(trace_of(model_type)), plain[model_type])


@pytest.mark.parametrize("inside", [False, True])
def test_a_hook_may_write_into_the_ids(inside: bool) -> None:
    model: Any = build("llama")
    expected = Lens(model, tokenizer()).trace(TEXT).attention(1)
    last = model.config.vocab_size - 1
    # As a model loaded with a smaller vocabulary is protected: torch lets nobody write into what
    # was made in inference mode, but inside of it.
    model.model.embed_tokens.register_forward_pre_hook(lambda _, given: given[0].clamp_(max=last))
    lens = Lens(model, tokenizer())
    with torch.inference_mode(inside):
        traces = [lens.trace(TEXT), *lens.trace_many([TEXT, "the fox"])]
        lens.generate(TEXT, max_new_tokens=2)
    for trace in traces[:2]:
        torch.testing.assert_close(trace.attention(1), expected)


def test_the_number_of_threads_is_restored_in_whatever_order_threads_end() -> None:
    one, other = trace_of("gpt2"), trace_of("gpt2")
    torch.set_num_threads(2)
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: Step) -> None:
        begun.set()
        go_on.wait(5)

    worker = threading.Thread(target=lambda: other.attention(1, progress=wait))

    def start_worker(step: Step) -> None:
        if not step.share:
            worker.start()
            begun.wait(5)

    one.attention(0, progress=start_worker)
    assert torch.get_num_threads() == 2
    go_on.set()
    worker.join()
    assert torch.get_num_threads() == 2
    late: list[int] = []
    thread = threading.Thread(target=lambda: late.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert late == [2]


def test_a_callback_may_ask_the_trace_itself() -> None:
    trace = trace_of("gpt2")
    seen: list[float] = []
    trace.attention(0, progress=lambda _: seen.append(float(trace.attention(1).sum())))
    assert seen == pytest.approx([4 * 20, 4 * 20])  # at the beginning and at the end


@pytest.mark.parametrize(
    "name", ["xlnet/XLNetLMHeadModel", "fsmt/FSMTForConditionalGeneration", "gpt2/GPT2LMHeadModel"]
)
@pytest.mark.parametrize("n_texts", [3, 4])
def test_norms_of_a_batch_as_large_as_its_texts_are_long(name: str, n_texts: int) -> None:
    case = case_or_skip(name)
    lens = Lens(build_case(case), tokenizer())
    texts = ["the quick fox", "a lazy dog", "old whale at", "runs away from"][:n_texts]
    targets = [f"{text} sea" for text in texts] if lens.family == "encoder-decoder" else None
    together = lens.trace_many(texts, targets)
    for trace, text in zip(together, texts, strict=True):
        alone = lens.trace(text, f"{text} sea" if targets else None)
        for kind in trace.kinds:
            for block, by_layer in alone.norms(kind).items():
                for layer, norm in by_layer.items():
                    torch.testing.assert_close(
                        trace.norms(kind)[block][layer], norm, rtol=1e-3, atol=1e-4
                    )


@pytest.mark.parametrize(
    "name",
    ["codegen/CodeGenForCausalLM", "openai-gpt/OpenAIGPTLMHeadModel", "gptj/GPTJForCausalLM"],
)
def test_masked_scores_are_minus_infinity(name: str) -> None:
    case = case_or_skip(name)
    trace = Lens(build_case(case), tokenizer()).trace(TEXT)
    scores = trace.attention(0, scores=True)
    hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    assert (scores[:, hidden] == -torch.inf).all()
    assert scores[:, ~hidden].isfinite().all()
    torch.testing.assert_close(scores.softmax(-1), trace.attention(0))
