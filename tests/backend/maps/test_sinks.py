"""Attention sinks: one rule finds them, and set aside they change no other number."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
import torch

from glasshead_backend.asking import Selection
from glasshead_backend.frames.lines import Rule, lines_frame
from glasshead_backend.frames.sinks import SinksPart
from glasshead_backend.lens import Lens
from glasshead_backend.maps.attention_map import Combine
from glasshead_backend.maps.sinks import find_sinks
from glasshead_backend.questions.attention import attention_map, sinks
from glasshead_backend.trace import run_of

if TYPE_CHECKING:
    from glasshead_backend.maps.attention_map import AttentionMap
    from glasshead_backend.trace import Trace

TEXT = (
    "Captain Ahab said that the white whale was the strongest of all whales, and that no man could "
    "take it. The men looked at the sea, and the sea was still. Then the captain said it again."
)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return Lens.demo("decoder").trace(TEXT)


def sinks_by_hand(weights: np.ndarray, special: list[bool]) -> np.ndarray:
    """The rule of methods.md, one column at a time."""
    n_rows, n_columns = weights.shape
    found = np.zeros(n_columns, dtype=bool)
    for column in range(n_columns):
        rows = [row for row in range(4, n_rows) if row > column][:64]
        marked = column == 0 or special[column]
        if len(rows) < max(4 if marked else 8, min(16, int(0.1 * n_rows))):
            continue
        much = [weights[row, column] >= max(0.05, 2 / (row + 1)) for row in rows]
        found[column] = np.mean(much) >= 0.75
    return found


@pytest.mark.parametrize("layer", [0, 1])
def test_sinks_are_the_columns_to_which_most_rows_give_much(trace: Trace, layer: int) -> None:
    weights = trace.attention(layer).double().numpy()
    special = [token.special for token in trace.queries()]
    found = sinks(run_of(trace), Selection("self", layer)).columns
    expected = np.stack([sinks_by_hand(of_head, special) for of_head in weights])
    assert expected.any() == (layer == 1), "the demo's heads of layer 1 park their attention"
    np.testing.assert_array_equal(found.numpy(), expected)
    mean = sinks(run_of(trace), Selection("self", layer, aggregate="mean")).columns
    np.testing.assert_array_equal(mean[0].numpy(), sinks_by_hand(weights.mean(axis=0), special))


def test_every_stretch_of_a_long_text_has_sinks_of_its_own() -> None:
    # A head that parks its attention on the first of every hundred tokens: most rows give it none.
    n = 380
    weights = torch.full((1, n, n), 0.001).tril()
    for row in range(n):
        weights[0, row, row // 100 * 100] = 0.6
    found = find_sinks(
        parked(weights), causal=True, own=True, marked=torch.zeros(n, dtype=torch.bool)
    )
    assert found.units.tolist() == list(range(0, n - 16, 100))


def parked(weights: torch.Tensor) -> AttentionMap:
    """A map of given weights."""
    n_maps, n_rows, n_columns = weights.shape
    of = SimpleNamespace(
        n_maps=n_maps, n_rows=n_rows, n_columns=n_columns, device=weights.device, combine=Combine()
    )
    of.blocks = lambda rows: iter([(slice(0, len(rows)), weights[:, list(rows)].clone())])
    return cast("AttentionMap", of)


def test_sinks_are_named_with_the_mean_of_what_they_get(trace: Trace) -> None:
    table = trace.sinks(1)
    assert list(table.columns) == ["head", "position", "token", "weight"]
    weights = trace.attention(1).double().numpy()
    for one in table.to_dict("records"):
        rows = range(max(4, one["position"] + 1), weights.shape[1])
        given = weights[one["head"], rows, one["position"]].mean()
        assert one["weight"] == pytest.approx(given, abs=1e-6)
        assert one["token"] == trace.queries()[one["position"]].text


def test_a_head_that_looks_at_all_alike_has_no_sink() -> None:
    lens = Lens.demo("decoder")
    for name, parameter in lens.model.named_parameters():
        if "q_proj" in name or "k_proj" in name or "c_attn" in name:
            parameter.data.zero_()
    assert trace_is_even(lens.trace(TEXT))


def trace_is_even(trace: Trace) -> bool:
    weights = trace.attention(1)[0]
    even = torch.tril(torch.ones_like(weights))
    torch.testing.assert_close(weights, even / even.sum(dim=1, keepdim=True))
    return trace.sinks(1).empty


@pytest.mark.parametrize("aggregate", [None, "mean", "max"])
def test_set_aside_they_leave_every_other_weight_as_it_is(
    trace: Trace, aggregate: str | None
) -> None:
    asked = Selection("self", 1, aggregate=aggregate)  # pyright: ignore[reportArgumentType]
    whole = attention_map(run_of(trace), asked).whole()
    columns = sinks(run_of(trace), asked).columns
    part = SinksPart(trace, asked, "aside")
    rest = part.as_drawn().whole()
    assert (rest[columns[:, None].expand_as(rest)] == 0).all()
    kept = ~columns[:, None].expand_as(rest)
    assert torch.equal(rest[kept], whole[kept])


def test_what_each_row_gives_to_them_and_what_is_left_make_the_row(trace: Trace) -> None:
    asked = Selection("self", 1)
    part = SinksPart(trace, asked, "aside")
    of = attention_map(run_of(trace), asked)
    left = torch.zeros(of.n_maps, of.n_rows)
    for place, block in of.blocks():
        left[:, place] = part.take(place, block).sum(dim=-1)
    said = part.part()
    given = torch.from_numpy(np.frombuffer(said["to"]["data"], np.float32).copy())
    torch.testing.assert_close(left + given.view_as(left), torch.ones_like(left))
    assert said["share"] == pytest.approx(float(given.mean()), abs=1e-6)


def test_hidden_they_leave_rows_that_sum_to_what_they_did(trace: Trace) -> None:
    rest = SinksPart(trace, Selection("self", 1), "hidden").as_drawn().whole()
    sums = rest.sum(dim=-1)
    looks_elsewhere = sums > 0
    torch.testing.assert_close(sums[looks_elsewhere], torch.ones_like(sums[looks_elsewhere]))


def test_nobody_has_to_ask_for_them_to_be_set_aside_where_they_cover_the_rest(
    trace: Trace,
) -> None:
    for layer in trace.layers():
        asked = Selection("self", layer, aggregate="mean")
        columns = sinks(run_of(trace), asked).columns[0]
        share = float(trace.attention(layer).mean(dim=0)[:, columns].sum() / len(columns))
        mode = SinksPart(trace, asked, "auto").mode
        assert mode == ("aside" if share >= 0.1 else "shown")


def test_cross_attention_has_sinks_among_source_words() -> None:
    trace = Lens.demo("encoder-decoder").trace("the man saw the big red house near the sea .")
    found = trace.sinks(0, kind="cross", unit="word", aggregate="mean")
    assert list(found.columns) == ["position", "word", "weight"]


def test_what_a_head_has_left_beside_its_sinks_is_drawn_faintly_where_it_is_little(
    trace: Trace,
) -> None:
    # Full strength is the 95 % quantile of what is left in each row, 0.05 or more beside sinks.
    for layer, head in itertools.product(trace.layers(), range(trace.n_heads(0))):
        asked = Selection("self", layer, (head,))
        columns = sinks(run_of(trace), asked).columns[0].numpy()
        weights = trace.attention(layer, [head])[0].numpy() * ~columns
        strongest = weights.max(axis=1)
        full = np.quantile(strongest[strongest > 0], 0.95)
        frame = lines_frame(trace, asked, "aside", Rule(2, None))
        assert frame["scale"] == pytest.approx(max(full, 0.05 if columns.any() else 0), rel=1e-5)
