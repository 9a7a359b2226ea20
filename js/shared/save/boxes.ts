/** What an element is painted with itself: backgrounds, borders, rings of shadow. */

import { svg } from "../dom";
import { gradientOf } from "./gradients";
import { type Box, ink, inked, isEmpty, rectOf, short } from "./marks";

const SIDES = ["top", "right", "bottom", "left"] as const;
type Side = (typeof SIDES)[number];

interface Border {
  width: number;
  style: string;
  colour: string;
}

/** The marks of one box of an element, lowest first; `define` keeps a gradient and names it. */
export function boxMarks(
  style: CSSStyleDeclaration,
  { left, top, right, bottom }: Box,
  define: (make: (id: string) => SVGElement | null) => string,
): SVGElement[] {
  const box = { left, top, right, bottom };
  if (isEmpty(box)) return [];
  const borders = bordersOf(style);
  const radius = radiusOf(style, box);
  return [
    ...shadows(style, box, radius),
    ...background(style, paddedBox(style, box, borders), radius, define),
    ...borderMarks(borders, box, radius),
    ...shadows(style, box, radius, true),
  ];
}

function bordersOf(style: CSSStyleDeclaration): Record<Side, Border> {
  const of = (side: Side): Border => ({
    width: Number.parseFloat(style.getPropertyValue(`border-${side}-width`)) || 0,
    style: style.getPropertyValue(`border-${side}-style`),
    colour: style.getPropertyValue(`border-${side}-color`),
  });
  return { top: of("top"), right: of("right"), bottom: of("bottom"), left: of("left") };
}

function radiusOf(style: CSSStyleDeclaration, box: Box): number {
  const written = style.borderTopLeftRadius;
  const value = Number.parseFloat(written) || 0;
  const half = Math.min(box.right - box.left, box.bottom - box.top) / 2;
  return Math.min(half, written.includes("%") ? (value / 50) * half : value);
}

function paddedBox(
  style: CSSStyleDeclaration,
  box: Box,
  { top, right, bottom, left }: Record<Side, Border>,
): Box {
  if (style.backgroundClip !== "padding-box") return box;
  return {
    left: box.left + left.width,
    top: box.top + top.width,
    right: box.right - right.width,
    bottom: box.bottom - bottom.width,
  };
}

function background(
  style: CSSStyleDeclaration,
  box: Box,
  radius: number,
  define: (make: (id: string) => SVGElement | null) => string,
): SVGElement[] {
  const rounded: Record<string, number> = radius > 0 ? { rx: short(radius) } : {};
  const marks: SVGElement[] = [];
  if (ink(style.backgroundColor).alpha > 0) {
    marks.push(rectOf(box, { ...rounded, ...inked("fill", style.backgroundColor) }));
  }
  const image = style.backgroundImage;
  const id = image && image !== "none" ? define((name) => gradientOf(image, box, name)) : "";
  if (id) marks.push(rectOf(box, { ...rounded, fill: `url(#${id})` }));
  return marks;
}

function grown(box: Box, by: number, x = 0, y = 0): Box {
  return {
    left: box.left - by + x,
    top: box.top - by + y,
    right: box.right + by + x,
    bottom: box.bottom + by + y,
  };
}

function dashes({ width, style }: Border): Record<string, string | number> {
  const ratio = { dotted: 1, dashed: 3 }[style];
  return ratio ? { "stroke-dasharray": `${short(width * ratio)} ${short(width * ratio)}` } : {};
}

function borderMarks(borders: Record<Side, Border>, box: Box, radius: number): SVGElement[] {
  const visible = SIDES.filter((side) => {
    const { width, style, colour } = borders[side];
    return width > 0 && style !== "none" && style !== "hidden" && ink(colour).alpha > 0;
  });
  const { top } = borders;
  const alike = (side: Side): boolean =>
    (["width", "style", "colour"] as const).every((name) => borders[side][name] === top[name]);
  if (visible.length === 4 && SIDES.every(alike)) {
    const inner = Math.max(0, radius - top.width / 2);
    const rounded: Record<string, number> = inner > 0 ? { rx: short(inner) } : {};
    const stroke = { ...inked("stroke", top.colour), "stroke-width": short(top.width) };
    const look = { fill: "none", ...rounded, ...stroke, ...dashes(top) };
    return [rectOf(grown(box, -top.width / 2), look)];
  }
  return visible.map((side) => {
    const border = borders[side];
    const half = border.width / 2;
    const inner = grown(box, -half);
    const ends = {
      top: [box.left, inner.top, box.right, inner.top],
      bottom: [box.left, inner.bottom, box.right, inner.bottom],
      left: [inner.left, box.top, inner.left, box.bottom],
      right: [inner.right, box.top, inner.right, box.bottom],
    }[side].map(short);
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = ends;
    const stroke = { ...inked("stroke", border.colour), "stroke-width": short(border.width) };
    return svg("line", { x1, y1, x2, y2, ...stroke, ...dashes(border) });
  });
}

/** Rings around (or inside) a box and its hairlines; what is blurred is left to the screen. */
function shadows(
  style: CSSStyleDeclaration,
  box: Box,
  radius: number,
  inside = false,
): SVGElement[] {
  if (!style.boxShadow || style.boxShadow === "none") return [];
  const rings = style.boxShadow.split(/,(?![^(]*\))/).flatMap((shadow) => {
    const lengths = [...shadow.matchAll(/(-?[\d.]+)px/g)].map(([, value]) => Number(value));
    const [x = 0, y = 0, blur = 0, spread = 0] = lengths;
    const inset = /\binset\b/.test(shadow);
    if (blur > 0 || inset !== inside) return [];
    const colour = shadow
      .replace(/-?[\d.]+px/g, "")
      .replace("inset", "")
      .trim();
    if (spread === 0) return edge(box, inset, x, y, colour);
    const by = inset ? -spread / 2 : spread / 2;
    const rounded: Record<string, number> = radius > 0 ? { rx: short(radius + by) } : {};
    const stroke = { ...inked("stroke", colour), "stroke-width": short(spread) };
    return [rectOf(grown(box, by, x, y), { fill: "none", ...rounded, ...stroke })];
  });
  return rings.reverse();
}

/** A shadow that is only moved: what of it looks out from under its box, or lies along its edge. */
function edge(box: Box, inset: boolean, x: number, y: number, colour: string): SVGElement[] {
  const { left, top, right, bottom } = box;
  const strips: Box[] = [];
  if (inset) {
    if (y !== 0) strips.push(y > 0 ? { ...box, bottom: top + y } : { ...box, top: bottom + y });
    if (x !== 0) strips.push(x > 0 ? { ...box, right: left + x } : { ...box, left: right + x });
  } else {
    if (y !== 0)
      strips.push(
        y > 0 ? { ...box, top: bottom, bottom: bottom + y } : { ...box, top: top + y, bottom: top },
      );
    if (x !== 0)
      strips.push(
        x > 0 ? { ...box, left: right, right: right + x } : { ...box, left: left + x, right: left },
      );
  }
  return strips.map((strip) => rectOf(strip, inked("fill", colour)));
}
