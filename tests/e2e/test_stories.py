"""A lesson in a real JupyterLab: captions over states, a question that waits for a click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import EXPLORER, LINES, view, wait_until_drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

_LESSON = """
from glasshead import Lens, StoryStep, explore, story

trace = Lens.demo("encoder-decoder").trace("the black cat eats the white apple .")
# Row 1 predicts the second word.
answer = int(trace.attention(1, kind="cross")[:, 1].mean(0).argmax())
view = story(explore(trace), [
    StoryStep(
        "Words change places.", {"kind": "cross", "layer": 1, "unit": "token"},
        ask="Where does the row that predicts the second word look?", answer=answer, where="source",
        because="Follow its strongest line.", reveal={"lines_top_k": 1},
    ),
    ("The encoder.", {"kind": "encoder", "layer": 0, "heads": [1]}),
])
view
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("lesson.ipynb", [_LESSON]))
    notebook.run_all()
    assert notebook.errors() == []
    wait_until_drawn(notebook.output(0))
    return notebook


@pytest.fixture
def explorer(notebook: Notebook) -> Locator:
    return view(notebook.output(0), EXPLORER)


def test_a_student_guesses_by_clicking_a_word_and_the_lesson_goes_on(
    notebook: Notebook, explorer: Locator
) -> None:
    told, lines = explorer.locator(".gh-story"), view(explorer, LINES)
    goes_on = told.locator('[data-action="story-next"]')
    expect(told.locator(".is-shown")).to_contain_text("Words change places.")
    expect(goes_on).to_have_attribute("aria-disabled", "true")
    height = told.evaluate("(told) => told.offsetHeight")

    wrong = notebook.kernel_eval("(answer + 1) % 5")
    lines.locator(f'[data-side="key"][data-unit="{wrong}"]').click()
    expect(told.get_by_role("status")).to_contain_text("Not yet.")
    expect(goes_on).to_have_attribute("aria-disabled", "true")

    right = notebook.kernel_eval("answer")
    lines.locator(f'[data-side="key"][data-unit="{right}"]').click()
    expect(told.get_by_role("status")).to_have_text("Right. Follow its strongest line.")
    notebook.wait_for_kernel("view.lines.top_k", 1)
    assert told.evaluate("(told) => told.offsetHeight") == height, "the picture must not move"

    goes_on.click()
    expect(told.locator(".is-shown")).to_contain_text("The encoder.")
    notebook.wait_for_kernel(
        "[view.step, view.kind, view.layer, view.heads]", [1, "encoder", 0, [1]]
    )
    expect(lines).to_have_attribute("data-frame", "0:1:word:encoder")


def test_the_instructor_turns_the_page_from_a_cell(notebook: Notebook, explorer: Locator) -> None:
    notebook.kernel_run("view.step = 0")
    expect(explorer.locator(".gh-story .is-shown")).to_contain_text("Words change places.")
    expect(view(explorer, LINES)).to_have_attribute("data-frame", "1::token:cross")
    assert notebook.errors() == []
