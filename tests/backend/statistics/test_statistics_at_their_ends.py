"""All statistics where there is little: one layer, one head, results so far, blocks not known."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glasshead_backend import (
    BinSensitivity,
    Lens,
    LogitLens,
    Measured,
    MutualInformation,
    Norm,
    PredictionDivergence,
    Step,
    layer_similarity,
    logit_lens,
    mutual_information,
    prediction_divergence,
)
from glasshead_backend.frames.chart import chart_frame, detail_frame
from glasshead_backend.statistics import METRICS, Metric, information, permutation
from glasshead_backend.statistics.chart import median, quantiles
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead_backend import Trace
    from glasshead_backend.progress import Progress

EVERY: list[Metric] = [
    MutualInformation(target=[0, 3, 5, 8, 11])
    if name == "mutual_information"
    else PredictionDivergence(permutations=40)
    if name == "prediction_divergence"
    else metric()
    for name, metric in METRICS.items()
]
BY_NAME = pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)


def half_right(**changes: Any) -> Trace:
    """A text that the model knows nothing about, and what it goes on to write by itself."""
    lens = Lens(build("llama", **changes), tokenizer())
    return lens.generate(f"{TEXT} {TEXT}", max_new_tokens=40, min_new_tokens=40)


def everything(trace: Trace, measured: Measured) -> None:
    """Ask for all that a result can show."""
    assert measured.to_frame() is not None
    for quantity, _ in measured.quantities:
        chart_frame(trace, "self", measured, quantity)
    for layer in trace.layers():
        detail_frame(measured, layer)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return half_right()


# --- functions ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "ask",
    [
        lambda trace, p: logit_lens(trace, progress=p),
        lambda trace, p: mutual_information(trace, [0, 3, 5], progress=p),
        lambda trace, p: prediction_divergence(trace, permutations=40, progress=p),
    ],
)
def test_a_function_tells_how_far_it_is_as_its_metric_does(
    trace: Trace, ask: Callable[[Trace, Progress], Measured]
) -> None:
    told: list[Step] = []
    ask(trace, told.append)
    assert told[-1].share == 1


@pytest.mark.parametrize(
    "metric",
    [
        BinSensitivity(block="mlp", bins=(4, 8)),
        LogitLens(k=3),
        MutualInformation(target=[0, 3, 5], bins=6, trim=2.0, alternative="one-sided"),
        PredictionDivergence(block="mlp", bins=7, permutations=40, null="shift", seed=3),
    ],
)
def test_a_result_knows_what_was_asked(metric: Metric, trace: Trace) -> None:
    assert metric.measure(trace).metric == metric


@BY_NAME
def test_a_chart_is_the_same_as_no_other(metric: Metric, trace: Trace) -> None:
    # Tensors are equal or not in every element, and have no truth as a whole.
    measured = metric.measure(trace)
    one, other = measured.chart(), measured.chart()
    parts = [(one.interval, other.interval), (one.null, other.null), (one.heat, other.heat)]
    panels = zip(measured.detail(0), measured.detail(0), strict=True)
    for a, b in [(one, other), *parts, *panels]:
        assert a is None or (a != b and len({a, b}) == 2)


# --- forms ----------------------------------------------------------------------------------------
@BY_NAME
def test_a_form_offers_what_the_metric_takes(metric: Metric, trace: Trace) -> None:
    for name, offered in type(metric).offered(trace).items():
        taken: list[Any] = []
        if offered.kind == "choice":
            taken = [value for value, _ in offered.choices]
            assert len(taken) > 1
            assert getattr(metric, name) in taken
        elif offered.kind in ("int", "float"):
            assert offered.min is not None
            assert offered.max is not None or name in ("seed", "position")
            highest = offered.max or offered.min
            # The end of a range of fractions need not belong to it.
            taken = [offered.min, highest if offered.kind == "int" else 0.999 * highest]
        for value in taken:
            assert getattr(replace(metric, **{name: value}), name) == value


# --- results so far -------------------------------------------------------------------------------
@BY_NAME
def test_whatever_is_there_so_far_can_be_shown(
    metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = half_right()
    # As many steps as there can be.
    monkeypatch.setattr(permutation, "_BLOCK_VALUES", {"cpu": 1})
    monkeypatch.setattr(information, "_BLOCK_VALUES", 1)
    n_shown = 0

    def watch(step: Step) -> None:
        nonlocal n_shown
        partial = step.partial()
        if partial is not None:
            assert isinstance(partial, Measured)
            everything(trace, partial)
            n_shown += 1

    whole = metric.measure(trace, progress=watch)
    everything(trace, whole)
    if metric.name in ("prediction_divergence", "mutual_information", "logit_lens", "entropy"):
        assert n_shown > 1


WAITED_FOR = [
    replace(metric, **changes)
    for metric in EVERY
    for changes in ({}, {"block": "residual"})
    if not metric.is_instant and changes.keys() <= metric.parameters().keys()
]


@pytest.mark.parametrize("metric", WAITED_FOR, ids=repr)
def test_whoever_waits_is_told_how_far_the_work_has_come(metric: Metric) -> None:
    told: list[Step] = []
    metric.measure(half_right(), progress=told.append)
    assert told
    for what in {step.what for step in told}:
        shares = [step.share for step in told if step.what == what]
        assert (shares[0], shares[-1]) == (0, 1)
        assert shares == sorted(shares)


def test_the_layers_of_a_pass_for_activations_are_counted_while_it_runs() -> None:
    told: list[str] = []
    layer_similarity(half_right(), progress=lambda step: told.append(str(step)))
    words = ("running the model", "comparing layers")
    shares = ("0%", "33%", "67%", "100%")  # a model of three layers
    assert told == [f"{what}: {share}" for what in words for share in shares]


# --- what a form offers ---------------------------------------------------------------------------
@BY_NAME
def test_what_a_form_offers_at_either_end_is_accepted(metric: Metric) -> None:
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    for name, offered in metric.offered(trace).items():
        for end in (offered.min, offered.max):
            if end is not None:
                assert getattr(replace(metric, **{name: end}), name) == end


# --- little of everything -------------------------------------------------------------------------
@BY_NAME
def test_one_layer_with_one_head_is_enough(metric: Metric) -> None:
    trace = half_right(num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1)
    measured = metric.measure(trace)
    everything(trace, measured)
    frame = measured.to_frame()
    # The embedding, say, is of no layer.
    assert set(frame["layer"].dropna()) == {0}
    if "p" in frame:
        assert frame["p"].tolist() == frame["p_adjusted"].tolist()


def test_the_fewest_predictions_of_either_group_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = half_right()
    predictions = trace.predictions()
    correct = torch.zeros_like(predictions.correct)
    correct[3], correct[7] = 1, 1
    monkeypatch.setattr(trace, "predictions", lambda: replace(predictions, correct=correct))
    found = prediction_divergence(trace, permutations=30)
    assert found.n_correct == 2
    everything(trace, found)
    correct[7] = 0
    with pytest.raises(ValueError, match="1 of the 79 predictions are right and 78 wrong"):
        prediction_divergence(trace)
    correct[:] = 1
    with pytest.raises(ValueError, match="79 of the 79 predictions are right and 0 wrong"):
        prediction_divergence(trace)


def test_positions_without_a_prediction_are_in_neither_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = half_right()
    predictions = trace.predictions()
    surprisal = predictions.surprisal.clone()
    surprisal[10:20] = torch.nan
    monkeypatch.setattr(trace, "predictions", lambda: replace(predictions, surprisal=surprisal))
    found = prediction_divergence(trace, permutations=9)
    scored = [i for i in range(1, len(predictions.tokens)) if not 10 <= i < 20]
    right = sum(int(predictions.correct[i]) == 1 for i in scored)
    assert (found.n_correct, found.n_incorrect) == (right, len(scored) - right)


# --- blocks that are not known --------------------------------------------------------------------
def test_where_no_block_is_known_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = half_right()
    monkeypatch.setattr(trace, "norms", lambda _=None: {})
    words = "what its blocks add to the residual stream is not known"
    assert words in Norm.lacks(trace)
    with pytest.raises(ValueError, match=words):
        Norm().measure(trace)
    with pytest.raises(ValueError, match="has no 'attention' block there: none"):
        prediction_divergence(trace)


def test_a_block_that_some_layers_lack_is_measured_in_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = half_right()
    norms = trace.norms()
    some = {"attention": {}, "mlp": {0: norms["mlp"][0], 2: norms["mlp"][2]}}
    monkeypatch.setattr(trace, "norms", lambda _=None: some)
    measured = Norm().measure(trace)
    everything(trace, measured)
    assert measured.blocks == ("mlp",)
    assert measured.to_frame()["layer"].tolist() == [0, 2]
    found = prediction_divergence(trace, block="mlp", permutations=9)
    everything(trace, found)
    assert found.layers == (0, 2)
    offered = PredictionDivergence.offered(trace)["block"].choices
    assert [name for name, _ in offered] == ["mlp", "residual"]


def test_why_a_contribution_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = half_right()
    norms = {"attention": trace.norms()["attention"], "mlp": {0: trace.norms()["mlp"][0]}}
    unclear = {"mlp": {1: "the sum does not close", 2: "the sum does not close"}}
    monkeypatch.setattr(trace, "norms", lambda _=None: norms)
    monkeypatch.setattr(trace, "unclear_blocks", lambda _=None: unclear)
    assert Norm().measure(trace).chart().note == (
        "MLP of layer 1, 2: what it adds is not known (the sum does not close)."
    )
    del norms["mlp"]
    with pytest.raises(ValueError, match=r"'mlp' block adds is not known \(the sum does not close"):
        prediction_divergence(trace, block="mlp")
    del norms["attention"]
    assert "is not known (the sum does not close)" in Norm.lacks(trace)


def test_norms_that_are_no_numbers_are_said_and_harm_no_other_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trace = half_right()
    norms = {block: dict(layers) for block, layers in trace.norms().items()}
    norms["mlp"][1] = norms["mlp"][1].clone()
    norms["mlp"][1][5] = torch.nan
    monkeypatch.setattr(trace, "norms", lambda _=None: norms)
    measured = Norm().measure(trace)
    everything(trace, measured)
    assert measured.chart().note == "Layer 1: some values of its MLP block are not numbers."
    assert measured.to_frame()["mean"].isna().sum() == 1
    with pytest.raises(ValueError, match="mlp block in layer 1 are zero or not finite"):
        prediction_divergence(trace, block="mlp")


# --- words ----------------------------------------------------------------------------------------
def test_a_median_is_numpys_for_even_numbers_too() -> None:
    x = np.random.default_rng(0).normal(size=(3, 8))
    np.testing.assert_allclose(median(torch.from_numpy(x)), np.median(x, axis=1))
    trace = half_right()
    norms = [trace.norms()[block][0].numpy() for block in ("attention", "mlp")]
    assert len(norms[0]) % 2 == 0
    attention, mlp = (f"{np.median(of_block):.3g}" for of_block in norms)
    panel: Any = Norm().measure(trace).detail(0)[0]
    assert panel.words == f"median: attention {attention}, MLP {mlp}"


def test_a_quantile_between_a_finite_and_an_infinite_value_is_infinite() -> None:
    inf = torch.inf
    values = torch.tensor([[1, 2, 3, inf], [1, inf, inf, inf], [1, 2, 3, 4], [inf] * 4])
    low, high = quantiles(values, 0.25, 0.9)
    assert low.tolist() == [1.75, inf, 1.75, inf]
    assert high.tolist() == [inf, inf, pytest.approx(3.7), inf]


# --- what is loaded -------------------------------------------------------------------------------
