"""Sums that merge: numpy's means and variances, samples that nobody's order changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasshead_backend.corpora.moments import Moments
from glasshead_backend.corpora.sampling import Reservoir, hashed
from glasshead_backend.corpora.skipped import Skipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

numbers = st.lists(
    st.one_of(st.floats(-1e6, 1e6), st.sampled_from([np.nan, np.inf, -np.inf])), max_size=30
)


@given(numbers, st.lists(st.integers(0, 30), max_size=4))
def test_merged_moments_are_numpys(values: list[float], cuts: list[int]) -> None:
    pieces = np.split(np.array(values), sorted(min(cut, len(values)) for cut in cuts))
    first, *others = (Moments.of(torch.from_numpy(piece)[:, None]) for piece in pieces)
    found = first
    for one in others:
        found = found.merged(one)
    there = np.array([value for value in values if not np.isnan(value)])
    finite = there[np.isfinite(there)]
    assert found.n_values.item() == len(there)
    with np.errstate(invalid="ignore"):
        mean = there.mean() if len(there) else np.nan
    np.testing.assert_allclose(found.means().item(), mean, rtol=1e-9, atol=1e-6)
    if len(finite) == len(there) > 0:
        squares = len(finite) * finite.var()
        np.testing.assert_allclose(found.sums_of_squares().item(), squares, rtol=1e-6, atol=1e-3)
    elif len(there):
        assert np.isnan(found.sums_of_squares().item())


def test_a_mean_far_from_zero_keeps_its_variance() -> None:
    values = 1e9 + np.random.default_rng(0).normal(size=1000)
    first, *others = (Moments.of(torch.from_numpy(one)) for one in np.split(values, 50))
    for one in others:
        first = first.merged(one)
    np.testing.assert_allclose(first.sums_of_squares().item(), 1000 * values.var(), rtol=1e-6)


def test_cells_that_others_lack_have_no_value_there() -> None:
    sums = Moments.of(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]))
    larger = sums.spread((2, 3), [torch.tensor([1]), torch.tensor([2, 0])])
    assert larger.n.tolist() == [[0, 0, 0], [2, 0, 2]]
    np.testing.assert_array_equal(larger.means(), [[np.nan] * 3, [3.0, np.nan, 2.0]])


@given(st.permutations(range(12)), st.integers(1, 11))
def test_a_sample_is_the_same_however_the_texts_are_dealt(order: list[int], cut: int) -> None:
    def of(numbers: list[int]) -> Reservoir:
        given = torch.tensor(numbers)
        return Reservoir.of(given, given.double()[:, None], most=5, seed=3)

    dealt = of(order[:cut]).merged(of(order[cut:]), 5).in_order()
    assert dealt.tolist() == of(list(range(12))).in_order().tolist()


def test_every_text_is_as_likely_to_be_in_a_sample() -> None:
    n, most = 200, 20
    times = torch.zeros(n)
    texts = torch.arange(n)
    for seed in range(400):
        times[Reservoir.of(texts, texts.double(), most=most, seed=seed).numbers] += 1
    # Binomial(400, 0.1): a standard deviation of 6.
    assert abs(times.mean() - 40) < 1e-6
    assert (times - 40).abs().max() < 5 * 6
    assert times.std() == pytest.approx(6, rel=0.15)


def test_few_texts_are_all_in_the_sample_in_their_order() -> None:
    texts = torch.tensor([5, 2, 9])
    sample = Reservoir.of(texts, texts.double(), most=10, seed=0)
    assert sample.in_order().tolist() == [2.0, 5.0, 9.0]


def test_bits_of_a_hash_are_even_and_differ_by_every_number() -> None:
    rows: NDArray[np.int64] = np.arange(4096)
    found = hashed(7, 3, rows)
    assert (found >= 0).all()
    assert len(set(found)) == len(rows)
    ones = ((found[:, None] >> np.arange(63)) & 1).mean(axis=0)
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(len(rows))
    assert not set(found) & set(hashed(7, 4, rows)) | set(hashed(8, 3, rows)) & set(found)


def test_the_first_reasons_are_kept_and_all_are_counted() -> None:
    halves = [Skipped.of(dict.fromkeys(range(n, n + 80), "too long")) for n in (0, 80)]
    both = halves[0].merged(halves[1])
    assert (both.n, len(both.first), both.first[-1]) == (160, 100, (99, "too long"))
    assert Skipped.from_state(both.to_state()) == both
    with pytest.raises(ValueError, match=r"None of the 160 texts .* Text 0: too long"):
        both.require_some(0)
