/**
 * A drawing context that writes SVG: the code that paints a canvas paints a picture for paper.
 *
 * It knows what views draw with. Whatever it does not know, or more than a program for pictures
 * can open, ends the recording, and the canvas is saved as a sharp image instead.
 */

import { svg } from "../dom";
import { type Draw, dataUrl, keepDrawing, SHARP } from "./canvases";
import { type Box, imageOf, inked, pencil, rectOf, short, xmlText } from "./marks";
import {
  fontOf,
  gradientOf,
  MOST,
  NotRecorded,
  patternOf,
  RecordedGradient,
  RecordedPath,
  RecordedPattern,
} from "./recorded";

/** Says how a canvas is drawn, so that it can be saved as lines. */
export function drawnAs(canvas: HTMLCanvasElement, draw: Draw): void {
  keepDrawing(canvas, draw, record);
}

let recordings = 0;

export function record(draw: Draw, width: number, height: number): SVGElement | null {
  const recorder = new Recorder(width, height, `gh-canvas-${++recordings}-`);
  const { Path2D: path } = globalThis;
  // A path of the browser's cannot be read back: those made while recording can.
  globalThis.Path2D = RecordedPath as unknown as typeof Path2D;
  try {
    draw(guarded(recorder));
  } catch (error) {
    if (!(error instanceof NotRecorded)) throw error;
    return null;
  } finally {
    globalThis.Path2D = path;
  }
  return recorder.root;
}

/** Refuses what the recorder does not know. */
function guarded(recorder: Recorder): CanvasRenderingContext2D {
  const known = recorder as unknown as Record<PropertyKey, unknown>;
  const proxy = new Proxy(recorder, {
    get(_, name) {
      if (!(name in recorder)) throw new NotRecorded(String(name));
      const value = known[name];
      return typeof value === "function" ? value.bind(recorder) : value;
    },
    set(_, name, value) {
      if (!(name in recorder)) throw new NotRecorded(String(name));
      known[name] = value;
      return true;
    },
  });
  return proxy as unknown as CanvasRenderingContext2D;
}

type Style = string | RecordedPattern | RecordedGradient;

/** What `save` keeps and `restore` brings back. */
const PLAIN = {
  fillStyle: "#000" as Style,
  strokeStyle: "#000" as Style,
  globalAlpha: 1,
  lineWidth: 1,
  lineCap: "butt",
  lineJoin: "miter",
  miterLimit: 10,
  lineDashOffset: 0,
  font: "10px sans-serif",
  textAlign: "start",
  textBaseline: "alphabetic",
  direction: "ltr",
  globalCompositeOperation: "source-over",
  imageSmoothingEnabled: true,
  dash: [] as readonly number[],
  matrix: [1, 0, 0, 1, 0, 0] as readonly number[],
};

class Recorder {
  readonly root: SVGElement;
  readonly #defs = svg("defs");
  readonly #name: string;
  readonly #size: { width: number; height: number };
  #count = 0;
  #bytes = 0;
  #path = new RecordedPath();
  #saved: { state: typeof PLAIN; group: SVGElement }[] = [];
  /** Where marks go: inside all clippings. */
  #group: SVGElement;

