"""The memory that a trace holds: counted to the byte, bounded, and given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from glasshead_backend import Lens, memory
from glasshead_backend.trace import run_of
from glasshead_backend.tracing.store import Store
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    import pytest

MEGABYTE = 1 << 20


def megabytes(n: int) -> torch.Tensor:
    return torch.empty(n * MEGABYTE, dtype=torch.uint8)


def test_queries_and_keys_are_all_that_is_held_of_an_attention_call() -> None:
    model = build("llama")
    trace = Lens(model, tokenizer()).trace(TEXT)
    config, n_tokens = model.config, len(trace.queries())
    n_heads = config.num_attention_heads + config.num_key_value_heads
    size = config.hidden_size // config.num_attention_heads
    for layer in trace.layers():
        assert run_of(trace).call(layer).nbytes == n_tokens * n_heads * size * 4
    assert trace.nbytes > sum(run_of(trace).call(layer).nbytes for layer in trace.layers())


def test_a_model_of_half_the_precision_holds_half_as_much() -> None:
    calls = [
        run_of(Lens(build("gpt2").to(dtype), tokenizer()).trace(TEXT)).call(0)
        for dtype in (torch.float64, torch.float32, torch.bfloat16)
    ]
    assert [call.nbytes for call in calls] == [8 * 2 * 20 * 32, 4 * 2 * 20 * 32, 2 * 2 * 20 * 32]


def test_what_is_remembered_counts_until_the_trace_is_closed() -> None:
    trace = Lens(build("gpt2"), tokenizer()).trace(TEXT)
    before = trace.nbytes
    run_of(trace).store.remember("some result", lambda: torch.zeros(1000))
    assert trace.nbytes == before + 4000
    trace.close()
    assert trace.nbytes == 0


def test_a_result_is_made_once_and_kept() -> None:
    results, made = Store(), []

    def make() -> torch.Tensor:
        made.append(1)
        return megabytes(1)

    assert results.remember("a", make) is results.remember("a", make)
    assert len(made) == 1
    assert results.nbytes == MEGABYTE


def test_results_of_64_megabytes_stay_and_the_oldest_goes_for_one_more() -> None:
    results = Store()
    kept = {name: results.remember(name, lambda: megabytes(32)) for name in "ab"}
    assert results.nbytes == 64 * MEGABYTE
    third = results.remember("c", lambda: megabytes(1))
    assert results.nbytes == 33 * MEGABYTE
    again = {name: results.remember(name, lambda: torch.zeros(1)) for name in "bc"}
    assert again["b"] is kept["b"]
    assert again["c"] is third
    assert results.remember("a", lambda: torch.zeros(1)) is not kept["a"]


def test_what_cannot_be_made_again_stays_however_much_it_is() -> None:
    results = Store()
    kept = results.keep("activations", {0: megabytes(65)})
    results.remember("small", lambda: megabytes(1))
    assert results.get("activations") is kept
    assert results.nbytes == 66 * MEGABYTE


def test_a_closed_store_takes_nothing_more() -> None:
    results = Store()
    results.close()
    assert results.remember("late", lambda: megabytes(1)).nbytes == MEGABYTE
    assert results.keep("later", megabytes(1)).nbytes == MEGABYTE
    assert results.nbytes == 0


def test_a_result_larger_than_all_that_may_be_kept_is_answered_and_not_kept() -> None:
    results = Store()
    results.remember("small", lambda: megabytes(1))
    large = megabytes(65)
    assert results.remember("large", lambda: large) is large
    assert results.nbytes == 0


def test_an_answer_may_take_half_of_what_is_free_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda _: 1001)
    assert memory.budget_on(torch.device("cpu"), None) == 500
    assert memory.budget_on(torch.device("cpu"), 900) == 900


def test_bytes_are_said_in_the_unit_that_people_would_use() -> None:
    sizes = [999, 1000, 999_000, 1_000_000, 2_345_000_000]
    assert [*map(memory.in_words, sizes)] == ["999 bytes", "1 kB", "999 kB", "1 MB", "2.35 GB"]
