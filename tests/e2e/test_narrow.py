"""In a narrow cell controls and words wrap: nothing that is read or pressed is cut off.

Built views on real frames in a real browser; no kernel is needed to see where things are.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glasshead import (
    AttentionLines,
    FusedAttentionMatrix,
    HeadFinder,
    LayerStatsChart,
    Lens,
    PerplexityStrip,
    TokenTable,
)
from glasshead_backend.demo import DECODER_TEXT, SOURCE_TEXT, TARGET_TEXT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from glasshead.view import View

STATIC = Path(__file__).parents[2] / "widgets" / "glasshead" / "static"

SHOW = """async ([source, style, state, width]) => {
  const revive = (value) => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    if (value.base64 === undefined) {
      return Object.fromEntries(Object.entries(value).map(([k, inner]) => [k, revive(inner)]));
    }
    return Uint8Array.from(atob(value.base64), (c) => c.charCodeAt(0));
  };
  const traits = revive(JSON.parse(state));
  const model = {
    get: (name) => traits[name], set() {}, on() {}, off() {}, save_changes() {}, send() {},
  };
  document.head.append(Object.assign(document.createElement('style'), { textContent: style }));
  const el = document.createElement('div');
  el.style.width = `${width}px`;
  document.body.replaceChildren(el);
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  (await import(url)).default().render({ model, el });
}"""

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
        "tokens": TokenTable(trace.lens, SOURCE_TEXT, other=Lens.demo("decoder"), hovered=3),
    }


def show(page: Page, view: View, width: int) -> None:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(view).__name__).lower()
    traits = {k: v for k, v in view.get_state().items() if not k.startswith("_")}
    state = json.dumps(traits, default=packed)
    parts = [(STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for kind in ("js", "css")]
    page.evaluate(SHOW, [*parts, state, width])
    page.wait_for_selector(".gh[data-ready=true]")


def packed(value: object) -> dict[str, str] | str:
    if isinstance(value, bytes | memoryview | bytearray):
        return {"base64": base64.b64encode(value).decode("ascii")}
    return str(value)


@pytest.mark.parametrize("width", [420, 300])
@pytest.mark.parametrize("name", ["lines", "matrix", "strip", "chart", "heads", "tokens"])
def test_nothing_is_cut_off_in_a_narrow_cell(
    name: str, width: int, views: dict[str, View], browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 800, "height": 1200})
    show(page, views[name], width)
    assert page.evaluate(CUT) == []
    page.close()
