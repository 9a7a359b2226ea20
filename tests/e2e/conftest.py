"""One browser and one JupyterLab server for all end-to-end tests of a run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from e2e.chromium import find_chromium, launch_chromium
from e2e.lab import LabServer, Notebook, lab_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if find_chromium() is None:
        pytest.fail("no Chrome or Chromium found: install one or set CHROME_PATH to its binary")
    with sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    with lab_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="session")
def gallery() -> Path:
    """The gallery's page, made anew where a source is newer."""
    root = Path(__file__).parents[2]
    page = root / "gallery" / "dist" / "index.html"
    folders = ("js", "gallery", "widgets", "kernel_backend")
    sources = [
        path
        for folder in folders
        for path in (root / folder).rglob("*.*")
        if path.suffix in (".ts", ".css", ".py") and "static" not in path.parts
    ]
    newest = max(path.stat().st_mtime for path in sources)
    if not page.exists() or page.stat().st_mtime < newest:
        subprocess.run([sys.executable, "gallery/record.py"], cwd=root, check=True)
        subprocess.run(["npm", "run", "--silent", "gallery"], cwd=root, check=True)  # noqa: S607
    return page


@pytest.fixture(scope="module")
def page(browser: Browser, gallery: Path) -> Iterator[Page]:
    """The gallery in a tab of the module's own."""
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.goto(gallery.as_uri())
    yield page
    page.close()


@pytest.fixture(scope="module")
def open_notebook(browser: Browser, lab: LabServer) -> Iterator[Callable[[str], Notebook]]:
    """Open a notebook of the server's folder; its kernel ends with the module's tests."""
    opened: list[Notebook] = []

    def open_(name: str) -> Notebook:
        opened.append(Notebook.open(browser, lab, name))
        return opened[-1]

    yield open_
    for notebook in opened:
        notebook.close()
