"""What every metric and every result has in common."""

from __future__ import annotations

import gc
import importlib
import pickle
import weakref
from dataclasses import fields
from inspect import Parameter, Signature, isabstract, signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import glasshead_backend
from glasshead_backend import (
    BinSensitivity,
    LayerSimilarity,
    Lens,
    LogitLens,
    Measured,
    Metric,
    MutualInformation,
    Norm,
    OverTexts,
    OwnMetric,
    PredictionDivergence,
    bin_sensitivity,
    head_statistics,
    layer_similarity,
    logit_lens,
    mutual_information,
    over_texts,
    prediction_divergence,
    statistics,
)
from glasshead_backend.statistics import METRICS, as_metric, registry
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

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
        if isinstance(thing, type) and issubclass(thing, Measured) and not isabstract(thing)
    }
    assert len(results) > 8
    assert set(results) <= set(statistics.__all__)
    for package in (statistics, glasshead_backend):
        assert set(statistics.__all__) <= set(package.__all__)
        assert len(package.__all__) == len(set(package.__all__))
        assert all(hasattr(package, name) for name in package.__all__)


def test_metrics_are_offered_in_the_order_in_which_they_stand() -> None:
    known = [
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
    assert [name for name in METRICS if name in known] == known


@pytest.mark.parametrize("name", sorted(statistics.__all__))
def test_every_name_of_the_statistics_stands_in_the_manual(name: str) -> None:
    page = Path(__file__).parents[3] / "docs/statistics.md"
    assert f"`{name}`" in page.read_text(encoding="utf-8")


# --- signatures -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("function", "metric"),
    [
        (bin_sensitivity, BinSensitivity),
        (layer_similarity, LayerSimilarity),
        (logit_lens, LogitLens),
        (mutual_information, MutualInformation),
        (over_texts, OverTexts),
        (prediction_divergence, PredictionDivergence),
    ],
)
def test_a_function_takes_the_parameters_of_its_metric_with_the_same_defaults(
    function: Callable[..., Measured], metric: type[Metric]
) -> None:
    taken = signature(function).parameters
    assert not any(one.kind is Parameter.VAR_KEYWORD for one in taken.values())
    assert list(taken)[-2:] == ["kind", "progress"]
    required = {"over_texts": ("of", "texts"), "mutual_information": ("target",)}
    for one in fields(metric):
        if one.name in required.get(function.__name__, ()):
            continue
        assert taken[one.name].default == one.default, one.name
        assert taken[one.name].kind is Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    ("function", "written"),
    [
        (bin_sensitivity, "trace, *, block='attention', bins=(10, 20, 30, 40, 50)"),
        (layer_similarity, "trace, *"),
        (logit_lens, "trace, *, k=5, fitted=None"),
        (
            mutual_information,
            (
                "trace, target, *, blocks=('attention', 'mlp'), bins=15, trim=4.0, "
                "estimator='histogram', alternative='two-sided', alpha=0.05, seed=0"
            ),
        ),
        (
            over_texts,
            (
                "lens, texts, metric, *, targets=None, confidence=0.95, batch_size=8, seed=0, "
                "executor=None, make_lens=None, checkpoint=None"
            ),
        ),
        (
            prediction_divergence,
            (
                "trace, *, block='attention', bins=30, permutations=1000, seed=0, "
                "divergence='jsd', epsilon=0.0, null='shuffle', alpha=0.05"
            ),
        ),
    ],
)
def test_a_signature_shows_every_keyword(function: Callable[..., Measured], written: str) -> None:
    typed = signature(function).parameters.values()
    bare = Signature([one.replace(annotation=Parameter.empty) for one in typed])
    assert str(bare) == f"({written}, kind=None, progress=None)"


def test_a_keyword_that_there_is_not_is_refused(trace: Trace) -> None:
    asked: Any = prediction_divergence
    with pytest.raises(TypeError, match="'binz'"):
        asked(trace, binz=4)


# --- what is shown --------------------------------------------------------------------------------
def test_a_metric_writes_what_is_not_as_by_default() -> None:
    assert [repr(one) for one in (Norm(), MutualInformation(target=" the", bins=9))] == [
        "Norm()",
        "MutualInformation(target=' the', bins=9)",
    ]
    assert repr(BinSensitivity(bins=range(2, 5))) == "BinSensitivity(bins=(2, 3, 4))"
    assert repr(OwnMetric(function=mean_norm)).startswith("OwnMetric(function=mean_norm, ")
    texts = ["a long text " * 1000] * 3
    over = [
        OverTexts(of="norm", texts=texts, targets=np.array(texts)),
        OverTexts(of=Norm(), texts=iter(texts)),
    ]
    assert [repr(one) for one in over] == [
        "OverTexts(of=Norm(), texts=<3 texts>, targets=<3 targets>)",
        "OverTexts(of=Norm(), texts=<a stream>)",
    ]


@BY_NAME
def test_a_result_is_written_as_the_table_of_its_numbers(trace: Trace, metric: Metric) -> None:
    found: Any = metric.measure(trace)
    first, *rows = repr(found).splitlines()
    assert first == f"{type(found).__name__} of {metric!r}"
    assert rows == repr(found.to_frame()).splitlines()
    assert "tensor" not in repr(found)
    assert found._repr_html_().count("<table") == 1


def test_the_statistics_of_heads_show_themselves(trace: Trace) -> None:
    found = head_statistics(trace)
    first, *rows = repr(found).splitlines()
    assert first == "HeadStatistics of self attention"
    assert rows == repr(found.to_frame()).splitlines()
    shown = found._repr_html_()
    assert shown is not None
    assert "<th>previous_token</th>" in shown


def test_what_a_notebook_shows_is_text_and_no_markup() -> None:
    trace = Lens.demo("decoder").trace("<img src=x> and <img src=x> and <img src=x>")
    found = mutual_information(trace, "<img src=x>")
    shown = found._repr_html_()
    assert shown is not None
    assert "&lt;img src=x&gt;" in shown
    assert "<img" not in shown
    own = OwnMetric(function=lambda *_: 1.0, title="<script>", unit="<b>").measure(trace)
    shown = own._repr_html_()
    assert shown is not None
    assert "<script>" not in shown
    assert "<b>" not in shown


def test_a_notebook_that_wants_no_html_gets_the_text(trace: Trace) -> None:
    with pd.option_context("display.notebook_repr_html", False):
        assert Norm().measure(trace)._repr_html_() is None


def test_descriptions_of_heads_and_predictions_are_equal_to_themselves_alone() -> None:
    # Comparing tensors by "==" gives tensors, which a dataclass cannot take for an answer.
    lens = Lens.demo("decoder")
    one, other = lens.trace("the whale"), lens.trace("the whale")
    assert head_statistics(one) != head_statistics(other)
    assert one.predictions() != other.predictions()
    assert one.predictions() == one.predictions()


def test_predictions_show_themselves_as_a_table() -> None:
    predictions = Lens.demo("decoder").trace("the <b>whale").predictions()
    said, table = repr(predictions).split("\n", maxsplit=1)
    assert said.startswith("Predictions: ")
    assert "surprisal" in table
    assert "<b>" not in str(predictions._repr_html_())
