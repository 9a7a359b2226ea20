"""Going on from another word: the trace of it is shown, here and in an explorer, and a way back."""

from __future__ import annotations

import gc
import weakref
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import torch

from glasshead import Lens, PerplexityStrip, explore
from widgets.frames import ask, unpack

if TYPE_CHECKING:
    from glasshead import Trace

POSITION = 5


def finished(view: Any) -> None:
    """Wait until what a view does beside the kernel's own thread is done."""
    view._finish()


@pytest.fixture
def trace() -> Trace:
    return Lens.demo("decoder").trace("the white whale swam before him in the sea")


def second_choice(trace: Trace) -> int:
    """The model's own second choice for a token of the text."""
    with torch.no_grad():
        logits = trace.lens.model(torch.tensor([trace.sequences[0].ids])).logits[0, POSITION - 1]
    return int(logits.topk(2).indices[1])


def written(trace: Trace, chosen: int) -> list[int]:
    """What generate() makes of the text up to there and the chosen token."""
    prompt = torch.tensor([[*trace.sequences[0].ids[:POSITION], chosen]])
    mask = torch.ones_like(prompt)
    model: Any = trace.lens.model
    return model.generate(prompt, attention_mask=mask, do_sample=False, max_new_tokens=50)[
        0
    ].tolist()


def test_a_word_of_the_panel_is_put_into_the_text_and_the_model_goes_on(trace: Trace) -> None:
    chosen = second_choice(trace)
    view = PerplexityStrip(trace, reading="distribution", selected=[POSITION])
    assert ask(view, "continue_with", position=POSITION, token=chosen)[0]["ok"]
    finished(view)
    expected = written(trace, chosen)
    assert list(view.trace.sequences[0].ids) == expected
    assert view.frame["texts"] == [token.text for token in view.trace.tokens]
    # Prompt and chosen token apart from what the model wrote.
    n_written = len(expected) - POSITION - 1
    assert unpack(view.frame["generated"]).tolist() == [0] * (POSITION + 1) + [1] * n_written
    assert view.continued == [{"position": POSITION, "token": view.trace.tokens[POSITION].text}]
    assert (view.selected, view.reading, view.busy, view.error) == (
        [POSITION],
        "distribution",
        "",
        "",
    )


def test_each_way_back_leads_one_step_back_and_nothing_is_kept_for_ever(trace: Trace) -> None:
    view = PerplexityStrip(trace, selected=[POSITION])
    first_frame = view.frame
    for position in (POSITION, POSITION + 3):
        ask(view, "continue_with", position=position, token=second_choice(trace))
        finished(view)
    assert [step["position"] for step in view.continued] == [POSITION, POSITION + 3]
    gone = weakref.ref(view.trace)
    ask(view, "step_back")
    finished(view)
    assert [step["position"] for step in view.continued] == [POSITION]
    assert view.selected == [POSITION + 3]
    ask(view, "step_back")
    finished(view)
    assert (view.trace, view.continued, view.selected) == (trace, [], [POSITION])
    assert view.frame["texts"] == first_frame["texts"]
    ask(view, "step_back")  # as far as it goes
    finished(view)
    assert view.trace is trace
    gc.collect()
    assert gone() is None


def test_all_panes_of_an_explorer_go_on_together_and_back(trace: Trace) -> None:
    chosen = second_choice(trace)
    explorer = explore(trace, strip_reading="distribution", selected=[POSITION])
    finished(explorer)
    ask(explorer, "strip.continue_with", position=POSITION, token=chosen)
    finished(explorer)
    expected = written(trace, chosen)
    assert list(explorer.trace.sequences[0].ids) == expected
    assert {view.trace for view in explorer.views} == {explorer.trace}
    assert {tuple(view.selected) for view in explorer.views} == {(POSITION,)}
    assert len(explorer.strip_frame["texts"]) == len(expected)
    assert explorer.strip_continued == [
        {"position": POSITION, "token": explorer.trace.tokens[POSITION].text}
    ]
    assert explorer.prompt["text"] == explorer.trace.text
    assert explorer.earlier == [{"text": trace.text, "target": None}]
    ask(explorer, "strip.step_back")
    finished(explorer)
    assert explorer.trace is trace
    assert {view.trace for view in explorer.views} == {trace}
    assert explorer.strip_continued == []
    assert explorer.error == ""


def test_the_target_of_an_encoder_decoder_model_goes_on_too() -> None:
    trace = Lens.demo("encoder-decoder").trace("the cat sleeps .", "le chat dort .")
    view = PerplexityStrip(trace)
    labels = list(trace.labels or ())
    ids = [token.id for token in labels]
    ask(view, "continue_with", position=1, token=ids[2])
    finished(view)
    assert [token.id for token in view.trace.labels or ()][:2] == [ids[0], ids[2]]
    assert view.continued == [{"position": 1, "token": labels[2].text}]


def test_what_cannot_go_on_is_said_and_the_text_stays(trace: Trace, encoder_trace: Trace) -> None:
    view = PerplexityStrip(trace, selected=[2])
    ask(view, "continue_with", position=0, token=3)
    finished(view)
    assert "position 0 has nothing before it" in view.error
    assert (view.trace, view.selected, view.continued, view.busy) == (trace, [2], [], "")
    other = PerplexityStrip(encoder_trace)
    ask(other, "continue_with", position=2, token=3)
    finished(other)
    assert "cannot generate" in other.error


def test_another_trace_and_a_stop_end_what_the_model_writes(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = Event()
    write = type(trace).continue_with

    def waits(self: Any, *args: Any) -> Any:
        go_on.wait(10)
        return write(self, *args)

    monkeypatch.setattr(type(trace), "continue_with", waits)
    view = PerplexityStrip(trace)
    ask(view, "continue_with", position=POSITION, token=3)
    assert view.busy == "the model writes on"
    view.cancel()
    assert view.busy == ""
    go_on.set()
    finished(view)
    assert view.trace is trace
    go_on.clear()
    other = Lens.demo("decoder").trace("the sea")
    ask(view, "continue_with", position=POSITION, token=3)
    view.trace = other
    go_on.set()
    finished(view)
    assert view.trace is other
    assert (view.busy, view.continued) == ("", [])
