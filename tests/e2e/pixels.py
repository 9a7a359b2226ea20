"""How much two pictures differ, as an eye would say: the browser reads them, nothing else need."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

TILE = 32
"""Sides of the tiles in which differences are counted, in pixels."""

COMPARE = """async ([actual, expected, threshold, tile]) => {
  const read = async (source) => {
    const image = new Image();
    image.src = `data:image/*;base64,${source}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  };
  // Of a tile: pixels like none at their place; pixels of flat areas whose colour is off by more
  // than SHADE of 255; how much its mean colour may be off, which finds letters of another shade.
  const [OTHER, SHADED, SHADE, MEAN] = [6, 24, 3, 1];
  const [a, b] = [await read(actual), await read(expected)];
  const size = [a.width, a.height];
  if (a.width !== b.width || a.height !== b.height) {
    return { size, expected_size: [b.width, b.height], share: 1, tiles: 0, picture: '' };
  }
  const at = (pixels, x, y) => 4 * (y * pixels.width + x);
  const far = (one, i, other, j) => Math.max(
    Math.abs(one.data[i] - other.data[j]),
    Math.abs(one.data[i + 1] - other.data[j + 1]),
    Math.abs(one.data[i + 2] - other.data[j + 2]),
  );
  // Letters may sit a pixel aside: a pixel differs if none beside its place is like it, here or
  // there. (Where a thin line is gone its white is like the white beside it: look both ways.)
  const near = (one, other, x, y) => {
    const i = at(one, x, y);
    for (let dy = -1; dy <= 1; dy++) {
      for (let dx = -1; dx <= 1; dx++) {
        const [u, v] = [x + dx, y + dy];
        if (u < 0 || v < 0 || u >= other.width || v >= other.height) continue;
        if (far(one, i, other, at(other, u, v)) <= threshold) return true;
      }
    }
    return false;
  };
  // An area of one colour in both pictures: there a shade is one, and not the edge of a letter.
  const isFlat = (one, x, y) => {
    const i = at(one, x, y);
    for (const [u, v] of [[x - 1, y], [x + 1, y], [x, y - 1], [x, y + 1]]) {
      if (u < 0 || v < 0 || u >= one.width || v >= one.height) continue;
      if (far(one, i, one, at(one, u, v)) > 2) return false;
    }
    return true;
  };
  const across = Math.ceil(a.width / tile);
  const tiles = Array.from({ length: across * Math.ceil(a.height / tile) }, () =>
    ({ pixels: 0, other: 0, shade: 0, sums: [0, 0, 0] }));
  const shown = new ImageData(a.width, a.height);
  let count = 0;
  for (let y = 0; y < a.height; y++) {
    for (let x = 0; x < a.width; x++) {
      const i = at(a, x, y);
      const differs =
        far(a, i, b, i) > threshold && !(near(a, b, x, y) && near(b, a, x, y));
      if (differs) count++;
      const own = tiles[Math.floor(y / tile) * across + Math.floor(x / tile)];
      const apart = far(a, i, b, i);
      own.pixels++;
      if (differs) own.other++;
      if (apart > SHADE && isFlat(a, x, y) && isFlat(b, x, y)) own.shade++;
      if (apart) for (const c of [0, 1, 2]) own.sums[c] += a.data[i + c] - b.data[i + c];
      const pale = 255 - (255 - (a.data[i] + a.data[i + 1] + a.data[i + 2]) / 3) / 4;
      shown.data.set(differs ? [230, 0, 60, 255] : [pale, pale, pale, 255], i);
    }
  }
  const isOther = ({ pixels, other, shade, sums }) =>
    other >= OTHER || shade >= SHADED || Math.max(...sums.map(Math.abs)) / pixels > MEAN;
  const canvas = new OffscreenCanvas(a.width, a.height);
  const context = canvas.getContext('2d');
  context.putImageData(shown, 0, 0);
  context.strokeStyle = 'rgb(230, 0, 60)';
  let found = 0;
  for (const [i, one] of tiles.entries()) {
    if (!isOther(one)) continue;
    found++;
    context.strokeRect(tile * (i % across) + 0.5, tile * Math.floor(i / across) + 0.5, tile, tile);
  }
  const bytes = new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer());
  let picture = '';
  for (const byte of bytes) picture += String.fromCharCode(byte);
  return {
    size, expected_size: size, tiles: found,
    share: count / (a.width * a.height), picture: btoa(picture),
  };
}"""


@dataclass(frozen=True)
class Difference:
    """How two pictures differ.

    Attributes
    ----------
    share : float
        Of the pixels, those that are like no pixel at their place in the other picture; 1 for
        pictures of two sizes.
    tiles : int
        Tiles of 32 pixels in which something small is another: a word, a line, a shade. 0 for
        pictures of two sizes.
    size, expected_size : tuple of int
    picture : bytes
        PNG: what differs in red, and its tiles framed; empty for two sizes.
    """

    share: float
    tiles: int
    size: tuple[int, int]
    expected_size: tuple[int, int]
    picture: bytes


def difference(page: Page, actual: bytes, expected: bytes, *, threshold: int = 32) -> Difference:
    """Compare two pictures (PNG or WebP) in a page of a browser.

    `threshold` is how far red, green or blue may be apart, of 255, before two pixels differ.
    """
    pictures = [base64.b64encode(one).decode() for one in (actual, expected)]
    found = page.evaluate(COMPARE, [*pictures, threshold, TILE])
    return Difference(
        found["share"],
        found["tiles"],
        tuple(found["size"]),
        tuple(found["expected_size"]),
        base64.b64decode(found["picture"]),
    )


CONVERT = """async ([picture, type]) => {
  const image = new Image();
  image.src = `data:image/*;base64,${picture}`;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  canvas.getContext('2d').drawImage(image, 0, 0);
  const blob = await canvas.convertToBlob({ type, quality: 1 });
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}"""


def as_webp(page: Page, picture: bytes) -> bytes:
    """Write a picture without loss, in fewer bytes than PNG."""
    return _converted(page, picture, "image/webp")


def as_png(page: Page, picture: bytes) -> bytes:
    """Write a picture as what every program opens."""
    return _converted(page, picture, "image/png")


def _converted(page: Page, picture: bytes, kind: str) -> bytes:
    text = page.evaluate(CONVERT, [base64.b64encode(picture).decode(), kind])
    return base64.b64decode(text)
