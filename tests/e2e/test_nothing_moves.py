"""What is pressed, read and drawn stays where it is when a control is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.alone import show
from glasshead import LayerStatsChart, Lens, PerplexityStrip
from glasshead_backend.demo import DECODER_TEXT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from glasshead.view import View

PLACES = """() => {
  const root = document.querySelector('.gh');
  const from = root.getBoundingClientRect();
  const things = '.gh-header button, .gh-header select, .gh-header .gh-segmented, .gh-body, canvas,'
    + ' svg.gh-chart, .gh-chart-column, .gh-panel, .gh-token, .gh-strip-card, .gh-strip-key,'
    + ' .gh-footer';
  return [...root.querySelectorAll(things)].map((one) => {
    const { x, y, width, height } = one.getBoundingClientRect();
    const place = [x - from.x, y - from.y, width, height].map((n) => Math.round(n));
    return `${one.className.baseVal ?? one.className} ${one.dataset.value ?? ''}: ${place}`;
  });
}"""


@pytest.fixture(scope="module")
def views() -> dict[str, View]:
    trace = Lens.demo("decoder").trace(DECODER_TEXT)
    entropy = LayerStatsChart(trace, "entropy")
    assert entropy.result is not None  # waits for it
    return {
        "strip": PerplexityStrip(trace, selected=[3]),
        "norms": LayerStatsChart(trace, layer=1),
        "heads": entropy,
    }


def moved_by(page: Page, control: str) -> list[str]:
    """Press every button of a control, and say what is elsewhere afterwards."""
    # That no kernel answers is said meanwhile, above the picture.
    page.add_style_tag(content=".gh-banners { display: none }")
    page.wait_for_timeout(200)
    buttons = page.locator(f'[data-action="{control}"] button')
    assert buttons.count() > 1
    before = page.evaluate(PLACES)
    found: list[str] = []
    for i in [*range(buttons.count()), 0]:
        buttons.nth(i).click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(100)
        after = page.evaluate(PLACES)
        found += [f"{a} -> {b}" for a, b in zip(before, after, strict=False) if a != b]
    return found


@pytest.mark.parametrize("width", [420, 700])
@pytest.mark.parametrize(
    ("name", "control"), [("strip", "measure"), ("norms", "scale"), ("heads", "scale")]
)
def test_nothing_moves_when_a_control_is_used(
    name: str, control: str, width: int, views: dict[str, View], browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 1200})
    show(page, views[name], width)
    if name == "heads":
        page.click('[data-action="picture"] [data-value="lines"]')
    assert moved_by(page, control) == []
    page.close()


def test_a_picture_of_heads_leaves_every_control_in_its_place(
    views: dict[str, View], browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 1200})
    show(page, views["heads"], 700)
    buttons = '.gh-header button:not([data-action="help"])'
    places = f"() => [...document.querySelectorAll('{buttons}')].map((one) => one.offsetLeft)"
    before = page.evaluate(places)
    page.click('[data-action="picture"] [data-value="lines"]')
    assert page.evaluate(places) == before
    page.close()
