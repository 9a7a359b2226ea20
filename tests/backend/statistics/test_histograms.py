"""Histograms of two activations: the counts of numpy.histogram2d, whatever the values are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from glasshead_backend.statistics.histogram import bins_of_kept, counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

DTYPES = ("float32", "float64")
KINDS = ("gaussian", "heavy tails", "ties", "constant", "edges", "bfloat16", "one ulp", "lattice")


def drawn(kind: str, rng: np.random.Generator, n: int, bins: int) -> Values:
    """Values of one kind, float64 ``[n]``, about as large as one."""
    gaussian = rng.normal(size=n)
    some: dict[str, Values] = {
        "gaussian": gaussian,
        "heavy tails": rng.standard_t(1, n),
        "ties": rng.choice(gaussian[:3], n),
        "constant": np.full(n, gaussian[0]),
        "edges": rng.choice(np.linspace(*np.sort(rng.normal(size=2)), bins + 1), n),
        "bfloat16": torch.from_numpy(gaussian).bfloat16().double().numpy(),
        "one ulp": 1 + rng.integers(0, 40, n) * np.finfo(np.float32).eps,
        "lattice": rng.integers(-bins, bins + 1, n) / 10,
    }
    return some[kind]


@st.composite
def samples(draw: st.DrawFn) -> tuple[Values, Values, int]:
    """Two samples of the same length, each of a kind, a scale and an offset of its own."""
    n, bins = draw(st.integers(1, 150)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = draw(st.sampled_from(DTYPES))
    both = []
    for _ in range(2):
        scale = 10.0 ** draw(st.sampled_from([-30, -9, -3, 0, 0, 0, 3, 12, 30]))
        offset = draw(st.sampled_from([0.0, 0.0, 1.0, -7.3, 1e4]))
        values = drawn(draw(st.sampled_from(KINDS)), rng, n, bins)
        both.append(((values + offset) * scale).astype(dtype))
    return both[0], both[1], bins


def by_numpy(x: Values, y: Values, bins: int) -> list[list[int]]:
    return np.histogram2d(x, y, bins=bins)[0].astype(int).tolist()


def joint_histogram(x: Values, y: Values, bins: int, keep: Values | None = None) -> torch.Tensor:
    """Count pairs of values as mutual information does: bins of each, then bins of both."""
    kept = torch.from_numpy(np.ones(x.shape, bool) if keep is None else keep)
    of_x, of_y = (bins_of_kept(torch.from_numpy(values), kept, bins) for values in (x, y))
    found = counts(torch.where(kept, of_x * bins + of_y, -1), bins * bins)
    return found.unflatten(-1, (bins, bins))


def by_us(x: Values, y: Values, bins: int, keep: Values | None = None) -> list[list[int]]:
    kept = None if keep is None else keep[None]
    return joint_histogram(x[None], y[None], bins, kept)[0].tolist()


@settings(max_examples=100, deadline=None)
@given(samples())
def test_counts_are_those_of_numpy(sample: tuple[Values, Values, int]) -> None:
    x, y, bins = sample
    assert by_us(x, y, bins) == by_numpy(x, y, bins)


@settings(max_examples=100, deadline=None)
@given(samples(), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_what_is_not_kept_moves_no_edge(
    sample: tuple[Values, Values, int], seed: int, share: float
) -> None:
    x, y, bins = sample
    keep = np.random.default_rng(seed).random(len(x)) < share
    assume(keep.any())
    assert by_us(x, y, bins, keep) == by_numpy(x[keep], y[keep], bins)


@settings(max_examples=100, deadline=None)
@given(samples())
def test_every_value_is_counted_once(sample: tuple[Values, Values, int]) -> None:
    x, y, bins = sample
    found = torch.tensor(by_us(x, y, bins))
    assert found.sum() == len(x)
    assert found.min() >= 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("low", [-1e30, -3.0, 0.0, 1e-30, 7.0])
def test_the_last_bin_is_closed_and_the_others_half_open(dtype: str, low: float) -> None:
    # numpy's own edges, in the dtype of the values.
    edges = np.linspace(np.array(low, dtype), np.array(low + abs(low) + 1, dtype), 16).astype(dtype)
    assert by_us(edges, edges[::-1].copy(), 15) == by_numpy(edges, edges[::-1], 15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_lies_in_the_middle_bin_as_numpy_has_it(dtype: str) -> None:
    x, y = np.full(20, 2.5, dtype), np.arange(20, dtype=dtype)
    found = np.array(by_us(x, y, 15))
    assert found.tolist() == by_numpy(x, y, 15)
    assert np.flatnonzero(found.sum(axis=1)).tolist() == [7]


def test_a_single_histogram_needs_no_batch() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    keep = np.arange(50) > 10
    one = joint_histogram(x, y, 5)
    assert one.tolist() == by_numpy(x, y, 5)
    kept = joint_histogram(x, y, 5, keep)
    assert kept.tolist() == by_numpy(x[keep], y[keep], 5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_many_histograms_at_once_are_each_by_itself(dtype: str) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.standard_t(2, (2, 3, 4, 120)).astype(dtype)
    keep = rng.random((3, 4, 120)) < 0.8
    found = joint_histogram(x, y, 15, keep)
    assert found.shape == (3, 4, 15, 15)
    assert found.dtype == torch.int64
    for i, j in np.ndindex(3, 4):
        kept = keep[i, j]
        assert found[i, j].tolist() == by_numpy(x[i, j][kept], y[i, j][kept], 15)
