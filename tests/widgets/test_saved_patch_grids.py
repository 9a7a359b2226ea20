"""PatchGrid where no kernel runs: its page, its poster, and the Python that shows it live."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from glasshead import Lens, PatchGrid
from glasshead.saving.still import still_pictures

if TYPE_CHECKING:
    from glasshead import Trace

LINE = "stone oil nine rope sea {} lamp fish stone oil nine rope sea"
HOSTILE = "</text><script>alert(1)</script> sea {} a man, sea"


def pair(line: str, lens: Lens) -> tuple[Trace, Trace]:
    clean, corrupted = (lens.trace(line.format(word)) for word in ("whale", "ship"))
    return clean, corrupted


@pytest.fixture(scope="module")
def lens() -> Lens:
    return Lens.demo("decoder")


def contents(html: str) -> dict[str, Any]:
    found = re.search(r'id="gh-contents"[^>]*>([^<]+)<', html)
    assert found
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


def numbers(packed: dict[str, Any]) -> np.ndarray:
    data = packed["data"]
    raw = base64.b64decode(data["base64"]) if isinstance(data, dict) else bytes(data)
    return np.frombuffer(raw, packed["dtype"]).reshape(packed["shape"])


def test_a_page_carries_the_grids_that_are_known_of_what_is_asked(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens))
    grid.what = "head"
    known = {frame["what"]: numbers(frame["recovered"]) for frame in grid.frames()}
    assert list(known) == ["residual", "head"]
    saved = contents(grid.to_html())["patches"]
    assert [frame["what"] for frame in saved] == ["residual", "head"]
    for frame in saved:
        np.testing.assert_array_equal(numbers(frame["recovered"]), known[frame["what"]])
    assert contents(grid.to_html())["state"]["what"] == "head"


def test_a_page_waits_for_the_grid_that_is_being_computed(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens))
    grid.what = "mlp"
    page = contents(grid.to_html())
    shown = page["state"]["frame"]
    assert (shown["what"], shown["partial"]) == ("mlp", "")
    assert shown["key"] in [frame["key"] for frame in page["patches"]]


def test_pages_of_other_views_carry_none(lens: Lens) -> None:
    from glasshead import TokenTable  # noqa: PLC0415

    assert contents(TokenTable(lens, "a whale").to_html())["patches"] == []


def test_a_still_grid_names_layers_and_both_tokens_where_they_differ(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens))
    ((words, svg),) = still_pictures(grid)
    assert "residual stream behind the layer" in words
    assert "whale" in words
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts[:2] == ["layer 0", "layer 1"]
    assert "whale → ship" in texts
    assert len(texts) == 2 + len(grid.trace.tokens)


def test_a_still_grid_is_orange_where_most_comes_back(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens))
    ((_, svg),) = still_pictures(grid)
    shares = numbers(grid.frame["recovered"])
    (png,) = re.findall(r"data:image/png;base64,([^\"]+)", svg)
    pixels = pixels_of(base64.b64decode(png))
    assert pixels.shape == (*shares.shape, 3)
    red, blue = pixels[..., 0].astype(int), pixels[..., 2].astype(int)
    assert (red - blue)[shares > 0.05].min() > 0
    assert (red - blue)[np.abs(shares) < 1e-6].max(initial=0) == 0
    strongest = np.unravel_index(shares.argmax(), shares.shape)
    assert (red - blue)[strongest] == (red - blue).max()


def pixels_of(png: bytes) -> np.ndarray:
    """Read a PNG as `glasshead.saving.svg` writes it: no filters, three bytes a pixel."""
    import zlib  # noqa: PLC0415

    columns, rows = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    at, data = 8, b""
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + size]
        at += size + 12
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(rows, 1 + 3 * columns)
    return lines[:, 1:].reshape(rows, columns, 3)


def test_a_still_grid_of_heads_numbers_them(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens), what="head")
    ((words, svg),) = still_pictures(grid)
    assert "by layer (rows) and head" in words
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert texts[2:] == [str(head) for head in range(grid.trace.n_heads(0))]


def test_tokens_in_a_still_grid_are_no_markup(lens: Lens) -> None:
    grid = PatchGrid(*pair(HOSTILE, lens))
    poster = grid.static("poster").html
    assert "<script" not in poster
    ((_, svg),) = still_pictures(grid)
    assert "<script" not in svg
    assert svg.count("</text>") == 2 + len(grid.trace.tokens)


def test_the_python_on_a_page_shows_such_a_grid(lens: Lens) -> None:
    grid = PatchGrid(*pair(LINE, lens), what="mlp")
    found = re.search(r"<code>(from glasshead[^<]+)</code>", grid.static("poster").html)
    assert found
    code = found[1].replace("&quot;", '"')
    names: dict[str, Any] = {"clean": LINE.format("whale"), "corrupted": LINE.format("ship")}
    made, _, shown = code.rpartition("; ")
    exec(made, names)  # noqa: S102
    again = eval(shown, names)  # noqa: S307
    assert isinstance(again, PatchGrid)
    assert again.what == "mlp"
    np.testing.assert_array_equal(
        again.to_frame()["recovered"].to_numpy(), grid.to_frame()["recovered"].to_numpy()
    )
