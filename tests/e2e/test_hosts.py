"""Live views where people work, JupyterLab apart: drawn, clicked, and heard of in the kernel."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import nbformat
import pytest
from playwright.sync_api import expect

from e2e.lab import PANEL_READY, Notebook
from e2e.serving import free_port, own_environment, serving
from e2e.views import EXPLORER, LINES, view

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

_TRACE = """
from ipywidgets import Label
from glasshead import AttentionLines, Lens, explore, link_views

trace = Lens.demo("decoder").trace("The whale, the whale!")
view = AttentionLines(trace, layer=0)
"""
_SAID = """
said = Label("nothing yet")
view.observe(lambda change: setattr(said, "value", f"the kernel has layer {change.new}"), "layer")
"""
_CELLS = (_TRACE + _SAID, "view", "said", "instrument = explore(trace, layer=0)\ninstrument")

_MARIMO = f"""
import marimo
app = marimo.App()

@app.cell
def _():
    import marimo as mo
    {_TRACE.strip().replace(chr(10), chr(10) + "    ")}
    shown = mo.ui.anywidget(view)
    return explore, mo, shown, trace

@app.cell
def _(shown):
    shown
    return

@app.cell
def _(mo, shown):
    mo.md(f"the kernel has layer {{shown.value['layer']}}")
    return

@app.cell
def _(explore, trace):
    explore(trace, layer=0)
    return
"""


def _server(folder: Path, *command: str, ready: str) -> Iterator[str]:
    """Address of a host that runs in a folder of its own."""
    port = free_port()
    with serving(
        [sys.executable, "-m", *(part.format(port=port) for part in command)],
        f"http://127.0.0.1:{port}{ready}",
        environment=own_environment(folder),
        cwd=folder,
        log=folder / "server.log",
    ):
        yield f"http://127.0.0.1:{port}"


def _notebook(folder: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in _CELLS]
    )
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "lesson.ipynb")


@pytest.fixture(scope="module")
def notebook_7(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("notebook")
    _notebook(folder)
    options = (
        *("--no-browser", "--allow-root", "--port={port}", "--IdentityProvider.token="),
        "--JupyterNotebookApp.expose_app_in_browser=True",
    )
    yield from _server(folder, "notebook", *options, ready="/api/status")


@pytest.fixture(scope="module")
def voila(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("voila")
    _notebook(folder)
    options = ("--no-browser", "--port={port}", "lesson.ipynb")
    yield from _server(folder, "voila", *options, ready="/voila/static/voila.js")


@pytest.fixture(scope="module")
def marimo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("marimo")
    (folder / "lesson.py").write_text(_MARIMO, "utf-8")
    options = ("--headless", "--host=127.0.0.1", "--port={port}", "--no-token")
    yield from _server(folder, "marimo", "run", "lesson.py", *options, ready="/health")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser that reaches nothing but loopback; our modules must not fail in it.

    anywidget and marimo load them from addresses of blobs; Notebook 7 has errors of its own.
    """
    page = browser.new_page(viewport={"width": 1300, "height": 1000})
    page.set_default_timeout(60_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.stack or error.message))
    yield page
    page.close()
    assert [error for error in errors if "blob:" in error or "glasshead" in error] == []


def _expect_live(page: Page) -> None:
    """Lines and explorer are drawn; the next layer is drawn too, and the kernel has heard of it."""
    for name in (LINES, EXPLORER):
        shown = view(page.locator("body"), name).first
        expect(shown).to_have_attribute("data-ready", "true", timeout=60_000)
    lines = view(page.locator("body"), LINES).first
    lines.locator('[data-action="layer-next"]').click()
    expect(lines).to_have_attribute("data-frame", re.compile("^1:"))
    expect(page.get_by_text("the kernel has layer 1")).to_be_visible()
    instrument = view(page.locator("body"), EXPLORER).first
    instrument.get_by_role("slider", name="Layer").first.press("ArrowRight")
    inside = view(instrument, LINES).first
    expect(inside).to_have_attribute("data-frame", re.compile("^1:"))


def test_notebook_7_shows_views_that_answer(notebook_7: str, page: Page) -> None:
    page.goto(f"{notebook_7}/notebooks/lesson.ipynb")
    Notebook(page).wait_for(PANEL_READY, seconds=90)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    _expect_live(page)


def test_voila_shows_views_that_answer(voila: str, page: Page) -> None:
    page.goto(voila)
    _expect_live(page)


def test_marimo_shows_views_that_answer(marimo: str, page: Page) -> None:
    page.goto(marimo)
    _expect_live(page)
