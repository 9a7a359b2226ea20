"""The documentation site: no warning while it is built, no lost link, nothing from outside."""

from __future__ import annotations

import functools
import http.server
import re
import shlex
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from playwright.sync_api import expect

import glasshead
from glasshead.explorer import PANES
from glasshead.names import settable_traits
from glasshead.view import View
from test_documents import commands_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Request

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_build" / "html"
OUTSIDE = ROOT / ".artifacts" / "site" / "links-outside.txt"
# Most of the pages, and all kinds of them: what stands in each is laid out alike.
LOOKED_AT = (
    "index",
    "tutorial",
    "how-to/own-model",
    "how-to/publish",
    "lessons/index",
    "lessons/4-induction-head",
    "lessons/7-exercises",
    "gallery",
    "views",
    "statistics",
    "api/index",
    "api/trace",
    "api/views",
    "methods",
    "architectures",
    "architecture",
    "versions",
    "hosts",
    "comparison",
    "faq",
    "changelog",
    "genindex",
    "search",
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="Sphinx 9 needs Python 3.11"),
]


@pytest.fixture(scope="module")
def site() -> Path:
    """Build it as `make site` does; what has not changed is not built again."""
    for command in commands_of("site"):
        program, *words = shlex.split(command.replace("$(SITE)", str(SITE.relative_to(ROOT))))
        assert program == ".venv/bin/python"
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return SITE


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve it on loopback, the only address that the browser can reach."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(site))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


