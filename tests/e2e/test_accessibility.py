"""axe-core finds nothing serious in any state of the gallery, in either theme (WCAG 2.1 AA)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

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
_FIND = """async (runOnly) => {
  const { violations } = await axe.run('main', { runOnly, resultTypes: ['violations'] });
  return violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, html, any }) => ({
    id, impact, words: any[0]?.message ?? '', html: html.slice(0, 160),
    state: document.querySelector(target[0])?.closest('.state')?.id,
  })));
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, gallery: Path) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.goto(gallery.as_uri())
    page.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    yield page
    page.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_nothing_serious_stands_in_the_way_of_anybody(page: Page, view: str, theme: str) -> None:
    page.click(f'nav button[data-theme="{theme}"]')
    page.evaluate("hash => { location.hash = hash }", view)
    page.wait_for_selector(f'main[data-view="{view}"] .gh[data-theme="{theme}"]')
    page.wait_for_timeout(300)
    found: list[dict[str, Any]] = page.evaluate(_FIND, RULES[theme])
    assert page.locator("main .state .gh").count() > 0
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    assert serious == []
