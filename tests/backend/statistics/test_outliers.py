"""Tokens that stand far out: found, named, and kept out of pictures that they would flatten."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glasshead_backend import Norm
from glasshead_backend.frames.chart import chart_frame
from glasshead_backend.lens import Lens
from glasshead_backend.statistics.norms import NormResult
from glasshead_backend.statistics.outliers import far_out, farthest_out

LAYERS, TOKENS = 3, 60


def sizes() -> np.ndarray:
    """Sizes as norms have them: spread by factors; ``[blocks, layers, tokens]``."""
    return np.random.default_rng(0).lognormal(3, 0.4, (2, LAYERS, TOKENS)).astype(np.float32)


def measured(norms: np.ndarray) -> NormResult:
    return NormResult(
        metric=Norm(),
        layers=tuple(range(LAYERS)),
        blocks=("attention", "mlp"),
        norms=torch.from_numpy(norms),
        unclear={},
    )


def test_a_first_token_a_thousand_times_as_large_is_the_outlier() -> None:
    values = sizes()
    values[1, 2, 0], values[1, 1, 0] = 23_000, 900
    found = farthest_out(torch.from_numpy(values))
    assert found is not None
    assert (found.series, found.layer, found.position) == (1, 2, 0)
    assert (found.value, found.n_tokens) == (23_000, 1)
    assert found.median == pytest.approx(np.median(values[1, 2]))


def test_several_are_counted_by_token_not_by_place() -> None:
    values = sizes()
    values[:, :, 4] = 9_000
    values[0, 0, 7] = 5_000
    found = farthest_out(torch.from_numpy(values))
    assert found is not None
    assert (found.position, found.n_tokens) == (4, 2)


@pytest.mark.parametrize("spread", [0.1, 0.5, 1.0])
def test_sizes_that_are_merely_spread_have_none(spread: float) -> None:
    values = np.random.default_rng(1).lognormal(0, spread, (2, 8, 500))
    assert farthest_out(torch.from_numpy(values)) is None


def test_what_is_far_on_the_axis_but_no_ten_times_the_median_is_none() -> None:
    values = torch.cat([torch.full((50,), 2.0), torch.tensor([19.0, 21.0])])
    assert far_out(values).nonzero()[:, 0].tolist() == [51]


def test_a_layer_without_numbers_has_none_and_harms_no_other() -> None:
    values = sizes()
    values[0, 1] = np.nan
    values[1, 0, 3] = 50_000
    found = farthest_out(torch.from_numpy(values))
    assert found is not None
    assert (found.series, found.layer, found.position) == (1, 0, 3)


def test_one_outlier_moves_the_mean_out_of_the_quartiles_but_not_the_line() -> None:
    values = sizes()
    values[1, 2, 0] = 23_000
    chart = measured(values).chart()
    assert chart.interval is not None
    low, high = np.quantile(values[1, 2], [0.25, 0.75])
    assert values[1, 2].mean() > high  # the fault
    assert low <= float(chart.mean[1, 2]) <= high
    np.testing.assert_allclose(chart.mean.numpy(), np.median(values, axis=-1), rtol=1e-6)
    frame = measured(values).to_frame()
    np.testing.assert_allclose(frame["mean"], values.mean(axis=-1).ravel(), rtol=1e-5)
    np.testing.assert_allclose(frame["median"], np.median(values, axis=-1).ravel(), rtol=1e-6)


def test_a_layers_histogram_ends_where_its_other_tokens_do() -> None:
    values = sizes()
    values[1, 2, 0] = 23_000
    (panel,) = measured(values).detail(2)
    assert panel.type == "histogram"
    assert float(panel.edges[-1]) == pytest.approx(
        np.delete(values[:, 2], 0, axis=1).max(), rel=0.5
    )
    assert panel.values.sum() == 2 * TOKENS - 1
    assert panel.words.endswith("; 1 more is far above, in no bin")


def test_the_frame_names_the_outlier_by_its_layers_own_number() -> None:
    trace = Lens.demo("decoder").trace("The keeper saw the whale.")
    values = sizes()
    values[1, 2, 0] = 23_000
    found = measured(values)
    frame = chart_frame(trace, "self", found)
    assert frame["outlier"]["layer"] == 2
    assert (frame["outlier"]["series"], frame["outlier"]["position"]) == ("MLP", 0)
    assert frame["outlier"]["value"] == 23_000
    assert chart_frame(trace, "self", measured(sizes()))["outlier"] is None
