"""The comparison of pictures sees what somebody would call a change, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.pixels import as_webp, difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

PICTURE = """
<body style="margin: 0; background: #fff">
  <div style="position: absolute; left: 20px; top: 20px; font: 13px 'DejaVu Sans'; color: #1b1e23">
    The white whale, the white whale! All the men ran to the boats.
  </div>
  <div style="position: absolute; left: 20px; top: 60px; width: 40px; height: 12px;
    background: #8cb4dc"></div>
  <div style="position: absolute; left: 20px; top: 90px; width: 600px; border-top: 1px solid #ddd">
  </div>
</body>
"""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 900, "height": 600})
    yield page
    page.close()


def photographed(page: Page, html: str) -> bytes:
    page.set_content(html)
    return page.screenshot()


def tiles_that_differ(page: Page, html: str) -> int:
    assert html != PICTURE
    expected = as_webp(page, photographed(page, PICTURE))
    return difference(page, photographed(page, html), expected).tiles


def test_the_same_picture_is_the_same(page: Page) -> None:
    expected = as_webp(page, photographed(page, PICTURE))
    assert difference(page, photographed(page, PICTURE), expected).tiles == 0


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("All the men", "All the man"),
        ("left: 20px; top: 20px", "left: 23px; top: 20px"),
        ("left: 20px; top: 20px", "left: 20px; top: 23px"),
        ("color: #1b1e23", "color: #343a44"),
        ("#8cb4dc", "#8cb4e2"),
        ("width: 600px; border-top: 1px", "width: 600px; border-top: 0"),
        ("width: 40px", "width: 43px"),
    ],
    ids=["a-word", "right", "down", "ink", "shade", "line", "bar"],
)
def test_a_small_change_is_found(page: Page, what: str, other: str) -> None:
    assert tiles_that_differ(page, PICTURE.replace(what, other)) > 0


def test_rounded_colours_pass(page: Page) -> None:
    other = PICTURE.replace("#8cb4dc", "#8db3db").replace("#1b1e23", "#1c1d22")
    assert tiles_that_differ(page, other) == 0
