"""The explorer in a real JupyterLab: one header, panes, the text traced again, boxes of widgets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import CHART, EXPLORER, LINES, MATRIX, STRIP, VIEWS, view, wait_until_drawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

_EXPLORE = """
import ipywidgets
from glasshead import AttentionLines, Lens, explore

lens = Lens.demo("decoder")
trace = lens.trace("The white whale, the white whale! All the men ran to the boats.")
view = explore(trace, layer=0)
view
"""
_BOXES = """
def small():
    return AttentionLines(trace, layer=1)

ipywidgets.VBox([
    ipywidgets.HBox([small(), small()]),
    ipywidgets.Tab([small()]),
    ipywidgets.GridBox([small(), small()], layout={"grid_template_columns": "1fr 1fr"}),
    ipywidgets.HBox([ipywidgets.Button(description="beside"), explore(trace)]),
])
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("explorer.ipynb", [_EXPLORE, _BOXES]))
    notebook.run_all()
    assert notebook.errors() == []
    wait_until_drawn(notebook.output(0))
    return notebook


@pytest.fixture
def explorer(notebook: Notebook) -> Locator:
    notebook.kernel_run(
        "view.set(layer=0, heads=[], selected=[], hovered=None, large='',"
        " panes=['lines', 'matrix', 'strip', 'chart'])"
    )
    root = view(notebook.output(0), EXPLORER)
    expect(root.locator(".ex-pane")).to_have_count(4)
    expect(view(root, LINES)).to_have_attribute("data-frame", "0::word:self")
    return root


def test_layer_kind_and_heads_are_chosen_in_one_place(explorer: Locator) -> None:
    for control in ('[data-action="layer-next"]', ".gh-heads", '[data-action="unit"]'):
        expect(explorer.locator(control)).to_have_count(1)
    assert explorer.locator(".gh-model:not(:empty)").count() == 1


def test_the_layer_slider_is_a_chart_and_moves_by_keys(
    notebook: Notebook, explorer: Locator
) -> None:
    slider = explorer.locator('[data-action="layer"]')
    expect(explorer.locator(".ex-track-line").first).to_be_attached()
    slider.focus()
    slider.press("ArrowRight")
    notebook.wait_for_kernel("[v.layer for v in (view, *view.views)]", [1] * 6)
    slider.press("Home")
    notebook.wait_for_kernel("view.layer", 0)
    expect(view(explorer, MATRIX)).to_have_attribute("data-frame", "0::word:self")


def test_a_pane_can_be_hidden_made_large_and_put_back(
    notebook: Notebook, explorer: Locator
) -> None:
    explorer.locator('[data-pane="matrix"] [data-action="hide"]').click()
    notebook.wait_for_kernel("view.panes", ["lines", "strip", "chart"])
    expect(view(explorer, MATRIX)).to_have_count(0)
    explorer.locator('[data-pane="lines"] [data-action="enlarge"]').click()
    notebook.wait_for_kernel("view.large", "lines")
    expect(explorer.locator(".ex-pane")).to_have_count(1)
    explorer.locator('[data-action="put-back"]').click()
    expect(explorer.locator(".ex-pane")).to_have_count(3)
    explorer.locator('[data-switch="matrix"]').click()
    notebook.wait_for_kernel("view.panes", ["lines", "matrix", "strip", "chart"])
    expect(view(explorer, MATRIX)).to_have_attribute("data-frame", "0::word:self")


def test_two_columns_end_at_the_same_height(explorer: Locator) -> None:
    explorer.page.wait_for_timeout(300)
    ends = explorer.locator(".ex-column").evaluate_all(
        "(all) => all.map((column) => column.getBoundingClientRect().bottom)"
    )
    assert len(ends) == 2
    assert abs(ends[0] - ends[1]) < 10


def test_another_text_is_traced_from_the_page_and_gone_back_from(
    notebook: Notebook, explorer: Locator
) -> None:
    text = explorer.locator('[data-action="prompt-text"]')
    before = text.input_value()
    text.fill("The sea, the sea, the sea.")
    text.press("Control+Enter")
    notebook.wait_for_kernel("view.trace.text", "The sea, the sea, the sea.")
    expect(view(explorer, STRIP)).to_contain_text("sea")
    expect(view(explorer, STRIP)).not_to_contain_text("whale")
    explorer.locator('[data-action="earlier"]').select_option(index=1)
    notebook.wait_for_kernel("view.trace.text", before)
    expect(view(explorer, STRIP)).to_contain_text("whale")


def test_the_code_of_what_is_shown_can_be_read_and_follows(
    notebook: Notebook, explorer: Locator
) -> None:
    explorer.locator('[data-action="code"]').click()
    code = explorer.locator(".gh-code code")
    expect(code).to_contain_text("trace.attention(0")
    notebook.kernel_run("view.layer = 1")
    expect(code).to_contain_text("trace.attention(1")
    explorer.locator('[data-action="code"]').click()
    expect(code).to_be_hidden()


def test_views_in_boxes_have_the_width_that_there_is(notebook: Notebook) -> None:
    output = notebook.output(1)
    wait_until_drawn(view(output, EXPLORER))
    roots = output.locator(f'.gh[data-view="{LINES}"]:not([data-pane])')
    widths = roots.evaluate_all("(all) => all.map((root) => root.offsetWidth)")
    assert len(widths) == 5
    assert min(widths) > 250, widths
    whole = view(output, EXPLORER).evaluate("(root) => root.offsetWidth")
    assert whole > 500


def test_nothing_fails_in_the_page(notebook: Notebook, explorer: Locator) -> None:
    for name in VIEWS:
        expect(view(explorer, name)).to_have_count(1)
    assert notebook.page_errors == []
    assert notebook.foreign_requests == []
    assert view(explorer, CHART).locator("[data-layer]").count() > 0
