"""What a view says of its kernel while a cell runs, after a restart, and when the page was busy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import LINES, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

SHOW = """\
from glasshead import AttentionLines, Lens

lines = AttentionLines(Lens.demo("decoder").trace("The captain looked at the white whale."))
lines"""
SLEEP = "import time\n\ntime.sleep(12)"

_START_ALL = "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
_RUNNING = """() => [...document.querySelectorAll('.jp-InputPrompt')]
  .some((prompt) => prompt.textContent.includes('*'))"""
_RESTART = """() =>
  window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"""
_RUN_FIRST = """() => {
  window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0;
  return window.jupyterapp.commands.execute('notebook:run-cell');
}"""
# Long tasks without a pause, as when a page draws many views: timers run late.
_OCCUPY = """(seconds) => {
  const end = performance.now() + 1000 * seconds;
  const occupy = () => {
    const pause = performance.now() + 2600;
    while (performance.now() < pause);
    if (performance.now() < end) setTimeout(occupy, 30);
  };
  setTimeout(occupy, 0);
}"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    return open_notebook(lab.add_notebook("busy.ipynb", [SHOW, SLEEP]))


def banner(lines: Locator) -> str:
    return lines.locator(".gh-banners").inner_text()


def test_a_kernel_that_runs_a_cell_is_busy_not_gone(notebook: Notebook) -> None:
    notebook.page.evaluate(_START_ALL)
    lines = view(notebook.output(0), LINES)
    lines.wait_for(state="attached", timeout=60_000)
    said: list[str] = []
    end = time.monotonic() + 9
    while time.monotonic() < end:
        notebook.page.wait_for_timeout(500)
        said.append(banner(lines))
    assert not [words for words in said if "No kernel" in words or "run the cell" in words]
    # Where the kernel answers beside a running cell, there is nothing to say.
    assert {words.partition(";")[0] for words in said} <= {"", "The kernel is busy"}
    while notebook.page.evaluate(_RUNNING):
        notebook.page.wait_for_timeout(500)
    expect(lines.locator(".gh-banner")).to_have_count(0)
    notebook.kernel_run("lines.layer = 1")
    expect(lines).to_have_attribute("data-frame", "1::token:self")
    assert notebook.errors() == []


def test_a_restarted_kernel_is_said_to_be_gone(notebook: Notebook) -> None:
    lines = view(notebook.output(0), LINES)
    notebook.page.evaluate(_RESTART)
    expect(lines.locator(".gh-banner.is-kernel")).to_contain_text(
        "The kernel was restarted or has ended. Run the cell again"
    )
    # Nobody is there to draw other heads: the tiles say what the picture is of.
    expect(lines.locator('[data-head="2"]')).to_have_attribute("aria-disabled", "true")
    lines.locator('[data-head="2"]').click(force=True)
    expect(lines.locator(".gh-banner.is-kernel")).not_to_contain_text("ask for another picture")
    # What can be done without it still works.
    lines.locator('[data-action="blank"]').click()
    expect(lines.locator('[data-action="blank"]')).to_have_attribute("aria-pressed", "true")


def test_a_cell_that_is_run_again_has_its_controls_back(notebook: Notebook) -> None:
    notebook.page.evaluate(_RUN_FIRST)
    lines = view(notebook.output(0), LINES)
    expect(lines.locator(".gh-banner")).to_have_count(0, timeout=60_000)
    expect(lines.locator('[data-head="2"]')).not_to_have_attribute("aria-disabled", "true")
    lines.locator('[data-action="layer-next"]').click()
    expect(lines).to_have_attribute("data-frame", "1::token:self")


def test_a_view_that_opened_in_a_busy_page_hears_its_kernel(
    lab: LabServer, open_notebook: Callable[[str], Notebook]
) -> None:
    notebook = open_notebook(lab.add_notebook("crowded.ipynb", [SHOW]))
    notebook.kernel_run("import glasshead")
    notebook.page.evaluate(_START_ALL)
    notebook.page.evaluate(_OCCUPY, 8)
    lines = view(notebook.output(0), LINES)
    lines.wait_for(state="attached", timeout=60_000)
    notebook.page.wait_for_timeout(8000)
    notebook.kernel_run("lines.layer = 1")
    expect(lines).to_have_attribute("data-frame", "1::token:self", timeout=15_000)
    expect(lines.locator(".gh-banner")).to_have_count(0)
