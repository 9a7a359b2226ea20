"""Heads switched off in an explorer: all panes show the run without them, and there is a way back.

What a run without a head predicts is computed here by a hook written by hand on the output
projection, which zeroes the head's slice.
"""

from __future__ import annotations

import json
import math
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from traitlets import TraitError

from glasshead import (
    AttentionLines,
    Explorer,
    Lens,
    LogitLens,
    StoryStep,
    Trace,
    explore,
    story,
)
from glasshead_backend.frames import scene
from glasshead_backend.progress import steps
from glasshead_backend.questions import interventions
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import unpack
from widgets.test_code_on_screen import run
from widgets.test_explorer import Page, from_browser, until

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PICTURES = ("axes", "frame", "lines_frame", "matrix_frame", "strip_frame", "chart_frame")
OTHER_TEXT = "the lazy dog jumps over the old whale and the quick fox runs"


def settled(explorer: Explorer) -> Explorer:
    until(lambda: not (explorer.busy or explorer.is_drawing or explorer._tracing.is_running))
    return explorer


@pytest.fixture(scope="module")
def llama() -> Any:
    return build("llama")


@pytest.fixture(scope="module")
def trace(llama: Any) -> Trace:
    return Lens(llama, tokenizer()).trace(TEXT)


@contextmanager
def without_by_hand(llama: Any, layer: int, head: int) -> Generator[None, None, None]:
    """The model's own forward, but for zeros where a head hands over what it has gathered."""
    attention = llama.model.layers[layer].self_attn

    def zeroed(_: object, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        given = args[0].clone()
        given[..., head * attention.head_dim : (head + 1) * attention.head_dim] = 0
        return (given,)

    handle = attention.o_proj.register_forward_pre_hook(zeroed)
    try:
        yield
    finally:
        handle.remove()


def surprisal_bits(llama: Any, trace: Trace) -> np.ndarray:
    """Surprisals of the tokens from the second on, in bits, straight from the model's logits."""
    ids = torch.tensor([[token.id for token in trace.tokens]])
    with torch.no_grad():
        log_p = llama(ids).logits.double().log_softmax(-1)
    return -log_p[0, :-1].gather(-1, ids[0, 1:, None]).squeeze(-1).numpy() / math.log(2)


def changes_by_hand(llama: Any, trace: Trace, layer: int, head: int) -> np.ndarray:
    whole = surprisal_bits(llama, trace)
    with without_by_hand(llama, layer, head):
        return surprisal_bits(llama, trace) - whole


def changes_shown(explorer: Explorer) -> np.ndarray:
    difference = explorer.strip_frame["compared"]["difference"]["surprisal"]
    return unpack(difference)[1:] / math.log(2)


def pictures(explorer: Explorer) -> str:
    return repr([getattr(explorer, name) for name in PICTURES])


@contextmanager
def counted_runs(llama: Any) -> Generator[list[int], None, None]:
    runs: list[int] = []

    def count(*_: object) -> None:
        runs.append(1)

    handle = llama.register_forward_pre_hook(count)
    try:
        yield runs
    finally:
        handle.remove()


def test_all_panes_show_the_run_without_the_head_and_the_strip_what_that_changed(
    llama: Any, trace: Trace
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)], layer=2))
    assert explorer.trace is trace
    (shown,) = {view.trace for view in explorer.views}
    assert shown is not trace
    assert np.allclose(changes_shown(explorer), changes_by_hand(llama, trace, 1, 2), atol=1e-4)
    assert explorer.strip_frame["compared"]["names"] == ["Head 2 of layer 1 off", "the whole model"]
    # The layers above have other weights: those of a model that was run without the head.
    with without_by_hand(llama, 1, 2):
        by_hand = Lens(llama, tokenizer()).trace(TEXT).attention(2)
    assert torch.allclose(shown.attention(2), by_hand, atol=1e-5)
    assert not torch.allclose(shown.attention(2), trace.attention(2), atol=1e-3)


def test_the_words_name_what_is_off_and_the_token_that_changed_most(
    llama: Any, trace: Trace
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)]))
    changes = changes_by_hand(llama, trace, 1, 2)
    most = int(np.abs(changes).argmax())
    token = trace.tokens[most + 1].text.strip()
    said = explorer.frame["without"]
    signed = f"{changes[most]:+.1f}".replace("-", "−")
    assert said["words"] == "Head 2 of layer 1 off"
    assert said["change"].startswith(f"“{token}” {signed} bits, ")
    assert explorer.in_words()[0] == f"{said['words']}: {said['change']}"


