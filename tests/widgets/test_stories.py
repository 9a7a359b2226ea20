"""Stories: captions over states of a view, told in the kernel and in the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from glasshead import AttentionLines, Lens, PerplexityStrip, StoryStep, TokenTable, explore, story

if TYPE_CHECKING:
    from glasshead import Trace


def from_browser(view: Any, **state: Any) -> None:
    view._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


def test_the_story_starts_with_its_first_step_and_goes_where_the_reader_goes(
    translation: Trace,
) -> None:
    view = story(
        AttentionLines(translation),
        [
            ("Source words among themselves.", {"kind": "encoder"}),
            ("Target words look at source words.", {"kind": "cross", "layer": 1, "heads": [2]}),
            ("What is not named is as it was before the story.", {"layer": 1}),
        ],
    )
    assert (view.step, view.kind) == (0, "encoder")
    view.step = 1
    assert (view.kind, view.layer, view.heads) == ("cross", 1, [2])
    assert view.frame["key"]["heads"] == [2]
    view.step = 2
    assert (view.kind, view.layer, view.heads) == ("cross", 1, [])
    # The page sends where it is together with the state: it has to go on without a kernel, too.
    from_browser(view, step=1, **view.story[1]["state"])
    assert (view.step, view.heads, view.error) == (1, [2], "")


def test_a_story_is_told_over_every_pane_of_an_explorer(demo_decoder_trace: Trace) -> None:
    steps = [("Faint lines.", {"lines_threshold": 0.5}), ("One pane.", {"large": "chart"})]
    view = story(explore(demo_decoder_trace), steps)
    assert view.lines.threshold == 0.5
    view.step = 1
    assert (view.large, view.lines.threshold) == (
        "chart",
        explore(demo_decoder_trace).lines.threshold,
    )


def test_what_travels_is_json_and_whole(demo_decoder_trace: Trace) -> None:
    asks = StoryStep("Look.", {"layer": 1}, ask="Which?", answer=[1, 2], reveal={"selected": [1]})
    told = json.loads(json.dumps(story(AttentionLines(demo_decoder_trace), [asks]).story))
    assert told[0]["positions"] == [1, 2]
    assert told[0]["state"]["selected"] == []
    assert told[0]["reveal"] == {**told[0]["state"], "selected": [1]}
    assert not {"theme", "height", "step", "hovered"} & set(told[0]["state"])


@pytest.mark.parametrize(
    ("steps", "error", "words"),
    [
        ([("Fine.", {}), ("Wrong.", {"layer": 77})], TraitError, r"Step 2 .*layer 77 is out of"),
        ([("Wrong.", {"leyer": 0})], TypeError, r"Step 1 .*has no 'leyer'.*Did you mean 'layer'"),
        (["words alone"], TypeError, r"Step 1 is no step of a story: give a StoryStep"),
        ([StoryStep("A", ask="Which?")], ValueError, "Step 1 of the story lacks an answer"),
        ([StoryStep("A", answer="b")], ValueError, "Step 1 of the story lacks a question"),
        (
            [StoryStep("A", ask="?", answer="b", choices=("c", "d"))],
            ValueError,
            r"'b' is not among the choices \['c', 'd'\]",
        ),
        ([StoryStep("A", ask="?", answer=["b", 2])], ValueError, "words, or positions, not both"),
        ([StoryStep("A", ask="?", answer=[900])], TraitError, r"Step 1 .*900 is out of range"),
        ([StoryStep("A", ask="?", answer=0, where="there")], ValueError, "where='there'"),  # pyright: ignore[reportArgumentType]
    ],
)
def test_a_step_that_cannot_be_shown_is_refused_and_the_view_stays(
    demo_decoder_trace: Trace, steps: list[Any], error: type[Exception], words: str
) -> None:
    view = story(
        AttentionLines(demo_decoder_trace, layer=1, selected=[2]), [("It was told before.", {})]
    )
    frame = view.frame
    with pytest.raises(error, match=words):
        story(view, steps)
    assert (view.layer, view.selected, view.frame) == (1, [2], frame)
    assert [step["caption"] for step in view.story] == ["It was told before."]


def test_a_step_that_there_is_not_says_which_there_are(demo_decoder_trace: Trace) -> None:
    view = AttentionLines(demo_decoder_trace)
    with pytest.raises(TraitError, match="step 1 is out of range: the view tells no story"):
        view.step = 1
    story(view, [("One.", {}), ("Two.", {})])
    with pytest.raises(TraitError, match="the story has steps 0-1"):
        view.step = 2
    from_browser(view, step=2)
    assert view.step == 0
    assert "steps 0-1" in view.error


def test_no_steps_take_the_story_away(demo_decoder_trace: Trace) -> None:
    view = story(PerplexityStrip(demo_decoder_trace), [("One.", {}), ("Two.", {"measure": "rank"})])
    view.step = 1
    story(view, [])
    assert (view.step, view.story, view.measure) == (0, [], "rank")


def test_a_story_ends_with_its_text(demo_decoder_trace: Trace) -> None:
    view = story(AttentionLines(demo_decoder_trace), [("One.", {}), ("Two.", {"selected": [3]})])
    view.step = 1
    view.trace = demo_decoder_trace.lens.trace("another text")
    assert (view.step, view.story) == (0, [])


def test_views_without_a_trace_tell_stories_too() -> None:
    table = TokenTable(Lens.demo("decoder"), "the black cat")
    view = story(table, [("Pinned.", {"selected": [1]})])
    assert view.selected == [1]


def test_where_the_reader_is_is_no_part_of_the_state(demo_decoder_trace: Trace) -> None:
    view = story(AttentionLines(demo_decoder_trace), [("One.", {}), ("Two.", {"layer": 1})])
    view.step = 1
    again = AttentionLines(demo_decoder_trace, **view.state())
    assert (again.layer, again.step, again.story) == (1, 0, [])
