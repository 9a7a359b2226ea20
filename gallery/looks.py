"""Compares how views look with how they looked when somebody last said that it is right.

    PYTHONPATH=tests python gallery/looks.py [WORD]          # compares; 1 where a picture differs
    PYTHONPATH=tests python gallery/looks.py --renew [WORD]  # takes what is there as right

Of every state of the gallery with ``watched`` themes there is a picture in ``gallery/looks``; with
a word, only states whose name contains it. A picture differs when any of its tiles of 32 pixels
does (see tests/e2e/pixels.py): a word, a line, a shade is enough. Colours may be off by 3 of 255,
as with other versions of torch. The fonts are DejaVu's, which the page asks for by name and this
script looks for; a Chromium that draws letters otherwise needs pictures of its own. What differs
is written to ``.artifacts/looks``: the picture as it is, as it was (``-expected``), and both with
the differences in red (``-difference``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright
from record import GALLERY, pages, real_states, record, write

from e2e.chromium import launch_chromium
from e2e.pixels import TILE, as_png, as_webp, difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

LOOKS = GALLERY / "looks"
DIFFERENT = GALLERY.parent / ".artifacts" / "looks"
MOST = 7_500_000
"""Bytes that all pictures together may take in the repository."""
PATIENCE = 20_000
"""Milliseconds for all views of a page to be drawn."""

# The fonts that every Debian with a browser has; nothing moves, nothing blinks.
STYLE = """
  :root {
    --jp-ui-font-family: "DejaVu Sans"; --jp-content-font-family: "DejaVu Sans";
    --jp-code-font-family: "DejaVu Sans Mono";
  }
  * { animation: none !important; transition: none !important; }
  * { caret-color: transparent !important; }
  body { display: block !important; }
  nav { display: none !important; }
