"""What a view sends to the browser: little, and every array as binary."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import comm
import ipywidgets
import pytest
import torch
from comm.base_comm import BaseComm
from transformers import GPT2Config, GPT2LMHeadModel

from glasshead import (
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    QueryKeyView,
    Trace,
)
from support.messages import number_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead.trace_view import TraceView

VIEWS = (
    *(AttentionLines, FusedAttentionMatrix, HeadFinder),
    *(PerplexityStrip, LayerStatsChart, QueryKeyView, AttributionStrip),
)
STATE_LISTS = {
    *(f"/state/{name}" for name in ("heads", "selected", "selected_source")),
    *("/state/frame/key/heads", "/state/frame/heads"),
}
"""What a person picked by hand (and a frame repeats); all other numbers are arrays, sent as bytes.
"""
LONGEST_SHAPE = 4


@dataclass
class Wire:
    """All comm messages that were sent: their JSON part and their buffers' sizes."""

    messages: list[tuple[dict[str, Any], int]] = field(default_factory=list[Any])

    def clear(self) -> None:
        self.messages.clear()

    def n_bytes(self) -> int:
        return sum(len(json.dumps(data)) + buffers for data, buffers in self.messages)

    def arrays_as_json(self) -> list[tuple[str, int]]:
        return [
            (path, length)
            for data, _ in self.messages
            for path, length in number_lists(data)
            if length > LONGEST_SHAPE and path not in STATE_LISTS
        ]


def comm_of_old(publish: Callable[..., None]) -> Any:
    """Make a comm for ipywidgets 7, which talks to the kernel's own class."""
    from ipykernel.comm import Comm  # noqa: PLC0415  versions for ipywidgets 8 warn or lack it
    from traitlets import Any as AnyTrait  # noqa: PLC0415

    class OldComm(Comm):
        kernel = AnyTrait("a kernel, for all that is asked of it")

        def open(self, **options: Any) -> None:
            publish(**options)

        def _publish_msg(self, *_: str, **options: Any) -> None:
            publish(**options)

    return OldComm


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    recorded = Wire()

    def publish(
        data: dict[str, Any] | None = None, buffers: list[Any] | None = None, **_: object
    ) -> None:
        sizes = (memoryview(buffer).nbytes for buffer in buffers or [])
        recorded.messages.append((data or {}, sum(sizes)))

    if not hasattr(ipywidgets.widgets.widget, "Comm"):

        class RecordingComm(BaseComm):
            def publish_msg(self, *args: Any, **options: Any) -> None:
                publish(*args[1:], **options)

        monkeypatch.setattr(comm, "create_comm", RecordingComm)
    else:
        monkeypatch.setattr(ipywidgets.widgets.widget, "Comm", comm_of_old(publish))
    return recorded


@pytest.fixture(scope="module")
def trace() -> Trace:
    """GPT-2 small's shape in one layer: 12 heads, 128 tokens. Random weights spread attention
    evenly, so that every head has as many lines as it can have: the worst case for size."""
    tokenizer = Lens.demo("decoder").tokenizer
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_layer=2, n_head=12, n_embd=96)
    lens = Lens(GPT2LMHeadModel(config), tokenizer)
    text = "The sea was calm, and the captain walked the deck alone. " * 20
    tokens = lens.tokenize(text)
    return lens.trace(text[: tokens[127].end])


def test_the_trace_has_the_size_that_the_bound_speaks_of(trace: Trace) -> None:
    assert trace.attention(0).shape == (12, 128, 128)


@pytest.mark.parametrize("unit", ["token", "word"])
def test_first_attention_lines_picture_is_at_most_300_kb(
    trace: Trace, wire: Wire, unit: str
) -> None:
    AttentionLines(trace, unit=unit)
    assert len(wire.messages) >= 1
    assert wire.n_bytes() <= 300_000


@pytest.mark.parametrize("view", VIEWS)
def test_no_array_travels_as_json(view: type[TraceView], trace: Trace, wire: Wire) -> None:
    widget = view(trace)
    widget.layer = 1
    widget.heads = [0, 1, 2, 3, 4, 5]
    widget.unit = "word"
    widget.selected = [1, 2, 3, 4, 5, 6]
    assert wire.n_bytes() > 1000
    assert wire.arrays_as_json() == []


@pytest.mark.parametrize(
    ("view", "question", "args"),
    [
        (AttentionLines, "fan", {"position": 100, "side": "query"}),
        (FusedAttentionMatrix, "cell", {"query": 60, "key": 3}),
        (FusedAttentionMatrix, "tile", {"query0": 0, "query1": 8, "key0": 0, "key1": 8}),
        (PerplexityStrip, "top_k", {"position": 100, "k": 8}),
        (LayerStatsChart, "token", {"position": 100}),
    ],
)
def test_answers_carry_their_arrays_as_buffers(
    view: type[TraceView], question: str, args: dict[str, Any], trace: Trace, wire: Wire
) -> None:
    widget = view(trace)
    wire.clear()
    ask = {"kind": "ask", "id": 1, "question": question, "args": args}
    widget._handle_custom_msg(ask, [])
    ((data, n_buffer_bytes),) = wire.messages
    assert data["content"]["ok"], data["content"]
    assert len(data["content"]["layout"]) >= 1
    assert n_buffer_bytes > 0
    assert wire.arrays_as_json() == []


def test_nothing_is_sent_for_a_value_that_did_not_change(trace: Trace, wire: Wire) -> None:
    widget = AttentionLines(trace, layer=1)
    wire.clear()
    widget.layer = 1
    assert wire.messages == []
