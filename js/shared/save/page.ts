/**
 * A part of the page as SVG: what is on the screen, element by element, as marks that stay sharp.
 *
 * Boxes become rectangles, text becomes text, drawings become drawings. What is there to be pressed
 * is left out, as are elements with `data-in-picture="no"`; `"yes"` keeps a control that shows
 * something (a head's tile). What is scrolled out of view is out of the picture.
 */

import { svg } from "../dom";
import { boxMarks } from "./boxes";
import { canvasMark } from "./canvases";
import { type Hand, lineMarks, linesOf, ruleOf } from "./letters";
import { type Box, isEmpty, overlap, short } from "./marks";
import { inlined } from "./vectors";

export interface Engraving {
  readonly marks: SVGElement;
  /** What has marks, in pixels of the window; empty where nothing has. */
  readonly box: Box;
}

const CONTROLS =
  "button, select, input, textarea, label, .gh-tooltip, .gh-help, .gh-menu, .gh-banners";
const NOTHING: Box = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };

let engravings = 0;

export function engrave(element: HTMLElement): Engraving {
  const page = new Page(`gh-page-${++engravings}-`);
  const flat = flatten(element);
  try {
    page.walk(element, page.marks, { clip: null, turned: flat.turned, hand: PLAIN });
  } finally {
    flat.restore();
  }
  page.finish();
  return page;
}

/** What holds for everything inside an element. */
interface Inside {
  /** What is outside is not seen. */
  clip: Box | null;
  turned: ReadonlyMap<Element, Turn>;
  hand: Hand;
}

const PLAIN: Hand = { cut: null, lines: [] };

/** How an element is turned, about which point of its own box. */
interface Turn {
  matrix: DOMMatrix;
  x: number;
  y: number;
}

/** Lays what is turned flat for a moment: the page knows only the boxes around turned text. */
function flatten(element: HTMLElement): { turned: Map<Element, Turn>; restore(): void } {
  const turned = new Map<Element, Turn>();
  const before: [HTMLElement, string, string, string][] = [];
  for (const one of element.querySelectorAll<HTMLElement>("*")) {
    if (!(one instanceof HTMLElement)) continue;
    const { transform, rotate, scale, transformOrigin } = getComputedStyle(one);
    const matrix = matrixOf(transform, rotate, scale);
    if (!matrix) continue;
    const [x = 0, y = 0] = transformOrigin.split(" ").map(Number.parseFloat);
    turned.set(one, { matrix, x, y });
    before.push([one, one.style.transform, one.style.rotate, one.style.scale]);
  }
  for (const [one] of before) {
    Object.assign(one.style, { transform: "none", rotate: "none", scale: "none" });
  }
  return {
    turned,
    restore() {
      for (const [one, transform, rotate, scale] of before) {
        Object.assign(one.style, { transform, rotate, scale });
      }
    },
  };
}

/** Turning and scaling together; null where an element is moved at most. */
function matrixOf(transform: string, rotate: string, scale: string): DOMMatrix | null {
  const set = (value: string): boolean => Boolean(value) && value !== "none";
  if (!set(transform) && !set(rotate) && !set(scale)) return null;
  const matrix = new DOMMatrix();
  if (set(rotate)) matrix.rotateSelf(Number.parseFloat(rotate));
  if (set(scale)) {
    const [x = 1, y = x] = scale.split(" ").map(Number);
    matrix.scaleSelf(x, y);
  }
  if (set(transform)) matrix.multiplySelf(new DOMMatrix(transform));
  const { a, b, c, d } = matrix;
  return a === 1 && b === 0 && c === 0 && d === 1 ? null : matrix;
}

class Page implements Engraving {
  readonly marks = svg("g");
  box: Box = NOTHING;
  readonly #defs = svg("defs");
  readonly #name: string;
  #count = 0;

  constructor(name: string) {
    this.#name = name;
  }

  finish(): void {
    if (this.#defs.childElementCount) this.marks.prepend(this.#defs);
  }

  walk(element: Element, into: SVGElement, inside: Inside): void {
    if (!isShown(element)) return;
    const style = getComputedStyle(element);
    // What only screen readers are told is clipped away.
    if (style.display === "none" || style.clipPath === "inset(50%)") return;
    const turn = inside.turned.get(element);
    const box = element.getBoundingClientRect();
    const { clip } = inside;
    // All of it is scrolled out of view.
    if (clip && !turn && box.width > 0 && box.height > 0 && isEmpty(overlap(box, clip))) return;
    const group = this.#groupOf(style, box, turn, into);
    const within = turn ? { ...inside, clip: null } : inside;
    const measure = this.box;
    if (turn) this.box = NOTHING;
    this.#paint(element, style, box, group, within);
    if (turn) this.box = joined(measure, turnedBox(this.box, box, turn));
  }

  #paint(
    element: Element,
    style: CSSStyleDeclaration,
    box: DOMRect,
    into: SVGElement,
    inside: Inside,
  ): void {
    const seen = style.visibility === "visible";
    if (seen) {
      const boxes = style.display === "inline" ? [...element.getClientRects()] : [box];
      for (const one of boxes) {
        const marks = boxMarks(style, one, (make) => this.#define(make));
        if (marks.length) this.#put(into, marks, one, inside);
      }
    }
    if (element instanceof HTMLCanvasElement || element instanceof SVGElement) {
      const mark = seen && !isEmpty(box) ? drawing(element, box) : null;
      if (mark) this.#put(into, [mark], box, inside);
      return;
    }
    const within = this.#within(style, box, inside);
    const clipped = within.clip !== inside.clip ? this.#clipped(within.clip, into) : into;
    for (const child of layered(element)) {
      if (child instanceof Element) this.walk(child, clipped, within);
      else if (child instanceof Text && seen) this.#write(child, style, clipped, within);
    }
  }

  #write(node: Text, style: CSSStyleDeclaration, into: SVGElement, inside: Inside): void {
    if (!node.data.trim()) return;
    const keepsSpace = /pre|break-spaces/.test(style.whiteSpace);
    for (const line of linesOf(node, keepsSpace)) {
      if (inside.clip && isEmpty(overlap(line, inside.clip))) continue;
      this.#put(into, lineMarks(line, style, inside.hand), line, inside);
    }
  }

