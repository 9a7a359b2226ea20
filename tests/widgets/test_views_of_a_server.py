"""Views of a trace that is with a server: the same pictures, and words where it cannot be asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from e2e.serving import free_port
from glasshead import (
    ActivationMap,
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    QueryKeyView,
    explore,
)
from glasshead_backend.serving.limits import Limits
from support.served import served
from support.tiny_models import TEXT, build, tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.served import Server

VIEWS = (
    *(ActivationMap, AttentionLines, FusedAttentionMatrix, HeadFinder),
    *(LayerStatsChart, PerplexityStrip, QueryKeyView),
)


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens(build("llama"), tokenizer())


@pytest.fixture(scope="module")
def server(lens: Lens) -> Iterator[Server]:
    own = Lens(lens.model, lens.tokenizer)  # the limit is of this one alone
    with served(own, Limits(tokens=100)) as running:
        yield running


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_the_same_as_of_a_local_trace(view: Any, lens: Lens, server: Server) -> None:
    local, shown = view(lens.trace(TEXT)), view(server.connect().trace(TEXT))
    for one in (local, shown):
        if isinstance(one, LayerStatsChart):
            one._long_work.join(20)
    assert shown.error == ""
    assert shown.frame == local.frame
    assert {**shown.scene, "trace": 0} == {**local.scene, "trace": 0}


def test_a_layer_that_is_chosen_comes_from_the_server(lens: Lens, server: Server) -> None:
    local, shown = AttentionLines(lens.trace(TEXT)), AttentionLines(server.connect().trace(TEXT))
    for one in (local, shown):
        one.layer, one.heads, one.unit = 2, [1, 3], "token"
    assert shown.frame == local.frame


def broken(view: AttentionLines, words: str) -> None:
    """What it would have to ask for is not there: it says so, and shows what it showed."""
    picture = view.frame
    assert picture
    view.layer = 1
    assert words in view.error
    assert view.frame is picture


def test_a_view_of_a_dead_server_keeps_its_picture_and_says_so(lens: Lens) -> None:
    port = free_port()
    with served(lens, port=port) as server:
        connected = server.connect()
        view = AttentionLines(connected.trace(TEXT))
    broken(view, f"No server answers at http://127.0.0.1:{port}. Is it running")
    with served(lens, port=port):  # it is up again, but the trace is gone
        view.layer = 2
        assert "The server was started anew, and its traces are gone. Trace the" in view.error
        view.trace = connected.trace(TEXT)
        assert view.error == ""
        assert view.frame == AttentionLines(lens.trace(TEXT), layer=2).frame


def test_a_view_of_a_dropped_trace_keeps_its_picture_and_says_so(lens: Lens) -> None:
    with served(lens, Limits(idle=0.2)) as server:
        view = AttentionLines(server.connect().trace(TEXT))
        time.sleep(0.5)
        broken(view, "The server dropped this trace after 0.2 seconds without a question.")


def test_a_view_whose_trace_made_room_for_others_says_so(lens: Lens) -> None:
    room = lens.trace(TEXT)._recorded.nbytes
    with served(lens, Limits(memory=int(1.5 * room))) as server:
        connected = server.connect()
        view = AttentionLines(connected.trace(TEXT))
        another = connected.trace(TEXT)
        broken(view, "The server dropped this trace to make room")
        assert another.n_heads(0) == 4


def test_a_text_that_is_too_long_is_told_in_the_view_that_it_was_typed_into(
    server: Server,
) -> None:
    view = explore(server.connect().trace(TEXT))
    shown = view.trace
    view.retrace("the sea at sea")
    until(lambda: view.prompt["text"] == "the sea at sea")
    view.retrace("fox " * 101)
    until(lambda: view.error != "")
    assert "101 tokens, but this server lets llama read at most 100" in view.error
    assert view.prompt["text"] == "the sea at sea"
    assert view.trace is not shown
