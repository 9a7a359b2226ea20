"""Views of attention weights that no lens recorded: all that they can show, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadEntropy,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    Trace,
    explore,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def traced() -> Trace:
    return Lens.demo("decoder").trace("The white whale, the white whale!")


@pytest.fixture(scope="module")
def given(traced: Trace) -> Trace:
    names = traced.lens.tokenizer.convert_ids_to_tokens([token.id for token in traced.tokens])
    attentions = [traced.attention(layer) for layer in traced.layers()]
    return Trace.from_attentions(attentions, names, name="My notebook")


@pytest.mark.parametrize("view", [AttentionLines, FusedAttentionMatrix, HeadFinder])
def test_views_show_given_weights_as_recorded_ones(view: Any, given: Trace, traced: Trace) -> None:
    of_given, of_traced = view(given), view(traced)
    assert of_given.in_words() == of_traced.in_words()
    numbers, expected = of_given.to_frame(), of_traced.to_frame()
    assert list(numbers) == list(expected)
    for name in expected.select_dtypes("number"):
        assert np.allclose(numbers[name], expected[name], atol=1e-6, equal_nan=True)


def test_an_explorer_of_given_weights_chooses_what_it_can_show(given: Trace) -> None:
    explorer = explore(given)
    assert explorer.error == ""
    assert explorer.chart_metric == HeadEntropy()
    offered = {metric["name"] for metric in explorer.chart_metrics}
    assert offered == {"entropy", "distance", "sink", "previous_token", "induction"}
    assert explorer.scene["given"] is True  # the prompt box is for reading
    explorer.retrace("Another text")
    explorer.to_frame()  # waits
    assert "no model that could be asked" in explorer.error


def test_the_strip_says_why_it_is_empty(given: Trace) -> None:
    assert "what the model predicted is not among them" in PerplexityStrip(given).in_words()[0]


def test_another_trace_of_as_many_tokens_is_another_text(given: Trace) -> None:
    view = AttentionLines(given, selected=[2])
    n = len(given.tokens)
    view.trace = Trace.from_attentions(torch.full((2, 12, n, n), 1 / n), list("abcdefghi")[:n])
    assert view.selected == []


def test_a_page_waits_for_a_statistic_that_is_still_computed(given: Trace, tmp_path: Path) -> None:
    """It hung: the page's maker held the lock that the statistic's thread waited for."""
    explorer = explore(given, chart_metric="induction")
    saved = explorer.save_html(tmp_path / "page.html")
    assert saved.bytes > 0
    assert "Induction" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_chart_that_is_told_nothing_measures_what_there_is(given: Trace, traced: Trace) -> None:
    assert LayerStatsChart(given).metric == HeadEntropy()
    assert LayerStatsChart(traced).metric.name == "norm"
    with pytest.raises(Exception, match="not known"):
        LayerStatsChart(given, "norm")
