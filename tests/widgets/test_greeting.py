"""A page that greets says which picture it has, and gets the one that it has missed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from glasshead import AttentionLines, FusedAttentionMatrix, LayerStatsChart, PerplexityStrip

if TYPE_CHECKING:
    from collections.abc import Iterable

    from glasshead import Trace
    from glasshead.view import View

VIEWS = (AttentionLines, FusedAttentionMatrix, PerplexityStrip, LayerStatsChart)


def greet(view: View, message: dict[str, Any]) -> tuple[list[Any], list[set[str]]]:
    """The replies, and the traits that were sent again."""
    replies: list[Any] = []
    states: list[set[str]] = []

    def send(content: Any, _: object = None) -> None:
        replies.append(content)

    def keep(key: Iterable[str] | None = None) -> None:
        states.append(set(key or ()))

    view.send = send  # type: ignore[method-assign,assignment]
    view.send_state = keep  # type: ignore[method-assign,assignment]
    view._handle_custom_msg(message, [])
    return replies, states


@pytest.mark.parametrize("kind", VIEWS)
def test_a_page_that_has_the_picture_gets_a_hello_only(
    kind: type[AttentionLines], decoder_trace: Trace
) -> None:
    view = kind(decoder_trace)
    key = json.loads(json.dumps(view.frame["key"]))
    replies, states = greet(view, {"kind": "hello", "id": "a:0", "frame": key})
    assert replies == [{"kind": "hello", "id": "a:0"}]
    assert states == []


@pytest.mark.parametrize("missed", [None, "layer"])
@pytest.mark.parametrize("kind", VIEWS)
def test_a_page_that_missed_the_picture_gets_it(
    kind: type[AttentionLines], missed: str | None, decoder_trace: Trace
) -> None:
    view = kind(decoder_trace)
    old = None if missed is None else {**view.frame["key"], "layer": 77}
    replies, states = greet(view, {"kind": "hello", "id": "a:0", "frame": old})
    assert len(replies) == 1
    assert len(states) == 1
    assert {"axes", "frame", "busy", "error"} <= states[0]


def test_a_page_that_does_not_say_what_it_has_gets_a_hello_only(decoder_trace: Trace) -> None:
    view = AttentionLines(decoder_trace)
    assert greet(view, {"kind": "hello"}) == ([{"kind": "hello"}], [])
