/** Many curves at once: batched by colour and opacity, the faintest below. */

import { css, type Rgb } from "../shared/palette";
import { addCurve, type Geometry } from "./geometry";

// Opacity in steps of 1/24: one stroke per colour and step, whatever the number of lines.
const STEPS = 24;

// Without a GPU a stroke of one device pixel costs a tenth of a wider one. So faint lines are
// hairlines, and in a crowd the strong ones are two or three hairlines side by side.
const HAIRLINE = 0.25;
const CROWD = 600;

function strokeWidth(share: number, pixel: number): number {
  return share <= HAIRLINE ? pixel : 0.9 + 1.2 * share;
}

export class Strokes {
  readonly #paths = new Map<number, Path2D>();
  readonly #geometry: Geometry;
  #count = 0;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  /** A whole curve from y0 to y1; `share` of full strength. */
  add(map: number, share: number, y0: number, y1: number): void {
    addCurve(this.path(map, share), this.#geometry, y0, y1);
  }

  /** The path of all lines of a map and strength, to draw something else into. */
  path(map: number, share: number): Path2D {
    const step = Math.max(1, Math.round(Math.min(1, share) * STEPS));
    const bucket = step * 4096 + map;
    let path = this.#paths.get(bucket);
    if (!path) {
      path = new Path2D();
      this.#paths.set(bucket, path);
    }
    this.#count++;
    return path;
  }

  /** The strongest are painted last, on top. */
  draw(context: CanvasRenderingContext2D, colours: readonly Rgb[]): void {
    const pixel = 1 / deviceScale(context);
    for (const bucket of [...this.#paths.keys()].sort((a, b) => a - b)) {
      const path = this.#paths.get(bucket);
      if (!path) continue;
      const share = Math.floor(bucket / 4096) / STEPS;
      context.strokeStyle = css(colours[bucket % 4096] ?? [128, 128, 128]);
      context.globalAlpha = share;
      const width = strokeWidth(share, pixel);
      if (this.#count > CROWD) strokeAsHairlines(context, path, width, pixel);
      else {
        context.lineWidth = width;
        context.stroke(path);
      }
    }
    context.globalAlpha = 1;
  }
}

/** Device pixels per CSS pixel, whichever way round the axes are. */
export function deviceScale(context: CanvasRenderingContext2D): number {
  const { a, b } = context.getTransform();
  return Math.hypot(a, b) || 1;
}

function strokeAsHairlines(
  context: CanvasRenderingContext2D,
  path: Path2D,
  width: number,
  pixel: number,
): void {
  const lines = Math.max(1, Math.round(width / pixel));
  context.lineWidth = pixel;
  context.save();
  context.translate(0, (-pixel * (lines - 1)) / 2);
  for (let i = 0; i < lines; i++) {
    context.stroke(path);
    context.translate(0, pixel);
  }
  context.restore();
}