class _Links(HTMLParser):
    """What a page refers to, and what in it can be referred to."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.ids = {""}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.ids |= {value for key in ("id", "name") if (value := named.get(key))}
        for key in ("href", "src", "poster"):
            if tag != "form" and (value := named.get(key)):
                self.targets.add(value)


def links_of(page: Path) -> _Links:
    links = _Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    pages = {page.relative_to(site).as_posix(): links_of(page) for page in site.rglob("*.html")}
    lost: list[str] = []
    outside: set[str] = set()
    for name, links in pages.items():
        for target in links.targets:
            whole = urlsplit(urljoin(f"site:/{name}", target))
            if whole.scheme != "site" and urlsplit(target).scheme:
                outside.add(target)
                continue
            path = unquote(urlsplit(urljoin(f"/{name}", target)).path).lstrip("/") or name
            anchor = unquote(urlsplit(target).fragment)
            if not (site / path).is_file() or (path in pages and anchor not in pages[path].ids):
                lost.append(f"{name}: {target}")
    OUTSIDE.parent.mkdir(parents=True, exist_ok=True)
    OUTSIDE.write_text("\n".join(sorted(outside)) + "\n", encoding="utf-8")  # for a person to try
    assert not lost, "\n".join(sorted(lost))
    assert not [target for target in outside if target.startswith("http:")]


def test_everything_public_is_in_the_reference(site: Path) -> None:

    from sphinx.util.inventory import InventoryFile  # noqa: PLC0415  there from Python 3.11 on

    inventory = InventoryFile.load(
        (site / "objects.inv").open("rb"), "", lambda base, path: f"{base}/{path}"
    )
    described = {name for kind, names in inventory.items() if kind[:3] == "py:" for name in names}
    public = set(glasshead.__all__) - {"__version__"}
    missing = {name for name in public if f"glasshead.{name}" not in described}
    missing |= {
        f"{owner.__name__}.{name}"
        for owner in (glasshead.Lens, glasshead.Trace)
        for name in set(dir(owner)) - set(dir(object))  # nnsight gives every object a name
        if not name.startswith("_") and f"glasshead.{owner.__name__}.{name}" not in described
    }
    assert not missing


def test_every_trait_of_every_view_is_described(site: Path) -> None:
    described = (site / "api" / "views.html").read_text(encoding="utf-8")
    views = [
        one for one in vars(glasshead).values() if isinstance(one, type) and issubclass(one, View)
    ]
    names = {name for view in views for name in settable_traits(view, View)}
    own = {name for name in names if not name.startswith(tuple(f"{pane}_" for pane in PANES))}
    assert len(own) > 30
    assert not {name for name in own if f'<span class="pre">{name}</span>' not in described}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_fit_a_phone_and_fetch_nothing_from_outside(
    browser: Browser, address: str, width: int, theme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=theme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("request", lambda request: _note(wrong, request.url, address))
    page.on("requestfailed", lambda request: _note_failed(wrong, request))
    page.on(
        "response",
        lambda answer: answer.status < 400 or wrong.append(f"{answer.status} {answer.url}"),
    )
    page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    for name in LOOKED_AT:
        page.goto(f"{address}{name}.html")
        too_wide = page.evaluate(_TOO_WIDE)
        assert not too_wide, f"{name} at {width} px: {too_wide}"
        assert not wrong, f"{name}: {wrong}"
    context.close()


_TOO_WIDE = """() => {
  const { clientWidth, scrollWidth } = document.documentElement;
  return scrollWidth > clientWidth ? `${scrollWidth} > ${clientWidth}` : "";
}"""


def _note(wrong: list[str], url: str, address: str) -> None:
    if not url.startswith((address, "data:", "blob:", "about:")):
        wrong.append(f"asked: {url}")


def _note_failed(wrong: list[str], request: Request) -> None:
    if request.failure != "net::ERR_ABORTED":  # the page was left before its icon was there
        wrong.append(f"{request.failure}: {request.url}")


def click_in_frame(button: Locator) -> None:
    """Click a button when the pointer is seen to be on it.

    The page scrolls smoothly to the frame, in which the button lies still: what is sent to it
    meanwhile ends elsewhere.
    """
    button.hover()
    while not button.evaluate("(button) => button.matches(':hover')"):
        button.page.wait_for_timeout(100)
        button.hover()
    button.click()


def test_live_views_are_drawn_and_answer_a_click(browser: Browser, address: str) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}gallery.html")
    frames = page.locator("iframe")
    assert frames.count() == (ROOT / "docs" / "gallery.md").read_text("utf-8").count("```{live}")
    for i in range(frames.count()):
        frames.nth(i).scroll_into_view_if_needed()
        view = frames.nth(i).content_frame.locator(".gh").first
        expect(view).to_be_visible()
        expect(view.locator(".gh-banner:visible")).to_have_text([])
    lines = page.frame_locator('iframe[src$="/lines.html"]')
    click_in_frame(lines.locator('[data-action="layer-previous"]'))
    expect(lines.locator(".gh").first).to_have_attribute("data-frame", re.compile("^0:"))
    lesson = page.frame_locator('iframe[src$="/lesson.html"]')
    click_in_frame(lesson.locator('[data-action="story-next"]'))
    expect(lesson.get_by_text("Which word does it look at most?")).to_be_visible()
    lesson.locator('[data-choice="whale"]').click()
    expect(lesson.get_by_role("status").get_by_text("Right.")).to_be_visible()
    page.close()


def test_formulas_are_set_in_fonts_of_the_site(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(f"{address}methods.html")
    page.evaluate("document.fonts.ready")
    loaded = page.evaluate(
        "[...document.fonts].filter(f => f.status === 'loaded').map(f => f.family)"
    )
    assert "KaTeX_Main" in {name.strip('"') for name in loaded}
    assert page.locator(".katex").count() > 40
    assert page.locator("script[src*=katex], script[src*=mathjax]").count() == 0
    page.close()


def test_the_search_finds_a_name(browser: Browser, address: str) -> None:
    page = browser.new_page()
    _search(page, address, "rollout")
    found = page.locator("#search-results a").all_inner_texts()
    assert any("Trace.rollout" in name for name in found)
    page.close()


def _search(page: Page, address: str, words: str) -> None:
    page.goto(f"{address}search.html?q={words}")
    page.locator("#search-results a").first.wait_for()


def test_links_to_files_of_the_repository_keep_their_words() -> None:
    sys.path.insert(0, str(ROOT / "docs" / "_extensions"))
    try:
        from outside_links import on_the_site  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    assert on_the_site("[code](../js) and [how](../CONTRIBUTING.md#tests)", "docs") == (
        "code and [how](contributing.md#tests)"
    )
    assert on_the_site("[views](docs/views.md)", "") == "[views](views.md)"
    assert on_the_site("[a](../attention.md#weights) [b](https://x.org)", "docs/how-to") == (
        "[a](../attention.md#weights) [b](https://x.org)"
    )
    assert on_the_site("```\n[a](../js)\n```\n", "docs") == "```\n[a](../js)\n```\n"
