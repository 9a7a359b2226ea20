"""What an output has beside the live view: for hosts that show no widgets."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

import glasshead
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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from glasshead import Trace
    from glasshead.view import View

HOSTILE = "</script><script>alert(1)</script><!-- \u2028\u202e</p><img src=x onerror=alert(1)>"
WIDGET = "application/vnd.jupyter.widget-view+json"
OF_A_TRACE = (
    *(AttentionLines, FusedAttentionMatrix, HeadFinder),
    *(LayerStatsChart, PerplexityStrip, QueryKeyView, AttributionStrip),
)


@pytest.fixture(autouse=True)
def usual_options() -> Iterator[None]:
    yield
    glasshead.options.fallback = "poster"


@pytest.fixture(scope="module")
def short() -> Trace:
    return Lens.demo("decoder").trace(DECODER_TEXT)


def bundle(view: View) -> dict[str, Any]:
    data, _ = view._repr_mimebundle_()
    return data


class Found(HTMLParser):
    """Elements and text of a fragment as a browser's parser finds them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def pictures(self) -> list[ET.Element]:
        sources = [attrs["src"] or "" for tag, attrs in self.elements if tag == "img"]
        start = "data:image/svg+xml;base64,"
        assert all(source.startswith(start) for source in sources)
        return [ET.fromstring(base64.b64decode(s.removeprefix(start))) for s in sources]  # noqa: S314


@pytest.mark.parametrize("view", OF_A_TRACE)
def test_an_output_has_the_live_view_and_a_poster_with_picture_and_words(
    short: Trace, view: type[Any]
) -> None:
    shown = view(short)
    data = bundle(shown)
    assert WIDGET in data
    assert data["text/plain"].startswith(view.__name__)
    poster = Found(data["text/html"])
    (picture,) = poster.pictures()
    assert len(list(picture)) > 1
    for sentence in shown.in_words():
        assert sentence in poster.text
    assert "pip install glasshead" in poster.text
    assert len(data["text/html"]) <= 60_000


def test_an_explorer_has_a_picture_of_every_pane_that_is_in_view(short: Trace) -> None:
    view = explore(short, panes=["lines", "strip"])
    assert len(Found(view.static("poster").html).pictures()) == 2
    view.large = "matrix"
    assert len(Found(view.static("poster").html).pictures()) == 1


def test_a_table_of_tokens_has_a_poster() -> None:
    poster = Found(bundle(TokenTable(Lens.demo("decoder"), "The white whale"))["text/html"])
    (picture,) = poster.pictures()
    assert "".join(picture.itertext()) == "<s>The white whale"


