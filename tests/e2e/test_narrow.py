"""In a narrow cell controls and words wrap: nothing that is read or pressed is cut off.

Built views on real frames in a real browser; no kernel is needed to see where things are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from e2e.alone import show
from glasshead import (
    AttentionLines,
    AttributionStrip,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    QueryKeyView,
    TokenTable,
)
from glasshead_backend.demo import DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from glasshead.view import View

CUT = """() => {
  const root = document.querySelector('.gh');
  const { left, right } = root.getBoundingClientRect();
  const help = root.querySelector('[data-action=help]').getBoundingClientRect();
  const shown = [...root.querySelectorAll('button, select, input, output, label, li, dd, span, p')]
    .filter((one) => one.checkVisibility() && !one.closest('.gh-live, .gh-model, .gh-token'));
  const box = (one) => one.getBoundingClientRect();
  const cut = shown.filter((one) => box(one).left < left || box(one).right > right);
  const notice = root.querySelector('.gh-notice');
  if (box(notice).right > help.left && box(notice).top < help.bottom) cut.push(notice);
  return cut.map((one) => `${one.className}: ${one.textContent}`);
}"""


@pytest.fixture(scope="module")
def views() -> dict[str, View]:
    """Make the views with the most controls and the longest words."""
    trace = Lens.demo("encoder-decoder").trace(SOURCE_TEXT, TARGET_TEXT)
    return {
        "lines": AttentionLines(trace, kind="cross"),
        "matrix": FusedAttentionMatrix(trace, kind="cross"),
        "strip": PerplexityStrip(trace, hovered=3),
        "chart": LayerStatsChart(Lens.demo("decoder").trace(DECODER_TEXT), "prediction_divergence"),
        "heads": HeadFinder(trace, kind="decoder", metric="previous_token"),
        "products": QueryKeyView(trace, kind="cross"),
        "attribution": AttributionStrip(
            trace, method="integrated_gradients", steps=2, targets=[2], hovered=3
        ),
        "tokens": TokenTable(trace.lens, SOURCE_TEXT, other=Lens.demo("decoder"), hovered=3),
    }


NAMES = ["lines", "matrix", "strip", "chart", "heads", "products", "attribution", "tokens"]


@pytest.mark.parametrize("width", [420, 300])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_in_a_narrow_cell(
    name: str, width: int, views: dict[str, View], browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 1200})
    show(page, views[name], width)
    assert page.evaluate(CUT) == []
    page.close()
