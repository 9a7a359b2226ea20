"""A statistic over many texts: pandas' means, scipy's t intervals, streams, progress."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import t, ttest_1samp

from backend.running.test_model_left_as_found import assert_same, snapshot
from glasshead_backend import (
    Cancelled,
    Induction,
    Lens,
    LogitLens,
    MutualInformation,
    OverTextsResult,
    PredictionDivergence,
    Step,
    Trace,
    over_texts,
)
from glasshead_backend.demo import DECODER_LONG_TEXT
from glasshead_backend.statistics import Metric, Norm
from glasshead_backend.statistics.significance import mean_and_interval
from support.tiny_models import WORDS, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens(build("llama"), tokenizer())


def some_texts(n: int, n_words: int = 14) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, n_words + i % 3)) for i in range(n)]


def singles(lens: Lens, texts: list[str], metric: Metric) -> pd.DataFrame:
    """One row for each row of each text's own result."""
    frames = [metric.measure(lens.trace(text)).to_frame() for text in texts]
    return pd.concat(frames, keys=range(len(texts)), names=["text"]).reset_index("text")


# --- means and intervals --------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("metric", "keys", "numbers"),
    [
        (Norm(), ["layer", "block"], ["mean"]),
        (Induction(), ["layer", "head"], ["induction"]),
        (LogitLens(), ["layer"], ["accuracy", "surprisal", "rank"]),
        (MutualInformation(target=[1, 3, 5, 8]), ["layer", "block"], ["mi", "tau"]),
    ],
)
def test_the_mean_is_that_of_the_single_results(
    lens: Lens, metric: Metric, keys: list[str], numbers: list[str]
) -> None:
    texts = some_texts(7)
    found = over_texts(lens, texts, metric).to_frame()
    own = singles(lens, texts, metric)
    expected = own.groupby(keys)[numbers].mean().reset_index()
    pd.testing.assert_frame_equal(
        found[[*keys, *numbers]].sort_values(keys, ignore_index=True),
        expected,
        rtol=1e-4,
        check_dtype=False,
    )
    assert (found["n_texts"] == 7).all()


@pytest.mark.parametrize(("n", "confidence"), [(2, 0.95), (5, 0.95), (12, 0.9)])
def test_the_interval_is_students(lens: Lens, n: int, confidence: float) -> None:
    texts = some_texts(n)
    found = over_texts(lens, texts, LogitLens(), confidence=confidence)
    own = singles(lens, texts, LogitLens())
    for row in found.to_frame().itertuples():
        values = own[own["layer"] == row.layer]["surprisal"].to_numpy(dtype=float)
        expected = ttest_1samp(values, 0).confidence_interval(confidence)
        assert (row.surprisal_low, row.surprisal_high) == pytest.approx(tuple(expected), rel=1e-3)


@pytest.mark.parametrize(
    ("values", "mean", "least"),
    [("normal", 0.0, 0.935), ("heavy", 0.0, 0.935), ("skewed", math.exp(0.125), 0.885)],
)
@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
def test_a_95_percent_interval_holds_the_true_mean_that_often(
    values: str, mean: float, least: float, n: int
) -> None:
    # A percentile bootstrap holds it in 50 % of the cases with 2 normal values, 76 % with 3, 83 %
    # with 5, 89 % with 10.
    rng = np.random.default_rng(n)
    shape = n, 4000
    drawn = {
        "normal": lambda: rng.normal(size=shape),
        "heavy": lambda: rng.standard_t(3, size=shape),
        "skewed": lambda: rng.lognormal(sigma=0.5, size=shape),
    }[values]()
    found = mean_and_interval(torch.from_numpy(drawn), 0.95)
    holds = (found.low <= mean) & (mean <= found.high)
    assert least <= holds.double().mean() <= 0.98


def test_one_text_has_no_interval_and_the_chart_of_two_no_band(lens: Lens) -> None:
    one, two, three = (over_texts(lens, some_texts(n), "norm") for n in (1, 2, 3))
    assert one.to_frame()[["mean_low", "mean_high"]].isna().all(axis=None)
    assert two.to_frame()["mean_low"].notna().all()
    assert (one.chart().interval, two.chart().interval) == (None, None)
    band = three.chart().interval
    assert band is not None
    assert band.words == "95 % t interval of the mean over 3 texts"


