/** Text of the page as text of SVG: each line where it stands, as wide as it is. */

import { svg } from "../dom";
import { type Box, ink, inked, isEmpty, overlap, pencil, short, xmlText } from "./marks";

export interface Line extends Box {
  text: string;
}

/** What holds for the text of an element, gathered on the way down. */
export interface Hand {
  /** Where lines end in "…", if they do. */
  cut: Box | null;
  /** Underlines of the elements around, outermost first. */
  lines: readonly Rule[];
}

export interface Rule {
  kinds: string;
  style: string;
  colour: string;
  thickness: number;
  offset: number;
}

/** The `text-decoration` of an element itself. */
export function ruleOf(style: CSSStyleDeclaration): Rule | null {
  const kinds = style.textDecorationLine;
  if (!kinds || kinds === "none") return null;
  return {
    kinds,
    style: style.textDecorationStyle,
    colour: style.textDecorationColor,
    thickness: Number.parseFloat(style.textDecorationThickness) || 1,
    offset: Number.parseFloat(style.textUnderlineOffset) || 1,
  };
}

/** The lines of a text node as they are broken on the page; places are those of the window. */
export function linesOf(node: Text, keepsSpace: boolean): Line[] {
  const range = document.createRange();
  range.selectNodeContents(node);
  const boxes = [...range.getClientRects()].filter(({ width }) => width > 0);
  const [first] = boxes;
  if (!first) return [];
  const one = boxes.every(({ top }) => Math.abs(top - first.top) < first.height / 2);
  const text = node.data;
  if (one && (keepsSpace || !/^\s|\s$|\s\s|[\n\t\r]/.test(text))) {
    return [{ ...around(boxes), text }];
  }
  return broken(range, node);
}

/** Letter by letter: which line it stands on; letters without a place are not shown. */
function broken(range: Range, node: Text): Line[] {
  const lines: { boxes: DOMRect[]; text: string }[] = [];
  let at = 0;
  for (const letter of node.data) {
    range.setStart(node, at);
    at += letter.length;
    range.setEnd(node, at);
    const box = [...range.getClientRects()].find(({ width }) => width > 0);
    if (!box) {
      // The second part of what is drawn as one: accents, joiners.
      const line = lines.at(-1);
      if (line && /\p{M}|\u200d|\ufe0f/u.test(letter)) line.text += letter;
      continue;
    }
    const line = lines.at(-1);
    const before = line?.boxes[0];
    const shown = /\s/.test(letter) ? " " : letter;
    if (line && before && Math.abs(before.top - box.top) < before.height / 2) {
      line.boxes.push(box);
      line.text += shown;
    } else lines.push({ boxes: [box], text: shown });
  }
  return lines.map(({ boxes, text }) => ({ ...around(boxes), text }));
}

function around(boxes: readonly Box[]): Box {
  return {
    left: Math.min(...boxes.map(({ left }) => left)),
    top: Math.min(...boxes.map(({ top }) => top)),
    right: Math.max(...boxes.map(({ right }) => right)),
    bottom: Math.max(...boxes.map(({ bottom }) => bottom)),
  };
}

const FONT = ["font-family", "font-size", "font-weight", "font-style"] as const;

/** A line with its underlines. Its width is written down: another font cannot push it about. */
export function lineMarks(
  line: Line,
  style: CSSStyleDeclaration,
  { cut, lines }: Hand,
): SVGElement[] {
  const colour = style.color;
  if (ink(colour).alpha === 0) return [];
  const fonts = FONT.map((name) => [name, style.getPropertyValue(name)] as const);
  const font = Object.fromEntries(
    fonts.filter(([name, value]) => value && !(name !== "font-family" && value === "normal")),
  );
  const numeric = style.fontVariantNumeric;
  const base = line.top + ascent(style, line);
  const rtl = style.direction === "rtl";
  const fits = cut && !rtl && line.right > cut.right + 0.5 ? cutText(line, cut, style) : null;
  const text = svg(
    "text",
    {
      x: short(rtl ? line.right : line.left),
      y: short(base),
      ...font,
      ...inked("fill", colour),
      ...(fits === null
        ? { textLength: short(line.right - line.left), lengthAdjust: "spacingAndGlyphs" }
        : {}),
      ...(rtl ? { direction: "rtl" } : {}),
      ...(numeric && numeric !== "normal" ? { style: `font-variant-numeric:${numeric}` } : {}),
    },
    // Spaces at the ends are a part of the width, and SVG would drop them.
    xmlText(fits ?? line.text).replace(/^ | $| (?= )/g, "\u00a0"),
  );
  return [...lines.flatMap((rule) => rules(rule, line, base)), text];
}

function fontOf(style: CSSStyleDeclaration): string {
  return `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
}

/** From the top of a line's box to its base line. */
function ascent(style: CSSStyleDeclaration, line: Box): number {
  const pen = pencil();
  const height = line.bottom - line.top;
  if (!pen) return 0.8 * height;
  pen.font = fontOf(style);
  pen.textBaseline = "alphabetic";
  const { fontBoundingBoxAscent: above, fontBoundingBoxDescent: below } = pen.measureText("x");
  return above > 0 ? (height * above) / (above + below) : 0.8 * height;
}

function cutText(line: Line, cut: Box, style: CSSStyleDeclaration): string | null {
  const pen = pencil();
  if (!pen) return null;
  pen.font = fontOf(style);
  const letters = Array.from(line.text);
  const room = cut.right - line.left;
  const width = (n: number): number => pen.measureText(`${letters.slice(0, n).join("")}…`).width;
  let n = letters.length;
  while (n > 0 && width(n) > room) n--;
  // Not even the first letter: the dots of what comes before say it.
  return n > 0 || isEmpty(overlap(line, cut)) === false ? `${letters.slice(0, n).join("")}…` : "";
}

function rules({ kinds, style, colour, thickness, offset }: Rule, line: Box, base: number) {
  const height = line.bottom - line.top;
  const places: Record<string, number> = {
    underline: base + offset + thickness / 2,
    "line-through": base - 0.26 * height,
    overline: line.top,
  };
  const dash = { dotted: thickness, dashed: 3 * thickness }[style];
  return kinds.split(/\s+/).flatMap((kind) => {
    const y = places[kind];
    if (y === undefined) return [];
    const ends = { x1: short(line.left), x2: short(line.right), y1: short(y), y2: short(y) };
    const look = { ...inked("stroke", colour), "stroke-width": short(thickness) };
    return [svg("line", { ...ends, ...look, ...(dash ? { "stroke-dasharray": dash } : {}) })];
  });
}
