"""A live view of a model that has changed: it says so, and keeps its picture."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    LayerStatsChart,
    Lens,
    ModelChangedError,
    PerplexityStrip,
    Trace,
)
from glasshead.messages import reply
from support.tiny_models import TEXT, build, tokenizer

STALE = "The model has changed since this text was traced"


def change(trace: Trace) -> None:
    with torch.no_grad():
        for parameter in trace.lens.model.parameters():
            parameter.mul_(0.5)


@pytest.mark.parametrize("view", [AttentionLines, FusedAttentionMatrix])
def test_a_view_says_that_the_model_has_changed_and_keeps_its_picture(view: Any) -> None:
    trace = Lens(build("gptj"), tokenizer()).trace(TEXT)
    shown = view(trace)
    picture = shown.frame
    change(trace)
    shown.layer = 2
    assert shown.error.startswith(STALE)
    assert shown.frame is picture
    with pytest.raises(ModelChangedError, match=STALE):
        view(trace, layer=2)


@pytest.mark.parametrize("view", [AttentionLines, FusedAttentionMatrix])
def test_what_needs_no_model_is_shown_as_before(view: Any) -> None:
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    before, after = view(trace), view(trace)
    before.layer = 2
    change(trace)
    after.layer = 2
    assert after.error == ""
    assert after.frame == before.frame


def test_the_strip_shows_the_text_and_says_why_it_has_no_alternatives() -> None:
    lens = Lens(build("llama"), tokenizer())
    trace, other = lens.trace(TEXT), lens.trace(TEXT)
    before = PerplexityStrip(other).frame
    change(trace)
    strip = PerplexityStrip(trace)
    assert strip.error == ""
    assert strip.frame == {**before, "top": None}
    asked = {"kind": "ask", "id": 1, "question": "top_k", "args": {"position": 3, "k": 2}}
    answer = reply(strip, asked)
    assert answer is not None
    assert answer[0]["ok"] is False
    assert answer[0]["error"].startswith(STALE)


def test_a_chart_that_needs_the_model_says_so_beside_the_kernel() -> None:
    trace = Lens(build("llama"), tokenizer()).trace(TEXT)
    chart = LayerStatsChart(trace)
    picture = chart.frame
    change(trace)
    chart.metric = "logit_lens"
    chart._long_work.join(20)
    assert chart.error.startswith(STALE)
    assert chart.frame is picture
    chart.metric = "norm"
    assert chart.error == ""