def test_a_mean_of_divergences_is_called_that(lens: Lens) -> None:
    toy = Lens.demo("decoder")
    texts = [DECODER_LONG_TEXT[:300], DECODER_LONG_TEXT[300:600]]
    found = over_texts(toy, texts, PredictionDivergence(permutations=20))
    assert found.chart().unit.endswith(
        "; mean of the texts’ own divergences, not that of their positions together"
    )
    assert over_texts(lens, some_texts(2), "norm").chart().unit == "L2 norm; median of each text"


def test_the_divergence_that_was_asked_for_is_in_the_table() -> None:
    lens = Lens.demo("decoder")
    metric = PredictionDivergence(
        block="mlp", divergence="notebook", epsilon=1e-6, bins=5, permutations=20
    )
    texts = [DECODER_LONG_TEXT[start : start + 250] for start in (0, 80, 170)]
    alone = singles(lens, texts, metric).groupby("layer")["notebook"].mean()
    frame = over_texts(lens, texts, metric).to_frame()
    np.testing.assert_allclose(frame["notebook"], alone)
    assert (frame["notebook_low"] < frame["notebook"]).all()


def test_a_trace_in_the_place_of_the_lens_is_refused_in_words(lens: Lens) -> None:
    trace: Any = lens.trace(some_texts(1)[0])
    with pytest.raises(TypeError, match="it takes a lens first, got Trace"):
        over_texts(trace, some_texts(2), "norm")


def test_batches_change_nothing(lens: Lens) -> None:
    frames = [
        over_texts(lens, some_texts(9), LogitLens(), batch_size=size).to_frame() for size in (1, 4)
    ]
    pd.testing.assert_frame_equal(*frames, rtol=1e-4)


def test_p_values_are_not_averaged() -> None:
    lens = Lens.demo("decoder")
    texts = ["The whale swam in the sea, and the whale swam in the sea."] * 2
    frame = over_texts(lens, texts, PredictionDivergence(permutations=20)).to_frame()
    assert {"layer", "jsd", "jsd_low", "jsd_high", "n_texts"} <= set(frame)
    assert not {"p", "p_adjusted", "significant"} & set(frame)


def test_an_encoder_decoder_is_measured_with_its_targets() -> None:
    lens = Lens(build("bart"), tokenizer())
    texts, targets = some_texts(3), some_texts(3)[::-1]
    found = over_texts(lens, texts, "logit_lens", targets=targets).to_frame()
    one_by_one = [
        LogitLens().measure(lens.trace(*both)).to_frame()["surprisal"]
        for both in zip(texts, targets, strict=True)
    ]
    np.testing.assert_allclose(found["surprisal"], np.mean(one_by_one, axis=0), rtol=1e-4)


# --- texts without the statistic, streams ---------------------------------------------------------
def test_a_text_without_the_statistic_is_skipped_with_the_reason(lens: Lens) -> None:
    texts = ["the fox " * 4, "the lazy dog", "a fox", "the dog " * 5]
    found = over_texts(lens, texts, MutualInformation(target="the"))
    assert [number for number, _ in found.skipped] == [1, 2]
    assert "1 position" in found.skipped[0][1]
    assert "the" in found.skipped[1][1]
    assert (found.to_frame()["n_texts"] == 2).all()


def test_a_text_without_a_number_moves_neither_mean_nor_interval(lens: Lens) -> None:
    # No token of the first text comes back: it has no induction score.
    texts = ["the quick brown fox", "a fox and a fox and a fox", "a dog at sea and a dog at sea"]
    found = over_texts(lens, texts, Induction()).to_frame()
    own = singles(lens, texts, Induction()).groupby(["layer", "head"])["induction"]
    np.testing.assert_allclose(found["induction"], own.mean(), rtol=1e-4)
    half = own.std() / np.sqrt(2) * t.ppf(0.975, 1)
    np.testing.assert_allclose(found["induction_low"], own.mean() - half, rtol=1e-3)
    np.testing.assert_allclose(found["induction_high"], own.mean() + half, rtol=1e-3)
    assert (found["n_texts"] == 2).all()


