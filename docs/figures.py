"""Make the pictures of docs/statistics.md: figures of SmolLM2-135M, as LayerStatsChart draws them.

python docs/figures.py      # writes docs/images/statistics-*.png; needs scripts/fetch_smollm2.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.chromium import launch_chromium  # noqa: E402
from glasshead import (  # noqa: E402
    BinSensitivity,
    LayerStatsChart,
    Lens,
    MutualInformation,
    PredictionDivergence,
)

IMAGES = ROOT / "docs" / "images"
MODEL = ROOT / ".models" / "smollm2-135m-instruct"
TEXT = (
    "The keeper of the old lighthouse wrote down the wind, the tide and the weather every evening. "
    "When the old keeper died, the new keeper of the old lighthouse wrote down the wind, the tide "
    "and the weather every evening, as the old keeper had. "
) * 2
WIDTH = 1000
FIGURES = {
    "pairs": (MutualInformation(target=" the"), "t"),
    "predictions": (PredictionDivergence(block="mlp"), "gap"),
    "bins": (BinSensitivity(block="mlp"), ""),
}


def main() -> None:
    """Save each chart as a page, and take a picture of it."""
    trace = Lens.from_pretrained(str(MODEL), dtype="float32").trace(TEXT)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = launch_chromium(playwright)
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        for name, (metric, quantity) in FIGURES.items():
            chart = LayerStatsChart(trace, metric.measure(trace), quantity=quantity, layer=17)
            path = Path(folder) / f"{name}.html"
            chart.save_html(str(path))
            page.goto(path.as_uri())
            page.wait_for_selector(".gh-panel")
            view = page.locator('[data-view="layer-stats-chart"]')
            view.screenshot(path=IMAGES / f"statistics-{name}.png")


if __name__ == "__main__":
    main()
