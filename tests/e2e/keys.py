"""The gallery's page by keyboard: a state opened afresh, Tab and arrow keys to a control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_HAS_FOCUS = """(one) =>
  (one.closest('[role="toolbar"]') ?? one).contains(document.activeElement)"""


def opened_afresh(page: Page, view: str, state: str) -> Locator:
    """Open a state of a view anew and give it the focus."""
    page.evaluate("() => { location.hash = 'token-table' }")
    page.wait_for_selector('main[data-view="token-table"]')
    page.evaluate("hash => { location.hash = hash }", view)
    root = page.locator(f'main [id="{view}/{state}"] .gh[data-view="{view}"]')
    expect(root).to_have_attribute("data-ready", "true")
    root.focus()
    return root


def tab_to(page: Page, root: Locator, target: Locator, *, most: int) -> None:
    """Press Tab until the target, or another button of its toolbar, has the focus."""
    root.focus()
    for _ in range(most + 1):
        if target.evaluate(_HAS_FOCUS):
            return
        page.keyboard.press("Tab")
    message = f"Tab does not lead to {target}"
    raise AssertionError(message)


def arrows_to(page: Page, target: Locator) -> None:
    """From any button of its toolbar to the button itself."""
    page.keyboard.press("Home")
    for _ in range(40):
        if target.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("ArrowRight")
    message = f"the arrow keys do not lead to {target}"
    raise AssertionError(message)
