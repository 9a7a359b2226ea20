"""Every action of the attention views by keyboard alone, on the gallery's recorded kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e import keys
from e2e.views import LINES, MATRIX

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

FIRST = {LINES: "tokens", MATRIX: "tokens"}
"""The state of each view for which all pictures are recorded."""
MOST_STOPS = 24
"""Stops of the Tab key in a view; all heads, and all choices of a control, are one."""

_CONTROLS = """(root) => [...root.querySelectorAll('button, select, input, [tabindex="0"]')]
  .filter((one) => one.checkVisibility() && !one.disabled)
  .map((one, i) => { one.dataset.control = i; return i; })"""
_NAMES = """(root, left) => left.map((i) => {
  const one = root.querySelector(`[data-control="${i}"]`);
  return one.outerHTML.slice(0, 120);
})"""
# The control that has the focus, whether it is one of several in a toolbar, and how it shows.
_FOCUS = """(root) => {
  const one = document.activeElement;
  if (one === root || !root.contains(one)) return null;
  const bar = one.closest('[role="toolbar"]');
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  return {
    control: one.dataset.control === undefined ? null : Number(one.dataset.control),
    inBar: bar ? bar.querySelectorAll('button').length : 0,
    outlined: outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1,
  };
}"""


@pytest.fixture
def focused(page: Page) -> Callable[[str], Locator]:
    """Open a view afresh and give it the focus."""

    def focus(view: str) -> Locator:
        return keys.opened_afresh(page, view, FIRST[view])

    return focus


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab from the view's root until the target, or its toolbar, has the focus."""
    root = target.locator("xpath=ancestor::section[1]")
    keys.tab_to(page, root, target, most=MOST_STOPS)


def go_to(page: Page, target: Locator) -> None:
    """The same, and with the arrow keys to the button itself."""
    tab_to(page, target)
    keys.arrows_to(page, target)


@pytest.mark.parametrize("view", FIRST)
def test_every_control_is_reached_and_shows_the_focus(
    page: Page, focused: Callable[[str], Locator], view: str
) -> None:
    root = focused(view)
    left = set(root.evaluate(_CONTROLS))
    hidden: list[int] = []
    stops = 0
    page.keyboard.press("Tab")
    while (at := root.evaluate(_FOCUS)) is not None:
        stops += 1
        assert stops <= MOST_STOPS
        page.keyboard.press("Home" if at["inBar"] else "Shift")
        for _ in range(max(1, at["inBar"])):
            at = root.evaluate(_FOCUS)
            left.discard(at["control"])
            if not at["outlined"]:
                hidden.append(at["control"])
            if at["inBar"]:
                page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
    assert root.evaluate(_NAMES, sorted(left)) == []
    assert root.evaluate(_NAMES, hidden) == []


@pytest.mark.parametrize("view", FIRST)
def test_layers_are_stepped_through_and_the_focus_stays(
    page: Page, focused: Callable[[str], Locator], view: str
) -> None:
    root = focused(view)
    page.keyboard.press("[")
    expect(root).to_have_attribute("data-frame", "0::token:self")
    page.keyboard.press("]")
    expect(root).to_have_attribute("data-frame", "1::token:self")
    previous = root.locator('[data-action="layer-previous"]')
    tab_to(page, previous)
    page.keyboard.press("Enter")
    expect(root).to_have_attribute("data-frame", "0::token:self")
    expect(previous).to_be_focused()
    tab_to(page, root.locator(".gh-layer"))
    for key, layer in (("End", 1), ("Home", 0), ("PageDown", 1), ("PageUp", 0)):
        page.keyboard.press(key)
        expect(root).to_have_attribute("data-frame", f"{layer}::token:self")


@pytest.mark.parametrize("view", FIRST)
def test_heads_are_shown_alone_added_and_taken_away(
    page: Page, focused: Callable[[str], Locator], view: str
) -> None:
    root = focused(view)
    on = root.locator('[data-head][aria-pressed="true"]')
    go_to(page, root.locator('[data-head="0"]'))
    page.keyboard.press("Enter")
    expect(on).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(on).to_have_count(2)
    page.keyboard.press("Space")
    expect(on).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(on).to_have_count(12)
    # By number: the last head alone, and taken away, which leaves none and so shows all.
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(on).to_have_count(1)
    expect(on).to_have_attribute("data-head", "11")
    page.keyboard.type("11")
    expect(on).to_have_count(12)
    page.keyboard.press("Enter")
    expect(on).to_have_count(1)
    tab_to(page, root.locator('[data-action="heads-all"]'))
    page.keyboard.press("Enter")
    expect(on).to_have_count(12)


@pytest.mark.parametrize("view", FIRST)
def test_units_and_ways_to_combine_heads_are_chosen(
    page: Page, focused: Callable[[str], Locator], view: str
) -> None:
    root = focused(view)
    words = root.locator('[data-action="unit"] [data-value="word"]')
    go_to(page, words)
    page.keyboard.press("Enter")
    expect(root).to_have_attribute("data-frame", "1::word:self")
    expect(words).to_be_focused()
    most = root.locator('[data-action="aggregate"] [data-value="max"]')
    go_to(page, most)
    page.keyboard.press("Space")
    expect(most).to_have_attribute("aria-pressed", "true")
    sinks = root.locator('[data-action="sinks"]')
    tab_to(page, sinks)
    expect(sinks).to_be_focused()


@pytest.mark.parametrize("view", FIRST)
def test_words_are_pointed_at_pinned_and_let_go(
    page: Page, focused: Callable[[str], Locator], view: str
) -> None:
    root = focused(view)
    before = root.locator(".gh-status").inner_text()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(root.locator(".gh-token.is-hovered").first).to_be_visible()
    expect(root.locator(".gh-status")).not_to_have_text(before)
    page.keyboard.press("Enter")
    expect(root.locator(".gh-token.is-selected").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(root.locator(".gh-token.is-selected")).to_have_count(0)
    expect(root.locator(".gh-token.is-hovered")).to_have_count(0)


@pytest.mark.parametrize("view", FIRST)
@pytest.mark.parametrize("action", ["help", "save"])
def test_what_a_button_opens_is_closed_again(
    page: Page, focused: Callable[[str], Locator], view: str, action: str
) -> None:
    root = focused(view)
    opener = root.locator(f'[data-action="{action}"]')
    tab_to(page, opener)
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(opener).to_have_attribute("aria-expanded", "false")
    expect(opener).to_be_focused()


def test_how_much_the_lines_show_is_set(page: Page, focused: Callable[[str], Locator]) -> None:
    root = focused(LINES)
    for action in ("threshold", "top-k"):
        slider = root.locator(f'input[data-action="{action}"]')
        tab_to(page, slider)
        least, most = (str(slider.get_attribute(end)) for end in ("min", "max"))
        page.keyboard.press("End")
        expect(slider).to_have_value(most)
        page.keyboard.press("PageDown")
        expect(slider).not_to_have_value(most)
        page.keyboard.press("Home")
        expect(slider).to_have_value(least)


def test_the_matrix_is_enlarged_and_shown_whole(
    page: Page, focused: Callable[[str], Locator]
) -> None:
    root = focused(MATRIX)
    whole = root.locator('[data-action="zoom-reset"]')
    go_to(page, root.locator('[data-action="zoom-in"]'))
    page.keyboard.press("Enter")
    expect(whole).not_to_have_attribute("aria-disabled", "true")
    go_to(page, whole)
    page.keyboard.press("Enter")
    expect(whole).to_have_attribute("aria-disabled", "true")
    expect(whole).to_be_focused()
