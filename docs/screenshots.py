"""Make the README's pictures: the quickstart's views in a real JupyterLab, light and dark.

python docs/screenshots.py          # writes docs/images/explore-{light,dark}.png, 1,200 px wide
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from e2e.chromium import launch_chromium  # noqa: E402
from e2e.lab import Notebook, lab_server  # noqa: E402
from e2e.views import wait_until_drawn  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CELL = "translation-explore"
OUTPUT_WIDTH = 1200


def widen(notebook: Notebook) -> None:
    """Make the page so wide that the cell's output is ``OUTPUT_WIDTH`` pixels wide."""
    explorer = notebook.cell_output(CELL).locator('[data-view="explorer"]')
    box = explorer.bounding_box()
    size = notebook.page.viewport_size
    assert box is not None
    assert size is not None
    wider = size["width"] + OUTPUT_WIDTH - round(box["width"])
    notebook.page.set_viewport_size({"width": wider, "height": 2000})
    notebook.wait_for(
        "([element, width]) => Math.abs(element.clientWidth - width) <= 1",
        [explorer.element_handle(), OUTPUT_WIDTH],
    )


def main() -> None:
    """Run the quickstart and take a picture in either theme."""
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        lab_server(Path(folder)) as server,
    ):
        browser = launch_chromium(playwright)
        name = server.add_file(ROOT / "examples" / "quickstart.ipynb")
        notebook = Notebook.open(browser, server, name)
        notebook.run_all()
        output = notebook.cell_output(CELL)
        wait_until_drawn(output)
        widen(notebook)
        notebook.page.mouse.move(0, 0)
        for theme in ("light", "dark"):
            notebook.set_theme(theme)
            notebook.page.wait_for_timeout(1500)  # until the panes have come to rest
            path = IMAGES / f"explore-{theme}.png"
            notebook.screenshot(output.locator('[data-view="explorer"]'), path)
            print(path.relative_to(ROOT))
        notebook.close()
        browser.close()


if __name__ == "__main__":
    main()
