"""A metric of one's own: what its numbers stand for is said, or asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from glasshead_backend import Lens, OwnMetric, Step, over_texts
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from glasshead_backend import Trace

N_HEADS = 4


def traced(n_tokens: int) -> Trace:
    """A text of so many tokens, in a model of 3 layers with 4 heads."""
    trace = Lens(build("llama"), tokenizer()).trace(" ".join(TEXT.split()[:n_tokens]))
    assert len(trace.queries()) == n_tokens
    assert {trace.n_heads(layer) for layer in trace.layers()} == {N_HEADS}
    return trace


def of_tokens(trace: Trace, layer: int) -> torch.Tensor:
    return trace.norms()["mlp"][layer]


def of_heads(trace: Trace, layer: int) -> torch.Tensor:
    return trace.attention(layer).amax(dim=-1).mean(dim=-1)


def test_numbers_that_could_be_heads_or_tokens_are_asked_about() -> None:
    # 4 tokens, or 5 of which 4 are predicted: numbers of either look like those of 4 heads.
    for n_tokens, function in (
        (4, of_tokens),
        (4, of_heads),
        (5, lambda trace, layer: of_tokens(trace, layer)[1:]),
    ):
        asked = r"returned 4 numbers for layer 0, which has 4 heads, in a text of \d tokens"
        with pytest.raises(ValueError, match=asked) as raised:
            OwnMetric(function=function).measure(traced(n_tokens))
        assert "axis='heads'" in str(raised.value)
        assert "axis='tokens'" in str(raised.value)


def test_the_axis_says_what_they_are() -> None:
    trace = traced(N_HEADS)
    tokens = OwnMetric(function=of_tokens, axis="tokens").measure(trace)
    assert tokens.chart().heat is None
    frame = tokens.to_frame()
    assert list(frame) == ["layer", "value", "median", "low", "high"]
    for row in frame.itertuples():
        norms = trace.norms()["mlp"][row.layer].numpy()
        assert row.value == pytest.approx(norms.mean())
        assert (row.low, row.high) == pytest.approx(tuple(np.quantile(norms, [0.25, 0.75])))
    # A token that is pointed at has a line of its own.
    of_tokens_drawn = tokens.chart().tokens
    assert of_tokens_drawn is not None
    assert of_tokens_drawn.shape == (1, 3, N_HEADS)
    heads = OwnMetric(function=of_heads, axis="heads").measure(trace)
    heat = heads.chart().heat
    assert heat is not None
    assert heat.values.shape == (3, N_HEADS)
    assert list(heads.to_frame()) == ["layer", "head", "value"]
    values = OwnMetric(function=of_heads, axis="values").measure(trace)
    assert (values.chart().heat, values.chart().tokens) == (None, None)


def test_without_an_axis_as_many_numbers_as_heads_are_heads_where_nothing_else_fits() -> None:
    trace = traced(9)
    found = OwnMetric(function=of_heads).measure(trace)
    expected = torch.cat([of_heads(trace, layer) for layer in range(3)])
    np.testing.assert_allclose(found.to_frame()["value"], expected)
    assert found.to_frame()["head"].tolist() == [0, 1, 2, 3] * 3
    assert OwnMetric(function=of_tokens).measure(trace).chart().heat is None


@pytest.mark.parametrize(
    ("axis", "function", "message"),
    [
        ("heads", of_tokens, "a number for each of the heads (axis='heads'); for layer 0 of 4"),
        ("tokens", of_heads, "a text of 9 tokens it returned 4."),
        ("rows", of_heads, "axis 'rows' is not one of 'heads', 'tokens', 'values'."),
    ],
)
def test_an_axis_that_does_not_fit_is_said(axis: Any, function: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        OwnMetric(function=function, axis=axis).measure(traced(9))


def test_a_text_with_as_many_tokens_as_heads_is_left_out_of_many_and_said() -> None:
    lens = traced(3).lens
    texts = ["the old whale runs over", "a fox and", "the dog runs"]
    counts = [len(lens.tokenize(text)) for text in texts]
    assert counts == [5, 3, 3]
    found = over_texts(lens, [*texts, "the dog runs over"], of_tokens)
    assert [index for index, _ in found.skipped] == [3]
    assert "axis='tokens'" in found.skipped[0][1]
    named = over_texts(
        lens, [*texts, "the dog runs over"], OwnMetric(function=of_tokens, axis="tokens")
    )
    assert (named.to_frame()["n_texts"] == 4).all()


def test_what_is_done_can_be_looked_at_with_layers_to_come_empty() -> None:
    seen: list[list[bool]] = []

    def watch(step: Step) -> None:
        partial: Any = step.partial()
        if partial is not None:
            seen.append(partial.to_frame().groupby("layer")["value"].count().gt(0).tolist())

    OwnMetric(function=of_heads).measure(traced(9), progress=watch)
    assert seen == [[True, False, False], [True, True, False], [True, True, True]]


def test_the_median_is_that_of_numpy_for_even_numbers_of_values_too() -> None:
    found = OwnMetric(function=lambda *_: torch.tensor([1.0, 2.0, 4.0, 9.0, 1.0, 8.0])).measure(
        traced(9)
    )
    assert found.detail(0)[0].words == "median 3"
