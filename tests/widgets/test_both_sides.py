"""A view has two sides, a class in Python and a folder in ``js/``: they agree on what it is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import anywidget
import pytest

import glasshead
from glasshead.view import View

ROOT = Path(__file__).parents[2]
VIEWS = [
    view
    for name in glasshead.__all__
    if isinstance(view := getattr(glasshead, name), type) and issubclass(view, View)
]


def folder(view: type[View]) -> str:
    """Return the name of a view's Python file, folder, module and style sheet."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", view.__name__).lower()


@pytest.fixture(scope="module")
def traits_read() -> dict[str, list[str]]:
    """Names of the traits that each built view reads."""
    script = ROOT / "tests" / "js" / "traits_read.mjs"
    static = ROOT / "widgets" / "glasshead" / "static"
    run = subprocess.run(
        [shutil.which("node") or "node", str(script), str(static), *map(folder, VIEWS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize("view", VIEWS)
def test_the_browser_reads_exactly_the_traits_that_python_syncs(
    view: type[View], traits_read: dict[str, list[str]]
) -> None:
    # TypeScript holds that these are the names of the interface in `state.ts`.
    own = set(view.class_traits(sync=True)) - set(anywidget.AnyWidget.class_traits(sync=True))
    own -= {"watched"}  # read by the bridge alone, when the pointer moves: tests/e2e/test_hover.py
    assert set(traits_read[folder(view)]) == {name for name in own if not name.startswith("_")}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_has_one_name_on_both_sides_and_one_line_in_the_registry(
    view: type[View],
) -> None:
    name = folder(view)
    assert view.__module__ == f"glasshead.{name}"
    registry = (ROOT / "js" / "registry.ts").read_text()
    assert f'export {{ {view.__name__}View }} from "./{name}/view";' in registry
    source = (ROOT / "js" / name / "view.ts").read_text()
    assert f'static readonly id = "{name.replace("_", "-")}";' in source


def test_every_folder_of_a_view_has_its_python_class() -> None:
    folders = {path.parent.name for path in (ROOT / "js").glob("*/index.ts")}
    assert folders == {folder(view) for view in VIEWS}
