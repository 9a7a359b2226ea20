"""The same with a real model, SmolLM2-135M: 30 layers, 9 heads, a text of 128 tokens."""

from __future__ import annotations

import os
import random
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from playwright.sync_api import expect

from e2e.saved import opened
from e2e.serving import ROOT
from e2e.views import (
    CHART,
    EXPLORER,
    LINES,
    MATRIX,
    STRIP,
    n_colours,
    picture,
    view,
    wait_until_drawn,
)
from glasshead import Lens, explore
from support.messages import number_lists

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Locator

    from e2e.lab import LabServer, Notebook

DEFAULT = ROOT / ".models" / "smollm2-135m-instruct"
FOLDER = Path(os.environ.get("GLASSHEAD_SMOLLM2", DEFAULT))
"""Made once by scripts/fetch_smollm2.py."""

NEEDS_SMOLLM2 = pytest.mark.skipif(
    not (FOLDER / "model.safetensors").exists(),
    reason="SmolLM2 is not here: run scripts/fetch_smollm2.py (93 MB download)",
)

pytestmark = [pytest.mark.real_model, NEEDS_SMOLLM2]

_LOAD = f"""
from glasshead import AttentionLines, Lens, explore

lens = Lens.from_pretrained({str(FOLDER)!r}, dtype="float32")
text = "The keeper of the old lighthouse wrote down the wind, the tide and the weather. " * 9
tokens = lens.tokenize(text)
trace = lens.trace(text[: tokens[127].end])
"""
_LINES = "AttentionLines(trace, layer=18)"
_EXPLORE = "view = explore(trace, layer=17)\nview"


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("smollm2.ipynb", [_LOAD, _LINES, _EXPLORE]))
    notebook.run_all()
    assert notebook.errors() == []
    wait_until_drawn(notebook.output(2))
    return notebook


@pytest.fixture
def output(notebook: Notebook) -> Locator:
    notebook.kernel_run("view.lines.layer, view.lines.heads, view.lines.hovered = 17, [], None")
    expect(view(notebook.output(2), LINES)).to_have_attribute("data-frame", "17::word:self")
    return notebook.output(2)


def test_all_four_views_show_it(notebook: Notebook, output: Locator) -> None:
    assert notebook.kernel_eval("len(trace.queries())") == 128
    for name in (LINES, MATRIX):
        assert n_colours(notebook, picture(notebook, view(output, name))) > 5
    expect(view(output, STRIP).locator("[data-position]")).to_have_count(128)
    expect(view(output, CHART).locator('[data-layer="29"]').first).to_be_attached()


def test_the_first_picture_costs_at_most_300_kb(notebook: Notebook) -> None:
    parents = [
        message.parent
        for message in notebook.messages()
        if message.kind == "execute_input" and message.content["code"] == _LINES
    ]
    sent = [m for m in notebook.messages() if m.is_comm and m.parent in parents]
    assert len(sent) >= 1
    assert sum(message.n_bytes for message in sent) <= 300_000


def test_no_array_travels_as_json(notebook: Notebook) -> None:
    for message in notebook.messages():
        if message.is_comm:
            long = [path for path, length in number_lists(message.content) if length > 4]
            assert [path for path in long if not path.endswith(("/heads", "/selected"))] == []


def test_a_click_changes_the_layer_in_python(notebook: Notebook, output: Locator) -> None:
    view(output, EXPLORER).locator('[data-action="layer-next"]').click()
    notebook.wait_for_kernel("{v.layer for v in view.views} == {18}", True)


def test_heads_set_in_python_change_the_picture(notebook: Notebook, output: Locator) -> None:
    before = picture(notebook, view(output, LINES))
    notebook.kernel_run("view.lines.heads = [3]")
    expect(view(output, LINES)).to_have_attribute("data-frame", "17:3:word:self")
    assert picture(notebook, view(output, LINES)) != before


def test_a_hovered_word_is_lit_in_the_strip(notebook: Notebook, output: Locator) -> None:
    view(output, LINES).locator('[data-side="query"][data-unit="4"]').hover()
    position = notebook.kernel_eval("trace.words()[4].tokens[0]")
    lit = view(output, STRIP).locator(f'[data-position="{position}"].is-hovered')
    expect(lit).to_be_attached()


@pytest.mark.parametrize(("n_tokens", "most"), [(64, 3_000_000), (512, 10_000_000)])
def test_a_saved_page_is_small_quickly_made_and_true_at_200_random_places(
    browser: Browser, tmp_path: Path, n_tokens: int, most: int
) -> None:
    lens = Lens.from_pretrained(str(FOLDER), dtype="float32")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    trace = lens.trace(text[: lens.tokenize(text)[n_tokens - 1].end])
    started = time.perf_counter()
    saved = explore(trace, layer=12, unit="token").save_html(tmp_path / "page.html")
    assert time.perf_counter() - started < 60  # 9 s on two idle cores
    assert saved.bytes <= most
    assert saved.left_out == ()
    rng = random.Random(0)  # noqa: S311
    places = [(rng.randrange(30), rng.randrange(9), rng.randrange(4, n_tokens)) for _ in range(200)]
    questions, true = [], []
    for layer, head, row in places:
        # Where it looks most, and anywhere else.
        weights = trace.attention(layer, heads=[head], rows=[row])[0, 0]
        key = int(weights.argmax()) if rng.random() < 0.5 else rng.randrange(row + 1)
        questions.append(
            ({"layer": layer, "heads": [head]}, "matrix.cell", {"query": row, "key": key})
        )
        true.append(float(weights[key]))
    with opened(browser, saved.path, viewport={"width": 1400, "height": 900}) as page:
        answers = page.ask(*questions)
        view(page.page.locator("body"), EXPLORER).locator('[data-action="layer-next"]').click()
        lines = view(page.page.locator("body"), LINES)
        expect(lines).to_have_attribute("data-frame", re.compile("^.+:token:self$"))
    exact = np.array(true)
    within = saved.relative_error * exact + np.where(exact < saved.least, saved.least, 0)
    found = np.array([answer["weight"][0, 0] for answer in answers])
    assert (np.abs(found - exact) <= within * (1 + 1e-5)).all()
