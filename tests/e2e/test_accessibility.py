"""axe-core finds nothing serious in any state of the gallery, in either theme (WCAG 2.1 AA)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = sorted(
    path.stem.replace("_", "-")
    for path in (Path(__file__).parents[2] / "gallery" / "states").glob("*.py")
)

# The other theme has the same elements in other colours.
RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"],
    "dark": {"type": "rule", "values": ["color-contrast"]},
}
_FIND = """async ([where, runOnly]) => {
  const { violations } = await axe.run(where, { runOnly, resultTypes: ['violations'] });
  return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, html, any }) => ({
    id, impact, words: any[0]?.message ?? '', html: html.slice(0, 160),
    state: document.querySelector(target[0])?.closest('.state')?.id,
  })));
}"""


# What is only seen once it is opened or pointed at: the state, and what is clicked or pointed at.
OPENED = [
    ("activation-map/pinned", "hover", ".gh-map-figure canvas >> nth=-1", ".gh-map-tag"),
    ("activation-map/decoder", "click", '[data-action="help"]', ".gh-help"),
    ("explorer/long-800", "click", '[data-action="code"]', ".gh-code"),
    ("explorer/short-800", "click", '[data-action="save"]', ".gh-save"),
    ("explorer/short-800", "click", '[data-action="help"]', ".gh-help"),
    ("explorer/translation-420", "hover", '.gh-token[data-side="key"]', None),
    ("attention-lines/sinks-shown", "click", '[data-action="save"]', ".gh-save"),
    ("attention-lines/words", "click", '[data-action="help"]', ".gh-help"),
    ("attribution-strip/several-targets", "hover", ".gh-token >> nth=4", ".as-card"),
    ("attribution-strip/next-token", "click", '[data-action="help"]', ".gh-help"),
    ("attribution-strip/matrix", "hover", ".gh-map-figure canvas >> nth=-1", ".gh-map-tag"),
    ("attention-lines/smollm2", "hover", ".al-gutter-cell, .gh-token", None),
    ("fused-attention-matrix/tokens", "hover", ".gh-map-figure canvas >> nth=-1", ".gh-map-tag"),
    ("head-finder/patterns", "hover", ".hf-grid", ".hf-card"),
    ("head-finder/scatter", "click", '[data-action="help"]', ".gh-help"),
    ("layer-stats-chart/twelve-layers", "hover", "svg.gh-chart", None),
    ("patch-grid/smollm2", "hover", ".gh-map-figure canvas >> nth=-1", ".pg-card-name"),
    ("patch-grid/heads", "click", '[data-action="help"]', ".gh-help"),
    ("perplexity-strip/tokens", "hover", ".gh-token >> nth=4", ".gh-strip-card"),
    ("query-key-view/self-attention", "hover", ".qk-rows .qk-cells >> nth=3", ".gh-tooltip"),
    ("query-key-view/several-heads", "click", '[data-action="help"]', ".gh-help"),
    ("token-table/tokens", "hover", ".gh-token >> nth=4", None),
    ("token-table/tokens", "click", '[data-action="help"]', ".gh-help"),
]


@pytest.fixture(scope="module")
def page(page: Page) -> Page:
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_serious_stands_in_the_way_of_anybody(page: Page, view: str, theme: str) -> None:
    turn_to(page, view, theme)
    assert page.locator("main .state .gh").count() > 0
    assert serious(page, "main", theme) == []


@pytest.mark.parametrize(("state", "act", "target", "opens"), OPENED)
def test_nothing_serious_is_in_what_opens(
    page: Page, state: str, act: str, target: str, opens: str | None
) -> None:
    turn_to(page, state.partition("/")[0], "light")
    root = page.locator(f'[id="{state}"]')
    getattr(root.locator(target).first, act)()
    for theme in ("light", "dark"):
        # Not by its button: a click elsewhere closes what is open.
        page.evaluate("(theme) => { document.documentElement.dataset.theme = theme }", theme)
        expect(root.locator(".gh").first).to_have_attribute("data-theme", theme)
        if opens:
            expect(root.locator(opens).first).to_be_visible()
        assert serious(page, f'[id="{state}"]', theme) == []


def turn_to(page: Page, view: str, theme: str) -> None:
    """Show the states of a view."""
    page.mouse.move(0, 0)
    page.click(f'nav button[data-theme="{theme}"]')
    page.evaluate("hash => { location.hash = hash }", view)
    page.wait_for_selector(f'main[data-view="{view}"] .gh[data-theme="{theme}"]')
    page.wait_for_timeout(300)


def serious(page: Page, where: str, theme: str) -> list[dict[str, Any]]:
    """What axe-core finds that stands in somebody's way."""
    found: list[dict[str, Any]] = page.evaluate(_FIND, [where, RULES[theme]])
    return [one for one in found if one["impact"] in ("serious", "critical")]
