"""A saved picture is the view: opened on its own it looks like the page, and needs nothing else."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from e2e.alone import show
from e2e.pixels import difference
from e2e.views import view
from glasshead import (
    AttentionLines,
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
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser, Page

    from e2e.lab import LabServer, Notebook
    from glasshead.view import View

HOSTILE = 'A שלום 🐋 </text><script>alert(1)</script> & a "quote" \x1b[0m ]]> <!-- whale'
SVG = "{http://www.w3.org/2000/svg}"

# What is there to be pressed is not in the picture: its place is left blank on the page as well.
WITHOUT_CONTROLS = """
  .gh :is(button, label, select):not([data-in-picture="yes"]), .gh [data-in-picture="no"] {
    visibility: hidden !important;
  }
  .gh-footer, .gh-scroll, .gh { border-color: transparent !important; }
  .gh *, .gh *::before, .gh *::after { mask-image: none !important; content: none !important; }
  .gh-footer { visibility: hidden !important; }
"""


@pytest.fixture(scope="module")
def views() -> dict[str, View]:
    decoder, translator = Lens.demo("decoder"), Lens.demo("encoder-decoder")
    text, translated = decoder.trace(DECODER_TEXT), translator.trace(SOURCE_TEXT, TARGET_TEXT)
    return {
        "lines": AttentionLines(translated, kind="cross", layer=1, heads=[1], selected=[3]),
        "lines of all heads": AttentionLines(text, layer=1),
        "matrix": FusedAttentionMatrix(text, layer=1, unit="word", selected=[9]),
        "strip": PerplexityStrip(text, hovered=5),
        "chart": LayerStatsChart(text, "prediction_divergence"),
        "heat map": LayerStatsChart(text, "induction"),
        "patterns": HeadFinder(translated, layer=1, heads=[1]),
        "metric": HeadFinder(text, mode="metric", layer=1, heads=[1]),
        "scatter": HeadFinder(text, mode="scatter", layer=1, heads=[1]),
        "products": QueryKeyView(translated, kind="cross", layer=1, heads=[0, 1]),
        "tokens": TokenTable(decoder, DECODER_TEXT, other=translator, hovered=3),
        "hostile strip": PerplexityStrip(decoder.trace(HOSTILE), hovered=5),
        "hostile lines": AttentionLines(decoder.trace(HOSTILE), layer=1, unit="word"),
        "hostile matrix": FusedAttentionMatrix(decoder.trace(HOSTILE), layer=1),
        "hostile tokens": TokenTable(decoder, HOSTILE),
    }


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1000, "height": 1200}, accept_downloads=True)
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.on("dialog", lambda dialog: failures.append(dialog.message))
    yield page
    page.close()
    assert failures == []


def saved(page: Page, kind: str) -> bytes:
    page.click('.gh [data-action="save"]')
    with page.expect_download() as begun:
        page.click(f'.gh [data-action="save-{kind}"]')
    return Path(begun.value.path()).read_bytes()


AROUND = 200
"""Pixels: what is blank at the page's edges is no part of a picture."""


def opened(page: Page, svg: bytes, *, around: int) -> None:
    """Open a picture by itself, as an image in which no script runs."""
    width, height = size_of(svg)
    page.set_viewport_size({"width": width + 2 * around, "height": height + 2 * around})
    page.set_content(f"<style>body{{margin:0}}img{{margin:{around}px}}</style><img>")
    page.evaluate(
        """(text) => {
          const image = document.querySelector('img');
          image.src = URL.createObjectURL(new Blob([text], { type: 'image/svg+xml' }));
          return image.decode();
        }""",
        svg.decode(),
    )


def size_of(svg: bytes) -> tuple[int, int]:
    root = ET.fromstring(svg)  # noqa: S314 - ours
    return int(root.attrib["width"]), int(root.attrib["height"])


def moved_by(svg: bytes) -> tuple[float, float]:
    """How far the first part of the picture is from where it stood on the page."""
    root = ET.fromstring(svg)  # noqa: S314 - ours
    (x, y) = next(
        found.groups()
        for group in root.findall(f"{SVG}g")
        if (found := re.fullmatch(r"translate\((\S+) (\S+)\)", group.get("transform", "")))
    )
    return float(x), float(y)


