"""What every metric and every result has in common."""

from __future__ import annotations

import gc
import importlib
import pickle
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import glasshead_backend
from backend.tiny_models import TEXT, build, tokenizer
from glasshead_backend import (
    Lens,
    Measured,
    Metric,
    MutualInformation,
    OwnMetric,
    PredictionDivergence,
    over_texts,
    statistics,
)
from glasshead_backend.statistics import METRICS, as_metric, registry

if TYPE_CHECKING:
    from glasshead_backend import Trace


def mean_norm(trace: Trace, layer: int) -> float:
    return float(trace.norms()["mlp"][layer].mean())


EVERY: list[Metric] = [
    MutualInformation(target=[0, 3, 5, 8])
    if name == "mutual_information"
    else PredictionDivergence(permutations=20)
    if name == "prediction_divergence"
    else metric()
    for name, metric in METRICS.items()
] + [OwnMetric(function=mean_norm)]
BY_NAME = pytest.mark.parametrize("metric", EVERY, ids=lambda metric: metric.name)


@pytest.fixture(scope="module")
def trace() -> Trace:
    """A text that the model knows nothing about, and what it goes on to write by itself."""
    lens = Lens(build("llama"), tokenizer())
    return lens.generate(TEXT, max_new_tokens=30, min_new_tokens=30)


# --- a result has a metric ------------------------------------------------------------------------
@BY_NAME
def test_a_result_has_the_metric_that_was_asked_for_and_is_none(
    trace: Trace, metric: Metric
) -> None:
    found: Any = metric.measure(trace)
    assert isinstance(found, Measured)
    assert not isinstance(found, Metric)
    assert found.metric is metric
    assert as_metric(found) is metric
    # Its parameters are read as before; what it is no parameter of, it has not.
    for name, value in metric.parameters().items():
        if name != "null":  # of the divergence that was found it is the numbers
            assert getattr(found, name) is value
    with pytest.raises(AttributeError, match=f"'{type(found).__name__}' .* 'heights'"):
        _ = found.heights


def test_results_can_be_copied_to_another_process(trace: Trace) -> None:
    found = MutualInformation(target=[0, 3, 5, 8], bins=9).measure(trace)
    again = pickle.loads(pickle.dumps(found))  # noqa: S301  our own
    assert (again.metric, again.bins) == (found.metric, 9)
    assert again.to_frame().equals(found.to_frame())


def test_measuring_again_over_texts_lets_the_old_result_go(trace: Trace) -> None:
    asked = MutualInformation(target=[0, 1, 2], bins=5)
    old = asked.measure(trace)
    found = over_texts(trace.lens, ["the old whale runs over", "a fox and a dog"], old)
    assert found.metric.of == asked
    is_there = weakref.ref(old)
    del old
    gc.collect()
    assert is_there() is None


# --- one registry ---------------------------------------------------------------------------------
def test_every_statistic_is_public_by_its_line_in_the_registry() -> None:
    names = [path.stem for path in Path(registry.__file__).parent.glob("*.py")]
    assert len(names) > 20
    files = [importlib.import_module(f"{statistics.__name__}.{name}") for name in names]
    results = {
        name: thing
        for file in files
        for name, thing in vars(file).items()
        if isinstance(thing, type) and issubclass(thing, Measured)
    }
    assert len(results) > 8
    assert set(results) <= set(statistics.__all__)
    for package in (statistics, glasshead_backend):
        assert set(statistics.__all__) <= set(package.__all__)
        assert len(package.__all__) == len(set(package.__all__))
        assert all(hasattr(package, name) for name in package.__all__)


def test_metrics_are_offered_in_the_order_in_which_they_stand() -> None:
    assert list(METRICS) == [
        "norm",
        "layer_similarity",
        "logit_lens",
        "prediction_divergence",
        "bin_sensitivity",
        "mutual_information",
        "entropy",
        "distance",
        "sink",
        "previous_token",
        "induction",
    ]
