"""Long work of a view runs beside the kernel, says how far it is, and can be ended."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from ipywidgets import Widget
from ipywidgets.widgets import widget as widget_module
from traitlets import TraitError

from glasshead import AttentionLines, FusedAttentionMatrix, Trace, explore
from glasshead.trace_view import TraceView
from glasshead_backend.progress import steps

if TYPE_CHECKING:
    from collections.abc import Callable


VIEWS = (AttentionLines, FusedAttentionMatrix)


@pytest.fixture
def everything_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TraceView, "_busy_weights", 0)


class Gate:
    """Lets the work of a view go on only when it is told to."""

    def __init__(self, view: TraceView, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[int] = []
        self.open = threading.Event()
        stock = type(view)._make_frame

        def slow(of: Any) -> Any:
            layer = of.layer
            for _ in steps(range(1000), f"computing layer {layer}", 1000):
                if self.open.wait(0.005):
                    break
            self.made.append(layer)
            return stock(of)

        monkeypatch.setattr(type(view), "_make_frame", slow)


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def state_from_browser(view: TraceView, **state: Any) -> None:
    view._handle_msg({"content": {"data": {"method": "update", "state": state}}, "buffers": []})


def n_views() -> int:
    # ipywidgets 8 keeps them in the module, 7 in the class.
    all_widgets = vars(widget_module).get("_instances")
    all_widgets = Widget.widgets if all_widgets is None else all_widgets
    return sum(isinstance(widget, TraceView) for widget in all_widgets.values())


def n_at_work() -> int:
    return sum(thread.name == "glasshead-long-work" for thread in threading.enumerate())


def message(view: TraceView, **content: Any) -> None:
    view._handle_custom_msg(content, [])


@pytest.mark.usefixtures("everything_is_long")
@pytest.mark.parametrize("view", VIEWS)
def test_the_first_picture_is_waited_for_and_later_ones_come_by_themselves(
    view: type[TraceView], decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = view(decoder_trace)
    assert shown.frame["key"]["layer"] == 0
    gate = Gate(shown, monkeypatch)
    shown.layer = 2  # comes back at once
    assert shown.frame["key"]["layer"] == 0
    until(lambda: shown.busy.startswith("computing layer 2: "))
    gate.open.set()
    until(lambda: shown.frame["key"]["layer"] == 2)
    until(lambda: shown.busy == "")


@pytest.mark.usefixtures("everything_is_long")
def test_flipping_through_layers_computes_only_the_last(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = AttentionLines(decoder_trace)
    gate = Gate(shown, monkeypatch)
    for layer in (1, 2, 1):
        shown.layer = layer
        until(lambda: n_at_work() == 1)  # what was asked for before has ended
    gate.open.set()
    until(lambda: shown.frame["key"]["layer"] == 1)
    assert gate.made == [1]


@pytest.mark.usefixtures("everything_is_long")
def test_a_cancelled_picture_leaves_the_last_one_with_its_state(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = AttentionLines(decoder_trace, heads=[1])
    gate = Gate(shown, monkeypatch)
    shown.layer = 2
    until(lambda: shown.busy != "")
    message(shown, kind="stop")
    assert (shown.layer, shown.heads, shown.busy, shown.error) == (0, [1], "", "")
    shown._long_work.join(5)
    assert gate.made == []
    assert shown.frame["key"]["layer"] == 0
    message(shown, kind="stop")  # nothing runs any more
    gate.open.set()
    shown.layer = 1
    until(lambda: shown.frame["key"]["layer"] == 1)


@pytest.mark.usefixtures("everything_is_long")
def test_going_back_to_what_is_shown_ends_the_work(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = FusedAttentionMatrix(decoder_trace)
    gate = Gate(shown, monkeypatch)
    shown.layer = 2
    shown.layer = 0
    assert shown.busy == ""
    gate.open.set()
    shown._long_work.join(5)
    assert shown.frame["key"]["layer"] == 0


@pytest.mark.usefixtures("everything_is_long")
def test_what_goes_wrong_in_the_background_is_said(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = AttentionLines(decoder_trace)

    def fail(_: object) -> None:
        raise MemoryError("no room for this picture")

    monkeypatch.setattr(AttentionLines, "_make_frame", fail)
    shown.layer = 1
    until(lambda: shown.error == "no room for this picture")
    assert shown.busy == ""
    assert shown.frame["key"]["layer"] == 0


@pytest.mark.usefixtures("everything_is_long")
def test_linked_views_come_to_the_same_layer(decoder_trace: Trace) -> None:
    explorer = explore(decoder_trace)
    explorer.layer = 2
    until(lambda: explorer.lines.frame["key"]["layer"] == 2)
    until(lambda: explorer.matrix.frame["key"]["layer"] == 2)
    explorer.close()


def test_closing_a_view_ends_its_work(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = AttentionLines(decoder_trace)
    monkeypatch.setattr(TraceView, "_busy_weights", 0)
    Gate(shown, monkeypatch)
    shown.layer = 2
    work = shown._long_work
    shown.close()
    work.join(5)
    assert not work.is_running


def test_a_closed_view_says_so(decoder_trace: Trace) -> None:
    shown = AttentionLines(decoder_trace)
    shown.close()
    for use in (
        lambda: shown.trace,
        lambda: setattr(shown, "layer", 1),
        lambda: setattr(shown, "heads", [1]),
        shown.to_frame,
    ):
        with pytest.raises((ValueError, TraitError), match=r"This view is closed. Make a new one"):
            use()


def test_a_view_whose_trace_is_closed_keeps_its_picture_and_says_why(translation: Trace) -> None:
    trace = translation.lens.trace("the old whale", "at sea")
    shown = AttentionLines(trace)
    before = shown.frame
    trace.close()
    state_from_browser(shown, unit="word")
    assert "This trace is closed" in shown.error
    assert shown.frame is before
    state_from_browser(shown, layer=1)
    assert "This trace is closed" in shown.error


@pytest.mark.usefixtures("everything_is_long")
def test_an_observer_that_raises_leaves_a_view_that_works(decoder_trace: Trace) -> None:
    shown = AttentionLines(decoder_trace)
    raised: list[object] = []

    def fail(change: object) -> None:
        raised.append(change)
        raise RuntimeError("the user's own mistake")

    shown.observe(fail, names="frame")
    hook, threading.excepthook = threading.excepthook, lambda _: None
    try:
        shown.layer = 2
        until(lambda: bool(raised))
        shown._long_work.join(5)
    finally:
        threading.excepthook = hook
    assert (shown.frame["key"]["layer"], shown.busy) == (2, "")
    shown.unobserve(fail, names="frame")
    shown.layer = 1
    until(lambda: shown.frame["key"]["layer"] == 1)


@pytest.mark.parametrize("state", [{"layer": 9}, {"threshold": 0.3}])
def test_what_could_not_be_made_is_not_kept(decoder_trace: Trace, state: dict[str, Any]) -> None:
    before = n_views()
    with pytest.raises((TraitError, TypeError)):
        explore(decoder_trace, **state)
    assert n_views() == before


def test_a_view_whose_first_picture_fails_is_not_kept(
    decoder_trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(AttentionLines, "_make_frame", fail)
    before = n_views()
    with pytest.raises(MemoryError, match="no room"):
        AttentionLines(decoder_trace)
    assert n_views() == before


_SCRIPT = """
from glasshead import FusedAttentionMatrix, Lens
FusedAttentionMatrix._busy_weights = 0
view = FusedAttentionMatrix(Lens.demo("decoder").trace("the white whale " * 150))
view.layer = 1
assert view.busy, "too quick to show anything"
"""


def test_a_script_that_ends_while_a_view_is_drawn_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
