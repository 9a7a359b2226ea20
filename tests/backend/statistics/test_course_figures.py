"""The figures of a statistics course, compared with numpy and scipy written out."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import false_discovery_control, kendalltau, norm, ttest_ind, zscore

from glasshead_backend import (
    Lens,
    MutualInformationResult,
    PredictionOutcomes,
    Trace,
    bin_sensitivity,
    mutual_information,
    prediction_divergence,
    prediction_outcomes,
)
from glasshead_backend.demo import DECODER_LONG_TEXT
from glasshead_backend.statistics.panels import Bars, Curve, Grid, Histogram, Scatter
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from glasshead_backend.statistics.panels import Panel


P = TypeVar("P", Bars, Curve, Grid, Histogram, Scatter)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens.demo("decoder").trace(DECODER_LONG_TEXT)


@pytest.fixture(scope="module")
def found(trace: Trace) -> MutualInformationResult:
    return mutual_information(trace, " the")


@pytest.fixture(scope="module")
def outcomes(trace: Trace) -> PredictionOutcomes:
    return prediction_outcomes(trace)


def only(panels: list[Panel], kind: type[P]) -> list[P]:
    return [panel for panel in panels if isinstance(panel, kind)]


# --- attention against MLP ------------------------------------------------------------------------
def test_t_by_layer_is_scipys_with_marks_after_benjamini_hochberg(
    found: MutualInformationResult,
) -> None:
    pairs = found.pairs_frame().set_index(["layer", "block"])["mi"]
    tests = [ttest_ind(pairs[i, "mlp"], pairs[i, "attention"]) for i in found.layers]
    chart = found.chart("t")
    assert chart.test is not None
    np.testing.assert_allclose(chart.mean[0], [one.statistic for one in tests], rtol=1e-9)
    adjusted = false_discovery_control([one.pvalue for one in tests])
    assert ((chart.test.significant[0] == 2).numpy() == (adjusted <= 0.05)).all()


def test_z_by_layer_is_of_fishers_transformation(found: MutualInformationResult) -> None:
    pairs = found.pairs_frame().set_index(["layer", "block"])
    n = found.n_pairs

    def z_of(layer: int) -> float:
        attention, mlp = (
            kendalltau(of.mi, of.distance).statistic
            for of in (pairs.loc[(layer, block)] for block in ("attention", "mlp"))
        )
        return float((np.arctanh(attention) - np.arctanh(mlp)) / np.sqrt(2 / (n - 3)))

    z = [z_of(layer) for layer in found.layers]
    chart = found.chart("z")
    assert chart.null is not None
    assert chart.test is not None
    np.testing.assert_allclose(chart.mean[0], z, rtol=1e-9)
    np.testing.assert_allclose(chart.null.high[0], norm.ppf(0.975))
    p = false_discovery_control(2 * norm.sf(np.abs(z)))
    assert ((chart.test.significant[0] == 2).numpy() == (p <= 0.05)).all()


def test_the_range_of_t_by_chance_holds_95_of_100_values_of_samples_that_do_not_differ() -> None:
    lens = Lens(build("llama"), tokenizer())
    chart = mutual_information(lens.trace(TEXT), [0, 3, 5, 8]).chart("t")
    assert chart.null is not None
    rng = np.random.default_rng(0)
    samples = rng.normal(size=(2, 20_000, 6))  # 4 places make 6 pairs
    t = ttest_ind(samples[0], samples[1], axis=1).statistic
    inside = (np.abs(t) <= float(chart.null.high[0, 0])).mean()
    assert abs(inside - 0.95) < 0.006


def test_t_and_z_are_offered_only_where_there_are_two_blocks_to_compare(trace: Trace) -> None:
    names = [name for name, _ in mutual_information(trace, " the", blocks="mlp").quantities]
    assert names == ["mi", "tau"]
    few = mutual_information(trace, [3, 8, 11])
    assert few.chart("z").mean.isnan().all()
    assert "3 pairs are too few for z" in few.chart("z").note


# --- pairs of places ------------------------------------------------------------------------------
def test_the_matrix_of_all_pairs_has_each_pairs_information_twice(
    found: MutualInformationResult,
) -> None:
    pairs = found.pairs_frame()
    for layer in found.layers:
        for block in ("attention", "mlp"):
            matrix = found.matrix_frame(layer, block)
            of_layer = pairs[(pairs.layer == layer) & (pairs.block == block)]
            for i, j, mi in zip(of_layer.i, of_layer.j, of_layer.mi, strict=True):
                assert matrix.loc[i, j] == matrix.loc[j, i] == mi
            assert np.isnan(np.diag(matrix)).all()
    places = np.array(found.positions)
    distances = np.abs(places[:, None] - places[None]).astype(float)
    np.fill_diagonal(distances, np.nan)
    np.testing.assert_array_equal(found.distances, distances)


def test_what_is_trimmed_of_two_activations_is_what_a_notebook_drops(
    trace: Trace, found: MutualInformationResult
) -> None:
    n_trimmed = 0
    for layer in found.layers:
        i, j = found.positions[4], found.positions[6]
        frame = found.activations_frame(layer, "mlp", i, j)
        x, y = (trace.activations(layer, "mlp")[at].double().numpy() for at in (i, j))
        np.testing.assert_array_equal(frame.x, x)
        np.testing.assert_array_equal(frame.y, y)
        dropped = (np.abs(zscore(x, ddof=1)) > 4) | (np.abs(zscore(y, ddof=1)) > 4)
        np.testing.assert_array_equal(frame.trimmed, dropped)
        n_trimmed += int(dropped.sum())
        # And the information is that of what is left.
        counts, _, _ = np.histogram2d(x[~dropped], y[~dropped], bins=15)
        p = counts / counts.sum()
        outer = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
        mi = (p[p > 0] * np.log2(p[p > 0] / outer[p > 0])).sum()
        np.testing.assert_allclose(found.matrix_frame(layer, "mlp").loc[i, j], mi, rtol=1e-9)
    assert n_trimmed > 0


def test_the_panels_are_of_the_selected_pair_and_else_of_the_strongest(
    found: MutualInformationResult,
) -> None:
    i, j = found.positions[2], found.positions[5]
    panels = found.detail_of(1, [j, 1, i])
    information, distance = only(panels, Grid)
    _, attention, mlp = only(panels, Scatter)
    assert information.pair == distance.pair == (2, 5)
    assert (attention.x, mlp.y) == (f"at position {i}", f"at position {j}")
    # Above the diagonal attention, below it the MLP.
    assert information.values[2, 5] == found.matrix_frame(1, "attention").loc[i, j]
    assert information.values[5, 2] == found.matrix_frame(1, "mlp").loc[i, j]
    assert information.values.diag().isnan().all()
    pairs = found.pairs_frame()
    best = pairs[pairs.layer == 1].sort_values("mi").iloc[-1]
    for panels in (found.detail(1), found.detail_of(1, [i])):
        assert only(panels, Scatter)[1].x == f"at position {best.i}"
        assert only(panels, Scatter)[1].y == f"at position {best.j}"


def test_activations_that_take_much_room_are_not_kept_and_that_is_said(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[MutualInformationResult.__module__], "_KEPT_BYTES", 10)
    found = mutual_information(trace, " the")
    (distance,) = only(found.detail(0), Scatter)
    assert distance.words.endswith("they take more than 64 MB; take fewer places.")
    with pytest.raises(ValueError, match="not kept"):
        found.activations_frame(0, "mlp", *found.positions[:2])


def test_what_was_not_measured_is_refused_by_name(found: MutualInformationResult) -> None:
    with pytest.raises(ValueError, match="block 'residual' is not one of"):
        found.matrix_frame(0, "residual")
    with pytest.raises(ValueError, match="layer 7 is not one of"):
        found.matrix_frame(7, "mlp")
    with pytest.raises(ValueError, match="position 1 is not one of"):
        found.activations_frame(0, "mlp", 1, found.positions[0])


# --- right and wrong predictions ------------------------------------------------------------------
def test_the_difference_of_means_is_marked_where_the_permutation_test_is_significant(
    trace: Trace,
) -> None:
    found = prediction_divergence(trace, block="residual", permutations=200)
    right = trace.predictions().correct.numpy()[1:] == 1
    chart = found.chart("gap")
    assert chart.test is not None
    for at, layer in enumerate(found.layers):
        log_norms = np.log(trace.activations(layer, "residual")[:-1].double().norm(dim=-1).numpy())
        gap = log_norms[right].mean() - log_norms[~right].mean()
        np.testing.assert_allclose(chart.mean[0, at], gap, rtol=1e-4, atol=1e-6)
    adjusted = false_discovery_control(found.p.numpy())
    assert ((chart.test.significant[0] == 2).numpy() == (adjusted <= 0.05)).all()


def test_the_curve_of_a_layer_is_the_divergence_for_each_number_of_bins(trace: Trace) -> None:
    found = bin_sensitivity(trace, block="mlp", bins=(50, 10, 20))
    (curve,) = only(found.detail(1), Curve)
    right = trace.predictions().correct.numpy()[1:] == 1
    values = np.log(trace.norms()["mlp"][1].double().numpy()[:-1])

    def divergence(bins: int) -> float:
        span = values.min(), values.max()
        p, q = (np.histogram(values[one], bins, span)[0] for one in (right, ~right))
        return float(jensenshannon(p, q) ** 2)

    assert curve.points_x.tolist() == [10, 20, 50]
    np.testing.assert_allclose(curve.values[0], [divergence(n) for n in (10, 20, 50)], rtol=1e-6)
    assert found.detail(9) == []


def test_every_prediction_has_its_length_word_and_outcome(
    trace: Trace, outcomes: PredictionOutcomes
) -> None:
    frame = outcomes.to_frame()
    logits = trace.logits().double()
    ids = torch.tensor([token.id for token in trace.tokens])
    right = logits[:-1].argmax(dim=-1) == ids[1:]
    np.testing.assert_array_equal(frame.position, np.arange(1, len(ids)))
    np.testing.assert_array_equal(frame.correct, right)
    surprisal = -logits[:-1].log_softmax(dim=-1).gather(1, ids[1:, None])[:, 0]
    np.testing.assert_allclose(frame.surprisal, surprisal, rtol=1e-4, atol=1e-5)
    decoded = [trace.lens.tokenizer.decode([i]) for i in ids[1:].tolist()]
    assert frame.length.tolist() == [len(one) for one in decoded]
    assert outcomes.accuracy == pytest.approx(float(right.double().mean()))


def test_accuracy_along_the_text_counts_every_prediction_once(outcomes: PredictionOutcomes) -> None:
    frame = outcomes.to_frame()
    for parts in (1, 7, 20, 10_000):
        along = outcomes.positions_frame(parts)
        assert len(along) <= parts
        assert along.n.sum() == len(frame)
        for row in along.itertuples():
            of_part = frame[frame.position.between(row.first, row.last)]
            assert (row.n, row.n_correct) == (len(of_part), of_part.correct.sum())
            assert row.accuracy == pytest.approx(of_part.correct.mean())


def test_lengths_and_words_are_those_that_pandas_counts(outcomes: PredictionOutcomes) -> None:
    frame = outcomes.to_frame()
    lengths = outcomes.lengths_frame().set_index("length")
    counted = pd.crosstab(frame.length, frame.correct).reindex(lengths.index, fill_value=0)
    np.testing.assert_array_equal(lengths.n_correct, counted[True])
    np.testing.assert_array_equal(lengths.n_incorrect, counted[False])
    np.testing.assert_allclose(lengths[["share_correct", "share_incorrect"]].sum(), 1)
    words = outcomes.words_frame().set_index("word")
    # A word of several tokens is right only where all of them are.
    (ishmael,) = (frame[frame.word == "Ishmael"],)
    assert len(ishmael) > 1
    assert words.loc["Ishmael", "n"] == 1
    assert words.loc["Ishmael", "surprisal"] == pytest.approx(ishmael.surprisal.sum())
    assert words.loc["the", "n"] == DECODER_LONG_TEXT.split().count("the")
    assert words.loc["the", "accuracy"] == pytest.approx(frame[frame.word == "the"].correct.mean())


def test_bars_and_bins_know_the_tokens_that_a_click_selects(trace: Trace) -> None:
    panels = prediction_divergence(trace, permutations=20).detail(0)
    (bars,), (*_, lengths) = only(panels, Bars), only(panels, Histogram)
    frame = prediction_outcomes(trace).to_frame().set_index("position")
    for tokens, value in zip(bars.positions, bars.values.tolist(), strict=True):
        assert frame.loc[list(tokens)].correct.mean() == pytest.approx(value)
    for tokens, edge in zip(lengths.positions, lengths.edges.tolist(), strict=False):
        assert (frame.loc[list(tokens)].length == edge + 0.5).all()
    assert sorted(chain(*bars.positions)) == frame.index.tolist()
    assert sorted(chain(*lengths.positions)) == frame.index.tolist()


def test_outcomes_of_a_translation_are_of_its_labels_and_an_encoder_has_none() -> None:
    translated = Lens.demo("encoder-decoder").trace("the black cat .", "le chat noir .")
    outcomes = prediction_outcomes(translated)
    assert outcomes.positions.tolist() == list(range(len(translated.predictions().tokens)))
    encoder = Lens(build("bert"), tokenizer()).trace(TEXT)
    with pytest.raises(ValueError, match="predicts no"):
        prediction_outcomes(encoder)