  /** What an element means for what is in it. */
  #within(style: CSSStyleDeclaration, box: DOMRect, inside: Inside): Inside {
    const rule = ruleOf(style);
    const lines = rule ? [...inside.hand.lines, rule] : inside.hand.lines;
    const cuts = style.overflowX !== "visible" && style.display !== "inline";
    if (!cuts) return rule ? { ...inside, hand: { ...inside.hand, lines } } : inside;
    const padded = {
      left: box.left,
      top: box.top,
      right: box.right,
      bottom: box.bottom,
    };
    const dots = style.textOverflow === "ellipsis";
    const room = { ...padded, right: box.right - (Number.parseFloat(style.paddingRight) || 0) };
    return {
      ...inside,
      clip: overlap(padded, inside.clip),
      hand: { cut: dots ? room : inside.hand.cut, lines },
    };
  }

  #clipped(clip: Box | null, into: SVGElement): SVGElement {
    if (!clip || isEmpty(clip)) return into;
    const { left, top, right, bottom } = clip;
    const size = { width: short(right - left), height: short(bottom - top) };
    const edge = svg("rect", { x: short(left), y: short(top), ...size });
    const id = this.#define((name) => svg("clipPath", { id: name }, edge));
    const group = svg("g", { "clip-path": `url(#${id})` });
    into.append(group);
    return group;
  }

  #groupOf(
    style: CSSStyleDeclaration,
    box: DOMRect,
    turn: Turn | undefined,
    into: SVGElement,
  ): SVGElement {
    const opacity = Number(style.opacity || 1);
    if (opacity === 1 && !turn) return into;
    const group = svg("g", opacity < 1 ? { opacity } : {});
    if (turn) {
      const [x, y] = [short(box.left + turn.x), short(box.top + turn.y)];
      const { a, b, c, d, e, f } = turn.matrix;
      const matrix = `matrix(${a} ${b} ${c} ${d} ${e} ${f})`;
      group.setAttribute("transform", `translate(${x} ${y}) ${matrix} translate(${-x} ${-y})`);
    }
    into.append(group);
    return group;
  }

  #put(into: SVGElement, marks: readonly SVGElement[], box: Box, { clip }: Inside): void {
    into.append(...marks);
    const seen = overlap(box, clip);
    if (!isEmpty(seen)) this.box = joined(this.box, seen);
  }

  #define(make: (id: string) => SVGElement | null): string {
    const id = `${this.#name}${this.#count}`;
    const made = make(id);
    if (!made) return "";
    this.#count++;
    this.#defs.append(made);
    return id;
  }
}

function isShown(element: Element): boolean {
  const said = element instanceof HTMLElement ? element.dataset.inPicture : undefined;
  return said ? said !== "no" : !element.matches(CONTROLS);
}

function drawing(element: HTMLCanvasElement | SVGElement, box: DOMRect): SVGElement | null {
  if (element instanceof HTMLCanvasElement) return canvasMark(element, box);
  const copy = inlined(element);
  const size = { width: box.width, height: box.height };
  for (const [name, value] of Object.entries({ x: box.left, y: box.top, ...size })) {
    copy.setAttribute(name, String(short(value)));
  }
  return copy;
}

/** Children from the lowest to the topmost. */
function layered(element: Element): ChildNode[] {
  const level = (child: ChildNode): number =>
    child instanceof Element ? Number.parseInt(getComputedStyle(child).zIndex, 10) || 0 : 0;
  const children = [...element.childNodes];
  if (children.length < 2) return children;
  const levels = new Map(children.map((child) => [child, level(child)]));
  return children.sort((a, b) => (levels.get(a) ?? 0) - (levels.get(b) ?? 0));
}

function joined(a: Box, b: Box): Box {
  return {
    left: Math.min(a.left, b.left),
    top: Math.min(a.top, b.top),
    right: Math.max(a.right, b.right),
    bottom: Math.max(a.bottom, b.bottom),
  };
}

/** The box around a box that has been turned. */
function turnedBox(box: Box, of: DOMRect, { matrix, x, y }: Turn): Box {
  if (isEmpty(box)) return box;
  const [ox, oy] = [of.left + x, of.top + y];
  return [box.left, box.right]
    .flatMap((left) => [box.top, box.bottom].map((top) => ({ x: left - ox, y: top - oy })))
    .map(({ x: dx, y: dy }) => {
      const px = matrix.a * dx + matrix.c * dy + matrix.e + ox;
      const py = matrix.b * dx + matrix.d * dy + matrix.f + oy;
      return { left: px, right: px, top: py, bottom: py };
    })
    .reduce(joined, NOTHING);
}
