"""PatchGrid without a browser: state, frames, the chosen cell and its run, long work, code."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from traitlets import TraitError

from glasshead import AttentionLines, Lens, PatchGrid, PerplexityStrip, Trace, patch
from glasshead_backend.progress import steps
from support.tiny_models import TEXT, build, tokenizer
from widgets.frames import ask, unpack
from widgets.test_long_work import message, state_from_browser, until

OTHER = TEXT.replace("from the fox", "from a dog")


@pytest.fixture(scope="module")
def traces() -> tuple[Trace, Trace]:
    lens = Lens(build("llama"), tokenizer())
    return lens.trace(TEXT), lens.trace(OTHER)


@pytest.fixture(scope="module")
def translations() -> tuple[Trace, Trace]:
    lens = Lens.demo("encoder-decoder")
    sources = "the black cat sees the dog", "the black dog sees the cat"
    one, other = (lens.trace(source, "le chat noir voit le chien") for source in sources)
    return one, other


def settled(grid: PatchGrid) -> PatchGrid:
    grid._finish()
    assert grid.error == ""
    assert grid.busy == ""
    return grid


# ---- frames -------------------------------------------------------------------------------------


def test_the_frame_has_the_numbers_of_patch(traces: tuple[Trace, Trace]) -> None:
    grid = settled(PatchGrid(*traces, what="attention", token=7))
    found, frame = patch(*traces, "attention", token=7), grid.frame
    assert np.array_equal(unpack(frame["patched"]), found.values)
    assert np.array_equal(unpack(frame["recovered"]), found.recovered)
    assert (frame["f_clean"], frame["f_corrupted"]) == (found.f_clean, found.f_corrupted)
    assert (frame["unit"], frame["columns"], frame["partial"]) == ("nats", "position", "")
    assert unpack(frame["layers"]).tolist() == [0, 1, 2]
    assert unpack(frame["places"]).tolist() == list(range(20))
    assert (frame["clean"]["texts"][16:18], frame["corrupted"]["texts"][16:18]) == (
        ["the", "fox"],
        ["a", "dog"],
    )
    assert np.flatnonzero(unpack(frame["differs"])).tolist() == [16, 17]
    assert frame["about"]["token"] == {"id": 7, "text": "brown"}
    assert frame["about"]["against"] is None
    assert [one["reason"] for one in frame["whats"]] == [""] * 4
    assert frame["key"] == {
        "kind": "self",
        "what": "attention",
        "positions": [],
        "only_layers": [],
        "position": None,
        "token": 7,
        "against": None,
        "quantity": "log_probability",
    }


def test_heads_of_the_source_and_of_cross_attention_have_columns_of_their_own(
    translations: tuple[Trace, Trace],
) -> None:
    grid = settled(PatchGrid(*translations, kind="encoder"))
    assert (grid.frame["side"], grid.frame["clean"]["texts"][2]) == ("source", "cat")
    assert grid.frame["about"]["position"] == 1
    assert (grid.frame["offset"], grid.frame["places_asked"]) == (-1, [1, 7])
    grid.cell = [0, 2]
    assert (grid.selected_source, grid.selected) == ([2], [])
    grid.set(kind="cross", what="head", cell=[1, 2])
    settled(grid)
    assert (grid.frame["columns"], grid.cell, grid.layer, grid.heads) == ("head", [1, 2], 1, [2])
    assert grid.frame["what_words"] == "what one head gathers"


def test_what_is_asked_can_be_changed_and_a_result_shown_as_it_is(
    traces: tuple[Trace, Trace],
) -> None:
    grid = settled(PatchGrid(*traces))
    own = grid.result
    assert own.target.against is not None
    grid.set(token="fox", against=7, quantity="logit")
    settled(grid)
    assert (
        grid.result.target_in_words == "logit of “fox” minus that of “brown” behind the last token"
    )
    found = patch(*traces, "mlp", token="fox", layers=[1, 2], positions=[16, 17, 18])
    shown = PatchGrid(found)
    assert shown.result is found
    assert shown.frame["key"]["only_layers"] == [1, 2]
    assert (shown.what, shown.positions) == ("mlp", [16, 17, 18])
    again = settled(PatchGrid(*traces, **shown.state()))
    assert again.frame["key"] == shown.frame["key"]
    assert np.allclose(unpack(again.frame["patched"]), found.values, atol=1e-6)


def test_the_code_gives_what_is_on_screen(traces: tuple[Trace, Trace]) -> None:
    asked: dict[str, Any] = {
        "what": "head",
        "token": "fox",
        "against": 7,
        "positions": [16, 17],
        "only_layers": [1],
    }
    grid = settled(PatchGrid(*traces, **asked))
    *before, last = grid.code().splitlines()
    space = {"trace": traces[0], "other": traces[1]}
    exec("\n".join(before), space)  # noqa: S102  our own code
    pd.testing.assert_frame_equal(eval(last, space), grid.to_frame())  # noqa: S307  our own code


def test_it_says_where_most_comes_back(translations: tuple[Trace, Trace]) -> None:
    said = settled(PatchGrid(*translations, kind="encoder")).in_words()
    assert said[0] == (
        "Logit of “chat” minus that of “chien” at position 1: 17.61 in the clean run, -17.55 in "
        "the corrupted one"
    )
    assert said[1] == "Layer 1, “cat”: 100% comes back"


def test_a_target_is_offered_from_both_runs(traces: tuple[Trace, Trace]) -> None:
    grid = settled(PatchGrid(*traces))
    answer, arrays = ask(grid, "expected", position=20, k=3)
    for name, trace in zip(("clean", "corrupted"), traces, strict=True):
        top = trace.top_k(20, 3)
        assert answer["result"][name] == {
            "tokens": top["token"].tolist(),
            "ids": top["id"].tolist(),
        }
        assert np.allclose(arrays[name], top["probability"])


# ---- the chosen cell ----------------------------------------------------------------------------


def test_a_click_goes_to_the_cell_and_shows_its_run_in_other_views(
    traces: tuple[Trace, Trace],
) -> None:
    clean, corrupted = traces
    grid = settled(PatchGrid(clean, corrupted, token=7))
    lines, strip = AttentionLines(clean), PerplexityStrip(corrupted)
    assert grid.patched is None
    grid.show_in(lines, strip)
    settled(grid)
    assert (lines.trace, strip.trace) == traces
    state_from_browser(grid, cell=[1, 17], layer=1, selected=[17])
    settled(grid)
    assert (grid.layer, grid.selected) == (1, [17])
    assert lines.trace is strip.trace is grid.patched
    own = float(strip.trace.logits(-1)[0].log_softmax(-1)[7])
    assert own == pytest.approx(float(grid.result.values[1, 17]), abs=1e-5)
    # What the views show is of that run: layer 2 looks otherwise than in either text.
    lines.layer = 2
    for other in traces:
        assert not torch.allclose(lines.trace.attention(2), other.attention(2), atol=1e-4)
    strip.close()
    grid.cell = []
    settled(grid)
    assert lines.trace is clean


def test_a_cell_is_let_go_where_it_means_something_else(traces: tuple[Trace, Trace]) -> None:
    grid = settled(PatchGrid(*traces, token=7, cell=[1, 2]))
    assert (grid.layer, grid.selected) == (1, [2])
    grid.what = "mlp"
    assert grid.cell == [1, 2]
    grid.what = "head"  # position 2 is no head
    assert grid.cell == []
    grid.cell = [1, 3]
    assert grid.heads == [3]
    grid.only_layers = [0, 2]
    assert grid.cell == []
    settled(grid)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"cell": [1]}, r"cell is \[layer, position\], or empty"),
        ({"cell": [3, 0]}, r"layer 3 is not in the grid, which has layers 0-2"),
        ({"cell": [1, 20]}, "position 20 is not in the grid"),
        ({"what": "head", "cell": [1, 9]}, "layer 1 has heads 0-3, not 9"),
        ({"positions": [20]}, r"positions has 20, which is out of range: there are 0-19"),
        ({"only_layers": [5]}, r"layer 5 is out of range: llama has layers 0-2"),
        ({"position": 0}, "There is no prediction at position 0"),
        ({"token": "whales"}, "token: 'whales' is no single token"),
        ({"against": 999}, "against: id 999 is out of range"),
        ({"what": "heads"}, 'what is "residual", "attention", "mlp" or "head"'),
    ],
)
def test_what_is_not_there_is_refused_in_words(
    asked: dict[str, Any], words: str, traces: tuple[Trace, Trace]
) -> None:
    grid = settled(PatchGrid(*traces, token=7))
    before = grid.state()
    with pytest.raises(TraitError, match=words):
        grid.set(**asked)
    assert grid.state() == before


def test_two_texts_that_do_not_fit_are_refused_and_the_last_ones_stay(
    traces: tuple[Trace, Trace],
) -> None:
    clean, corrupted = traces
    with pytest.raises(TypeError, match="PatchGrid shows a trace, got str"):
        PatchGrid(clean, "a text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"two traces.*PatchGrid\(clean, corrupted\)"):
        PatchGrid(clean)
    with pytest.raises(ValueError, match="have 2 and 20 tokens"):
        PatchGrid(clean.lens.trace("a fox"), corrupted)
    with pytest.raises(ValueError, match="The two texts are the same"):
        PatchGrid(clean, clean, token=7)
    grid = settled(PatchGrid(clean, corrupted, token=7))
    with pytest.raises(ValueError, match="have 2 and 20 tokens"):
        grid.trace = clean.lens.trace("a fox")
    assert grid.trace is clean
    other = clean.lens.trace(TEXT.replace("at sea", "at dog"))
    grid.trace = other
    assert settled(grid).frame["clean"]["texts"][-1] == "dog"
    assert grid.corrupted is corrupted
    with pytest.raises(TypeError, match="show_in takes views of a trace, got Trace"):
        grid.show_in(clean)  # type: ignore[arg-type]


# ---- long work ----------------------------------------------------------------------------------


class Gate:
    """Lets one layer after the other be patched only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from glasshead_backend.questions.patching import Patching  # noqa: PLC0415  what is slowed

        self.open = threading.Event()
        self.layers: list[int] = []
        stock = Patching.row

        def slow(patching: Patching, layer: int, *rest: Any) -> Any:
            self.layers.append(layer)
            for _ in steps(range(2000), "waiting", 2000):
                if layer == 0 or self.open.wait(0.005):
                    break
            return stock(patching, layer, *rest)

        monkeypatch.setattr(Patching, "row", slow)


