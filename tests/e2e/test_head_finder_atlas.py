"""HeadFinder over many texts, in JupyterLab and on a saved page: from a head to its rows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.saved import opened
from e2e.test_head_finder import point
from e2e.views import LINES, view
from glasshead import HeadFinder, Lens, head_atlas

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from e2e.lab import LabServer, Notebook

TEXTS = [
    "stone oil nine rope sea king stone oil nine rope sea king",
    "lamp fish gold whale lamp fish gold whale ship",
    "The captain saw the whale, and the whale saw the captain.",
    "The token </script><img src=x onerror=alert(1)> is text, the token is text.",
]
_ATLAS = f"""
from glasshead import AttentionLines, HeadAtlas, HeadFinder, Lens, head_atlas, link_views
lens = Lens.demo("decoder")
head_atlas(lens, {TEXTS!r}, progress=False).save("heads.safetensors")
atlas = HeadAtlas.load("heads.safetensors")
alone = HeadFinder(atlas, metric="induction", layer=1, heads=[3])
alone
"""
_BESIDE = """
trace = lens.trace("stone oil nine rope sea king lamp fish gold " * 2)
beside, lines = HeadFinder(trace, atlas=atlas, metric="induction"), AttentionLines(trace)
link_views(beside, lines)
beside
"""


def test_a_click_leads_to_the_rows_of_a_head_and_to_linked_views(
    lab: LabServer, open_notebook: Callable[[str], Notebook]
) -> None:
    notebook = open_notebook(lab.add_notebook("head_atlas.ipynb", [_ATLAS, _BESIDE, "lines"]))
    notebook.run_all()
    assert notebook.errors() == []
    root = view(notebook.output(0), "head-finder")
    expect(root.locator(".hf-corpus")).to_have_text("4 texts, 95 % bootstrap intervals")
    expect(root.locator(".hf-typical-title")).to_contain_text("rows of layer 1, head 3")
    # The page says what the atlas holds.
    rows = "[one.value for one in atlas.examples(1, 3, 'induction')]"
    shown = root.locator(".hf-row-value").all_inner_texts()
    for words, value in zip(shown, notebook.kernel_eval(rows), strict=True):
        assert float(re.sub(r"[<>] ", "", words)) == pytest.approx(value, abs=0.0051)
    assert root.locator(".hf-rows img").count() == 0
    # Buckets are one stop of the Tab key; one of them shows its rows alone.
    root.locator(".hf-bucket").first.focus()
    notebook.page.keyboard.press("ArrowDown")
    notebook.page.keyboard.press("Enter")
    expect(root.locator(".hf-rows-name")).to_have_text(["Induction 0.8–0.9"])
    # From a head of the other view to its rows, and to the lines of the text.
    other = view(notebook.output(1), "head-finder")
    other.scroll_into_view_if_needed()
    other.locator(".hf-grid").click(position=point(other, 0, 5))
    notebook.wait_for_kernel("[beside.layer, beside.heads]", [0, [5]])
    expect(other.locator(".hf-typical-title")).to_contain_text("rows of layer 0, head 5")
    expect(view(notebook.output(2), LINES)).to_have_attribute("data-frame", "0:5:token:self")
    saved = notebook.kernel_eval("alone.save_svg('heads.svg').read_text()")
    assert "95 % bootstrap intervals" in saved
    assert notebook.errors() == []


def test_a_saved_page_has_the_rows_of_every_head_and_metric(
    browser: Browser, tmp_path: Path
) -> None:
    atlas = head_atlas(Lens.demo("decoder"), TEXTS, progress=False)
    finder = HeadFinder(atlas, metric="induction")
    path = tmp_path / "page.html"
    finder.save_html(path)
    with opened(browser, path, viewport={"width": 1200, "height": 900}) as page:
        root = view(page.page.locator("body"), "head-finder")
        title = root.locator(".hf-typical-title")
        of = finder.typical["key"]
        expect(title).to_contain_text(f"rows of layer {of['layer']}, head {of['head']}")
        root.locator(".hf-grid").click(position=point(root, 0, 5))
        expect(title).to_contain_text("rows of layer 0, head 5")
        root.locator('[data-action="metric"]').select_option("previous_token")
        expect(root.locator(".hf-rows-name").first).to_have_text("Previous token 0.9–1")
        finder.set(layer=0, heads=[5], metric="previous_token")
        shown = root.locator(".hf-row-text .hf-query").all_inner_texts()
        # A token of white space is shown as a dot.
        assert shown == [word.strip() or "·" for word in finder.typical["queries"]]
        # Picked once more, all heads of the layer are shown: what stands out is the same head.
        root.locator(".hf-grid").click(position=point(root, 0, 5))
        expect(title).to_contain_text("rows of layer 0, head 5")
        root.locator('[data-action="at-most"]').evaluate(
            "(input) => { input.value = 20; input.dispatchEvent(new Event('input')); "
            "input.dispatchEvent(new Event('change')); }"
        )
        expect(title).not_to_contain_text("head 5")
