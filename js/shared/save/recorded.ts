/** What a recorded drawing is made of: paths, patterns, gradients, fonts. */

import { svg } from "../dom";
import { imageOf, inked, short } from "./marks";

/** The canvas cannot be told in SVG. */
export class NotRecorded extends Error {}

/** Letters of path data: some 20,000 curves; what has more is no drawing but a texture. */
export const MOST = 1_500_000;

/** The commands of a path, as the attribute `d`. */
export class RecordedPath {
  readonly parts: string[] = [];
  length = 0;

  #add(command: string, ...numbers: number[]): void {
    const part = command + numbers.map(short).join(" ");
    this.length += part.length;
    if (this.length > MOST) throw new NotRecorded("too much");
    this.parts.push(part);
  }

  get d(): string {
    return this.parts.join("");
  }

  moveTo(x: number, y: number): void {
    this.#add("M", x, y);
  }

  lineTo(x: number, y: number): void {
    this.#add(this.parts.length ? "L" : "M", x, y);
  }

  bezierCurveTo(...places: [number, number, number, number, number, number]): void {
    this.#add("C", ...places);
  }

  quadraticCurveTo(...places: [number, number, number, number]): void {
    this.#add("Q", ...places);
  }

  closePath(): void {
    this.#add("Z");
  }

  rect(x: number, y: number, width: number, height: number): void {
    this.#add("M", x, y);
    this.#add("h", width);
    this.#add("v", height);
    this.#add("h", -width);
    this.#add("Z");
  }

  roundRect(x: number, y: number, width: number, height: number): void {
    this.rect(x, y, width, height);
  }

  arc(x: number, y: number, r: number, from: number, to: number, back = false): void {
    const turn = 2 * Math.PI;
    const whole = Math.abs(to - from) >= turn - 1e-6;
    const at = (angle: number): [number, number] => [
      x + r * Math.cos(angle),
      y + r * Math.sin(angle),
    ];
    this.lineTo(...at(from));
    const end = whole ? from + Math.PI : to;
    const sweep = ((back ? from - end : end - from) % turn) + (from > end !== back ? turn : 0);
    const large = !whole && sweep % turn > Math.PI ? 1 : 0;
    this.#add("A", r, r, 0, large, back ? 0 : 1, ...at(end));
    if (whole) this.#add("A", r, r, 0, 0, back ? 0 : 1, ...at(from));
  }
}

export class RecordedPattern {
  transform = "";

  constructor(
    readonly url: string,
    readonly width: number,
    readonly height: number,
  ) {}

  setTransform({ a = 1, b = 0, c = 0, d = 1, e = 0, f = 0 }: DOMMatrix2DInit = {}): void {
    this.transform = `matrix(${[a, b, c, d, e, f].join(" ")})`;
  }
}

export class RecordedGradient {
  readonly stops: { offset: number; colour: string }[] = [];

  constructor(readonly line: { x1: number; y1: number; x2: number; y2: number }) {}

  addColorStop(offset: number, colour: string): void {
    this.stops.push({ offset, colour });
  }
}

export function patternOf(
  id: string,
  { url, width, height, transform }: RecordedPattern,
): SVGElement {
  const image = imageOf(url, { left: 0, top: 0, right: width, bottom: height });
  const size = { width, height, patternUnits: "userSpaceOnUse" };
  return svg("pattern", { id, ...size, patternTransform: transform || "scale(1)" }, image);
}

export function gradientOf(id: string, { line, stops }: RecordedGradient): SVGElement {
  const marks = stops.map(({ offset, colour }) =>
    svg("stop", { offset, ...inked("stop-color", colour) }),
  );
  return svg("linearGradient", { id, ...line, gradientUnits: "userSpaceOnUse" }, ...marks);
}

/** "600 11px Inter, sans-serif" as attributes. */
export function fontOf(font: string): Record<string, string> {
  const found = /^(.*?)(\d+(?:\.\d+)?px)(?:\/\S+)?\s+(.+)$/.exec(font);
  if (!found) return {};
  const [, before = "", size = "", family = ""] = found;
  const weight = /\b(bold|[1-9]00)\b/.exec(before)?.[0];
  return {
    "font-family": family,
    "font-size": size,
    ...(weight ? { "font-weight": weight } : {}),
    ...(/italic|oblique/.test(before) ? { "font-style": "italic" } : {}),
  };
}