def test_rows_stream_in_and_cancelling_goes_back_to_the_last_picture(
    traces: tuple[Trace, Trace], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = settled(PatchGrid(*traces, token=7))
    last = grid.frame
    gate = Gate(monkeypatch)
    grid.what = "mlp"
    until(lambda: grid.frame["partial"] != "")
    assert "patching layer" in grid.busy
    there = ~np.isnan(unpack(grid.frame["patched"])).any(axis=1)
    assert there.tolist() == [True, False, False]
    assert grid.frame["key"]["what"] == "mlp"
    message(grid, kind="stop")
    assert (grid.busy, grid.what, grid.frame) == ("", "residual", last)
    gate.open.set()
    settled(grid)
    assert 2 not in gate.layers
    grid.what = "mlp"
    settled(grid)
    assert grid.frame["partial"] == ""


def test_an_error_in_the_run_of_a_cell_is_said_and_the_views_stay(
    traces: tuple[Trace, Trace],
) -> None:
    lens = Lens(build("gpt2"), tokenizer())
    clean, corrupted = lens.trace(TEXT), lens.trace(OTHER)
    grid, strip = settled(PatchGrid(clean, corrupted, token=7)), PerplexityStrip(corrupted)
    grid.show_in(strip)
    settled(grid)
    with torch.no_grad():
        lens.model.transformer.h[1].mlp.c_fc.weight.add_(0.1)
    grid.cell = [1, 17]
    grid._finish()
    assert "The model has changed" in grid.error
    assert strip.trace is corrupted
    del traces


def test_a_closed_grid_lets_go_of_its_traces(traces: tuple[Trace, Trace]) -> None:
    grid = settled(PatchGrid(*traces, token=7))
    grid.close()
    with pytest.raises(ValueError, match="This view is closed"):
        _ = grid.corrupted


# ---- pages --------------------------------------------------------------------------------------


def test_a_page_gets_all_grids_that_are_known(traces: tuple[Trace, Trace]) -> None:
    grid = settled(PatchGrid(*traces, token=7))
    grid.what = "head"
    settled(grid)
    frames = grid.frames()
    assert [frame["key"]["what"] for frame in frames] == ["residual", "head"]
    assert frames[1] == grid.frame
    assert all(frame["partial"] == "" for frame in frames)