"""

# A font is there when words are not as wide as in each of two others.
MISSING = """(fonts) => {
  const context = new OffscreenCanvas(1, 1).getContext('2d');
  const wide = (font) => {
    context.font = `40px ${font}`;
    return context.measureText('glasshead').width;
  };
  const others = ['serif', 'cursive'];
  return fonts.filter((font) => others.every((one) => wide(`"${font}", ${one}`) === wide(one)));
}"""


@dataclass(frozen=True)
class Look:
    """A state in a theme."""

    name: str
    theme: str

    @property
    def file(self) -> str:
        """The name of its picture, without what says its format."""
        return f"{self.name.replace('/', '--')}--{self.theme}"


def main(*, renew: bool, word: str) -> int:
    """Compare or renew all pictures; return the exit status."""
    started = time.monotonic()
    states = [state for state in recorded(word) if word in f"{state['view']}/{state['name']}"]
    looks = [
        Look(f"{state['view']}/{state['name']}", theme)
        for theme in ("light", "dark")
        for state in states
        if theme in state["watched"]
    ]
    shutil.rmtree(DIFFERENT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page = playwright_page(playwright, built(states, Path(folder)))
        if renew:
            renewed(page, looks, everything=not word)
            failed = []
        else:
            failed = [words for look in shown(page, looks) if (words := compared(page, look))]
            if not word:
                known = {path.stem for path in LOOKS.glob("*.webp")} - {one.file for one in looks}
                failed += [f"{file}: no state of the gallery any more" for file in sorted(known)]
    print(f"{len(looks)} pictures of {len(states)} states, {time.monotonic() - started:.0f} s")
    if failed:
        print("Not as they were:", *failed, sep="\n  ")
        print(f"Look at them in {DIFFERENT}. Where they are right: make pictures")
    return 1 if failed else 0


def recorded(word: str) -> Iterator[dict[str, Any]]:
    """Record the states that are watched; without what their controls lead to."""
    for page in pages():
        view = re.sub(r"(?<!^)(?=[A-Z])", "-", page.view.__name__).lower()
        for state in page.states:
            if state.watched and word in f"{view}/{state.name}":
                yield record(page, replace(state, pictures=False))
    yield from (state for state in real_states() if state["watched"])


def built(states: list[dict[str, Any]], folder: Path) -> str:
    """Build a page of these states, return its address."""
    data, page = folder / "states.json", folder / "index.html"
    write(states, data)
    subprocess.run(["node", GALLERY / "build.mjs", data, page], check=True, stdout=sys.stderr)  # noqa: S607
    return page.as_uri()


def playwright_page(playwright: Any, address: str) -> Page:
    """Open the page in a browser whose pictures are the same everywhere."""
    browser = launch_chromium(playwright)
    page = browser.new_page(viewport={"width": 1500, "height": 1000}, device_scale_factor=1)
    page.emulate_media(reduced_motion="reduce")
    page.goto(address)
    page.add_style_tag(content=STYLE)
    missing = page.evaluate(MISSING, ["DejaVu Sans", "DejaVu Sans Mono"])
    if missing:
        sys.exit(f"{', '.join(missing)} is not installed: try `apt install fonts-dejavu-core`.")
    return page


def shown(page: Page, looks: list[Look]) -> Iterator[Look]:
    """Bring one look after the other onto the page."""
    place: tuple[str, str] | None = None
    for look in looks:
        view = look.name.partition("/")[0]
        if place != (view, look.theme):
            place = view, look.theme
            page.evaluate(
                "([view, theme]) => { document.documentElement.dataset.theme = theme;"
                " location.hash = view }",
                list(place),
            )
            page.wait_for_selector(f'main[data-view="{view}"]')
            page.wait_for_function(
                "() => [...document.querySelectorAll('main .place > .gh')]"
                ".every((root) => root.dataset.ready === 'true')",
                timeout=PATIENCE,
            )
            settled(page)
        yield look


def settled(page: Page) -> None:
    """Wait until nothing changes its size any more: views lay themselves out in several steps."""
    before: object = None
    for _ in range(20):
        page.wait_for_timeout(300)
        now = page.evaluate(
            "() => [...document.querySelectorAll('main .place *')]"
            ".map((one) => one.clientHeight).join()"
        )
        if now == before:
            return
        before = now


def photographed(page: Page, look: Look) -> bytes:
    """Return the picture of a look that is on the page, as PNG."""
    return page.locator(f'[id="{look.name}"] .place').screenshot(animations="disabled")


def compared(page: Page, look: Look) -> str:
    """Compare a look with its picture; return in words what is wrong, "" where it is right."""
    path = LOOKS / f"{look.file}.webp"
    if not path.exists():
        keep(look, photographed(page, look))
        return f"{look.file}: there is no picture of it yet"
    expected = path.read_bytes()
    actual, found = b"", None
    for pause in (0, 1000):  # something may still have been on its way
        page.wait_for_timeout(pause)
        actual = photographed(page, look)
        found = difference(page, actual, expected)
        if found.size == found.expected_size and found.tiles == 0:
            return ""
    assert found is not None
    keep(look, actual, as_png(page, expected), found.picture)
    if found.size != found.expected_size:
        was, now = ("{} × {}".format(*size) for size in (found.expected_size, found.size))
        return f"{look.file}: {now} pixels, was {was}"
    return f"{look.file}: {found.tiles} tiles of {TILE} px, {100 * found.share:.2f} % of the pixels"


def keep(look: Look, actual: bytes, expected: bytes = b"", difference_: bytes = b"") -> None:
    """Write down what differs."""
    DIFFERENT.mkdir(parents=True, exist_ok=True)
    for name, data in (("", actual), ("-expected", expected), ("-difference", difference_)):
        if data:
            (DIFFERENT / f"{look.file}{name}.png").write_bytes(data)


def renewed(page: Page, looks: list[Look], *, everything: bool) -> None:
    """Take what is on the page as right. Pictures that still pass stay as they are."""
    LOOKS.mkdir(exist_ok=True)
    if everything:
        for path in LOOKS.glob("*.webp"):
            if path.stem not in {look.file for look in looks}:
                path.unlink()
    count = 0
    for look in shown(page, looks):
        if compared(page, look):
            (LOOKS / f"{look.file}.webp").write_bytes(as_webp(page, photographed(page, look)))
            count += 1
    shutil.rmtree(DIFFERENT, ignore_errors=True)
    size = sum(path.stat().st_size for path in LOOKS.glob("*.webp"))
    print(f"{count} renewed; all together {size / 1e6:.2f} MB")
    if size > MOST:
        sys.exit(f"{size:,} bytes are too many for the repository, {MOST:,} is the most.")


if __name__ == "__main__":
    words = [argument for argument in sys.argv[1:] if argument != "--renew"]
    sys.exit(main(renew="--renew" in sys.argv, word=words[0] if words else ""))