  constructor(width: number, height: number, name: string) {
    Object.assign(this, PLAIN);
    this.#name = name;
    this.#size = { width, height };
    const edge = rectOf({ left: 0, top: 0, right: width, bottom: height });
    this.#group = svg("g", {
      "clip-path": `url(#${this.#define((id) => svg("clipPath", { id }, edge))})`,
    });
    this.root = svg("g", {}, this.#defs, this.#group);
  }

  // ── State ─────────────────────────────────────────────────────────────────────────────────────

  get #state(): typeof PLAIN {
    return this as unknown as typeof PLAIN;
  }

  save(): void {
    const state = Object.fromEntries(
      Object.keys(PLAIN).map((name) => [name, this.#state[name as keyof typeof PLAIN]]),
    ) as typeof PLAIN;
    this.#saved.push({ state, group: this.#group });
  }

  restore(): void {
    const last = this.#saved.pop();
    if (!last) return;
    Object.assign(this, last.state);
    this.#group = last.group;
  }

  getTransform(): Record<"a" | "b" | "c" | "d" | "e" | "f", number> {
    const [a = 1, b = 0, c = 0, d = 1, e = 0, f = 0] = this.#state.matrix;
    return { a, b, c, d, e, f };
  }

  setTransform(a = 1, b = 0, c = 0, d = 1, e = 0, f = 0): void {
    if (typeof a === "object") throw new NotRecorded("matrix");
    this.#state.matrix = [a, b, c, d, e, f];
  }

  transform(a: number, b: number, c: number, d: number, e: number, f: number): void {
    const m = this.getTransform();
    this.#state.matrix = [
      m.a * a + m.c * b,
      m.b * a + m.d * b,
      m.a * c + m.c * d,
      m.b * c + m.d * d,
      m.a * e + m.c * f + m.e,
      m.b * e + m.d * f + m.f,
    ];
  }

  translate(x: number, y: number): void {
    this.transform(1, 0, 0, 1, x, y);
  }

  scale(x: number, y: number): void {
    this.transform(x, 0, 0, y, 0, 0);
  }

  rotate(angle: number): void {
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    this.transform(cos, sin, -sin, cos, 0, 0);
  }

  setLineDash(dash: readonly number[]): void {
    this.#state.dash = [...dash];
  }

  getLineDash(): number[] {
    return [...this.#state.dash];
  }

  // ── Paths ─────────────────────────────────────────────────────────────────────────────────────

  beginPath(): void {
    this.#path = new RecordedPath();
  }

  moveTo = (x: number, y: number): void => this.#path.moveTo(x, y);
  lineTo = (x: number, y: number): void => this.#path.lineTo(x, y);
  bezierCurveTo = (...places: [number, number, number, number, number, number]): void =>
    this.#path.bezierCurveTo(...places);
  quadraticCurveTo = (...places: [number, number, number, number]): void =>
    this.#path.quadraticCurveTo(...places);
  closePath = (): void => this.#path.closePath();
  rect = (x: number, y: number, width: number, height: number): void =>
    this.#path.rect(x, y, width, height);
  roundRect = (x: number, y: number, width: number, height: number): void =>
    this.#path.rect(x, y, width, height);
  arc = (x: number, y: number, r: number, from: number, to: number, back = false): void =>
    this.#path.arc(x, y, r, from, to, back);

  /** Inside is what both this and all earlier clippings leave. */
  clip(path: RecordedPath = this.#path): void {
    const shape = svg("path", { d: this.#dataOf(path), ...this.#placed() });
    const id = this.#define((name) => svg("clipPath", { id: name }, shape));
    const group = svg("g", { "clip-path": `url(#${id})` });
    this.#put(group);
    this.#group = group;
  }

  fill(path: RecordedPath = this.#path): void {
    this.#put(svg("path", { d: this.#dataOf(path), ...this.#filled(), ...this.#placed() }));
  }

  stroke(path: RecordedPath = this.#path): void {
    const d = this.#dataOf(path);
    this.#put(svg("path", { d, fill: "none", ...this.#stroked(), ...this.#placed() }));
  }

  fillRect(x: number, y: number, width: number, height: number): void {
    if (!width || !height) return;
    const box = boxOf(x, y, width, height);
    this.#put(rectOf(box, { ...this.#filled(), ...this.#placed() }));
  }

  strokeRect(x: number, y: number, width: number, height: number): void {
    const box = boxOf(x, y, width, height);
    this.#put(rectOf(box, { fill: "none", ...this.#stroked(), ...this.#placed() }));
  }

  /** Paper shows what is beneath: nothing is taken away from a drawing. */
  clearRect(x: number, y: number, width: number, height: number): void {
    const { width: w, height: h } = this.#size;
    if (x <= 0 && y <= 0 && x + width >= w && y + height >= h) return;
    throw new NotRecorded("clearRect");
  }

  // ── Text and images ───────────────────────────────────────────────────────────────────────────

  measureText(text: string): TextMetrics {
    const pen = pencil();
    if (!pen) throw new NotRecorded("measureText");
    const { font, textBaseline } = this.#state;
    pen.font = font;
    pen.textBaseline = textBaseline as CanvasTextBaseline;
    return pen.measureText(text);
  }

  fillText(text: string, x: number, y: number): void {
    this.#text(text, x, y, this.#filled());
  }

  strokeText(text: string, x: number, y: number): void {
    this.#text(text, x, y, { fill: "none", ...this.#stroked() });
  }

  #text(text: string, x: number, y: number, look: Record<string, string | number>): void {
    const { textAlign, textBaseline } = this.#state;
    const placed = this.measureText(text);
    this.#state.textBaseline = "alphabetic";
    const base = this.measureText(text).fontBoundingBoxAscent - placed.fontBoundingBoxAscent;
    this.#state.textBaseline = textBaseline;
    const anchor = { center: "middle", right: "end", end: "end" }[textAlign] ?? "start";
    const place = { x: short(x), y: short(y + base), "text-anchor": anchor };
    const fit = { textLength: short(placed.width), lengthAdjust: "spacingAndGlyphs" };
    const font = { ...fontOf(placed.width > 0 ? this.#state.font : ""), ...fit };
    this.#put(svg("text", { ...place, ...font, ...look, ...this.#placed() }, xmlText(text)));
  }

  /** The part that shows, three pixels for one: cells of a heat map keep their edges. */
  drawImage(image: CanvasImageSource, ...place: number[]): void {
    const { width, height } = this.#size;
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(SHARP * width);
    canvas.height = Math.ceil(SHARP * height);
    const context = canvas.getContext("2d");
    if (!context) throw new NotRecorded("drawImage");
    const { a, b, c, d, e, f } = this.getTransform();
    context.scale(SHARP, SHARP);
    context.transform(a, b, c, d, e, f);
    context.imageSmoothingEnabled = this.#state.imageSmoothingEnabled;
    context.globalAlpha = this.#state.globalAlpha;
    context.drawImage(image, ...(place as [number, number]));
    const url = dataUrl(canvas);
    if (url) this.#put(imageOf(url, { left: 0, top: 0, right: width, bottom: height }));
  }

  createPattern(tile: HTMLCanvasElement): RecordedPattern {
    const url = dataUrl(tile);
    if (!url) throw new NotRecorded("createPattern");
    return new RecordedPattern(url, tile.width, tile.height);
  }

  createLinearGradient(x1: number, y1: number, x2: number, y2: number): RecordedGradient {
    return new RecordedGradient({ x1, y1, x2, y2 });
  }

  // ── Writing ───────────────────────────────────────────────────────────────────────────────────

  /** Above what is there, or, painted "destination-over", beneath all of it. */
  #put(mark: SVGElement): void {
    const under = this.#state.globalCompositeOperation;
    if (under === "destination-over") this.#group.prepend(mark);
    else if (under === "source-over") this.#group.append(mark);
    else throw new NotRecorded(under);
  }

  #dataOf(path: RecordedPath): string {
    if (!(path instanceof RecordedPath)) throw new NotRecorded("path");
    this.#bytes += path.length;
    if (this.#bytes > MOST) throw new NotRecorded("too much");
    return path.d;
  }

  #define(make: (id: string) => SVGElement): string {
    const id = `${this.#name}${this.#count++}`;
    this.#defs.append(make(id));
    return id;
  }

  #placed(): Record<string, string> {
    const { matrix } = this.#state;
    const moved = matrix.some((value, i) => value !== PLAIN.matrix[i]);
    return moved ? { transform: `matrix(${matrix.map(short).join(" ")})` } : {};
  }

  #filled(): Record<string, string | number> {
    return this.#inked("fill", this.#state.fillStyle);
  }

  #stroked(): Record<string, string | number> {
    const { strokeStyle, lineWidth, lineCap, lineJoin, dash, lineDashOffset } = this.#state;
    return {
      ...this.#inked("stroke", strokeStyle),
      "stroke-width": short(lineWidth),
      ...(lineCap === "butt" ? {} : { "stroke-linecap": lineCap }),
      ...(lineJoin === "miter" ? {} : { "stroke-linejoin": lineJoin }),
      ...(dash.length ? { "stroke-dasharray": dash.join(" ") } : {}),
      ...(lineDashOffset ? { "stroke-dashoffset": lineDashOffset } : {}),
    };
  }

  #inked(name: "fill" | "stroke", style: Style): Record<string, string | number> {
    const { globalAlpha } = this.#state;
    const faint: Record<string, number> = globalAlpha < 1 ? { opacity: short(globalAlpha) } : {};
    if (typeof style === "string") return { ...inked(name, style), ...faint };
    const id = this.#define((made) =>
      style instanceof RecordedPattern ? patternOf(made, style) : gradientOf(made, style),
    );
    return { [name]: `url(#${id})`, ...faint };
  }
}

function boxOf(x: number, y: number, width: number, height: number): Box {
  const [left, right] = [Math.min(x, x + width), Math.max(x, x + width)];
  return { left, right, top: Math.min(y, y + height), bottom: Math.max(y, y + height) };
}
