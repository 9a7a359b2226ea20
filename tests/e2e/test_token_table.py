"""TokenTable in a real JupyterLab: text and table light each other, long texts stay quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import shown_text, view

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator

    from e2e.lab import LabServer, Notebook

HOSTILE = "</script><img src=x onerror=alert(1)>"
TEXT = f"Captain Ahab saw 白鯨 🐋.\nThe {HOSTILE} sank."

_SHORT = f"""
from glasshead import Lens, TokenTable
lens = Lens.demo("decoder")
short = TokenTable(lens, {TEXT!r})
short
"""
_LONG = """
long = TokenTable(lens, "The white whale swam along the shores of the sea.\\n" * 1300)
assert len(long.to_frame()) > 16_000
long
"""
_COMPARED = """
compared = TokenTable(lens, "the black cat does not eat", other=Lens.demo("encoder-decoder"))
compared
"""

_SLOWEST_FRAME = """async (table) => {
  let [slowest, before] = [0, performance.now()];
  for (let i = 1; i <= 60; i++) {
    table.scrollTop = (table.scrollHeight / 60) * i;
    const now = await new Promise(requestAnimationFrame);
    [slowest, before] = [Math.max(slowest, now - before), now];
  }
  return slowest;
}"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("token_table.ipynb", [_SHORT, _LONG, _COMPARED]))
    notebook.run_all()
    assert notebook.errors() == []
    return notebook


def shown(notebook: Notebook, cell: int) -> Locator:
    root = view(notebook.output(cell), "token-table")
    expect(root).to_have_attribute("data-ready", "true", timeout=60_000)
    return root


def test_text_and_table_light_each_other_and_python_knows(notebook: Notebook) -> None:
    root = shown(notebook, 0)
    row = notebook.kernel_eval("short.to_frame()['token'].tolist().index(' Ahab')")
    root.locator(f'[data-position="{row}"]').hover()
    notebook.wait_for_kernel("short.hovered", row)
    expect(root.locator(f'[data-row="{row}"].is-hovered')).to_be_visible()
    root.locator(f'[data-row="{row + 1}"]').click()
    notebook.wait_for_kernel("short.selected", [row + 1])
    expect(root.locator(f'[data-position="{row + 1}"].is-selected')).to_be_visible()
    notebook.kernel_run("short.selected = [0]; short.hovered = None")
    expect(root.locator('[data-row="0"].is-selected')).to_be_visible()


def test_keys_move_along_the_text_and_leave_the_notebook_alone(notebook: Notebook) -> None:
    root = shown(notebook, 0)
    notebook.kernel_run("short.selected = []; short.hovered = None")
    notebook.page.mouse.move(0, 0)
    root.locator(".tt-text").focus()
    for _ in range(3):
        notebook.page.keyboard.press("ArrowRight")
    notebook.wait_for_kernel("short.hovered", 2)
    root.locator(".tt-table").focus()
    notebook.page.keyboard.press("End")
    last = notebook.kernel_eval("len(short.to_frame()) - 1")
    notebook.wait_for_kernel("short.hovered", last)
    expect(root.locator(f'[data-row="{last}"]')).to_be_in_viewport()
    notebook.page.keyboard.press("Escape")
    notebook.wait_for_kernel("short.hovered", None)


def test_hostile_text_is_shown_as_text(notebook: Notebook) -> None:
    text = shown(notebook, 0).locator(".tt-text")
    assert HOSTILE in shown_text(text)
    images = "() => document.querySelectorAll('.gh img, img[src=\"x\"], .gh script').length"
    assert notebook.page.evaluate(images) == 0
    assert notebook.dialogs == []
    assert notebook.page_errors == []


def test_sixteen_thousand_tokens_scroll_without_a_stop(notebook: Notebook) -> None:
    root = shown(notebook, 1)
    table = root.locator(".tt-table")
    table.scroll_into_view_if_needed()
    slowest = table.evaluate(_SLOWEST_FRAME)
    assert slowest < 500, "milliseconds; a tenth of it on an idle machine"
    assert root.locator("[data-row]").count() < 80
    notebook.kernel_run("long.hovered = 15_000")
    expect(root.locator('[data-row="15000"].is-hovered')).to_be_visible()
    expect(root.locator('[data-position="15000"]')).to_be_in_viewport()


def test_two_tokenizers_stand_one_below_the_other(notebook: Notebook) -> None:
    root = shown(notebook, 2)
    columns = root.locator(".tt-block")
    cuts = "(blocks) => blocks.map((b) => [...b.children].map((row) => row.children.length))"
    found = columns.evaluate_all(cuts)
    of = notebook.kernel_eval("compared.to_frame()['tokenizer'].value_counts().to_dict()")
    assert [sum(column) for column in zip(*found, strict=True)] == [
        of["demo decoder"],
        of["demo encoder-decoder"],
    ]
    # What is cut alike stands exactly one below the other.
    above, below = columns.nth(len(found) // 2).locator(".tt-row").all()
    one, two = above.bounding_box(), below.bounding_box()
    assert one is not None
    assert two is not None
    assert one["x"] == two["x"]
    assert one["y"] < two["y"]
