/** A long text's lines in small, and which part of them is in view. */

import { unpack } from "../shared/arrays";
import { h, sizeCanvas } from "../shared/dom";
import type { Geometry } from "./geometry";
import type { Lines } from "./lines";

export interface Minimap {
  readonly element: HTMLElement;
  /** Draws the lines, unless they are drawn already, and where the view is. */
  draw(geometry: Geometry, lines: Lines, ink: string): void;
}

const LEVELS = 6;
// Under this a pixel's attention is nothing to go to.
const LEAST = 48;

/** `onScroll` is called with a place, as a share of the whole text. */
export function createMinimap(onScroll: (share: number) => void, signal: AbortSignal): Minimap {
  const canvas = h("canvas", { aria: { hidden: true } });
  const here = h("div", { class: "al-here" });
  const element = h(
    "div",
    { class: "al-minimap", attrs: { title: "The whole text: click or drag to go there" } },
    canvas,
    here,
  );
  let drawn = "";
  let of: Lines | null = null;
  const go = (event: PointerEvent): void => {
    const box = element.getBoundingClientRect();
    onScroll((event.clientY - box.top) / box.height);
  };
  const listen = (name: "pointerdown" | "pointermove", act: (event: PointerEvent) => void): void =>
    element.addEventListener(name, act, { signal });
  listen("pointerdown", (event) => {
    element.setPointerCapture?.(event.pointerId);
    go(event);
    event.preventDefault();
  });
  listen("pointermove", (event) => {
    event.stopPropagation();
    if (event.buttons & 1) go(event);
  });
  element.addEventListener("click", (event) => event.stopPropagation(), { signal });
  return {
    element,
    draw(geometry, lines, ink) {
      const { minimap: width, minimapX, height, scroll } = geometry;
      element.hidden = width <= 0;
      if (width <= 0) return;
      const total = Math.max(geometry.query.total, geometry.key.total, 1);
      element.style.transform = `translateX(${minimapX}px)`;
      here.style.transform = `translateY(${(scroll / total) * height}px)`;
      here.style.height = `${Math.max(4, (height / total) * height)}px`;
      const wanted = `${width}:${height}:${ink}`;
      if (of === lines && drawn === wanted) return;
      [of, drawn] = [lines, wanted];
      const context = sizeCanvas(canvas, width, height);
      const ends = (side: "query" | "key"): number => (geometry[side].total / total) * height;
      if (context) drawDensity(context, lines, width, [ends("query"), ends("key")], ink);
    },
  };
}

function drawDensity(
  context: CanvasRenderingContext2D,
  { frame }: Lines,
  width: number,
  [left, right]: [number, number],
  ink: string,
): void {
  const values = unpack(frame.minimap);
  const [rows = 0, columns = 0] = frame.minimap.shape;
  const paths = Array.from({ length: LEVELS }, () => new Path2D());
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column] ?? 0;
      if (value < LEAST) continue;
      const path = paths[Math.min(LEVELS - 1, Math.floor((value / 256) * LEVELS))];
      path?.moveTo(3, ((row + 0.5) / rows) * left);
      path?.lineTo(width - 3, ((column + 0.5) / columns) * right);
    }
  }
  context.strokeStyle = ink;
  context.lineWidth = 1;
  for (const [level, path] of paths.entries()) {
    context.globalAlpha = 0.05 + (0.26 * level) / LEVELS;
    context.stroke(path);
  }
  context.globalAlpha = 1;
}