def test_when_no_text_has_it_that_is_an_error_with_the_first_reason(lens: Lens) -> None:
    with pytest.raises(ValueError, match=r"(?s)2 texts.*whale"):
        over_texts(lens, ["the fox", "the dog"], MutualInformation(target="whale"))


def test_a_stream_without_end_is_read_a_little_ahead_only(lens: Lens) -> None:
    given = 0

    def stream() -> Iterator[str]:
        nonlocal given
        while True:
            given += 1
            yield "the old whale runs over the sea"

    def stop(step: Step) -> None:
        partial: Any = step.partial()
        if partial is not None and (partial.to_frame()["n_texts"] >= 10).all():
            raise Cancelled

    with pytest.raises(Cancelled):
        over_texts(lens, stream(), "norm", batch_size=2, progress=stop)
    assert 10 <= given <= 10 + 2 * 4 * 2


# --- what cannot be drawn, what cannot be read ----------------------------------------------------
def test_a_mean_that_is_infinite_is_said_with_the_way_out() -> None:
    lens = Lens.demo("decoder")
    texts = [DECODER_LONG_TEXT[start : start + 200] for start in (0, 100, 200)]
    found = over_texts(lens, texts, PredictionDivergence(divergence="notebook", permutations=9))
    assert found.to_frame()["notebook"].tolist() == [math.inf, math.inf]
    assert found.chart("jsd").note == (
        "Infinite in every layer, because of 3 of 3 texts: a bin holds values of one group only, "
        "and log 0 is infinite. Take fewer bins, an ε above 0, or the Jensen-Shannon divergence."
    )
    assert found.chart("difference").note == ""
    finite = PredictionDivergence(divergence="notebook", epsilon=1e-6, permutations=9)
    assert over_texts(lens, texts, finite).chart().note == ""


def test_where_some_texts_are_infinite_their_number_is_said(lens: Lens) -> None:
    def often_infinite(trace: Trace, layer: int) -> float:
        n_tokens = len(trace.queries())
        return math.inf if layer == 1 and n_tokens > 4 else float(n_tokens)

    texts = ["the old whale", "a fox", "the old whale runs over the sea", "a dog", "the lazy dog"]
    found = over_texts(lens, texts, often_infinite)
    assert found.chart().note == "Infinite in layer 1, because of 1 of 5 texts."
    (panel,) = found.detail(1)
    assert panel.words == "median: often infinite 2.5; 1 more is infinite"
    assert found.detail(0)[0].words == "median: often infinite 3"


@pytest.mark.parametrize("empty", ["", "   "])
def test_an_empty_text_is_left_out_and_named(lens: Lens, empty: str) -> None:
    texts = [*some_texts(40), empty, "a fox"]
    for given in (texts, iter(texts)):
        found = over_texts(lens, given, "norm")
        ((number, why),) = found.skipped
        assert (number, found.n_skipped, found.n_measured) == (40, 1, 41)
        assert why.startswith("The text is empty")
        assert found.chart().note.startswith("1 text left out. Text 40: The text is empty")


def test_white_space_that_is_a_text_is_measured() -> None:
    lens = Lens.demo("decoder")
    assert [token.text for token in lens.tokenize("  ")] != []
    assert over_texts(lens, ["the whale", "  ", "the sea"], "norm").n_measured == 3


def test_a_target_that_is_empty_is_left_out_and_one_that_is_missing_named_at_once() -> None:
    lens = Lens(build("bart"), tokenizer())
    texts = some_texts(10)
    measured: list[int] = []

    def depth(_: Trace, layer: int) -> float:
        measured.append(layer)
        return 1.0

    with pytest.raises(ValueError, match="There is no target number 9"):
        over_texts(lens, texts, depth, targets=texts[:9])
    assert measured == []
    ((number, why),) = over_texts(lens, texts, depth, targets=[*texts[:9], ""]).skipped
    assert (number, why.partition(":")[0]) == (9, "The target is empty")
    with pytest.raises(ValueError, match="There is no target number 9"):
        over_texts(lens, iter(texts), depth, targets=iter(texts[:9]))


