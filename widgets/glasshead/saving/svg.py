"""Small pictures as SVG, and images in them, made without a browser."""

from __future__ import annotations

import base64
import struct
import unicodedata
import zlib
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 680
"""Pixels of a picture."""
LETTER = 7.3
"""Pixels of a letter; every text is fitted to its number of letters, whatever the font."""

_FONT = "12px ui-monospace,Menlo,Consolas,monospace"
_JOINERS = "\u200c\u200d"
_SHOWN = {"\n": "↵", "\r": "↵", "\t": "⇥"}


def inert(text: str) -> str:
    """Return a text without what would steer the text around it: controls become a sign."""
    return "".join(
        _SHOWN.get(letter, "\N{REPLACEMENT CHARACTER}")
        if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Cn", "Co")
        and letter not in _JOINERS
        else letter
        for letter in text
    )


def shortened(text: str, most: int) -> str:
    """Return a text of at most so many letters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def n_letters(text: str) -> int:
    """Return how wide a text is: wide letters count twice, marks on others not at all."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF"
        else 1
        for letter in text
    )  # fmt: skip


def text(x: float, y: float, words: str, *, anchor: str = "start", fill: str = "") -> str:
    """Write words at a place, as wide as their letters say."""
    said = inert(words)
    width = n_letters(said) * LETTER
    colour = f' fill="{fill}"' if fill else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" textLength="{width:.1f}" '
        f'lengthAdjust="spacingAndGlyphs"{colour} xml:space="preserve">{escape(said)}</text>'
    )


def sheet(height: float, *parts: str) -> str:
    """Put parts on a white sheet."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}" '
        f'viewBox="0 0 {WIDTH} {height:.0f}" font-family="monospace" style="font:{_FONT}">'
        f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>'
    )


def image(x: float, y: float, width: float, height: float, colours: NDArray[np.uint8]) -> str:
    """Lay an image of ``[rows, columns, 3]`` bytes on the sheet, its pixels as squares."""
    data = base64.b64encode(_png(colours)).decode("ascii")
    return (
        f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        'preserveAspectRatio="none" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/>'
    )


def _png(colours: NDArray[np.uint8]) -> bytes:
    rows, columns, _ = colours.shape
    lines = np.zeros((rows, 1 + 3 * columns), np.uint8)  # each begins with 0: not filtered
    lines[:, 1:] = colours.reshape(rows, 3 * columns)

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def between(
    share: NDArray[np.floating],
    end: tuple[int, int, int],
    start: tuple[int, int, int] = (255, 255, 255),
) -> NDArray[np.uint8]:
    """Return colours from one to another, by shares from 0 to 1: ``[..., 3]`` bytes."""
    part = np.clip(np.nan_to_num(share), 0, 1)[..., None]
    return np.round(np.array(start) * (1 - part) + np.array(end) * part).astype(np.uint8)


def css(colour: NDArray[np.uint8]) -> str:
    """Return a colour as CSS writes it."""
    return "#" + bytes(colour).hex()
