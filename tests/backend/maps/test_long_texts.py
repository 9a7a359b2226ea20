"""Long texts: pictures, strongest keys and notable pairs without a T x T matrix in memory."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glasshead_backend import Cancelled, Lens, MemoryBudgetError, Step, Trace
from glasshead_backend.trace import run_of
from support.tiny_models import TEXT, WORDS, build, eager_attentions, tokenizer

N_TOKENS = 700


def eager_maps(trace: Trace) -> np.ndarray:
    """Attention of layer 1 by transformers' eager mode, ``[heads, queries, keys]``."""
    ids = torch.tensor([trace.sequences[0].ids])
    return eager_attentions(trace.lens.model, input_ids=ids).attentions[1][0].numpy()


@pytest.fixture(scope="module")
def long() -> Trace:
    words = [WORDS[i * i % len(WORDS)] for i in range(N_TOKENS)]
    model = build("llama", max_position_embeddings=1024)
    return Lens(model, tokenizer()).trace(" ".join(words))


@pytest.fixture(scope="module")
def eager(long: Trace) -> np.ndarray:
    return eager_maps(long)


# --- pictures -------------------------------------------------------------------------------------
@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_picture_of_any_part_equals_pooling_the_eager_map(
    long: Trace, eager: np.ndarray, data: st.DataObject
) -> None:
    edge = st.integers(0, N_TOKENS)
    sides = [sorted(data.draw(st.tuples(edge, edge).filter(lambda e: e[0] != e[1]))) for _ in "qk"]
    queries, keys = ((first, end) for first, end in sides)
    size = data.draw(st.integers(1, 64))
    pool = data.draw(st.sampled_from(["max", "mean"]))
    picture = long.pooled_attention(1, [2, 0], queries=queries, keys=keys, size=size, pool=pool)
    part = eager[[2, 0], slice(*queries), slice(*keys)]
    n = picture.per_pixel
    assert max(picture.values.shape[1:]) <= size
    assert n == -(-max(part.shape[1:]) // size)
    rows, columns = (range(0, side, n) for side in part.shape[1:])
    combine = np.max if pool == "max" else np.mean
    expected = [
        [[combine(head[r : r + n, c : c + n]) for c in columns] for r in rows] for head in part
    ]
    np.testing.assert_allclose(picture.values.numpy(), expected, atol=1e-5)


def test_a_picture_of_combined_heads_pools_the_combination(long: Trace, eager: np.ndarray) -> None:
    picture = long.pooled_attention(1, aggregate="mean", size=100)
    expected = eager.mean(axis=0).reshape(100, 7, 100, 7).max(axis=(1, 3))
    np.testing.assert_allclose(picture.values[0].numpy(), expected, atol=1e-5)


def test_the_best_resolution_shows_single_cells(long: Trace, eager: np.ndarray) -> None:
    picture = long.pooled_attention(1, 3, queries=(300, 400), keys=(250, 350))
    assert picture.per_pixel == 1
    np.testing.assert_allclose(picture.values[0].numpy(), eager[3, 300:400, 250:350], atol=1e-5)


# --- strongest and notable ------------------------------------------------------------------------
def test_the_strongest_keys_are_those_of_eager(long: Trace, eager: np.ndarray) -> None:
    found = long.strongest_keys(1, 5)
    expected = -np.sort(-eager, axis=-1)[..., :5]
    np.testing.assert_allclose(found.weights.numpy(), expected, atol=1e-5)
    there = np.take_along_axis(eager, found.keys.numpy(), axis=-1)
    np.testing.assert_allclose(there, expected, atol=1e-5)


def test_the_strongest_keys_of_some_rows(long: Trace) -> None:
    whole = long.strongest_keys(1, 5, unit="word")
    part = long.strongest_keys(1, 5, [2], unit="word", rows=[-1, 30])
    torch.testing.assert_close(part.weights, whole.weights[[2]][:, [-1, 30]])
    assert torch.equal(part.keys, whole.keys[[2]][:, [-1, 30]])


@pytest.mark.parametrize(
    ("question", "way_out"),
    [
        (lambda t: t.moved_norms(1), r"\d+ of the rows would fit \(rows=\)\. Or allow more"),
        (lambda t: t.strongest_keys(1, 100), r"4 of the rows would fit \(rows=\)"),
        (lambda t: t.flow(-1), "Attention flow through 3 layers of 700 tokens.*Cut the text"),
        (lambda t: t.rollout(), r"Ask for fewer rows \(rows=\)"),
    ],
)
def test_every_question_names_ways_out_that_it_has(
    long: Trace, question: object, way_out: str
) -> None:
    def ask() -> None:
        question(long)  # type: ignore[operator]

    long.lens.memory_budget = 20_000
    try:
        with pytest.raises(MemoryBudgetError, match=way_out) as caught:
            ask()
        # One that allows what it says does.
        needed = re.search(r"lens.memory_budget = ([\d_]+)", str(caught.value))
        assert needed
        long.lens.memory_budget = int(needed[1])
        if "flow" not in str(caught.value):
            ask()
    finally:
        long.lens.memory_budget = None


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("ignore_zeros", [True, False])
def test_notable_pairs_are_those_of_eager(threshold: float, ignore_zeros: bool) -> None:
    trace = Lens(build("mistral"), tokenizer()).trace(TEXT)
    maps = eager_maps(trace)
    mean = maps.mean(axis=0)
    if ignore_zeros:
        mean = maps.sum(axis=0) / np.maximum((maps != 0).sum(axis=0), 1)
    pairs = trace.notable_pairs(1, threshold, ignore_zeros=ignore_zeros)
    query, key = np.nonzero(mean >= threshold)
    texts = [token.text for token in trace.queries()]
    assert pairs.source_position.tolist() == query.tolist()
    assert pairs.target_position.tolist() == key.tolist()
    assert pairs.source.tolist() == [texts[i] for i in query]
    np.testing.assert_allclose(pairs.score, mean[query, key], atol=1e-5)


def test_every_pair_reaches_a_threshold_of_zero(long: Trace) -> None:
    # In several blocks of rows, each narrower than the map.
    pairs, n_tokens = long.notable_pairs(1, 0.0), len(long.queries())
    assert len(pairs) == n_tokens**2
    assert (pairs.score == 0).sum() >= n_tokens * (n_tokens - 1) / 2


def test_a_word_in_all_layers_is_the_fused_row_and_column(long: Trace) -> None:
    for position in (0, 5, 123):
        row = long.token_attention(position, unit="word")
        column = long.token_attention(position, unit="word", direction="to")
        for layer in long.layers():
            words = long.attention(layer, unit="word")
            torch.testing.assert_close(row[layer], words[:, position])
            torch.testing.assert_close(column[layer], words[:, :, position])


# --- memory ---------------------------------------------------------------------------------------
def test_what_does_not_fit_is_refused_with_what_would(long: Trace) -> None:
    lens = long.lens
    lens.memory_budget = 2_500_000  # one map of 700 x 700 takes 1.96 MB
    try:
        with pytest.raises(MemoryBudgetError) as caught:
            long.attention(1)
        said = str(caught.value)
        assert "4 heads of 700 x 700 weights takes 7.84 MB, more than the 2.5 MB" in said
        assert "1 of the heads would fit" in said
        assert "223 of the rows would fit" in said
        assert "pooled_attention()" in said
        assert "lens.memory_budget = 7_840_000" in said
        # What it says would fit does.
        assert long.attention(1, [0]).shape == (1, 700, 700)
        assert long.attention(1, rows=range(223)).shape == (4, 223, 700)
        assert long.attention(1, aggregate="mean").shape == (700, 700)
        assert long.pooled_attention(1).values.shape == (4, 350, 350)
        with pytest.raises(MemoryBudgetError, match="Raise the threshold"):
            long.notable_pairs(1, 0.0)
    finally:
        lens.memory_budget = None


def test_a_text_too_long_to_be_recorded_is_refused_before_the_model_runs() -> None:
    lens = Lens(build("llama"), tokenizer())
    one = lens.trace("the fox")
    per_token = sum(run_of(one).call(layer).nbytes for layer in one.layers()) // 2
    lens.memory_budget = 15 * per_token
    with pytest.raises(MemoryBudgetError, match=r"of 20 tokens takes .*15 tokens would fit"):
        lens.trace(TEXT)
    assert len(lens.trace(" ".join(WORDS[:15])).queries()) == 15


def test_a_module_that_runs_once_more_is_refused_when_it_would_take_too_much() -> None:
    lens = Lens(build("gptj"), tokenizer())
    trace = lens.trace(TEXT)
    lens.memory_budget = 10_000
    with pytest.raises(MemoryBudgetError, match="all heads and rows of a layer at once"):
        trace.attention(0, rows=[0])
    lens.memory_budget = 100_000
    assert trace.attention(0, rows=[0]).shape == (4, 1, 20)


def test_long_blocks_get_fewer_rows() -> None:
    model = build("gpt2", n_positions=4096)
    trace = Lens(model, tokenizer()).trace(" ".join(WORDS * 240))
    blocks = [weights for _, weights in trace.attention_map(0).blocks()]
    assert len(blocks) > 1
    assert max(weights.numel() for weights in blocks) <= (64 << 20) / 4
    assert sum(weights.shape[1] for weights in blocks) == 17 * 240


# --- progress -------------------------------------------------------------------------------------
def test_progress_is_told_in_words_and_shares() -> None:
    told: list[Step] = []
    lens = Lens(build("gpt2"), tokenizer())
    trace = lens.trace(TEXT, progress=told.append)
    assert [str(step) for step in told] == [
        "running the model: 0%",
        "running the model: 33%",
        "running the model: 67%",
        "running the model: 100%",
    ]
    told.clear()
    trace.token_attention(3, progress=told.append)
    assert {step.what for step in told} == {"computing all layers"}
    assert [step.share for step in told] == sorted(step.share for step in told)
    told.clear()
    lens.trace_many([TEXT, "the fox", "a whale"], batch_size=1)
    list(lens.trace_many([TEXT, "the fox"], batch_size=1, progress=told.append))
    assert {step.what for step in told} == {"running the model on texts 0-1"}
    assert told[-1].share == 1
    assert pytest.approx(0.5 + 0.5 * 2 / 3) in [step.share for step in told]


@pytest.mark.parametrize(
    "question",
    [
        lambda t, p: t.attention(1, progress=p),
        lambda t, p: t.pooled_attention(1, size=10, progress=p),
        lambda t, p: t.strongest_keys(1, progress=p),
        lambda t, p: t.notable_pairs(1, progress=p),
        lambda t, p: t.token_attention(1, direction="to", progress=p),
        lambda t, p: t.lens.trace(TEXT, progress=p),
    ],
)
def test_an_exception_in_the_callback_ends_the_work(long: Trace, question: object) -> None:
    told: list[Step] = []

    def stop(step: Step) -> None:
        told.append(step)
        if len(told) == 2:
            raise Cancelled

    threads = torch.get_num_threads()
    with pytest.raises(Cancelled):
        question(long, stop)  # type: ignore[operator]
    assert len(told) == 2
    assert torch.get_num_threads() == threads
    assert not any(m._forward_pre_hooks for m in long.lens.model.modules())
    assert long.attention(1, rows=[3]).sum() == pytest.approx(4)
