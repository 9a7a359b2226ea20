"""Mutual information at the places of a word, compared with a notebook's loop over pairs."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import (
    entropy,
    false_discovery_control,
    kendalltau,
    norm,
    ttest_ind,
    zscore,
)
from sklearn.feature_selection import mutual_info_regression
from statsmodels.stats.multitest import multipletests

from glasshead_backend import Lens, Trace, mutual_information
from glasshead_backend.statistics import information
from glasshead_backend.statistics.information import pairwise_information
from glasshead_backend.statistics.significance import compare_means, compare_taus, kendall
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from numpy.typing import NDArray

THE = [i for i, word in enumerate(TEXT.split()) if word == "the"]
PLACES = [0, 3, 5, 8, 11, 17]


def trace_of(model_type: str, **changes: Any) -> Trace:
    lens = Lens(build(model_type, **changes), tokenizer())
    return lens.trace(TEXT, TEXT if lens.family == "encoder-decoder" else None)


def kept(x: NDArray[Any], y: NDArray[Any], trim: float | None) -> tuple[NDArray[Any], NDArray[Any]]:
    x, y = zscore(x.astype(float), ddof=1), zscore(y.astype(float), ddof=1)
    inside = (np.abs(x) <= (trim or np.inf)) & (np.abs(y) <= (trim or np.inf))
    return x[inside], y[inside]


def by_histogram(x: NDArray[Any], y: NDArray[Any], bins: int, trim: float | None) -> float:
    """``H(x) + H(y) - H(x, y)`` in bits, of z-scores."""
    return of_values(*kept(x, y, trim), bins)


def of_values(x: NDArray[Any], y: NDArray[Any], bins: int) -> float:
    counts, _, _ = np.histogram2d(x, y, bins=bins)
    p = counts / counts.sum()
    return float(
        entropy(p.sum(axis=1), base=2) + entropy(p.sum(axis=0), base=2) - entropy(p.ravel(), base=2)
    )


def pairs_by_loop(
    trace: Trace, places: list[int], bins: int, trim: float | None, kind: Any = None
) -> pd.DataFrame:
    rows = [
        (
            layer,
            block,
            i,
            j,
            j - i,
            by_histogram(
                *trace.activations(layer, block, kind=kind)[[i, j]].double().numpy(), bins, trim
            ),
        )
        for block in ("attention", "mlp")
        for layer in trace.layers(kind)
        for i, j in combinations(places, 2)
    ]
    return pd.DataFrame(rows, columns=["layer", "block", "i", "j", "distance", "mi"])


def same_pairs(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    key = ["block", "layer", "i", "j"]
    pd.testing.assert_frame_equal(
        found.sort_values(key, ignore_index=True)[expected.columns],
        expected.sort_values(key, ignore_index=True),
        rtol=0,
        atol=1e-9,
        check_dtype=False,
    )


# --- information ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model_type", "kind"),
    [
        ("gpt2", None),
        ("llama", None),
        ("gemma2", None),
        ("bert", None),
        ("marian", "encoder"),
        ("marian", "decoder"),
    ],
)
@pytest.mark.parametrize(("bins", "trim"), [(15, 4.0), (7, 1.5), (30, None)])
def test_information_equals_a_loop_over_pairs(
    model_type: str, kind: Any, bins: int, trim: float | None
) -> None:
    trace = trace_of(model_type)
    found = mutual_information(trace, PLACES, bins=bins, trim=trim, kind=kind)
    expected = pairs_by_loop(trace, PLACES, bins, trim, kind)
    same_pairs(found.pairs_frame(), expected)
    means = expected.groupby(["block", "layer"])["mi"].mean()
    for row in found.to_frame().itertuples():
        assert row.mi == pytest.approx(means[row.block, row.layer], abs=1e-9)
        assert row.n_pairs == 15
    assert found.unit == "bits"


@pytest.mark.parametrize("trim", [4.0, 2.0, None])
@pytest.mark.parametrize("tails", [1, 3])
def test_components_far_out_in_either_activation_are_left_out(
    trim: float | None, tails: int
) -> None:
    x = np.random.default_rng(tails).standard_t(tails, (3, 5, 700))
    found = pairwise_information(torch.from_numpy(x), bins=15, trim=trim)
    for layer in range(3):
        expected = [by_histogram(a, b, 15, trim) for a, b in combinations(x[layer], 2)]
        np.testing.assert_allclose(found[layer], expected, rtol=0, atol=1e-9)
    lost = 700 - len(kept(x[0, 0], x[0, 1], trim)[0])
    assert (lost > 0) == (trim is not None), "the trim has something to do"


def test_many_pairs_in_blocks_give_what_few_give(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.from_numpy(np.random.default_rng(0).standard_t(3, (4, 12, 90)))
    whole = pairwise_information(x, bins=15, trim=4.0)
    assert whole.shape == (4, 66)
    for size in (1, 700, 3000):
        monkeypatch.setattr(information, "_BLOCK_VALUES", size)
        assert torch.equal(pairwise_information(x, bins=15, trim=4.0), whole)


def test_activations_in_half_precision_change_little() -> None:
    exact, half = trace_of("llama", hidden_size=256), trace_of("llama", hidden_size=256)
    half.store_activations(["attention", "mlp"], dtype=torch.float16)
    expected = mutual_information(exact, " the").to_frame()["mi"]
    np.testing.assert_allclose(mutual_information(half, " the").to_frame()["mi"], expected, 0.02)


@pytest.mark.parametrize(
    ("dtype", "steps"),
    [(torch.float16, 1), (torch.bfloat16, 1), (torch.float32, 1), (torch.float32, 15)],
)
def test_values_of_a_lattice_are_binned_as_they_are(dtype: torch.dtype, steps: int) -> None:
    # Whole numbers lie on edges: a z-score's rounding would push them to either side. Fifteenths
    # in float32 lie just beside them: so would edges in float32.
    whole = torch.randint(16, (2, 5, 300), generator=torch.Generator().manual_seed(0))
    x = whole.div(steps).to(dtype)
    found = pairwise_information(x, bins=15, trim=None)
    for layer in range(2):
        expected = [of_values(a, b, 15) for a, b in combinations(x[layer].double().numpy(), 2)]
        np.testing.assert_allclose(found[layer], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 5])
def test_neighbours_are_scikit_learns_with_the_same_seed_in_nats(seed: int) -> None:
    trace = trace_of("llama", hidden_size=128)
    # Values in common are told apart by the jitter alone: here the seed shows.
    trace.store_activations(dtype=torch.bfloat16)
    found = mutual_information(trace, PLACES[:4], estimator="neighbours", trim=1.5, seed=seed)
    assert found.unit == "nats"
    for row in found.pairs_frame().itertuples():
        both = trace.activations(row.layer, row.block)[[row.i, row.j]].double().numpy()
        x, y = kept(*both, 1.5)
        expected = mutual_info_regression(x[:, None], y, random_state=seed)[0]
        assert row.mi == pytest.approx(expected, abs=1e-9)


# --- distance, blocks, significance ---------------------------------------------------------------
def test_tau_and_its_p_are_those_of_scipy() -> None:
    found = mutual_information(trace_of("gpt2"), PLACES)
    pairs = found.pairs_frame().groupby(["block", "layer"])
    for row in found.to_frame().itertuples():
        of_layer = pairs.get_group((row.block, row.layer))
        expected = kendalltau(of_layer["mi"], of_layer["distance"])
        assert (row.tau, row.tau_p) == (expected.statistic, expected.pvalue)


@pytest.mark.parametrize("alternative", ["two-sided", "one-sided"])
def test_mlp_against_attention_is_a_t_test_and_a_z_test(alternative: Any) -> None:
    found = mutual_information(trace_of("llama"), PLACES, alternative=alternative)
    pairs = found.pairs_frame().groupby(["block", "layer"])["mi"]
    taus = found.to_frame().set_index(["block", "layer"])["tau"]
    for row in found.comparison_frame().itertuples():
        mlp, attention = (
            pairs.get_group((block, row.layer)).to_numpy() for block in ("mlp", "attention")
        )
        t = ttest_ind(mlp, attention)
        assert (row.t, row.t_p) == pytest.approx((t.statistic, t.pvalue), rel=1e-12)
        z = np.arctanh(taus["attention", row.layer]) - np.arctanh(taus["mlp", row.layer])
        z /= np.sqrt(2 / (15 - 3))
        p = norm.cdf(-abs(z)) * (2 if alternative == "two-sided" else 1)
        assert (row.z, row.z_p) == pytest.approx((z, p), rel=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.4])
def test_significance_is_benjamini_hochberg_over_layers(alpha: float) -> None:
    found = mutual_information(trace_of("llama", num_hidden_layers=8), PLACES, alpha=alpha)
    compared = found.comparison_frame()
    for test in ("t", "z"):
        p = compared[f"{test}_p"].to_numpy()
        significant = compared[f"{test}_significant"].tolist()
        assert significant == (false_discovery_control(p) <= alpha).tolist()
        assert significant == multipletests(p, alpha=alpha, method="fdr_bh")[0].tolist()
    for _, of_block in found.to_frame().groupby("block"):
        adjusted = false_discovery_control(of_block["tau_p"])
        assert of_block["tau_significant"].tolist() == (adjusted <= alpha).tolist()


# --- few pairs ------------------------------------------------------------------------------------
@pytest.mark.parametrize("places", [[3, 17], [2, 5, 7]])
def test_two_or_three_places_have_information_and_the_statistics_that_make_sense(
    places: list[int],
) -> None:
    trace = trace_of("llama")
    found = mutual_information(trace, places)
    same_pairs(found.pairs_frame(), pairs_by_loop(trace, places, 15, 4.0))
    frame, compared = found.to_frame(), found.comparison_frame()
    assert (frame["n_pairs"] == len(list(combinations(places, 2)))).all()
    pairs = found.pairs_frame().groupby(["block", "layer"])
    # Fisher's z needs more than 3 pairs.
    assert compared[["z", "z_p"]].isna().all(axis=None)
    assert not compared["z_significant"].any()
    if len(places) == 2:
        assert frame[["tau", "tau_p"]].isna().all(axis=None)
        assert compared[["t", "t_p"]].isna().all(axis=None)
        assert not frame["tau_significant"].any()
        return
    for row in frame.itertuples():
        of_layer = pairs.get_group((row.block, row.layer))
        expected = kendalltau(of_layer["mi"], of_layer["distance"])
        assert (row.tau, row.tau_p) == (expected.statistic, expected.pvalue)
    for row in compared.itertuples():
        both = (pairs.get_group((block, row.layer))["mi"] for block in ("mlp", "attention"))
        expected = ttest_ind(*both)
        assert (row.t, row.t_p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-12)


def test_a_single_pair_says_in_words_why_nothing_is_tested() -> None:
    found = mutual_information(trace_of("llama"), [3, 17])
    words = "2 places make 1 pair: too few for τ and for tests."
    for quantity, _ in found.quantities:
        chart = found.chart(quantity)
        assert chart.note == words
        assert (chart.test, chart.interval) == (None, None)
    panel: Any = found.detail(0)[0]
    assert panel.words == words
    assert len(panel.points_x) == 2
    assert mutual_information(trace_of("llama"), [3, 9, 17]).chart().note == ""


# --- statistics at their ends ---------------------------------------------------------------------
def test_a_tau_of_one_is_no_certainty() -> None:
    ends = torch.tensor([1.0, -1.0, 1.0, 1.0, 0.2], dtype=torch.float64)
    others = torch.tensor([0.0, 0.3, 1.0, -1.0, 0.1], dtype=torch.float64)
    for n in (6, 10, 45):
        z, p = compare_taus(ends, others, n, "two-sided")
        assert z.isfinite().all()
        assert (p > 0).all()
        assert (z[2], p[2]) == (0, 1)
        # Half a step of τ below 1: 4 / (n (n - 1)) is what the order of two pairs changes.
        most = np.arctanh(1 - 2 / (n * (n - 1)))
        expected = [most, -most - np.arctanh(0.3), 0, 2 * most, np.arctanh(0.2) - np.arctanh(0.1)]
        np.testing.assert_allclose(z, np.array(expected) / np.sqrt(2 / (n - 3)))
        next_to_one = torch.tensor([1 - 4 / (n * (n - 1))], dtype=torch.float64)
        assert compare_taus(next_to_one, others[:1], n, "two-sided").statistic < z[0]


@pytest.mark.parametrize("n", [4, 5, 6])
def test_taus_of_few_pairs_are_not_found_different_more_often_than_alpha_says(n: int) -> None:
    # Every order of n values is as likely as any other where nothing depends on distance.
    orders = np.array(list(permutations(range(n))))
    i, j = np.triu_indices(n, 1)
    tau = torch.from_numpy(np.sign(orders[:, j] - orders[:, i]).mean(axis=1))
    one, other = torch.meshgrid(tau, tau, indexing="ij")
    p = compare_taus(one.flatten(), other.flatten(), n, "two-sided").p
    assert not p.isnan().any()
    assert (p <= 0.05).double().mean() <= 0.05


def test_samples_that_do_not_vary_are_not_tested() -> None:
    constant = torch.full((1, 6), 0.1, dtype=torch.float64)
    nothing = torch.zeros(1, 6, dtype=torch.float64)
    varied = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 6)))
    missing = torch.full((1, 6), torch.nan, dtype=torch.float64)
    values = torch.cat([constant, constant, nothing, varied, missing])
    others = torch.cat([nothing, constant, nothing, constant, varied])
    found = compare_means(values, others)
    assert found.p.isnan().tolist() == [True, True, True, False, True]
    # One sample that does vary is enough.
    mean, deviation = float(varied.mean()) - 0.1, float(varied.std())
    assert found.statistic[3] == pytest.approx(mean / (deviation / np.sqrt(6)))
    # τ of values that are all the same is not defined, as scipy says.
    tau = kendall(torch.cat([constant, varied]), torch.arange(6))
    assert tau.statistic.isnan().tolist() == [True, False]


def test_two_pairs_are_enough_for_a_rank_correlation_and_one_is_not() -> None:
    found = kendall(torch.tensor([[0.1, 0.3], [0.3, 0.1]]), torch.tensor([2, 5]))
    assert found.statistic.tolist() == [1, -1]
    assert found.p.tolist() == [1, 1]  # one of both orders is as extreme as the other
    assert kendall(torch.tensor([[0.1]]), torch.tensor([2])).p.isnan().all()


def test_constant_activations_tell_nothing_about_each_other() -> None:
    x = torch.full((2, 4, 50), 0.1)
    found = pairwise_information(x, bins=15, trim=4.0)
    assert found.tolist() == torch.zeros(2, 6).tolist()


# --- targets --------------------------------------------------------------------------------------
def test_a_target_is_a_word_a_phrase_or_a_list_of_positions() -> None:
    trace = Lens(build("llama"), tokenizer()).trace("the old whale and " * 4 + "a whale")
    assert mutual_information(trace, "whale").positions == (2, 6, 10, 14, 17)
    # A phrase stands where its last token stands.
    assert mutual_information(trace, "old whale").positions == (2, 6, 10, 14)
    assert mutual_information(trace, [0, 2, 5, 9]).positions == (0, 2, 5, 9)
    by_word, by_hand = (
        mutual_information(trace, target) for target in (" whale", [2, 6, 10, 14, 17])
    )
    pd.testing.assert_frame_equal(by_word.pairs_frame(), by_hand.pairs_frame())
    # The middle of a token is no place of a word.
    with pytest.raises(ValueError, match="hale"):
        mutual_information(trace, "hale")


def test_a_space_before_a_target_asks_for_the_beginning_of_a_word() -> None:
    trace = Lens(build("llama"), tokenizer()).trace("whale sea " * 4 + "sea.whale")
    assert mutual_information(trace, "whale").positions == (0, 2, 4, 6, 10)
    assert mutual_information(trace, " whale").positions == (0, 2, 4, 6)


def test_a_word_of_several_tokens_stands_at_its_last() -> None:
    lens = Lens.demo("decoder")
    trace = lens.trace("A zebra and a zebra, zebra or zebra.")
    assert " zebra" not in [token.text for token in trace.queries()]
    found = mutual_information(trace, " zebra")
    assert len(found.positions) == 4
    for place in found.positions:
        token = trace.queries()[place]
        assert trace.sequences[0].text[: token.end].endswith("zebra")


@pytest.mark.parametrize(
    ("kind", "places"), [("encoder", (0, 6, 10, 16)), ("decoder", (1, 3, 5, 7))]
)
def test_the_kind_picks_the_text_that_is_searched(kind: Any, places: tuple[int, ...]) -> None:
    lens = Lens(build("bart"), tokenizer())
    trace = lens.trace(TEXT, "the fox the dog the sea the whale")
    assert mutual_information(trace, "the", kind=kind).positions == places


def test_frames_name_layers_blocks_and_pairs() -> None:
    found = mutual_information(trace_of("llama"), "the", blocks=("attention", "mlp", "residual"))
    assert list(found.pairs_frame()) == ["layer", "block", "i", "j", "distance", "mi"]
    assert len(found.pairs_frame()) == 3 * 3 * 6
    first = ["layer", "block", "mi", "tau", "tau_p", "n_pairs"]
    assert set(first) <= set(found.to_frame())
    assert set(found.to_frame()["block"]) == {"attention", "mlp", "residual"}
    pairs = found.pairs_frame()
    assert (pairs["distance"] == pairs["j"] - pairs["i"]).all()
    assert set(zip(pairs["i"], pairs["j"], strict=True)) == set(combinations(THE, 2))


# --- errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("target", "parameters", "message"),
    [
        ("jumps", {}, r"1 position \(4\): a pair needs 2"),
        ([7], {}, r"1 position \(7\): a pair needs 2"),
        ([], {}, "0 positions: a pair needs 2"),
        ("submarine", {}, "submarine"),
        ("", {}, "empty"),
        ([0, 3, 5, 90], {}, "90"),
        (PLACES, {"bins": 0}, "bins"),
        (PLACES, {"bins": 1}, "bins"),
        (PLACES, {"trim": 0.0}, "trim"),
        (PLACES, {"trim": -1.0}, "trim"),
        (PLACES, {"estimator": "kernel"}, "histogram"),
        (PLACES, {"alternative": "less"}, "one-sided"),
        (PLACES, {"alpha": 1.5}, "alpha"),
        (PLACES, {"blocks": ("attention", "ffn")}, "ffn"),
        (PLACES, {"blocks": ()}, "blocks"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_with_the_way_out(
    target: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        mutual_information(trace_of("llama"), target, **parameters)


def test_a_trim_that_leaves_nothing_and_activations_that_are_not_finite_are_said() -> None:
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    positions = [0, 3, 5, 8, 11]
    with pytest.raises(ValueError, match="leaves no component of some pairs"):
        mutual_information(trace, positions, trim=0.01)
    with pytest.raises(ValueError, match="leaves too few components of some pairs"):
        mutual_information(trace, positions, trim=0.01, estimator="neighbours")
    with pytest.raises(ValueError, match="seed -1 is negative"):
        mutual_information(trace, positions, seed=-1)
    assert mutual_information(trace, positions, blocks=("mlp", "mlp")).blocks == ("mlp",)
    trace.activations(1, "mlp")[3, 4] = torch.inf
    with pytest.raises(ValueError, match="mlp block in layer 1 are not all finite"):
        mutual_information(trace, positions)
