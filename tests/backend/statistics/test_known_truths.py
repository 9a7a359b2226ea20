"""Statistics say what is known to be true: of trained heads, and of numbers with a formula."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from glasshead_backend import Lens, Trace, head_statistics
from glasshead_backend.demo import scores
from glasshead_backend.statistics.information import pairwise_information
from glasshead_backend.statistics.permutation import divergences

LENGTH = 40


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


def random_words(lens: Lens, seed: int) -> list[int]:
    """Ids of random words, none twice, each a token of its own with a space before it."""
    texts = [lens.tokenizer.decode([id_]) for id_ in range(len(lens.tokenizer))]
    words = [
        id_
        for id_, text in enumerate(texts)
        if text.startswith(" ") and text[1:].isalpha() and text.islower()
    ]
    return np.random.default_rng(seed).permutation(words)[: 2 * LENGTH].tolist()


def shuffled(words: list[int]) -> list[int]:
    return np.random.default_rng(7).permutation(words).tolist()


def trace_of(lens: Lens, ids: list[int]) -> Trace:
    trace = lens.trace(lens.tokenizer.decode(ids))
    assert [token.id for token in trace.queries()][1:] == ids, "every word is one token"
    return trace


def stripe(trace: Trace) -> float:
    """Mean weight, one copy's length back and one token on, of the head where it is largest."""
    rows = torch.arange(LENGTH + 2, 2 * LENGTH + 1)
    maps = torch.cat([trace.attention(layer) for layer in trace.layers()])
    return float(maps[:, rows, rows - LENGTH + 1].mean(dim=-1).max())


# --- heads ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [0, 1])
def test_induction_heads_show_on_random_words_that_come_back(lens: Lens, seed: int) -> None:
    words = random_words(lens, seed)[:LENGTH]
    statistics = head_statistics(trace_of(lens, words + words))
    # Which heads they are is left to the training; that they need a layer below them is not.
    assert statistics.induction[1].max() > 0.5
    assert statistics.induction[0].max() < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_shuffling_the_second_copy_loses_the_stripe_and_the_copying(lens: Lens, seed: int) -> None:
    words = random_words(lens, seed)[:LENGTH]
    copied, mixed = trace_of(lens, words + words), trace_of(lens, words + shuffled(words))
    assert stripe(copied) > 0.5
    assert stripe(mixed) < stripe(copied) / 3
    right = [
        trace.predictions().correct[-LENGTH + 1 :].double().mean() for trace in (copied, mixed)
    ]
    assert right[0] > 0.9
    assert right[1] < right[0] / 3


def test_a_shuffled_copy_still_finds_what_came_behind_each_word(lens: Lens) -> None:
    words = random_words(lens, 0)[:LENGTH]
    assert len(set(pairwise(words)) & set(pairwise(shuffled(words)))) < LENGTH / 10
    # The head looks behind the earlier occurrence, be it the right continuation or not.
    assert head_statistics(trace_of(lens, words + shuffled(words))).induction.max() > 0.5


def test_fresh_words_in_the_second_half_leave_no_score(lens: Lens) -> None:
    trace = trace_of(lens, random_words(lens, 0))
    assert head_statistics(trace).induction.isnan().all()
    assert stripe(trace) < 0.1


def test_without_the_previous_token_head_induction_is_gone(lens: Lens) -> None:
    words = random_words(lens, 0)[:LENGTH]
    whole = head_statistics(trace_of(lens, words + words))
    layer, head = divmod(int(whole.previous_token.argmax()), whole.previous_token.shape[1])
    assert layer == 0
    assert whole.previous_token[layer, head] > 0.9
    with scores.without_head(lens.model, (layer, head)):
        cut = head_statistics(trace_of(lens, words + words))
    assert cut.induction.max() < whole.induction.max() / 3


# --- information ----------------------------------------------------------------------------------
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9])
def test_information_of_two_gaussians_is_that_of_the_formula(correlation: float) -> None:
    n, bins = 200_000, 40
    x, noise = np.random.default_rng(0).normal(size=(2, n))
    y = correlation * x + math.sqrt(1 - correlation**2) * noise
    both = torch.from_numpy(np.stack([x, y]))[None]
    found = float(pairwise_information(both, bins=bins, trim=4.0)[0, 0])
    # Bins hide a little, and each occupied cell adds about half a count (Miller 1955).
    bias = bins**2 / (2 * n * math.log(2))
    assert found == pytest.approx(-0.5 * math.log2(1 - correlation**2), abs=bias + 0.03)


def test_an_activation_knows_all_about_itself_and_nothing_about_a_constant() -> None:
    values = torch.arange(160.0) % 16
    activations = torch.stack([values, values, -3 * values + 1, torch.full((160,), 2.0)])[None]
    found = pairwise_information(activations, bins=16, trim=None)[0].tolist()
    itself, mirrored, constant = found[0], found[1], found[2]
    assert itself == pytest.approx(4.0)
    assert mirrored == pytest.approx(4.0)
    assert constant == pytest.approx(0.0, abs=1e-12)


# --- divergence -----------------------------------------------------------------------------------
def test_groups_without_a_common_bin_diverge_by_the_logarithm_of_two() -> None:
    values = torch.cat([torch.linspace(0, 1, 50), torch.linspace(9, 10, 70)]).double()
    first = torch.arange(120) < 50
    assert float(divergences(values[None], first, 30)[0]) == pytest.approx(math.log(2))


def test_groups_that_are_alike_do_not_diverge() -> None:
    values = torch.linspace(0, 1, 60).double().repeat(2)
    first = torch.arange(120) < 60
    assert float(divergences(values[None], first, 30)[0]) == pytest.approx(0, abs=1e-12)
