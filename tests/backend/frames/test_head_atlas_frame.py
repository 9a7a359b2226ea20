"""What HeadFinder draws of an atlas: its own numbers, and rows that are those of the model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backend.statistics.test_head_atlas import some_texts
from glasshead_backend import HeadAtlas, Lens, head_atlas, head_statistics
from glasshead_backend.frames.head_atlas import (
    atlas_frame,
    atlas_table,
    require_same_heads,
    typical_rows,
    with_atlas,
)
from glasshead_backend.frames.heads import Shown, heads_frame
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import unpack

if TYPE_CHECKING:
    from glasshead_backend.frames.heads import End

TEXTS = some_texts(14, seed=3)


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens(build("llama"), tokenizer())


@pytest.fixture(scope="module")
def atlas(lens: Lens) -> HeadAtlas:
    return head_atlas(lens, [*TEXTS, ""], progress=False)


def test_a_metric_is_the_mean_over_the_texts_that_have_it_between_its_ends(
    lens: Lens, atlas: HeadAtlas
) -> None:
    frame = atlas_frame(atlas)
    found = {one["name"]: one for one in frame["metrics"]}
    each = [head_statistics(lens.trace(text)) for text in TEXTS]
    for name in ("entropy", "distance", "sink", "previous_token", "induction"):
        of_texts = np.stack([getattr(one, name).numpy() for one in each])
        np.testing.assert_allclose(
            unpack(found[name]["values"]), np.nanmean(of_texts, axis=0), atol=1e-5
        )
        n = unpack(found[name]["interval"]["n"])
        np.testing.assert_array_equal(n, np.isfinite(of_texts).sum(axis=0))
        low, high = (unpack(found[name]["interval"][end]) for end in ("low", "high"))
        mean = unpack(found[name]["values"])
        assert (low <= mean).all()
        assert (mean <= high).all()
    assert frame["corpus"]["words"] == "14 texts, 95 % bootstrap intervals"
    assert frame["corpus"]["note"].startswith("1 text was left out: text 14:")
    assert unpack(frame["patterns"]).shape == (3, 4, 0, 0)


@pytest.mark.parametrize("metric", ["previous_token", "entropy", "same_token"])
def test_every_row_that_is_shown_is_a_row_of_the_model(
    lens: Lens, atlas: HeadAtlas, metric: str
) -> None:
    layer, head = 1, 2
    found = typical_rows(atlas, layer, head, metric)
    places, numbers = unpack(found["places"]), unpack(found["numbers"])
    edges, weights, at = unpack(found["edges"]), unpack(found["weights"]), 0
    assert len(places) > 5
    for (text, query, start, length, bucket), (value, outside), own in zip(
        places, numbers, found["queries"], strict=True
    ):
        trace = lens.trace(TEXTS[text])
        row = trace.attention(layer, head)[0, query].double().numpy()
        window = slice(start, start + length)
        np.testing.assert_allclose(weights[at : at + length], row[window], atol=1e-5)
        assert found["tokens"][at : at + length] == [one.text for one in trace.tokens[window]]
        assert own == trace.tokens[query].text
        assert outside == pytest.approx(1 - row[window].sum(), abs=1e-5)
        if metric == "previous_token":
            assert value == pytest.approx(row[query - 1], abs=1e-5)
        assert edges[bucket] <= value
        assert value < edges[bucket + 1] or bucket == len(edges) - 2
        at += length
    assert at == len(found["tokens"]) == len(weights)
    assert sorted(numbers[:, 0], reverse=True) == list(numbers[:, 0])
    assert math.isinf(edges[-1]) == (metric == "entropy")


def test_rows_are_counted_by_bucket_over_all_texts(lens: Lens, atlas: HeadAtlas) -> None:
    found = typical_rows(atlas, 2, 3, "previous_token")
    values = np.concatenate(
        [
            np.diagonal(lens.trace(text).attention(2, 3)[0].double().numpy(), offset=-1)
            for text in TEXTS
        ]
    )
    expected, _ = np.histogram(values, unpack(found["edges"]).astype(float))
    # A value on an edge may fall on either side of it: weights are of single precision.
    assert np.abs(unpack(found["rows"]).astype(int) - expected).max() <= 1
    assert unpack(found["rows"]).sum() == len(values)


@pytest.mark.parametrize(
    ("by", "column"), [("mean", "sink"), ("low", "sink_low"), ("high", "sink_high")]
)
def test_heads_are_listed_by_the_mean_or_by_an_end(atlas: HeadAtlas, by: End, column: str) -> None:
    every = atlas.to_frame()
    limit = float(every[column].median())
    found = atlas_table(atlas, Shown("sink", "highest", at_least=limit, by=by))
    assert found[column].is_monotonic_decreasing
    assert len(found) == (every[column] >= limit).sum()


def test_beside_a_text_its_own_numbers_are_kept(lens: Lens, atlas: HeadAtlas) -> None:
    trace = lens.trace(TEXT)
    alone = heads_frame(trace, "self", "token")
    both = with_atlas(alone, atlas, "self")
    own = {one["name"]: one["values"] for one in alone["metrics"]}
    here = {one["name"]: one.get("here") for one in both["metrics"]}
    assert here == {**dict.fromkeys(here), **own}
    assert both["patterns"] == alone["patterns"]
    # Of another kind of attention an atlas says nothing.
    other = with_atlas(alone, atlas, "decoder")
    assert other["metrics"] == alone["metrics"]
    assert "The atlas is of self attention" in other["note"]


def test_an_atlas_of_other_heads_is_refused(atlas: HeadAtlas) -> None:
    trace = Lens.demo("decoder").trace("the whale")
    with pytest.raises(ValueError, match=r"The atlas is of llama \(3 layers × 4 heads"):
        require_same_heads(atlas, trace)