def test_all_heads_on_gives_the_former_pictures_and_runs_nothing(llama: Any, trace: Trace) -> None:
    explorer = settled(explore(trace, layer=2, heads=[1]))
    before = pictures(explorer)
    explorer.off = [(0, 1), (2, 3)]
    assert pictures(settled(explorer)) != before
    with counted_runs(llama) as runs:
        explorer.off = []
        assert pictures(settled(explorer)) == before
    assert runs == []


def test_a_slow_statistic_of_the_whole_model_is_not_measured_again(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    metric = LogitLens()
    explorer = explore(trace, chart_metric=metric, panes=["chart"])
    until(lambda: explorer.chart_frame.get("kind") == "chart" and not explorer.busy)
    before = repr(explorer.chart_frame)
    measured: list[Trace] = []
    measure = LogitLens.measure

    def counted(self: Any, trace: Trace, kind: Any) -> Any:
        measured.append(trace)
        return measure(self, trace, kind)

    monkeypatch.setattr(LogitLens, "measure", counted)
    explorer.off = [(0, 1)]
    settled(explorer)
    explorer.off = []
    settled(explorer)
    assert trace not in measured
    assert len(measured) == 1
    assert repr(explorer.chart_frame) == before


def test_heads_are_pairs_or_triples_each_once_and_in_order(translation: Trace) -> None:
    explorer = settled(
        explore(translation, off=[(1, 2), ("encoder", 0, 3), [1, 2], ("cross", 0, 1)])
    )
    assert explorer.off == [["encoder", 0, 3], ["cross", 0, 1], ["cross", 1, 2]]
    assert explorer.error == ""
    assert explorer.frame["without"]["words"] == (
        "Head 3 of encoder layer 0, head 1 of cross-attention layer 0, head 2 of cross-attention "
        "layer 1 off"
    )


@pytest.mark.parametrize(
    ("off", "words"),
    [
        ([(9, 1)], "layer 9 is out of range: .* layers 0-2"),
        ([(0, 4)], "head 4 of layer 0: .* heads 0-3"),
        ([("cross", 0, 1)], "kind 'cross': .* has 'self'"),
        ((1, 2), r"\(layer, head\) or \(kind, layer, head\) each; got 1 among"),
        ("all", "off is a list; got 'all'"),
        ([("self", 0, "1")], "head '1' of layer 0"),
    ],
)
def test_a_head_that_there_is_not_is_refused_and_nothing_changes(
    trace: Trace, off: Any, words: str
) -> None:
    explorer = settled(explore(trace, off=[(0, 1)], panes=["strip"]))
    before = explorer.strip_frame
    with pytest.raises(TraitError, match=words):
        explorer.off = off
    assert explorer.off == [["self", 0, 1]]
    assert explorer.strip_frame is before


def test_heads_that_the_model_mixes_are_refused_by_name_and_the_switches_go_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def mixed(*_: object) -> Any:
        return {"self": dict.fromkeys(range(3), "Attention mixes its heads")}

    monkeypatch.setattr(interventions, "find_head_slices", mixed)
    explorer = settled(explore(Lens(build("llama"), tokenizer()).trace(TEXT), panes=["strip"]))
    before = explorer.strip_frame
    assert explorer.fixed_heads == {}
    from_browser(explorer, off=[["self", 1, 0]])
    settled(explorer)
    assert "layer 1 of LlamaForCausalLM cannot be switched one by one" in explorer.error
    assert "Attention mixes its heads" in explorer.error
    assert explorer.off == []
    assert explorer.strip_frame is before
    assert explorer.fixed_heads["self"]["1"] == "Attention mixes its heads"


def test_arrays_that_somebody_gave_have_no_model_to_run() -> None:
    weights = np.tril(np.ones((1, 2, 3, 3))) / np.arange(1, 4)[:, None]
    explorer = settled(explore(Trace.from_attentions(weights, ["a", "b", "c"]), panes=["lines"]))
    assert set(explorer.fixed_heads["self"]) == {"0"}
    explorer.off = [(0, 1)]
    settled(explorer)
    assert explorer.error != ""
    assert explorer.off == []


def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let no run without heads be made until the event is set; it says how far it is meanwhile."""
    go_on = threading.Event()
    ablate = Trace.ablate

    def slowly(self: Trace, *args: Any, **named: Any) -> Trace:
        for _ in steps(range(3000), "running", 3000):
            if go_on.wait(0.01):
                break
        return ablate(self, *args, **named)

    monkeypatch.setattr(Trace, "ablate", slowly)
    return go_on


def test_cancelling_a_run_leaves_the_pictures_and_puts_the_switches_back(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace))
    before = pictures(explorer)
    go_on = waits(monkeypatch)
    from_browser(explorer, off=[["self", 0, 1]])
    until(lambda: "running" in explorer.busy)
    assert explorer.off == [["self", 0, 1]]
    explorer._handle_custom_msg({"kind": "stop"}, [])
    assert (explorer.busy, explorer.off) == ("", [])
    go_on.set()
    settled(explorer)
    assert (explorer.error, pictures(explorer)) == ("", before)


def test_a_switch_put_back_while_the_model_runs_ends_that_run(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace, panes=["strip"]))
    before = explorer.strip_frame
    go_on = waits(monkeypatch)
    explorer.off = [(0, 1)]
    explorer.off = []
    assert explorer.busy == ""
    go_on.set()
    assert settled(explorer).strip_frame is before
    explorer.off = [(0, 1)]
    explorer.off = [(0, 1), (2, 0)]  # overtakes the one before
    settled(explorer)
    assert explorer.frame["without"]["off"] == [["self", 0, 1], ["self", 2, 0]]


def test_a_run_that_fails_says_why_and_leaves_what_was_shown(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace, off=[(0, 1)]))
    before = pictures(explorer)

    def fails(*_: Any, **__: Any) -> Trace:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Trace, "ablate", fails)
    from_browser(explorer, off=[["self", 0, 1], ["self", 1, 1]])
    settled(explorer)
    assert (explorer.error, explorer.off) == ("out of memory", [["self", 0, 1]])
    assert pictures(explorer) == before


def test_a_text_from_the_page_is_traced_with_what_is_off(
    llama: Any, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)]))
    assert Page(explorer, monkeypatch).ask("retrace", text=OTHER_TEXT)["ok"]
    settled(explorer)
    assert (explorer.trace.text, explorer.off) == (OTHER_TEXT, [["self", 1, 2]])
    assert explorer.earlier == [{"text": TEXT, "target": None}]
    by_hand = changes_by_hand(llama, explorer.trace, 1, 2)
    assert np.allclose(changes_shown(explorer), by_hand, atol=1e-4)
    explorer.off = []
    settled(explorer)
    assert "compared" not in explorer.strip_frame
    assert {view.trace.text for view in explorer.views} == {OTHER_TEXT}


def test_a_switch_while_another_text_is_traced_holds_for_that_text(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)], panes=["strip"]))
    go_on = waits(monkeypatch)
    Page(explorer, monkeypatch).ask("retrace", text=OTHER_TEXT)
    explorer.off = [(0, 3)]
    go_on.set()
    settled(explorer)
    assert (explorer.trace.text, explorer.off) == (OTHER_TEXT, [["self", 0, 3]])
    assert explorer.frame["without"]["words"] == "Head 3 of layer 0 off"


def test_another_model_is_shown_without_those_of_the_heads_that_it_has(trace: Trace) -> None:
    explorer = settled(explore(trace, off=[(1, 2), (2, 0)]))
    other = Lens.demo("decoder").trace("The white whale, the white whale!")
    explorer.trace = other
    settled(explorer)
    assert explorer.trace is other
    assert explorer.off == [["self", 1, 2]]
    assert explorer.frame["without"]["words"] == "Head 2 of layer 1 off"


def test_the_mean_stands_in_the_place_of_a_head_where_that_is_asked_for(trace: Trace) -> None:
    explorer = settled(explore(trace, off=[(1, 2)], off_how="mean"))
    wanted = trace.ablate([(1, 2)], how="mean").predictions().surprisal
    assert torch.equal(explorer.strip.trace.predictions().surprisal[1:], wanted[1:])
    assert explorer.frame["without"]["words"] == "Head 2 of layer 1 at its mean"
    explorer.off_how = "zero"
    settled(explorer)
    assert explorer.frame["without"]["words"] == "Head 2 of layer 1 off"


def test_the_code_makes_the_run_and_gives_what_is_on_screen(translation: Trace) -> None:
    explorer = settled(
        explore(translation, off=[("encoder", 0, 3), (1, 2)], off_how="mean", unit="token", layer=2)
    )
    left = run(explorer.code(), trace=translation)
    assert left["whole"] is translation
    shown = unpack(explorer.strip_frame["compared"]["difference"]["surprisal"])
    assert np.allclose(left["strip"]["surprisal_difference"], shown, equal_nan=True)
    assert torch.allclose(left["matrix"], explorer.matrix.trace.attention(2, aggregate="mean"))
    explorer.off = []
    assert "ablate" not in settled(explorer).code()


def test_a_state_restores_what_is_off(trace: Trace) -> None:
    explorer = settled(explore(trace, off=[(1, 2)], off_how="mean"))
    state = json.loads(json.dumps(explorer.state()))
    assert (state["off"], state["off_how"]) == ([["self", 1, 2]], "mean")
    again = settled(explore(trace, **state))
    assert pictures(again) == pictures(explorer)


def test_a_comparison_of_the_strip_is_there_again_when_all_heads_are_on(trace: Trace) -> None:
    explorer = settled(explore(trace, panes=["strip"]))
    other = trace.ablate([(2, 1)])
    explorer.strip.compare_to(other, names=("this", "other"))
    before = repr(settled(explorer).strip_frame)
    explorer.off = [(0, 0)]
    assert settled(explorer).strip_frame["compared"]["names"][1] == "the whole model"
    explorer.off = []
    assert repr(settled(explorer).strip_frame) == before


def test_the_model_writes_on_as_a_whole_and_what_it_wrote_is_shown_without_the_head(
    trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)], panes=["strip"]))
    token = trace.tokens[3].id
    assert Page(explorer, monkeypatch).ask("strip.continue_with", position=5, token=token)["ok"]
    settled(explorer)
    assert [one["position"] for one in explorer.strip_continued] == [5]
    assert explorer.off == [["self", 1, 2]]
    written = trace.continue_with(5, token)
    assert [one.id for one in explorer.trace.tokens] == [one.id for one in written.tokens]
    assert Page(explorer, monkeypatch).ask("strip.step_back")["ok"]
    settled(explorer)
    assert explorer.trace is trace
    assert (explorer.strip_continued, explorer.off) == ([], [["self", 1, 2]])


def test_steps_of_a_story_switch_heads_off_and_on(trace: Trace) -> None:
    explorer = settled(explore(trace, panes=["strip"]))
    story(explorer, [("All.", {}), ("Without.", {"off": [(1, 2)]}), ("All again.", {})])
    assert settled(explorer).off == []
    explorer.step = 1
    assert settled(explorer).frame["without"]["words"] == "Head 2 of layer 1 off"
    explorer.step = 2
    assert settled(explorer).off == []
    assert "compared" not in explorer.strip_frame


def test_a_page_has_the_whole_run_as_well_and_those_of_a_story_where_there_is_room(
    trace: Trace, tmp_path: Path
) -> None:
    explorer = settled(explore(trace, off=[(1, 2)]))
    both = explorer.save_html(tmp_path / "both.html")
    assert both.left_out == ()
    alone = settled(explore(trace)).save_html(tmp_path / "alone.html")
    least = explorer.save_html(tmp_path / "least.html", max_bytes=alone.bytes + 6000)
    assert least.left_out == ("the run of the whole model",)
    assert "Not in this page: the run of the whole model." in least.path.read_text()
    told = story(explorer, [StoryStep("One.", {}), StoryStep("Two.", {"off": [(0, 1), (2, 2)]})])
    settled(explorer)
    assert told.save_html(tmp_path / "told.html").bytes > both.bytes


def test_closing_lets_go_of_both_runs(llama: Any) -> None:
    lens = Lens(llama, tokenizer())
    explorer = settled(explore(lens.trace(TEXT), off=[(1, 2)]))
    explorer.close()
    with pytest.raises(ValueError, match="This view is closed"):
        _ = explorer.trace


def test_a_view_of_a_run_without_a_head_says_so_beside_the_models_name() -> None:
    trace = Lens.demo("decoder").trace("The white whale. The white whale")
    off = trace.ablate([(0, 5)])
    name = f"{scene(trace)['model']} · without head 5 of layer 0"
    lines = AttentionLines(off)
    assert lines.scene["model"] == name
    assert "without head 5 of layer 0" in lines.to_html()
    lines.trace = trace
    assert lines.scene["model"] == scene(trace)["model"]
    # An explorer has switches, which say it; what was off before is beside the name.
    explorer = explore(trace, off=[(0, 5)])
    assert explorer.scene["model"] == explorer.lines.scene["model"] == scene(trace)["model"]
    assert explore(off).lines.scene["model"] == name