def test_the_picture_of_the_text_has_its_tokens_on_grounds_for_their_surprisal(
    short: Trace,
) -> None:
    view = PerplexityStrip(short)
    (picture,) = Found(bundle(view)["text/html"]).pictures()
    bits = view.to_frame()["surprisal_bits"].tolist()
    grounds = [r.get("fill", "") for r in picture.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert len(grounds) == len(bits)
    green = [int(ground[3:5], 16) for ground in grounds]
    order = sorted(range(1, len(bits)), key=lambda i: bits[i])
    assert [green[i] for i in order] == sorted((green[i] for i in order), reverse=True)
    assert grounds[0] == "#ffffff"  # the first token was not predicted


def test_the_lines_of_a_poster_are_the_lines_that_are_drawn() -> None:
    view = AttentionLines(Lens.demo("decoder").trace(DECODER_TEXT[:60]), layer=1, unit="word")
    (picture,) = Found(bundle(view)["text/html"]).pictures()
    lines = list(picture.iter("{http://www.w3.org/2000/svg}line"))
    assert len(lines) == min(200, len(view.to_frame()))
    darkest = [float(line.get("stroke-opacity", "0")) for line in lines[:5]]
    weights = view.to_frame()["weight"].head(5)
    assert darkest == pytest.approx((weights / weights.max()).tolist(), abs=0.0051)


@pytest.mark.parametrize("view", [*OF_A_TRACE, explore])
def test_a_poster_of_a_long_text_keeps_to_its_size(view: Any) -> None:
    long = Lens.demo("decoder").trace(DECODER_LONG_TEXT * 3)
    assert len(bundle(view(long))["text/html"].encode()) <= 60_000


@pytest.mark.parametrize(("view", "pictures"), [(PerplexityStrip, 1), (explore, 4)])
def test_a_long_text_gives_way_before_a_picture_does(view: Any, pictures: int) -> None:
    long = Lens.demo("decoder").trace((DECODER_LONG_TEXT * 4)[:1450])
    poster = Found(bundle(view(long))["text/html"])
    assert len(poster.pictures()) == pictures
    assert re.search(r"; the first \d+ of", poster.text)


def test_a_poster_names_layer_and_heads_only_of_what_shows_some(short: Trace) -> None:
    def head(view: View) -> str:
        return Found(view.static("poster").html).text.partition(". This is a still picture")[0]

    assert head(AttentionLines(short, layer=1, heads=[3])).endswith(": layer 1, head 3")
    assert head(AttentionLines(short, layer=1, heads=[3, 5])).endswith(": layer 1, heads 3, 5")
    assert head(explore(short, layer=1)).endswith(": layer 1, all heads")
    scored = PerplexityStrip(Lens.demo("decoder").score("The whale swam."))
    for view in (PerplexityStrip(short), HeadFinder(short), LayerStatsChart(short), scored):
        assert ": layer" not in head(view)


def test_cross_attention_is_told_by_the_words_that_are_written() -> None:
    # The demo translator: apple -> pomme, by head 1 of layer 1 (docs/tutorial.md).
    trace = Lens.demo("encoder-decoder").trace("the black cat does not eat the white apple .")
    views = [v(trace, kind="cross", layer=1, heads=[1], unit="word") for v in OF_A_TRACE[:2]]
    for view in views:
        assert "To write “blanche” the model looks at “white”" in " ".join(view.in_words())
        ((picture, *_),) = [Found(view.static("poster").html).pictures()]
        assert "chatnoir" in "".join(picture.itertext())
        assert "<pad>" not in "".join(picture.itertext())


def test_words_that_are_said_twice_are_told_apart() -> None:
    view = AttentionLines(Lens.demo("decoder").trace(DECODER_TEXT), layer=1, heads=[3], unit="word")
    (picture,) = Found(view.static("poster").html).pictures()
    words = [text for text in picture.itertext() if text.startswith("white")]
    assert len(words) == 4
    assert len(set(words)) == 2  # each stands on both sides


def test_a_text_without_spaces_in_its_tokens_keeps_its_spaces() -> None:
    trace = Lens.demo("encoder-decoder").trace("the black cat .")
    (picture,) = Found(PerplexityStrip(trace).static("poster").html).pictures()
    assert "".join(picture.itertext()).startswith("le chat noir .")


@pytest.mark.parametrize("view", [*OF_A_TRACE, explore])
@pytest.mark.parametrize("kind", ["poster", "page"])
def test_hostile_text_is_inert_in_every_fallback(view: Any, kind: Any) -> None:
    shown = view(Lens.demo("decoder").trace(HOSTILE))
    found = Found(shown.static(kind).html)
    tags = {tag for tag, _ in found.elements}
    assert not tags - {"div", "p", "strong", "code", "ul", "li", "br", "img", "iframe"}
    for _, attrs in found.elements:
        assert not [name for name in attrs if name.startswith("on")]
        assert "\u202e" not in "".join(v or "" for k, v in attrs.items() if k != "srcdoc")
    assert not re.search("[\u2028\u202e]", found.text)
    for picture in found.pictures():
        names = {element.tag.rpartition("}")[2] for element in picture.iter()}
        assert names <= {"svg", "rect", "text", "line", "g", "path", "polyline", "circle", "image"}
        assert not re.search("[\u2028\u202e]", "".join(picture.itertext()))


def test_the_fallback_is_chosen_and_can_be_left_out(short: Trace) -> None:
    view = AttentionLines(short)
    glasshead.options.fallback = None
    assert set(bundle(view)) == {"text/plain", WIDGET}
    glasshead.options.fallback = "page"
    html = bundle(view)["text/html"]
    ((_, outer), (frame, attrs)) = Found(html).elements
    assert outer == {"data-glasshead": "page"}
    assert (frame, attrs["sandbox"]) == ("iframe", "allow-scripts allow-downloads")
    assert "Content-Security-Policy" in (attrs["srcdoc"] or "")
    assert len(html.encode()) <= 1_500_000


def test_a_fallback_that_there_is_not_is_refused(short: Trace) -> None:
    with pytest.raises(ValueError, match=r'"poster", "page" or None, got \'pages\''):
        glasshead.options.fallback = "pages"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError):
        glasshead.options.fallbacks = None  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match='kind is "page" or "poster"'):
        AttentionLines(short).static("picture")  # pyright: ignore[reportArgumentType]


def test_a_page_that_does_not_fit_gives_way_to_a_poster_that_says_so(
    short: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glasshead.saving.fallback.MOST_PAGE", 30_000)
    html = AttentionLines(short).static("page").html
    assert 'data-glasshead="poster"' in html
    assert "A page of it would be larger than" in html


def test_what_is_static_shows_just_that(short: Trace) -> None:
    still = AttentionLines(short).static()
    assert still._repr_html_() == still.html
    assert 'data-glasshead="poster"' in still.html
    glasshead.options.fallback = None
    assert 'data-glasshead="page"' in AttentionLines(short).static().html
    assert "AttentionLines" in repr(still)
