/** What all of a saved picture is written with: numbers, colours, text, SVG elements. */

import { svg } from "../dom";

export interface Box {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A coordinate as short as it can be without being seen to move. */
export function short(value: number): number {
  return Math.round(value * 100) / 100;
}

export function isEmpty({ left, top, right, bottom }: Box): boolean {
  return right <= left || bottom <= top;
}

export function overlap(a: Box, b: Box | null): Box {
  if (!b) return a;
  return {
    left: Math.max(a.left, b.left),
    top: Math.max(a.top, b.top),
    right: Math.min(a.right, b.right),
    bottom: Math.min(a.bottom, b.bottom),
  };
}

/**
 * Text that XML can hold: control characters and halves of surrogate pairs are no XML, not even
 * escaped. Markup in it is escaped by whoever writes the file.
 */
export function xmlText(text: string): string {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x20 && !"\t\n\r".includes(character)
      ? String.fromCodePoint(0x2400 + code)
      : character;
  })
    .join("")
    .replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd")
    .replace(/[\ufffe\uffff]/g, "\ufffd");
}

export interface Ink {
  /** "#rrggbb": what every program reads, also those that know no `color()`. */
  colour: string;
  /** 0…1. */
  alpha: number;
}

const INKS = new Map<string, Ink>();
const CLEAR: Ink = { colour: "#000000", alpha: 0 };

/** A colour of CSS, whatever way it is written. */
export function ink(colour: string): Ink {
  const known = INKS.get(colour);
  if (known) return known;
  const found = /^rgba?\(/.test(colour) ? fromRgb(colour) : fromPixel(colour);
  if (INKS.size < 5000) INKS.set(colour, found);
  return found;
}

function fromRgb(colour: string): Ink {
  const [r = 0, g = 0, b = 0, alpha = 1] = colour.match(/[\d.]+/g)?.map(Number) ?? [];
  return { colour: hex([r, g, b]), alpha };
}

/** Names, `color(srgb …)`, `oklch(…)`: the browser knows what they look like. */
function fromPixel(colour: string): Ink {
  if (/^#[0-9a-f]{6}$/i.test(colour)) return { colour, alpha: 1 };
  if (!colour || colour === "transparent" || colour === "none") return CLEAR;
  const pen = pencil();
  if (!pen) return { colour, alpha: 1 };
  pen.clearRect(0, 0, 1, 1);
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [r = 0, g = 0, b = 0, a = 255] = pen.getImageData(0, 0, 1, 1).data;
  return { colour: hex([r, g, b]), alpha: short(a / 255) };
}

function hex(rgb: readonly number[]): string {
  return `#${rgb.map((value) => Math.round(value).toString(16).padStart(2, "0")).join("")}`;
}

/** `fill` or `stroke`, with its opacity where it has one. */
export function inked(name: "fill" | "stroke" | "stop-color", colour: string) {
  const { colour: solid, alpha } = ink(colour);
  const opacity = name === "stop-color" ? "stop-opacity" : `${name}-opacity`;
  return alpha < 1 ? { [name]: solid, [opacity]: alpha } : { [name]: solid };
}

let PENCIL: CanvasRenderingContext2D | null = null;

/** A canvas to measure text and colours with; null where the browser has none. */
export function pencil(): CanvasRenderingContext2D | null {
  PENCIL ??= document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  return PENCIL;
}

export function rectOf(box: Box, attrs: Record<string, string | number> = {}): SVGRectElement {
  const size = { width: short(box.right - box.left), height: short(box.bottom - box.top) };
  return svg("rect", { x: short(box.left), y: short(box.top), ...size, ...attrs });
}

export function imageOf(url: string, box: Box): SVGImageElement {
  const size = { width: short(box.right - box.left), height: short(box.bottom - box.top) };
  const at = { x: short(box.left), y: short(box.top) };
  return svg("image", { ...at, ...size, href: url, preserveAspectRatio: "none" });
}
