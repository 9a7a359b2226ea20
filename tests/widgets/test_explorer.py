"""An explorer is one instrument: one state, and panes that have no way of their own."""

from __future__ import annotations

import gc
import json
import random
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

from glasshead import Explorer, Lens, explore
from glasshead.explorer import PANES

if TYPE_CHECKING:
    from collections.abc import Callable

    from glasshead import Trace


def from_browser(explorer: Explorer, **state: Any) -> None:
    explorer._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


class Page:
    """Keeps what is sent to the browser, and asks as the browser does."""

    def __init__(self, explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.explorer = explorer
        self.updates: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        monkeypatch.setattr(explorer, "_send", self._keep)

    def _keep(self, message: dict[str, Any], **_: object) -> None:
        if message["method"] == "update":
            self.updates.append(message["state"])
        elif message["method"] == "custom":
            self.answers.append(message["content"])

    def ask(self, question: str, **args: Any) -> dict[str, Any]:
        content = {"kind": "ask", "id": "1", "question": question, "args": args}
        self.explorer._handle_custom_msg(content, [])
        return self.answers[-1]


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def settled(explorer: Explorer) -> Explorer:
    until(lambda: not explorer.is_drawing and not explorer.busy)
    return explorer


def matrix_waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let no matrix be drawn until the event is set."""
    go_on = threading.Event()
    make = PANES["matrix"]._make_frame

    def slowly(self: Any) -> dict[str, Any]:
        go_on.wait(30)
        return make(self)

    monkeypatch.setattr(PANES["matrix"], "_make_frame", slowly)
    return go_on


def layers_drawn(explorer: Explorer) -> set[int]:
    return {explorer.lines_frame["key"]["layer"], explorer.matrix_frame["key"]["layer"]}


def test_panes_have_no_way_of_their_own_to_the_browser(translation: Trace) -> None:
    explorer = explore(translation)
    assert explorer.comm is not None
    assert {view.comm for view in explorer.views} == {None}


def test_what_is_a_panes_own_is_carried_under_its_name_both_ways(translation: Trace) -> None:
    explorer = settled(explore(translation, lines_threshold=0.2, chart_metric="previous_token"))
    assert (explorer.lines.threshold, explorer.chart.metric.name) == (0.2, "previous_token")
    explorer.lines.threshold = 0.3
    assert explorer.lines_threshold == 0.3
    explorer.lines_threshold = 0.4
    assert explorer.lines.threshold == 0.4
    from_browser(explorer, strip_measure="rank", matrix_scale="log")
    assert (explorer.strip.measure, explorer.matrix.scale) == ("rank", "log")
    with pytest.raises(TraitError, match="threshold"):
        explorer.lines_threshold = 4.0
    with pytest.raises(TraitError, match="read-only"):
        explorer.lines_frame = {}
    assert explorer.lines_frame is explorer.lines.frame


def test_a_panes_change_reaches_the_page_through_the_explorer(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(translation))
    page = Page(explorer, monkeypatch)
    explorer.strip.k = 3
    assert page.updates[-1] == {"strip_k": 3}
    explorer.lines.layer = 2
    together: dict[str, Any] = {}
    for update in page.updates:
        together |= update
    assert together["layer"] == 2
    assert together["lines_frame"]["key"]["layer"] == 2
    assert together["matrix_frame"]["key"]["layer"] == 2


def test_a_change_by_the_page_is_answered_with_all_pictures(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(translation))
    page = Page(explorer, monkeypatch)
    from_browser(explorer, kind="encoder", layer=1, heads=[2])
    sent = {name for update in page.updates for name in update}
    assert {"axes", "lines_frame", "matrix_frame"} <= sent
    assert {view.kind for view in explorer.views} == {"encoder"}
    from_browser(explorer, layer=12)
    assert "layer 12 is out of range" in explorer.error
    from_browser(explorer, layer=0)
    assert explorer.error == ""


def test_questions_find_the_pane_that_they_are_for(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(translation))
    page = Page(explorer, monkeypatch)
    fan = page.ask("lines.fan", position=1, side="query")
    assert fan["ok"]
    assert {entry["name"] for entry in fan["layout"]} >= {"weights", "heads"}
    assert page.ask("strip.top_k", position=1, k=2)["ok"]
    assert "cannot be asked 'nothing'" in page.ask("lines.nothing")["error"]
    assert "cannot be asked" in page.ask("other.fan")["error"]


def test_a_hidden_pane_draws_nothing_until_it_is_shown(translation: Trace) -> None:
    explorer = settled(explore(translation, panes=["lines"], layer=0))
    explorer.layer = 2
    assert explorer.matrix_frame == {}
    assert explorer.lines_frame["key"]["layer"] == 2
    explorer.panes = ["lines", "matrix"]
    settled(explorer)
    assert explorer.matrix_frame["key"]["layer"] == 2
    explorer.large = "lines"
    explorer.layer = 1
    assert explorer.matrix_frame["key"]["layer"] == 2
    explorer.large = ""
    settled(explorer)
    assert layers_drawn(explorer) == {1}
    with pytest.raises(TraitError, match="panes"):
        explorer.panes = ["line"]


def test_a_pane_cannot_be_shown_twice(translation: Trace) -> None:
    explorer = settled(explore(translation, panes=["lines"]))
    with pytest.raises(TraitError, match="'lines' twice"):
        explorer.panes = ["lines", "matrix", "lines"]
    assert explorer.panes == ["lines"]
    with pytest.raises(TraitError, match="'strip' twice"):
        explore(translation, panes=["strip", "strip"])


def test_the_constructor_does_not_wait_for_slow_pictures_and_says_what_is_drawn(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = matrix_waits(monkeypatch)
    begun = time.monotonic()
    explorer = explore(translation, layer=1)
    assert time.monotonic() - begun < 5
    assert explorer.axes["query"]["labels"]
    assert explorer.lines_frame["key"]["layer"] == 1
    assert (explorer.matrix_frame, explorer.strip_frame) == ({}, {})
    assert explorer.busy == "drawing the matrix"
    explorer.layer = 2  # meanwhile: the pictures that come are of this
    go_on.set()
    settled(explorer)
    assert layers_drawn(explorer) == {2}
    assert explorer.strip_frame["kind"] == "strip"


def test_cancelling_goes_back_to_the_last_pictures_of_all_panes(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(translation, layer=1))
    go_on = matrix_waits(monkeypatch)
    monkeypatch.setattr(PANES["matrix"], "_is_long", lambda _: True)
    explorer.layer = 2
    assert explorer.lines_frame["key"]["layer"] == 2
    until(lambda: explorer.busy == "drawing the matrix")
    explorer._handle_custom_msg({"kind": "stop"}, [])
    assert explorer.busy == ""
    assert {view.layer for view in (explorer, *explorer.views)} == {1}
    assert layers_drawn(explorer) == {1}
    go_on.set()


def test_panes_whose_first_drawing_was_cancelled_are_drawn_when_that_is_asked_for(
    translation: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = matrix_waits(monkeypatch)
    explorer = explore(translation, layer=1)
    explorer.cancel()
    go_on.set()
    assert (explorer.busy, explorer.matrix_frame) == ("", {})
    assert Page(explorer, monkeypatch).ask("redraw")["ok"]
    settled(explorer)
    assert layers_drawn(explorer) == {1}
    assert explorer.strip_frame["kind"] == "strip"


def test_another_trace_is_shown_in_all_panes_and_the_earlier_text_is_kept(
    decoder_trace: Trace,
) -> None:
    explorer = settled(explore(decoder_trace, layer=2, heads=[1, 3], selected=[4]))
    other = Lens.demo("decoder").trace("The white whale, the white whale!")
    explorer.trace = other
    settled(explorer)
    assert {view.trace for view in explorer.views} == {other}
    assert (explorer.layer, explorer.heads, explorer.selected) == (1, [1, 3], [])
    assert {(view.layer, tuple(view.heads)) for view in explorer.views} == {(1, (1, 3))}
    assert explorer.prompt == {"text": other.text, "target": None}
    assert explorer.earlier == [{"text": decoder_trace.text, "target": None}]
    assert len(explorer.strip_frame["texts"]) == len(other.tokens)
    assert explorer.error == ""


def test_a_text_that_the_page_sends_is_traced_and_a_bad_one_leaves_all_as_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    explorer = settled(explore(Lens.demo("decoder").trace("the whale, the whale"), layer=1))
    page = Page(explorer, monkeypatch)
    assert page.ask("retrace", text="the sea, the sea, the sea")["ok"]
    until(lambda: explorer.prompt["text"] == "the sea, the sea, the sea")
    settled(explorer)
    assert explorer.layer == 1
    frame = explorer.lines_frame
    page.ask("retrace", text="")
    until(lambda: explorer.error != "")
    assert "empty" in explorer.error
    assert explorer.prompt["text"] == "the sea, the sea, the sea"
    assert explorer.lines_frame is frame


def test_source_and_target_are_both_part_of_the_prompt() -> None:
    lens = Lens.demo("encoder-decoder")
    given = explore(lens.trace("the cat sleeps .", "le chat dort ."))
    assert given.prompt == {"text": "the cat sleeps .", "target": "le chat dort ."}
    written = explore(lens.trace("the cat sleeps ."))
    assert written.prompt == {"text": "the cat sleeps .", "target": None}


def test_a_state_restores_the_whole_instrument(translation: Trace) -> None:
    shown = settled(
        explore(
            translation,
            kind="decoder",
            layer=2,
            heads=[0, 2],
            panes=["matrix", "strip"],
            large="strip",
            strip_measure="rank",
            chart_metric="previous_token",
        )
    )
    state = json.loads(json.dumps(shown.state()))
    assert len(json.dumps(state)) < 2000
    again = settled(explore(translation, **state))
    assert again.state() == shown.state()
    assert again.strip_frame == shown.strip_frame
    assert again.strip.measure == "rank"


def test_the_code_names_every_pane_that_is_shown(translation: Trace) -> None:
    explorer = settled(explore(translation, kind="encoder", layer=1, heads=[1]))
    code = explorer.code()
    for name in ("lines", "matrix", "strip", "chart"):
        *before, last = explorer.pane(name).code().splitlines()
        assert "\n".join([*before, f"{name} = {last}"]) in code
    explorer.panes = ["strip"]
    assert explorer.code().endswith(f"strip = {explorer.strip.code()}")


@pytest.mark.parametrize("rounds", [60])
def test_a_cell_and_the_page_that_change_an_explorer_at_once_end_in_one_state(
    translation: Trace, rounds: int
) -> None:
    explorer = settled(explore(translation))
    raised: list[BaseException] = []

    def choices(seed: int) -> Any:
        generator = random.Random(seed)  # noqa: S311  choices, no secrets
        for _ in range(rounds):
            kind = generator.choice(translation.kinds)
            layer = generator.choice(translation.layers(kind))
            n_heads = translation.n_heads(layer, kind)
            yield {
                "kind": kind,
                "layer": layer,
                "heads": sorted(generator.sample(range(n_heads), 2)),
            }

    def page() -> None:
        try:
            for state in choices(1):
                from_browser(explorer, **state)
        except BaseException as error:  # noqa: BLE001
            raised.append(error)

    thread = threading.Thread(target=page)
    thread.start()
    views = (explorer, *explorer.views)
    for i, state in enumerate(choices(2)):
        views[i % len(views)].set(**state)
    thread.join(timeout=60)
    assert not thread.is_alive(), "the explorer waits for itself"
    assert raised == []
    assert explorer.error == ""
    assert len({(view.kind, view.layer, tuple(view.heads)) for view in views}) == 1
    assert layers_drawn(settled(explorer)) == {explorer.layer}


def test_closing_lets_go_of_the_trace_and_the_panes(translation: Trace) -> None:
    explorer = settled(explore(translation))
    gone = [weakref.ref(explorer), *(weakref.ref(view) for view in explorer.views)]
    explorer.close()
    assert explorer.comm is None
    with pytest.raises(ValueError, match="This view is closed"):
        _ = explorer.lines.trace
    del explorer
    gc.collect()
    assert {ref() for ref in gone} == {None}


def test_a_misspelt_trait_is_refused_with_the_name_that_was_meant(decoder_trace: Trace) -> None:
    with pytest.raises(TypeError, match=r"Explorer has no 'layr'. It takes: .* 'layer'\?"):
        explore(decoder_trace, layr=1)
    with pytest.raises(TypeError, match=r"Explorer has no 'lines_treshold'.*'lines_threshold'\?"):
        explore(decoder_trace, lines_treshold=1)
