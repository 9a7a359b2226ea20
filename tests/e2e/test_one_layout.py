"""Panes of an explorer are laid out once for each change: no passing layout is ever painted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from e2e.alone import send, show, traits_of
from glasshead import Explorer, Lens
from glasshead_backend.demo import DECODER_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

PANES = ["lines", "matrix", "strip", "chart"]
ALL = [*PANES, "finder"]
FRAMES = [f"{pane}_frame" for pane in PANES]
OTHER_TEXT = "The white whale, the white whale! All the men ran to the boats."

RECORD = """() => {
  // The box above them grows with what is written in it.
  const top = () => document.querySelector('.ex-panes').getBoundingClientRect().y;
  const places = () => [...document.querySelectorAll('.ex-pane')].map((pane) => {
    const { x, y, width, height } = pane.getBoundingClientRect();
    return `${pane.dataset.pane}: ${[x, y - top(), width, height].map(Math.round)}`;
  }).sort().join('; ');
  window.layouts = [places()];
  const look = () => {
    const now = places();
    if (now !== window.layouts.at(-1)) window.layouts.push(now);
    // After this frame has been painted.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = look;
    requestAnimationFrame(() => port2.postMessage(0));
  };
  look();
}"""


@pytest.fixture(scope="module")
def explorer() -> Explorer:
    return complete(DECODER_TEXT)


@pytest.fixture(scope="module")
def other() -> Explorer:
    return complete(OTHER_TEXT)


@pytest.fixture(scope="module")
def shown(browser: Browser, explorer: Explorer) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.add_style_tag(content=".gh-banners { display: none !important }")  # says: no kernel
    show(page, explorer, 1400)
    page.evaluate(RECORD)
    yield page
    page.close()


@pytest.fixture
def page(shown: Page, explorer: Explorer) -> Page:
    """Return the page, with everything as it was at first."""
    send(shown, traits_of(explorer))
    shown.wait_for_timeout(300)
    return shown


def complete(text: str) -> Explorer:
    """Make an explorer whose panes all have their pictures, the hidden one too."""
    explorer = Explorer(Lens.demo("decoder").trace(text), panes=ALL)
    until = time.monotonic() + 30
    while not all(getattr(explorer, f"{pane}_frame") for pane in ALL):
        assert time.monotonic() < until
        time.sleep(0.05)
    explorer.panes = PANES
    return explorer


def layouts(page: Page, change: Callable[[], object]) -> list[str]:
    """Return the layouts that are painted after a change, each once."""
    page.evaluate("() => { window.layouts = window.layouts.slice(-1) }")
    change()
    page.wait_for_timeout(250)
    return page.evaluate("() => window.layouts")[1:]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"panes": ["lines", "matrix", "chart"]}),
        ({"panes": ["lines", "chart"]}, {"panes": PANES}),
        ({}, {"panes": ALL}),
        ({}, {"large": "lines"}),
        ({"large": "matrix"}, {"large": ""}),
        ({}, {"lines_orientation": "horizontal"}),
    ],
    ids=["hidden", "shown", "heads", "enlarged", "put-back", "in-rows"],
)
def test_a_change_of_panes_is_one_layout(
    page: Page, before: dict[str, Any], after: dict[str, Any]
) -> None:
    layouts(page, lambda: send(page, before))
    assert len(layouts(page, lambda: send(page, after))) == 1


def test_another_theme_is_no_other_layout(page: Page) -> None:
    assert layouts(page, lambda: send(page, {"theme": "dark"})) == []


def test_another_text_is_one_layout_though_its_pictures_come_one_by_one(
    page: Page, other: Explorer
) -> None:
    state = traits_of(other)
    names = ["axes", "matrix_axes", "prompt"]

    def retrace() -> None:
        send(page, {**{name: state[name] for name in names}, **{name: {} for name in FRAMES}})
        for name in FRAMES:
            page.wait_for_timeout(60)
            send(page, {name: state[name]})

    assert len(layouts(page, retrace)) == 1


def test_panes_stay_in_their_column_when_another_is_hidden_and_shown(page: Page) -> None:
    columns = "() => [...document.querySelectorAll('.ex-pane')].map((one) => one.dataset.pane + ':'"
    columns += " + [...document.querySelectorAll('.ex-column')].indexOf(one.parentNode)).sort()"
    before = page.evaluate(columns)
    layouts(page, lambda: send(page, {"panes": ["lines", "matrix", "chart"]}))
    assert page.evaluate(columns) == [one for one in before if not one.startswith("strip")]
    layouts(page, lambda: send(page, {"panes": PANES}))
    assert page.evaluate(columns) == before
