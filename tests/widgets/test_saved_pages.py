"""Saved pages as bytes: what is in them, how many there are, and what may run."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

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
    explore,
)
from glasshead_backend.demo import DECODER_LONG_TEXT, DECODER_TEXT
from glasshead_backend.frames.codes import COARSER, FINEST, coded_layer

if TYPE_CHECKING:
    from pathlib import Path

    from glasshead import Trace
    from glasshead_backend.frames.codes import Coding

HOSTILE = "</script><script>alert(1)</script><!-- \u2028\u202e</style><img src=x onerror=alert(1)>"
OF_A_TRACE = (
    *(AttentionLines, FusedAttentionMatrix, HeadFinder),
    *(LayerStatsChart, PerplexityStrip, QueryKeyView, AttributionStrip),
)


class Elements(HTMLParser):
    """Elements of a page as a browser's parser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._at = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        named = dict(attrs).get("id")
        self._at = named if tag == "script" and named else tag
        if tag in ("script", "style", "title"):
            self.texts.setdefault(self._at, []).append("")

    def handle_data(self, data: str) -> None:
        if self._at in self.texts:
            self.texts[self._at][-1] += data

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002  the parser's signature
        self._at = ""

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]

    def stored(self, name: str) -> bytes:
        return gzip.decompress(base64.b64decode("".join(self.texts[name])))

    def contents(self) -> dict[str, Any]:
        return json.loads(self.stored("gh-contents"))


@pytest.fixture(scope="module")
def short() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)


@pytest.fixture(scope="module")
def long() -> Trace:
    return Lens.demo("decoder").trace(DECODER_LONG_TEXT)


def test_a_page_of_an_explorer_of_64_tokens_has_at_most_a_megabyte_and_a_half(
    tmp_path: Path,
) -> None:
    tokens = Lens.demo("decoder").tokenize(DECODER_LONG_TEXT)
    trace = Lens.demo("decoder").trace(DECODER_LONG_TEXT[: tokens[63].end])
    saved = explore(trace).save_html(tmp_path / "page.html")
    assert saved.bytes <= 1_500_000
    assert saved.bytes == saved.path.stat().st_size
    assert saved.layers == {"self": (0, 1)}
    assert saved.left_out == ()


@pytest.mark.parametrize("most", [250_000, 300_000, 1_000_000])
def test_a_page_keeps_to_its_bytes_and_says_what_they_cost(
    tmp_path: Path, long: Trace, most: int
) -> None:
    saved = AttentionLines(long).save_html(tmp_path / "page.html", max_bytes=most)
    assert saved.bytes <= most
    html = saved.path.read_text("utf-8")
    assert saved.error in html
    assert (saved.least > 1e-6) == (most < 1_000_000)


def test_layers_for_which_there_is_no_room_are_left_out_of_page_and_controls(
    tmp_path: Path, long: Trace
) -> None:
    saved = AttentionLines(long, layer=1).save_html(tmp_path / "page.html", max_bytes=231_000)
    assert saved.layers == {"self": (1,)}
    assert saved.left_out == ("self attention of layers 0",)
    page = Elements(saved.path.read_text("utf-8"))
    (kind,) = page.contents()["state"]["scene"]["kinds"]
    assert [layer["number"] for layer in kind["layers"]] == [1]
    assert "Not in this page: self attention of layers 0." in saved.path.read_text("utf-8")


def test_too_few_bytes_are_refused_with_the_least_possible(tmp_path: Path, long: Trace) -> None:
    view = AttentionLines(long)
    with pytest.raises(ValueError, match=r"max_bytes=50,000 is too small") as error:
        view.save_html(tmp_path / "page.html", max_bytes=50_000)
    least = int(re.findall(r"about ([\d,]+)", str(error.value))[0].replace(",", ""))
    assert view.save_html(tmp_path / "page.html", max_bytes=int(1.02 * least)).bytes <= 1.02 * least
    with pytest.raises(ValueError, match="too small"):
        view.save_html(tmp_path / "other.html", max_bytes=int(0.95 * least))
    assert not (tmp_path / "other.html").exists()


def test_what_no_page_can_be_is_refused(tmp_path: Path, short: Trace) -> None:
    view = AttentionLines(short)
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        view.save_html(tmp_path / "nowhere" / "page.html")
    with pytest.raises(ValueError, match=r"ends in \.html"):
        view.save_html(tmp_path / "page.pdf")
    with pytest.raises(ValueError, match='theme is "auto"'):
        view.to_html(theme="blue")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="max_bytes is a number of bytes"):
        view.to_html(max_bytes=0)
    with pytest.raises(TypeError, match="title is a string"):
        view.iframe(title=3)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("coding", [FINEST, *COARSER])
