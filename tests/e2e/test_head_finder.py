"""HeadFinder in a real JupyterLab: a click goes to a head in every linked view, keys do too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Position, expect

from e2e.views import LINES, n_colours, picture, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

_FINDER = """
from glasshead import AttentionLines, HeadFinder, Lens, head_statistics, link_views
trace = Lens.demo("decoder").trace("stone oil nine rope sea king lamp fish gold " * 2)
finder, lines = HeadFinder(trace, metric="induction"), AttentionLines(trace)
link_views(finder, lines)
finder
"""
_CROSS = """
translation = Lens.demo("encoder-decoder").trace("the black cat does not eat", "le chat")
cross = HeadFinder(translation)
cross
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    cells = [_FINDER, "lines", _CROSS]
    notebook = open_notebook(lab.add_notebook("head_finder.ipynb", cells))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


@pytest.fixture
def root(notebook: Notebook) -> Locator:
    notebook.kernel_run("finder.set(layer=0, heads=[], mode='patterns', sort='layer')")
    found = view(notebook.output(0), "head-finder")
    expect(found).to_have_attribute("data-frame", "0::token:self", timeout=60_000)
    found.scroll_into_view_if_needed()
    return found


def point(root: Locator, layer: int, head: int) -> Position:
    """Move over the tiles, as they lie, until the pointer is on a head; return where."""
    grid = root.locator(".hf-grid")
    box = grid.bounding_box()
    assert box is not None
    wanted = f"{layer}:{head}"
    for y in range(30, int(box["height"]), 30):
        for x in range(34, int(box["width"]), 30):
            at = Position(x=x, y=y)
            grid.hover(position=at)
            if root.locator(".hf-card").get_attribute("data-head") == wanted:
                return at
    message = f"no tile of {wanted}"
    raise AssertionError(message)


def test_a_click_goes_to_a_head_in_every_linked_view(notebook: Notebook, root: Locator) -> None:
    root.locator(".hf-grid").click(position=point(root, 1, 3))
    notebook.wait_for_kernel("[finder.layer, finder.heads]", [1, [3]])
    notebook.wait_for_kernel("[lines.layer, lines.heads]", [1, [3]])
    expect(view(notebook.output(1), LINES)).to_have_attribute("data-frame", "1:3:token:self")
    notebook.kernel_run("lines.set(layer=0, heads=[2])")
    expect(root).to_have_attribute("data-frame", "0:2:token:self")
    assert notebook.errors() == []


def test_what_is_said_of_a_head_is_what_python_measures(notebook: Notebook, root: Locator) -> None:
    point(root, 1, 0)
    named = {"previous_token": "previous_token", "induction": "induction", "sink": "sink"}
    for metric, column in named.items():
        shown = float(root.locator(f'[data-metric="{metric}"] .hf-value').inner_text())
        frame = f"head_statistics(trace).to_frame().query('layer == 1 and head == 0')['{column}']"
        assert shown == pytest.approx(notebook.kernel_eval(f"float({frame}.iloc[0])"), abs=0.0051)


def test_keys_alone_find_and_pick_a_head(notebook: Notebook, root: Locator) -> None:
    n_cells = "() => window.jupyterapp.shell.currentWidget.content.model.cells.length"
    before = notebook.page.evaluate(n_cells)
    keyboard = notebook.page.keyboard
    notebook.page.mouse.move(0, 0)
    root.locator('[data-action="only-heads"]').focus()
    keyboard.press("Tab")  # the grid is one stop
    cell = root.locator(".hf-cell.is-shown")
    expect(cell).to_have_attribute("data-head", "0:0")
    for key in ("ArrowDown", "End", "ArrowLeft"):
        keyboard.press(key)
    last = notebook.kernel_eval("trace.n_heads(1) - 1")
    expect(cell).to_have_attribute("data-head", f"1:{last - 1}")
    keyboard.press("Enter")
    notebook.wait_for_kernel("[finder.layer, finder.heads]", [1, [last - 1]])
    keyboard.press("Tab")
    assert not root.locator(".hf-grid").evaluate("(grid) => grid.contains(document.activeElement)")
    assert notebook.page.evaluate(n_cells) == before


def test_every_mode_draws_and_fits(notebook: Notebook, root: Locator) -> None:
    pictures = set()
    for mode, sort in (("patterns", "layer"), ("patterns", "highest"), ("metric", "layer")):
        root.locator(f'[data-action="mode"] [data-value="{mode}"]').click()
        root.locator(f'[data-action="sort"] [data-value="{sort}"]').click()
        notebook.wait_for_kernel("[finder.mode, finder.sort]", [mode, sort])
        png = picture(notebook, root)
        assert n_colours(notebook, png) > 20
        pictures.add(png)
    assert len(pictures) == 3
    root.locator('[data-action="mode"] [data-value="scatter"]').click()
    expect(root.locator(".hf-dots")).to_have_count(2)
    assert root.evaluate("(root) => root.querySelectorAll('*').length") < 2000
    assert root.evaluate("(root) => root.scrollWidth <= root.clientWidth")


def test_cross_attention_keeps_the_shape_of_its_map(notebook: Notebook) -> None:
    cross = view(notebook.output(2), "head-finder")
    rows, columns = notebook.kernel_eval("[cross.frame['rows'], cross.frame['columns']]")
    assert rows != columns
    box = cross.locator(".hf-card-picture").bounding_box()
    assert box is not None
    assert box["height"] / box["width"] == pytest.approx(rows / columns, rel=0.05)
    choices = cross.locator('[data-action="metric"] option').all_inner_texts()
    assert choices == ["Head entropy", "To first token"]