def without_title(svg: bytes) -> bytes:
    """The first part alone."""
    ET.register_namespace("", SVG[1:-1])
    root = ET.fromstring(svg)  # noqa: S314 - ours
    for text in root.findall(f"{SVG}text"):
        root.remove(text)
    for group in root.findall(f"{SVG}g")[1:]:
        root.remove(group)
    return ET.tostring(root)


@pytest.mark.parametrize(
    "name",
    [
        *("lines", "lines of all heads", "matrix", "strip", "chart", "heat map", "tokens"),
        *("patterns", "metric", "scatter", "products"),
    ],
)
def test_a_saved_picture_looks_like_the_view(name: str, views: dict[str, View], page: Page) -> None:
    show(page, views[name], 900)
    svg = saved(page, "svg")
    page.add_style_tag(content=WITHOUT_CONTROLS)
    # Controls take no room in a picture.
    page.evaluate("() => document.querySelector('.gh').toggleAttribute('data-saving', true)")
    page.wait_for_timeout(300)
    page.mouse.move(0, 0)
    body = page.locator(".gh-body").bounding_box()
    assert body is not None
    on_page = page.screenshot(clip=body)
    x, y = moved_by(svg)
    opened(page, without_title(svg), around=AROUND)
    clip = {**body, "x": body["x"] + x + AROUND, "y": body["y"] + y + AROUND}
    # Letters of an image and of a page are smoothed differently.
    found = difference(page, page.screenshot(clip=clip), on_page, threshold=64)
    assert found.size == found.expected_size
    assert found.share < 0.01


@pytest.mark.parametrize("name", ["lines", "matrix", "strip", "chart", "products", "tokens"])
def test_a_saved_picture_needs_nothing_but_itself(
    name: str, views: dict[str, View], page: Page
) -> None:
    show(page, views[name], 900)
    svg = saved(page, "svg")
    root = ET.fromstring(svg)  # noqa: S314 - ours
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert not tags & {"script", "foreignObject", "style", "a", "button", "use"}
    named = {element.get("id") for element in root.iter()}
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.startswith(("class", "aria-", "data-", "on")), key
            assert "var(" not in value
            if key == "href":
                assert value.startswith("data:image/png;base64,")
            for reference in re.findall(r"url\(([^)]*)\)", value):
                assert reference.removeprefix("#") in named
    words = " ".join("".join(root.itertext()).split())
    assert "demo" in words  # the model
    assert "toy model" in words
    assert len(list(root.iter(f"{SVG}text"))) > 10


def test_lines_are_lines_and_a_heat_map_is_one_sharp_image(
    views: dict[str, View], page: Page
) -> None:
    show(page, views["lines of all heads"], 900)
    lines = ET.fromstring(saved(page, "svg"))  # noqa: S314 - ours
    curves = [path.get("d", "").count("C") for path in lines.iter(f"{SVG}path")]
    # Those between rows that are scrolled out of view are left out.
    assert 20 < sum(curves) <= int(page.get_attribute(".gh", "data-lines") or 0)
    show(page, views["matrix"], 900)
    matrix = ET.fromstring(saved(page, "svg"))  # noqa: S314 - ours
    wide = [
        [image for image in root.iter(f"{SVG}image") if float(image.get("width", 0)) > 100]
        for root in (lines, matrix)
    ]
    assert [len(images) for images in wide] == [0, 1]


