"""BertViz's own pages, with what it loads from elsewhere served on loopback."""

from __future__ import annotations

import functools
import itertools
import re
import subprocess
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import torch
from browser import browser_seconds, measure, rest
from cases import Figure

from glasshead import Lens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

LIBRARIES = {
    "require.min.js": "requirejs/require.js",
    "d3.min": "d3/dist/d3.min",
    "jquery.min": "jquery/dist/jquery.min",
}
"""What BertViz asks a CDN for, and where npm puts it."""

PAGES = """
import sys
from pathlib import Path
import torch
from bertviz import head_view, model_view

folder, attention, n_tokens = Path(sys.argv[1]), torch.load(sys.argv[2]), int(sys.argv[3])
tokens = [f"t{i}" for i in range(n_tokens)]
for name, view in (("head_view", head_view), ("model_view", model_view)):
    html = view(attention, tokens, html_action="return").data
    folder.joinpath(f"{name}.html").write_text(f"<!doctype html><meta charset=utf-8>{html}")
"""


def write_pages(python: str, libraries: Path, folder: Path, attention: Path, n_tokens: int) -> None:
    """Let BertViz write both views' pages, and have them load libraries from beside themselves.

    Parameters
    ----------
    python : str
        An interpreter that has BertViz and torch.
    libraries : Path
        A ``node_modules`` with ``d3``, ``jquery`` and ``requirejs``.
    folder : Path
        Where the pages go.
    attention : Path
        A file of ``torch.save``: a tuple of ``[1, heads, tokens, tokens]``, one a layer.
    n_tokens : int
        Length of the text.
    """
    subprocess.run([python, "-c", PAGES, folder, attention, str(n_tokens)], check=True)
    folder.joinpath("npm").symlink_to(libraries.resolve())
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for asked, stored in LIBRARIES.items():
            text = re.sub(rf"https://[^'\"]*/{re.escape(asked)}(?=['\"])", f"/npm/{stored}", text)
        assert "https://cdn" not in text, f"{page.name} still asks a CDN for a library"
        page.write_text(text, encoding="utf-8")


def measure_bertviz(browser: Browser, python: str, npm: Path, folder: Path) -> list[Figure]:
    """Both views of the demo decoder's attention over 128 tokens, all of its 2 layers x 12 heads.

    Parameters
    ----------
    browser : Browser
    python : str
        An interpreter that has BertViz and torch.
    npm : Path
        A ``node_modules`` with ``d3``, ``jquery`` and ``requirejs``.
    folder : Path
        An empty folder.
    """
    n_tokens = 128
    model = Lens.demo("decoder").model
    model.set_attn_implementation("eager")
    ids = torch.arange(100, 100 + n_tokens)[None]
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    torch.save(attentions, folder / "attention.pt")
    write_pages(python, npm, folder, folder / "attention.pt", n_tokens)
    figures: list[Figure] = []
    with served(folder) as url:
        page = browser.new_page(viewport={"width": 1360, "height": 1000})
        page.set_default_timeout(300_000)
        figures.append(opened(page, f"{url}/head_view.html", "BertViz head_view"))
        for name, actions in (("hover", hovers), ("layer", layers)):
            cost = measure(page, actions(page))
            times = (cost.main, cost.longest, cost.processes)
            figures.append(Figure("BertViz head_view", name, *times))
        figures.append(opened(page, f"{url}/model_view.html", "BertViz model_view"))
        page.close()
    return figures


def opened(page: Page, url: str, name: str) -> Figure:
    """Open a page, and wait until its lines are drawn."""
    rest(page)
    before = browser_seconds()
    page.goto(url)
    page.locator("svg line").first.wait_for(state="attached")
    rest(page)
    used = browser_seconds() - before
    n_nodes = page.evaluate("() => document.querySelectorAll('*').length")
    return Figure(name, "open", processes=1000 * used, note=f"{n_nodes:,} DOM nodes")


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on loopback."""
    handler = functools.partial(Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """A file server that does not talk."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def hovers(page: Page) -> Iterator[Callable[[], None]]:
    """Pointing at one token of the left column after the other."""
    for i in itertools.cycle(range(4, 20)):
        token = page.locator("#left text").nth(i)
        box = token.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        yield lambda x=x, y=y: page.mouse.move(x, y)


def layers(page: Page) -> Iterator[Callable[[], None]]:
    """Choosing one layer after the other."""
    choose = """(layer) => {
      const select = document.querySelector('#layer');
      select.value = layer;
      select.dispatchEvent(new Event('change'));
    }"""
    for layer in itertools.cycle("10"):
        yield lambda layer=layer: page.evaluate(choose, layer)
