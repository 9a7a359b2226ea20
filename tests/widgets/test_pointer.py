"""What a pointer asks and tells: neighbours come in one answer, observers hear of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np
import pytest
import traitlets

from glasshead import AttentionLines, FusedAttentionMatrix, PerplexityStrip, explore, link_views
from glasshead_backend.frames.fans import ANSWER_BYTES
from widgets.frames import ask

if TYPE_CHECKING:
    from glasshead import Trace

# Beside the numbers of a cell or fan: those of a row, and the numbers of the heads.
_BESIDE = 4096


def n_bytes(arrays: dict[str, np.ndarray]) -> int:
    return sum(array.nbytes for array in arrays.values())


@pytest.mark.parametrize("kind", ["encoder", "cross", "decoder"])
@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("side", ["query", "key"])
def test_an_answer_has_the_exact_weights_of_every_neighbour(
    translation: Trace, kind: Any, unit: Any, side: str
) -> None:
    layer = translation.layers(kind)[-1]
    shown = {"kind": kind, "layer": layer, "unit": unit, "heads": [1, 3], "aggregate": "max"}
    view = AttentionLines(translation, **shown, sinks="shown")
    true = translation.attention(layer, [1, 3], kind=kind, unit=unit).numpy()
    of_units = true.transpose(1, 0, 2) if side == "query" else true.transpose(2, 0, 1)
    n = len(of_units)
    assert view.frame["together"][side] == n
    for first in (0, 2, n - 1):
        answer, arrays = ask(view, "fan", position=first, side=side)
        assert answer["result"]["position"] == first
        np.testing.assert_allclose(arrays["weights"], of_units[first:], atol=1e-6)
        np.testing.assert_allclose(
            arrays["drawn"], of_units[first:].max(axis=1, keepdims=True), atol=1e-6
        )
    answer, _ = ask(view, "fan", position=n, side=side)
    assert f"{n} is out of range" in answer["error"]


@pytest.mark.parametrize("side", ["query", "key"])
def test_an_answer_has_as_many_neighbours_as_fit(demo_decoder_trace: Trace, side: str) -> None:
    view = AttentionLines(demo_decoder_trace, aggregate="separate")
    true = demo_decoder_trace.attention(view.layer).numpy()
    of_units = true.transpose(1, 0, 2) if side == "query" else true.transpose(2, 0, 1)
    together = view.frame["together"][side]
    first = len(of_units) - together // 2
    for position in (0, first):
        _, arrays = ask(view, "fan", position=position, side=side)
        expected = of_units[position : position + together]
        np.testing.assert_allclose(arrays["weights"], expected, atol=1e-6)
        assert n_bytes(arrays) <= ANSWER_BYTES + _BESIDE
    _, arrays = ask(view, "fan", position=0, side=side)
    assert together == len(of_units) or n_bytes(arrays) > 0.8 * ANSWER_BYTES


def test_a_unit_larger_than_an_answer_may_be_comes_alone(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("fans", "cells"):
        monkeypatch.setattr(f"glasshead_backend.frames.{module}.ANSWER_BYTES", 1)
    lines = AttentionLines(decoder_trace)
    matrix = FusedAttentionMatrix(decoder_trace)
    for view in (lines, matrix):
        assert view.frame["together"] == {"query": 1, "key": 1}
    assert ask(lines, "fan", position=4, side="query")[1]["weights"].shape[0] == 1
    assert ask(matrix, "cell", query=4, key=2)[1]["weight"].shape == (1, 1)


@pytest.mark.parametrize("aggregate", ["mean", "max"])
@pytest.mark.parametrize("first", [(0, 0), (3, 2), (7, 5)])
def test_an_answer_has_the_exact_numbers_of_every_neighbouring_cell(
    translation: Trace, aggregate: Any, first: tuple[int, int]
) -> None:
    shown = {"kind": "cross", "unit": "token", "aggregate": aggregate, "sinks": "shown"}
    view = FusedAttentionMatrix(translation, layer=1, **shown)
    heads = translation.attention(1, kind="cross").numpy()
    whole = getattr(heads, aggregate)(axis=0)
    query, key = first
    _, arrays = ask(view, "cell", query=query, key=key)
    rows, columns = slice(query, None), slice(key, None)
    np.testing.assert_allclose(arrays["weight"], whole[rows, columns], atol=1e-6)
    np.testing.assert_allclose(arrays["share"], whole[rows, columns], atol=1e-6)
    np.testing.assert_allclose(
        arrays["weights"], heads[:, rows, columns].transpose(1, 2, 0), atol=1e-6
    )
    larger = whole[rows, None, :] > whole[rows, columns, None]
    np.testing.assert_array_equal(arrays["rank"], 1 + larger.sum(axis=-1))
    np.testing.assert_array_equal(arrays["n"], (whole[rows] > 0).sum(axis=-1))
    np.testing.assert_allclose(arrays["row_sum"], whole[rows].sum(axis=-1), rtol=1e-5)


def test_an_answer_about_cells_has_as_many_rows_as_columns(demo_decoder_trace: Trace) -> None:
    view = FusedAttentionMatrix(demo_decoder_trace, unit="token")
    _, arrays = ask(view, "cell", query=0, key=0)
    together = view.frame["together"]
    assert arrays["weight"].shape == (together["query"], together["key"])
    whole = (view.frame["rows"], view.frame["cols"])
    square = abs(together["query"] - together["key"]) <= 0.1 * together["key"]
    assert arrays["weight"].shape == whole or square
    assert n_bytes(arrays) <= ANSWER_BYTES + _BESIDE


# ---- who hears of the pointer at once ------------------------------------------------------------


def test_the_page_is_told_whether_somebody_observes_the_pointer(decoder_trace: Trace) -> None:
    view = PerplexityStrip(decoder_trace)
    seen: list[Any] = []
    assert not view.watched

    def note(change: Any) -> None:
        seen.append(change)

    for names in ("hovered", ["layer", "hovered_source"], traitlets.All):
        view.observe(note, names=names)
        assert view.watched
        view.unobserve(note, names=names)
        assert not view.watched
    view.observe(note, names=["layer", "selected", "frame"])
    assert not view.watched
    view.observe(note, names="hovered")
    view.unobserve_all()
    assert not view.watched


def test_linked_views_are_watched(decoder_trace: Trace) -> None:
    lines, matrix = AttentionLines(decoder_trace), FusedAttentionMatrix(decoder_trace)
    link_views(lines, matrix)
    assert lines.watched
    assert matrix.watched
    one, other = AttentionLines(decoder_trace), PerplexityStrip(decoder_trace)
    link = ipywidgets.link((one, "hovered"), (other, "hovered"))
    assert one.watched
    assert other.watched
    link.unlink()
    assert not one.watched


def test_panes_alone_do_not_watch_an_explorer_but_observers_of_one_do(decoder_trace: Trace) -> None:
    explorer, view = explore(decoder_trace), AttentionLines(decoder_trace)
    assert not explorer.watched

    def note(_: Any) -> None:
        """Hear of it."""

    for observed in (explorer, explorer.strip):
        observed.observe(note, names="hovered")
        assert explorer.watched
        observed.unobserve(note, names="hovered")
        assert not explorer.watched
    link_views(explorer, view)
    assert explorer.watched


def test_nobody_sets_whether_a_view_is_watched(decoder_trace: Trace) -> None:
    with pytest.raises(TypeError, match="no 'watched'"):
        AttentionLines(decoder_trace, watched=True)
    assert "watched" not in AttentionLines(decoder_trace).state()