@pytest.mark.parametrize("name", ["lines", "matrix", "strip", "tokens"])
def test_text_of_a_stranger_is_text_in_a_saved_picture(
    name: str, views: dict[str, View], page: Page
) -> None:
    show(page, views[f"hostile {name}"], 900)
    svg = saved(page, "svg")
    root = ET.fromstring(svg)  # noqa: S314 - ours
    assert {element.tag for element in root.iter()} & {f"{SVG}script", f"{SVG}b"} == set()
    words = "".join("".join(root.itertext()).split())
    assert "script" in words
    # The demo's tokens are the bytes of what it does not know.
    assert ("שלום" in words) == (name != "strip")
    # As a document, in which scripts would run.
    page.set_content("")
    page.evaluate(
        "(text) => document.body.append(new DOMParser().parseFromString(text, 'image/svg+xml')"
        ".documentElement)",
        svg.decode(),
    )
    assert page.locator("body > svg").count() == 1


def test_a_png_has_two_pixels_for_one_and_is_light_where_the_page_is_dark(
    views: dict[str, View], page: Page
) -> None:
    page.evaluate("() => document.documentElement.setAttribute('data-theme', 'dark')")
    show(page, views["strip"], 900)
    before = page.locator(".gh").screenshot()
    assert page.get_attribute(".gh", "data-theme") == "dark"
    width, height = size_of(saved(page, "svg"))
    png = saved(page, "png")
    assert struct.unpack(">II", png[16:24]) == (2 * width, 2 * height)
    # The page is as it was.
    assert page.get_attribute(".gh", "data-theme") == "dark"
    page.mouse.move(0, 0)
    assert difference(page, page.locator(".gh").screenshot(), before).share < 0.001
    page.set_content("<img>")
    corner = page.evaluate(
        """async (bytes) => {
          const image = await createImageBitmap(new Blob([new Uint8Array(bytes)]));
          const context = new OffscreenCanvas(9, 9).getContext('2d');
          context.drawImage(image, 0, 0);
          return [...context.getImageData(2, 2, 1, 1).data];
        }""",
        list(png),
    )
    assert corner == [255, 255, 255, 255]


_VIEWS = """
from glasshead import AttentionLines, Lens, TokenTable
from IPython.display import display
trace = Lens.demo("decoder").trace("The white whale saw the white whale")
lines = AttentionLines(trace, layer=1, selected=[3])
lines
"""
_SAVE = """
saved = [lines.save_svg("lines.svg"), lines.save_png("lines.png", scale=3, theme="dark")]
sizes = [path.stat().st_size for path in saved]
"""
_AT_ONCE = """
table = TokenTable(trace.lens, "The white whale")
display(table)
table.save_svg("table.svg").stat().st_size > 1000
"""


@pytest.fixture(scope="module")
def notebook(lab: LabServer, open_notebook: Callable[[str], Notebook]) -> Notebook:
    notebook = open_notebook(lab.add_notebook("saved.ipynb", [_VIEWS, _SAVE, _AT_ONCE]))
    notebook.run_all()
    return notebook


def test_a_cell_saves_what_the_page_shows(notebook: Notebook, lab: LabServer) -> None:
    assert notebook.errors() == []
    assert notebook.output(2).inner_text().strip().endswith("True")
    svg = (lab.folder / "lines.svg").read_bytes()
    width, height = size_of(svg)
    png = (lab.folder / "lines.png").read_bytes()
    assert struct.unpack(">II", png[16:24]) == (3 * width, 3 * height)
    words = "".join(ET.fromstring(svg).itertext())  # noqa: S314 - ours
    assert "Self-attention, layer 1" in words
    assert "whale" in words
    assert notebook.page_errors == []


def test_it_is_the_picture_as_it_is_now(notebook: Notebook, lab: LabServer) -> None:
    notebook.kernel_run("lines.layer = 0\nlines.save_svg('now.svg')")
    words = "".join(ET.fromstring((lab.folder / "now.svg").read_bytes()).itertext())  # noqa: S314
    assert "Self-attention, layer 0" in words


def test_a_view_that_is_closed_on_the_page_says_that_nobody_draws_it(notebook: Notebook) -> None:
    view(notebook.output(0), "attention-lines").wait_for()
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.clearExecution()"
    )
    code = """
try:
    lines.save_svg("gone.svg", timeout=2)
except RuntimeError as error:
    said = str(error)
"""
    notebook.kernel_run(code)
    assert "show the view in a notebook" in notebook.kernel_eval("said")
