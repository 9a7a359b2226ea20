"""Every action of the explorer by keyboard alone, on the gallery's recorded kernel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e import keys
from e2e.views import EXPLORER

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

STATE = "translation-1400"
MOST_STOPS = 46
"""Stops of the Tab key in the whole explorer with four panes: its own controls and theirs; each
toolbar is one."""

# What has the focus, whether it shows, and whether it is lost to the page.
_FOCUS = """(root) => {
  const one = document.activeElement;
  if (one === document.body) return 'lost';
  if (!root.contains(one)) return 'out';
  const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(one);
  const shows = (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 1) || boxShadow !== 'none';
  return shows ? 'shown' : 'hidden: ' + one.outerHTML.slice(0, 120);
}"""


@pytest.fixture
def root(page: Page) -> Locator:
    """The explorer, opened afresh and with the focus."""
    return keys.opened_afresh(page, EXPLORER, STATE)


def tab_to(page: Page, root: Locator, target: Locator) -> None:
    keys.tab_to(page, root, target, most=MOST_STOPS)


def go_to(page: Page, root: Locator, target: Locator) -> None:
    tab_to(page, root, target)
    keys.arrows_to(page, target)


def test_the_tab_key_goes_through_all_panes_and_the_focus_is_seen(
    page: Page, root: Locator
) -> None:
    seen: list[str] = []
    panes: set[str] = set()
    while True:
        page.keyboard.press("Tab")
        at = root.evaluate(_FOCUS)
        if at in ("out", "lost"):
            break
        seen.append(at)
        pane = page.evaluate("document.activeElement.closest('[data-pane]')?.dataset.pane")
        panes.add(pane or "explorer")
        assert len(seen) <= MOST_STOPS, panes
    assert {at for at in seen if at != "shown"} == set()
    assert {"lines", "matrix", "strip", "chart"} <= panes


def test_the_layer_slider_takes_arrows_and_both_ends(page: Page, root: Locator) -> None:
    slider = root.locator('input[data-action="layer"]')
    tab_to(page, root, slider)
    last = int(slider.get_attribute("max") or 0)
    for key, at in (("Home", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", last)):
        page.keyboard.press(key)
        expect(slider).to_have_value(str(at))
        expect(slider).to_be_focused()
    page.keyboard.press("PageDown")
    expect(slider).not_to_have_value(str(last))
    page.keyboard.press("PageUp")
    expect(slider).to_have_value(str(last))


def test_heads_kinds_units_and_sinks_are_chosen(page: Page, root: Locator) -> None:
    on = root.locator('[data-head][aria-pressed="true"]')
    go_to(page, root, root.locator('[data-head="1"]').first)
    page.keyboard.press("Enter")
    expect(on).to_have_count(1)
    page.keyboard.press("Enter")
    for action, value in (("unit", "token"), ("aggregate", "max")):
        choice = root.locator(f'[data-action="{action}"] [data-value="{value}"]').first
        go_to(page, root, choice)
        page.keyboard.press("Enter")
        expect(choice).to_have_attribute("aria-pressed", "true")
        expect(choice).to_be_focused()
    sinks = root.locator('select[data-action="sinks"]').first
    tab_to(page, root, sinks)
    for key, value in (("End", "hidden"), ("Home", "auto")):
        page.keyboard.press(key)
        expect(sinks).to_have_value(value)
        expect(sinks).to_be_focused()


def test_every_kind_of_attention_is_chosen(page: Page, root: Locator) -> None:
    kinds = root.locator('[data-action="kind"] button')
    go_to(page, root, kinds.first)
    for i in range(kinds.count()):
        page.keyboard.press("Enter")
        expect(kinds.nth(i)).to_have_attribute("aria-pressed", "true")
        expect(kinds.nth(i)).to_be_focused()
        page.keyboard.press("ArrowRight")


def test_heads_are_found_sorted_and_picked(page: Page) -> None:
    page.evaluate("() => { location.hash = 'head-finder' }")
    finder = page.locator('main [id="head-finder/patterns"] .gh')
    expect(finder).to_have_attribute("data-ready", "true")
    go_to(page, finder, finder.locator('[data-action="sort"] [data-value="highest"]'))
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("aria-pressed", "true")
    only = finder.locator('[data-action="only-layers"]')
    tab_to(page, finder, only)
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")  # which heads
    page.keyboard.press("Tab")
    cell = finder.locator(".hf-cell.is-shown")
    expect(cell).to_have_attribute("data-head", re.compile("^1:"))
    page.keyboard.press("ArrowRight")
    chosen = cell.get_attribute("data-head") or ""
    page.keyboard.press("Enter")
    expect(finder).to_have_attribute("data-frame", f"{chosen}:token:self")


def test_a_text_is_edited_traced_and_taken_back(page: Page, root: Locator) -> None:
    area = root.locator('[data-action="prompt-text"]')
    trace = root.locator('[data-action="trace"]')
    before = area.input_value()
    tab_to(page, root, area)
    page.keyboard.press("End")
    page.keyboard.type(" x")
    expect(trace).not_to_have_attribute("aria-disabled", "true")
    tab_to(page, root, trace)
    expect(trace).to_be_focused()
    undo = root.locator('[data-action="prompt-undo"]')
    tab_to(page, root, undo)
    page.keyboard.press("Enter")
    expect(area).to_have_value(before)
    expect(undo).to_be_focused()


@pytest.mark.parametrize("action", ["help", "save"])
def test_what_a_button_opens_is_closed_again(page: Page, root: Locator, action: str) -> None:
    opener = root.locator(f'[data-action="{action}"]').first
    tab_to(page, root, opener)
    page.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(opener).to_have_attribute("aria-expanded", "false")
    expect(opener).to_be_focused()


def test_the_code_is_opened_copied_and_closed(page: Page, root: Locator) -> None:
    opener = root.locator('[data-action="code"]')
    tab_to(page, root, opener)
    page.keyboard.press("Enter")
    code = root.locator(".gh-code")
    expect(code).to_be_visible()
    copy = root.locator('[data-action="copy-code"]')
    tab_to(page, root, copy)
    page.keyboard.press("Enter")
    expect(copy).to_be_focused()
    page.keyboard.press("Escape")
    expect(code).to_be_hidden()
    expect(opener).to_be_focused()


def test_panes_are_hidden_shown_made_large_and_put_back(page: Page, root: Locator) -> None:
    panes = root.locator(".ex-pane")
    pane = root.locator('.ex-pane[data-pane="matrix"]')
    go_to(page, root, pane.locator('[data-action="enlarge"]'))
    page.keyboard.press("Enter")
    expect(panes).to_have_count(1)
    assert root.evaluate(_FOCUS) == "shown"
    go_to(page, root, pane.locator('[data-action="put-back"]'))
    page.keyboard.press("Enter")
    expect(panes).to_have_count(4)
    assert root.evaluate(_FOCUS) == "shown"
    go_to(page, root, pane.locator('[data-action="hide"]'))
    page.keyboard.press("Enter")
    expect(pane).to_have_count(0)
    assert root.evaluate(_FOCUS) == "shown"
    switch = root.locator('[data-switch="matrix"]')
    go_to(page, root, switch)
    page.keyboard.press("Enter")
    expect(pane).to_have_count(1)
    expect(switch).to_be_focused()


def test_a_word_is_pinned_in_a_pane_and_let_go(page: Page, root: Locator) -> None:
    root.locator('.ex-pane[data-pane="lines"] .gh').focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    expect(root.locator(".gh-token.is-hovered").first).to_be_visible()
    page.keyboard.press("Enter")
    expect(root.locator(".gh-token.is-selected").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(root.locator(".gh-token.is-selected")).to_have_count(0)
