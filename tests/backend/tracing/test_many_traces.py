"""Traces beside each other, inside each other, and one after the other: none disturbs another."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch
from transformers.modeling_utils import AttentionInterface

from glasshead_backend import Lens, Trace
from glasshead_backend.trace import run_of
from support.tiny_models import TEXT, WORDS, build, tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TARGET = "a lazy fox runs over the sea"
KINDS_OF_MODEL = ["llama", "gptj", "t5"]


def texts(n: int) -> list[str]:
    return [" ".join(WORDS[i % 5 : i % 5 + 3] * (2 + i % 7)) for i in range(n)]


def trace_of(lens: Lens, text: str) -> Trace:
    return lens.trace(text, TARGET if lens.family == "encoder-decoder" else None)


def maps_of(trace: Trace) -> list[torch.Tensor]:
    return [trace.attention(layer, kind=k) for k in trace.kinds for layer in trace.layers(k)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))


def lens_of(model_type: str, seed: int = 0) -> Lens:
    return Lens(build(model_type, seed=seed), tokenizer())


@pytest.mark.parametrize("model_type", KINDS_OF_MODEL)
def test_two_threads_trace_two_models(model_type: str) -> None:
    lenses = [lens_of(model_type, seed) for seed in (0, 1)]
    alone = [[maps_of(trace_of(lens, text)) for text in texts(6)] for lens in lenses]
    lenses = [lens_of(model_type, seed) for seed in (0, 1)]  # unknown yet: probed side by side
    start = threading.Barrier(2)

    def work(lens: Lens) -> list[list[torch.Tensor]]:
        start.wait()
        return [maps_of(trace_of(lens, text)) for text in texts(6)]

    stock, threads = dict(vars(AttentionInterface)), torch.get_num_threads()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(work, lenses))
    for mine, expected in zip(together, alone, strict=True):
        assert all(same(a, b) for a, b in zip(mine, expected, strict=True))
    assert vars(AttentionInterface) == stock
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("model_type", KINDS_OF_MODEL)
def test_two_threads_trace_one_model_in_training(model_type: str) -> None:
    lens = lens_of(model_type)
    alone = [maps_of(trace_of(lens, text)) for text in texts(8)]
    lens.model.train()
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda text: maps_of(trace_of(lens, text)), texts(8)))
    assert all(same(a, b) for a, b in zip(together, alone, strict=True))
    assert all(module.training for module in lens.model.modules())


def test_the_users_own_forward_in_another_thread_is_not_recorded() -> None:
    lens = lens_of("gptj")
    expected = maps_of(trace_of(lens, TEXT))
    ids, stop = torch.arange(3, 9)[None], threading.Event()

    def run() -> None:
        while not stop.is_set():
            lens.model(input_ids=ids)

    worker = threading.Thread(target=run)
    worker.start()
    try:
        for _ in range(5):
            assert same(maps_of(trace_of(lens, TEXT)), expected)
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize("inner", ["another model", "the same model"])
@pytest.mark.parametrize("model_type", KINDS_OF_MODEL)
def test_a_trace_made_in_the_middle_of_another(model_type: str, inner: str) -> None:
    outer_lens = lens_of(model_type)
    inner_lens = outer_lens if inner == "the same model" else lens_of(model_type, seed=1)
    short = "the old whale runs"
    expected = maps_of(trace_of(outer_lens, TEXT)), maps_of(trace_of(inner_lens, short))
    made: list[Trace] = []

    def trace_inside(*_: object) -> None:
        handle.remove()
        made.append(trace_of(inner_lens, short))

    middle = [m for m in outer_lens.model.modules() if isinstance(m, torch.nn.ModuleList)][-1][1]
    handle = middle.register_forward_hook(trace_inside)
    outer = trace_of(outer_lens, TEXT)
    assert same(maps_of(outer), expected[0])
    assert same(maps_of(made[0]), expected[1])
    for block, by_layer in outer.norms(outer.kinds[-1]).items():
        assert all(len(norm) == len(outer.queries(outer.kinds[-1])) for norm in by_layer.values())
        assert by_layer, block


def held(trace: Trace) -> list[Any]:
    """Weak references to tensors that only the trace should keep alive."""
    held: list[Any] = []
    for kind in trace.kinds:
        for layer in trace.layers(kind):
            call: Any = run_of(trace).call(layer, kind)
            if hasattr(call, "query"):
                held += [weakref.ref(call.query), weakref.ref(call.key)]
            else:
                held.append(weakref.ref(call.replay))
    return held


@pytest.mark.parametrize("model_type", KINDS_OF_MODEL)
def test_close_frees_at_once_what_was_recorded(model_type: str) -> None:
    gc.collect()
    gc.disable()  # nothing may wait for the collector
    try:
        trace = trace_of(lens_of(model_type), TEXT)
        maps_of(trace)
        references = held(trace)
        assert all(reference() is not None for reference in references)
        trace.close()
        assert all(reference() is None for reference in references)
        assert trace.nbytes == 0
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("model_type", KINDS_OF_MODEL)
def test_memory_stays_flat_over_two_hundred_traces(model_type: str) -> None:
    model: PreTrainedModel = build(model_type, **({} if model_type == "t5" else LONG[model_type]))
    lens = Lens(model, tokenizer())
    text = " ".join([TEXT] * 20)
    process = psutil.Process()

    def once() -> None:
        trace = trace_of(lens, text)  # not closed: it goes out of scope
        trace.attention(trace.layers()[-1], rows=range(5))
        trace.token_attention(5)

    for _ in range(20):
        once()
    gc.collect()
    before = process.memory_info().rss, n_tensors()
    held_by_one = trace_of(lens, text).nbytes
    for _ in range(200):
        once()
    gc.collect()
    assert n_tensors() <= before[1]
    assert process.memory_info().rss - before[0] < max(20 * held_by_one, 50e6)


LONG: dict[str, dict[str, Any]] = {
    "llama": {"max_position_embeddings": 512},
    "gptj": {"n_positions": 512},
}


def n_tensors() -> int:
    return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
