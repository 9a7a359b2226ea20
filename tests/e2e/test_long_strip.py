"""Sixteen thousand tokens in a strip: counts of what the browser does, not times.

Of a view that made and painted every token at once, each of these counts would be 16,384.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from e2e import alone
from glasshead import Lens, PerplexityStrip

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page

    from glasshead import Trace

N = 16_384
AT_ONCE = 3_000
"""Tokens that may be made or painted for one part in sight: it shows about 300."""
LINES = (
    "The keeper saw the whale, and the whale saw the keeper.\n",
    "“Where is the harbour?” she asked. Nobody knew what to say about it, so they waited.\n\n",
    "A boy went to the park with his dog. The night was long, and the keeper was not there.\n",
)

WATCH = """(text) => {
  const seen = window.seen = { made: 0, painted: new Set() };
  const isToken = (node) => node.nodeType === 1 && node.matches('.gh-token');
  new MutationObserver((records) => {
    for (const { type, target, addedNodes } of records) {
      if (type === 'childList') seen.made += [...addedNodes].filter(isToken).length;
      else if (isToken(target)) seen.painted.add(target.dataset.position);
    }
  }).observe(text, { subtree: true, childList: true, attributeFilter: ['style'] });
}"""
TAKE = """async () => {
  for (let i = 0; i < 6; i++) await new Promise(requestAnimationFrame);
  const found = { made: window.seen.made, painted: window.seen.painted.size };
  [window.seen.made, window.seen.painted] = [0, new Set()];
  return found;
}"""
UNCOLOURED_IN_SIGHT = """(scroller) => {
  const frame = scroller.getBoundingClientRect();
  const tokens = [...scroller.querySelectorAll('.gh-token:not(.is-unscored)')];
  const inSight = tokens.filter((token) => {
    const box = token.getBoundingClientRect();
    return box.bottom > frame.top && box.top < frame.bottom;
  });
  return [inSight.length, inSight.filter((one) => !one.style.backgroundColor).length];
}"""


TOKEN_IN_THE_MIDDLE = """(scroller) => {
  const frame = scroller.getBoundingClientRect();
  const middle = frame.top + frame.height / 2;
  const token = [...scroller.querySelectorAll('.gh-token')].find((one) => {
    const box = one.getBoundingClientRect();
    return box.top > middle && box.width > 20;
  });
  const box = token.getBoundingClientRect();
  const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
  return { x, y, position: token.dataset.position };
}"""


@pytest.fixture(scope="module")
def trace() -> Trace:
    lens = Lens.demo("decoder")
    text = "".join(LINES) * 300
    return lens.score(text[: lens.tokenize(text)[N - 1].end])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    yield page
    page.close()


@pytest.fixture
def strip(page: Page, trace: Trace) -> Locator:
    alone.show(page, PerplexityStrip(trace), 1000)
    return page.locator('.gh[data-view="perplexity-strip"]')


def test_only_what_is_near_the_screen_is_made_and_painted_and_all_can_be_reached(
    page: Page, strip: Locator, trace: Trace
) -> None:
    assert len(trace.sequence("text").tokens) == N
    assert strip.locator(".gh-token").count() < AT_ONCE
    scroller = strip.locator(".gh-strip-scroller")
    page.wait_for_timeout(300)
    strip.locator(".gh-text").evaluate(WATCH)
    for share in (0.001, 0.1, 0.12, 0.5, 0.9, 0.3, 1.0):
        scroller.evaluate("(one, share) => { one.scrollTop = share * one.scrollHeight }", share)
        counts = page.evaluate(TAKE)
        assert max(counts.values()) < AT_ONCE, share
        wait_for_colours(page, scroller)
    made = strip.locator(".gh-token").count()
    assert made < N * 0.75
    assert strip.locator(f'[data-position="{N - 1}"]').count() == 1
    # Another measure: what is far away is painted when it comes near.
    page.evaluate(TAKE)
    alone.send(page, {"measure": "rank"})
    assert 50 < page.evaluate(TAKE)["painted"] < AT_ONCE < made
    scroller.evaluate("(one) => { one.scrollTop = 0 }")
    assert 50 < page.evaluate(TAKE)["painted"] < AT_ONCE


def wait_for_colours(page: Page, scroller: Locator) -> None:
    in_sight, uncoloured = scroller.evaluate(UNCOLOURED_IN_SIGHT)
    for _ in range(20):
        if in_sight > 50 and not uncoloured:
            return
        page.wait_for_timeout(100)
        in_sight, uncoloured = scroller.evaluate(UNCOLOURED_IN_SIGHT)
    assert in_sight > 50
    assert uncoloured == 0


def test_its_lines_are_those_of_the_text_and_copying_gives_the_text(
    page: Page, strip: Locator, trace: Trace
) -> None:
    text = trace.sequence("text").text
    ends = "(blocks) => blocks.map((block) => block.textContent.slice(-1))"
    blocks = strip.locator(".gh-text-chunk").evaluate_all(ends)
    assert len(blocks) > 30
    assert set(blocks[:-1]) == {"\n"}
    page.evaluate(
        "() => addEventListener('copy', (e) => "
        "{ window.copied = e.clipboardData.getData('text/plain') })"
    )
    strip.locator(".gh-strip-scroller").focus()
    for _ in range(2):  # as it opens, and with the last tokens made
        page.evaluate("getSelection().selectAllChildren(document.querySelector('.gh-text'))")
        page.keyboard.press("Control+C")
        assert page.evaluate("window.copied") == text
        strip.locator(".gh-strip-scroller").evaluate("(one) => { one.scrollTop = 1e6 }")
        expect(strip.locator(f'[data-position="{N - 1}"]')).to_be_visible()
    # A part: from one token to another.
    first, last = N - 40, N - 5
    page.evaluate(
        """([first, last]) => {
          const token = (i) => document.querySelector(`[data-position="${i}"]`);
          const range = document.createRange();
          range.setStartBefore(token(first));
          range.setEndAfter(token(last));
          getSelection().removeAllRanges();
          getSelection().addRange(range);
        }""",
        [first, last],
    )
    page.keyboard.press("Control+C")
    tokens = trace.sequence("text").tokens
    part = text[tokens[first].start : tokens[last].end]
    assert page.evaluate("window.copied").strip() == part.strip()


def test_pointer_and_keys_reach_every_token_of_it(page: Page, strip: Locator, trace: Trace) -> None:
    surprisal = trace.predictions().surprisal.double() / math.log(2)
    scroller = strip.locator(".gh-strip-scroller")
    scroller.focus()
    lit = strip.locator(".gh-token.is-hovered")
    for key, position in (("End", N - 1), ("ArrowLeft", N - 2), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        expect(lit).to_have_attribute("data-position", str(position))
        expect(lit).to_be_in_viewport()
    page.keyboard.press("End")
    expect(lit).to_have_attribute("data-position", str(N - 1))
    above = N - 1
    for _ in range(3):
        page.keyboard.press("ArrowUp")
        expect(lit).not_to_have_attribute("data-position", str(above))
        above = int(lit.get_attribute("data-position") or 0)
    assert N - 120 < above < N - 12
    scroller.evaluate("(one) => { one.scrollTop = one.scrollHeight / 2 }")
    page.wait_for_timeout(300)
    found = scroller.evaluate(TOKEN_IN_THE_MIDDLE)
    page.mouse.move(found["x"], found["y"], steps=3)
    expect(lit).to_have_attribute("data-position", found["position"])
    position = int(found["position"])
    assert N * 0.3 < position < N * 0.7
    said = strip.locator(".gh-strip-card-number[data-measure=surprisal] dd").first
    assert float((said.text_content() or "").split()[0]) == pytest.approx(
        float(surprisal[position]), rel=0.006
    )
