"""Views on a system with colours of its own (high contrast), or where nothing is to move."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e.views import EXPLORER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Literal

    from playwright.sync_api import Browser, Page

HOVERED = f'[id="{EXPLORER}/hovered"]'

_COLOURS = """(one) => {
  const { backgroundColor, color, outlineStyle, outlineColor } = getComputedStyle(one);
  return { backgroundColor, color, outline: outlineStyle + ' ' + outlineColor };
}"""
_MOVING = """() => [...document.querySelectorAll('main .gh *')].flatMap((one) => {
  const { transitionDuration, animationName, animationDuration } = getComputedStyle(one);
  const moves = parseFloat(transitionDuration) > 0
    || (animationName !== 'none' && parseFloat(animationDuration) < 5);
  return moves ? [one.className] : [];
})"""


@pytest.fixture(params=["light", "dark"])
def forced(request: pytest.FixtureRequest, browser: Browser, gallery: Path) -> Iterator[Page]:
    """The gallery, in light colours, on a system that has its own."""
    scheme: Literal["light", "dark"] = request.param
    page = browser.new_page(
        viewport={"width": 1500, "height": 1000}, forced_colors="active", color_scheme=scheme
    )
    page.goto(f"{gallery.as_uri()}#{EXPLORER}")
    page.click('nav button[data-theme="light"]')
    page.wait_for_selector(f'main .gh[data-view="{EXPLORER}"][data-theme="{scheme}"]')
    yield page
    page.close()


def test_what_is_chosen_is_seen_in_the_colours_of_the_system(forced: Page) -> None:
    root = forced.locator(HOVERED)
    expect(root.locator(".gh-token.is-selected").first).to_be_visible()
    chosen = (
        ".gh-segment[aria-pressed='true']",
        ".gh-button[aria-pressed='true']",
        ".gh-token.is-selected",
    )
    others = (
        ".gh-segment[aria-pressed='false']",
        ".gh-button[aria-pressed='false']",
        ".gh-token:not(.is-selected)",
    )
    for one, other in zip(chosen, others, strict=True):
        on = root.locator(one).first.evaluate(_COLOURS)
        off = root.locator(other).first.evaluate(_COLOURS)
        assert on["backgroundColor"] != off["backgroundColor"], one
        assert contrast(on["color"], on["backgroundColor"]) >= 4.5, (one, on)
    for part in root.locator(".gh-token.is-selected *").all():
        ground = part.evaluate(
            "(one) => getComputedStyle(one.closest('.is-selected')).backgroundColor"
        )
        assert contrast(part.evaluate(_COLOURS)["color"], ground) >= 4.5
    heads = forced.locator(f'[id="{EXPLORER}/translation-1400"] [data-head]')
    both = heads.first.evaluate(_COLOURS)
    heads.nth(1).click()
    expect(heads.first).to_have_attribute("aria-pressed", "false")
    assert heads.first.evaluate(_COLOURS)["outline"] != both["outline"]


def test_what_colours_mean_keeps_its_colours(forced: Page) -> None:
    ramps = forced.locator(f"{HOVERED} .gh-ramp, {HOVERED} .al-opacity")
    assert ramps.count() > 1
    for ramp in ramps.all():
        assert "gradient" in ramp.evaluate("(one) => getComputedStyle(one).backgroundImage")
        assert ramp.evaluate("(one) => getComputedStyle(one).forcedColorAdjust") == "none"


def test_nothing_moves_for_those_who_want_it_so(browser: Browser, gallery: Path) -> None:
    page = browser.new_page(viewport={"width": 1500, "height": 1000}, reduced_motion="reduce")
    page.goto(f"{gallery.as_uri()}#attention-lines")
    for view in ("attention-lines", EXPLORER):
        page.evaluate("hash => { location.hash = hash }", view)
        page.wait_for_selector(f'main[data-view="{view}"] .gh-spinner')
        assert page.evaluate(_MOVING) == []
    page.close()


def contrast(one: str, other: str) -> float:
    """WCAG 2.1: of two colours as a browser writes them."""
    low, high = sorted(luminance(words) for words in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(words: str) -> float:
    """Relative luminance: WCAG 2.1, "dfn-relative-luminance"."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", words)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
