"""Takes a picture of every state of the gallery in both themes.

    python gallery/screenshots.py FOLDER [WORD]

Writes ``FOLDER/<view>--<state>--<theme>.png``; with a word, only states whose name contains it.
Needs Playwright and an installed Chrome or Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

PAGE = Path(__file__).parent / "dist" / "index.html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def main(folder: Path, word: str = "") -> None:
    """Open the gallery and take all pictures."""
    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        sys.exit("No Chrome or Chromium is installed: try `apt install chromium`.")
    if not PAGE.exists():
        sys.exit("The gallery is not built. Run: python gallery/record.py && npm run gallery")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1720, "height": 1000})
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(PAGE.as_uri())
        for theme in ("light", "dark"):
            page.click(f'nav button[data-theme="{theme}"]')
            take_all(page, folder, theme, word)
        browser.close()
    if failures:
        sys.exit("Errors in the page:\n" + "\n".join(failures))


def take_all(page: Page, folder: Path, theme: str, word: str) -> None:
    """Take one picture of every state that is on the page in the current theme."""
    for view in page.eval_on_selector_all("nav h2 a", "links => links.map(link => link.hash)"):
        page.evaluate("hash => { location.hash = hash }", view)
        page.wait_for_selector(f'main[data-view="{view[1:]}"]')
        page.wait_for_timeout(300)
        for state in page.query_selector_all("main .state"):
            name = (state.get_attribute("id") or "").replace("/", "--")
            place = state.query_selector(".place")
            if word in name and place is not None:
                place.screenshot(path=folder / f"{name}--{theme}.png")


if __name__ == "__main__":
    if len(sys.argv) < 2:  # noqa: PLR2004
        sys.exit(__doc__)
    main(Path(sys.argv[1]), *sys.argv[2:3])
