"""What a server keeps: as much as there is room for, for those who still ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from glasshead import Lens
from glasshead_backend.served.errors import TraceDroppedError
from glasshead_backend.serving.traces import KeptTraces

if TYPE_CHECKING:
    from glasshead_backend.tracing.run import Run

LENS = Lens.demo("decoder")


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def run() -> Run:
    return LENS.trace("The whale swam along the shore.")._recorded


SIZE = run().nbytes


def test_a_trace_is_found_by_its_id_and_by_nobody_else() -> None:
    traces, own = KeptTraces(10 * SIZE, 60), run()
    id_ = traces.add(own, "ann")
    assert traces.get(id_, "ann") is own
    with pytest.raises(TraceDroppedError, match="no such trace of yours"):
        traces.get(id_, "bob")
    traces.drop([id_], "bob")
    assert traces.get(id_, "ann") is own


def test_ids_say_nothing_of_each_other() -> None:
    traces = KeptTraces(100 * SIZE, 60)
    ids = {traces.add(run(), "ann").partition("-")[2] for _ in range(20)}
    assert len(ids) == 20
    assert all(len(one) >= 20 for one in ids)  # 16 random bytes


def test_the_one_that_was_not_asked_for_longest_makes_room() -> None:
    traces = KeptTraces(int(2.5 * SIZE), 60)
    first, second = traces.add(run(), "ann"), traces.add(run(), "ann")
    traces.get(first, "ann")
    third = traces.add(run(), "ann")
    assert traces.get(first, "ann")
    assert traces.get(third, "ann")
    with pytest.raises(TraceDroppedError, match=r"to make room.*Trace the text again"):
        traces.get(second, "ann")
    assert traces.nbytes == 2 * SIZE


def test_everyone_keeps_a_trace_however_little_room_there_is() -> None:
    traces = KeptTraces(SIZE // 2, 60)
    own = {name: [traces.add(run(), name) for _ in range(3)][-1] for name in ("ann", "bob", "cem")}
    assert all(traces.get(id_, name) for name, id_ in own.items())
    assert len(traces) == 3


def test_answers_that_are_kept_with_a_trace_count() -> None:
    traces, grown = KeptTraces(int(2.5 * SIZE), 60), run()
    first, second = traces.add(run(), "ann"), traces.add(grown, "ann")
    grown.store.keep("answer", grown.inputs["input_ids"].new_zeros(SIZE, dtype=grown.scores.dtype))
    traces.answered("ann")
    assert traces.get(second, "ann") is grown
    with pytest.raises(TraceDroppedError, match="to make room"):
        traces.get(first, "ann")


def test_a_trace_that_nobody_asks_goes_and_says_so() -> None:
    clock = Clock()
    traces = KeptTraces(10 * SIZE, 30 * 60, clock)
    asked, left = traces.add(run(), "ann"), traces.add(run(), "ann")
    clock.now = 20 * 60
    traces.get(asked, "ann")
    clock.now = 40 * 60
    traces.drop_idle()
    assert len(traces) == 1
    assert traces.get(asked, "ann")
    with pytest.raises(TraceDroppedError, match="after 30 minutes without a question"):
        traces.get(left, "ann")


def test_a_server_that_was_started_anew_says_so() -> None:
    before, after = KeptTraces(10 * SIZE, 60), KeptTraces(10 * SIZE, 60)
    with pytest.raises(TraceDroppedError, match=r"started anew.*Trace the text again"):
        after.get(before.add(run(), "ann"), "ann")


def test_what_is_let_go_of_is_free() -> None:
    traces, own = KeptTraces(10 * SIZE, 60), run()
    own.store.keep("answer", own.scores)
    id_ = traces.add(own, "ann")
    traces.drop([id_, "unknown"], "ann")
    assert traces.nbytes == 0
    assert own.store.nbytes == 0
    with pytest.raises(TraceDroppedError, match="was closed"):
        traces.get(id_, "ann")
