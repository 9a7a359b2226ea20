"""The four views on a page, by the DOM hooks that they promise to keep."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from e2e.lab import Notebook

LINES, MATRIX = "attention-lines", "fused-attention-matrix"
STRIP, CHART = "perplexity-strip", "layer-stats-chart"
VIEWS = (LINES, MATRIX, STRIP, CHART)
EXPLORER = "explorer"
"""The view that has the others as panes, and in its header what they share."""

_COLOURS = """async (base64) => {
  const image = new Image();
  image.src = `data:image/png;base64,${base64}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height).data;
  return new Set(new Uint32Array(pixels.buffer)).size;
}"""


def view(scope: Locator, name: str) -> Locator:
    """Root of a view inside an output area."""
    return scope.locator(f'.gh[data-view="{name}"]')


def wait_until_drawn(scope: Locator, *, seconds: float = 60) -> None:
    """Wait until all four views inside ``scope`` have painted."""
    for name in VIEWS:
        root = scope.locator(f'.gh[data-view="{name}"][data-ready="true"]')
        root.wait_for(state="attached", timeout=seconds * 1000)


def picture(notebook: Notebook, root: Locator) -> bytes:
    """PNG of a view's largest canvas as it looks on the page."""
    area = """(canvases) => canvases
      .map((canvas, index) => [canvas.clientWidth * canvas.clientHeight, index])
      .sort((a, b) => b[0] - a[0])[0][1]"""
    largest = root.locator("canvas").evaluate_all(area)
    canvas = root.locator("canvas").nth(largest)
    canvas.scroll_into_view_if_needed()
    notebook.wait_for("() => new Promise(requestAnimationFrame).then(() => true)")
    return canvas.screenshot(animations="disabled")


def n_colours(notebook: Notebook, png: bytes) -> int:
    """Count the distinct colours of a picture: 1 or 2 for an empty one."""
    return notebook.page.evaluate(_COLOURS, base64.b64encode(png).decode())


def shown_text(root: Locator) -> str:
    """Text of a view with the marks for spaces and line ends turned back into what they mark."""
    return (root.text_content() or "").replace("·", " ").replace("⏎", "\n")