# --- progress -------------------------------------------------------------------------------------
def test_every_step_says_the_text_and_hands_out_the_result_so_far(lens: Lens) -> None:
    steps: list[Step] = []
    so_far: list[int] = []

    def watch(step: Step) -> None:
        steps.append(step)
        partial = step.partial()
        assert partial is None or isinstance(partial, OverTextsResult)
        if partial is not None:
            frame = partial.to_frame()
            so_far.append(int(frame["n_texts"].max()))
            assert frame["mean_low"].notna().all() == (so_far[-1] > 1)

    over_texts(lens, some_texts(6), "norm", batch_size=1, progress=watch)
    assert {f"texts {n} of 6" for n in range(7)} <= {step.what for step in steps}
    assert set(so_far) == {1, 2, 3, 4, 5, 6}
    assert so_far == sorted(so_far)
    shares = [step.share for step in steps if step.share is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_stopping_ends_the_work_and_leaves_the_model_as_found() -> None:
    model = build("llama").train()
    before = snapshot(model)
    measured: list[int] = []

    def depth(trace: Trace, layer: int) -> float:
        measured.append(layer)
        return float(trace.norms()["mlp"][layer].mean())

    def stop(step: Step) -> None:
        if step.what.startswith("texts 2"):
            raise Cancelled

    with pytest.raises(Cancelled):
        over_texts(Lens(model, tokenizer()), some_texts(8), depth, progress=stop)
    assert len(measured) == 2 * 3
    assert_same(before, snapshot(model))


def test_true_shows_a_bar(lens: Lens, capsys: pytest.CaptureFixture[str]) -> None:
    over_texts(lens, some_texts(3), "norm", progress=True)
    shown = capsys.readouterr().err
    assert "texts 3 of 3" in shown
    assert "100%" in shown
    over_texts(lens, some_texts(3), "norm")
    assert not capsys.readouterr().err


# --- a metric of one's own ------------------------------------------------------------------------
def test_a_metric_of_ones_own_is_a_function_of_three_lines(lens: Lens) -> None:
    def share_of_mlp(trace: Trace, layer: int) -> float:
        mlp, attention = (trace.norms()[block][layer].mean() for block in ("mlp", "attention"))
        return float(mlp / (mlp + attention))

    texts = some_texts(5)
    frame = over_texts(lens, texts, share_of_mlp).to_frame()
    for layer in range(3):
        expected = np.mean([share_of_mlp(lens.trace(text), layer) for text in texts])
        assert frame.set_index("layer").loc[layer, "value"] == pytest.approx(expected, rel=1e-4)


def test_a_number_for_each_head_makes_a_row_for_each_head(lens: Lens) -> None:
    def strongest(trace: Trace, layer: int) -> torch.Tensor:
        return trace.attention(layer).amax(dim=-1).mean(dim=-1)

    frame = over_texts(lens, some_texts(3), strongest).to_frame()
    assert frame[["layer", "head"]].drop_duplicates().shape == (12, 2)


# --- errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("texts", "metric", "parameters", "message"),
    [
        ("one text", "norm", {}, "list of texts"),
        (["a fox"], "size", {}, "size"),
        (["a fox"], 3, {}, "function"),
        (["a fox"], "norm", {"confidence": 95}, "confidence"),
        (["a fox"], "norm", {"batch_size": 0}, "batch_size"),
    ],
)
def test_what_makes_no_sense_is_named(
    lens: Lens, texts: Any, metric: Any, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        over_texts(lens, texts, metric, **parameters)


def test_a_layers_panel_counts_the_texts_by_their_values(lens: Lens) -> None:
    texts = some_texts(9)
    panel: Any = over_texts(lens, texts, LogitLens()).detail(1)[0]
    alone = singles(lens, texts, LogitLens())
    surprisal = alone[alone["layer"] == 1]["surprisal_median"].to_numpy() / np.log(2)  # in bits
    counted, edges = np.histogram(surprisal, len(panel.edges) - 1)
    np.testing.assert_allclose(panel.edges, edges, rtol=1e-4)
    assert panel.values[0].sum() == len(texts)
    assert np.abs(panel.values[0].numpy() - counted).sum() <= 2  # one may lie on an edge