def test_codes_are_as_true_as_they_say(long: Trace, coding: Coding) -> None:
    # Decoded here by what docs/saved-pages.md says of them, not by the page's own code.
    weights = long.attention(1).double().numpy()
    coded = coded_layer(long, "self", 1, coding)
    assert coded.triangular
    codes = np.frombuffer(coded.data, np.uint8 if coding.bits == 8 else np.uint16)
    place = 0
    for row in range(weights.shape[1]):
        of_row = codes[place : place + 12 * (row + 1)].reshape(12, row + 1).astype(float)
        place += of_row.size
        levels = 2**coding.bits - 1
        read = coding.least ** (1 - (of_row - 1) / (levels - 1)) * (of_row > 0)
        true = weights[:, row, : row + 1]
        within = coding.relative_error * true + np.where(true < coding.least, coding.least, 0)
        assert (np.abs(read - true) <= within).all()
    assert place == codes.size


@pytest.mark.parametrize("view", [*OF_A_TRACE, explore])
def test_only_what_the_policy_names_can_run(short: Trace, view: Any) -> None:
    page = Elements(view(short).to_html())
    (policy,) = [
        one["content"] or ""
        for one in page.all("meta")
        if one.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert "http" not in policy

    def named(text: bytes) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"

    (loader,), (style,) = page.texts["script"], page.texts["style"]
    wanted = {named(loader.encode()), named(page.stored("gh-code"))}
    assert set(rules["script-src"].split()) == wanted
    assert rules["style-src"] == named(style.encode())
    inert = [one for one in page.all("script") if "type" in one]
    assert {one["type"] for one in inert} == {"application/octet-stream"}
    assert all(set(one) == {"type", "id"} for one in inert)
    assert not any("src" in one or "href" in one for _, one in page.found if _ != "img")


def test_hostile_text_and_title_are_text_in_page_and_frame() -> None:
    trace = Lens.demo("decoder").trace(f"The whale {HOSTILE} sank.")
    view = explore(trace)
    plain = explore(Lens.demo("decoder").trace("The whale sank."))
    hostile, harmless = (
        Elements(one.to_html(title=title))
        for one, title in ((view, f"A {HOSTILE}"), (plain, "A page"))
    )
    names = [[name for name, _ in page.found if name != "li"] for page in (hostile, harmless)]
    assert names[0] == names[1]
    (title,) = hostile.texts["title"]
    assert title == f"A {HOSTILE}"
    frame = Elements(view.iframe(title=f"A {HOSTILE}"))
    assert [name for name, _ in frame.found] == ["iframe"]
    assert frame.all("iframe")[0]["srcdoc"] == view.to_html(title=f"A {HOSTILE}")
    assert frame.all("iframe")[0]["sandbox"] == "allow-scripts allow-downloads"


def test_a_page_says_what_it_is_in_words(short: Trace) -> None:
    html = explore(short).to_html(title="Whales")
    for words in (
        '<html lang="en">',
        "<title>Whales</title>",
        'name="viewport"',
        "demo decoder",
        "Glasshead 0.1.0",
        "pip install glasshead",
        "Lens.demo(&quot;decoder&quot;)",
        "<noscript>",
        "looks at",
        "Perplexity",
    ):
        assert words in html, words


def test_texts_that_were_traced_before_stay_with_their_author(short: Trace) -> None:
    view = explore(short)
    view.trace = Lens.demo("decoder").trace("A secret, and then the whale.")
    view.trace = short
    assert any("secret" in text["text"] for text in view.earlier)
    page = Elements(view.to_html())
    assert page.contents()["state"]["earlier"] == []
    assert b"secret" not in page.stored("gh-contents")


def test_the_same_view_is_the_same_page(short: Trace) -> None:
    view = explore(short)
    assert view.to_html() == view.to_html()


def test_a_table_of_tokens_carries_no_attention() -> None:
    page = Elements(TokenTable(Lens.demo("decoder"), DECODER_TEXT).to_html())
    assert page.contents()["layers"] == []
    assert page.contents()["coding"] is None


def test_the_elements_of_a_page_are_well_formed(short: Trace) -> None:
    html = AttentionLines(short).to_html()
    body = html[html.index("<footer") : html.index("</footer>") + 9]
    assert ET.fromstring(body).tag == "footer"  # noqa: S314  our own
