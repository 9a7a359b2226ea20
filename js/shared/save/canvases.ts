/** Canvases of the page: drawn once more as lines where their view says how, else as an image. */

import { type Box, imageOf } from "./marks";

/** What is painted on a canvas, in its CSS pixels: called with a context that is not the page's. */
export type Draw = (context: CanvasRenderingContext2D) => void;

/** Draws as SVG; null where that would be too much, or cannot be told in SVG. */
export type Vectors = (draw: Draw, width: number, height: number) => SVGElement | null;

const DRAWN = new WeakMap<HTMLCanvasElement, { draw: Draw; vectors: Vectors | null }>();

/** Says how a canvas is drawn; `drawnAs` of recorder.ts is what views call. */
export function keepDrawing(
  canvas: HTMLCanvasElement,
  draw: Draw,
  vectors: Vectors | null = null,
): void {
  DRAWN.set(canvas, { draw, vectors });
}

/** Pixels of an image for one of the page: sharp on paper. */
export const SHARP = 3;

export function canvasMark(canvas: HTMLCanvasElement, box: Box): SVGElement | null {
  const [width, height] = [box.right - box.left, box.bottom - box.top];
  const known = DRAWN.get(canvas);
  const lines = known?.vectors?.(known.draw, width, height);
  if (lines) {
    // On the page a canvas lies on whole pixels, wherever its box begins.
    const [x, y] = [Math.round(box.left), Math.round(box.top)];
    lines.setAttribute("transform", `translate(${x} ${y})`);
    return lines;
  }
  const url = known ? redrawn(known.draw, width, height) : dataUrl(canvas);
  return url ? imageOf(url, box) : null;
}

function redrawn(draw: Draw, width: number, height: number): string | null {
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(SHARP * width);
  canvas.height = Math.ceil(SHARP * height);
  const context = canvas.getContext("2d");
  if (!context) return null;
  context.scale(SHARP, SHARP);
  draw(context);
  return dataUrl(canvas);
}

export function dataUrl(canvas: HTMLCanvasElement): string | null {
  return canvas.width && canvas.height ? canvas.toDataURL("image/png") : null;
}
