/** Strokes and bars on the two canvases: all lines below, fans of lit tokens above. */

import { formatWeight } from "../shared/numbers";
import { css, type Rgb } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { addCurve, type Geometry, isVisible, rowMiddle, trackY } from "./geometry";
import { type Fan, fanMean, type Lines, type Shown, strongestLine } from "./lines";

export interface Paint {
  inks: Inks;
  /** The colour of a head. */
  colour(head: number): Rgb;
}

// Opacity in steps of 1/24: one stroke per head and step, whatever the number of lines.
const STEPS = 24;

// Without a GPU a stroke of one device pixel costs a tenth of a wider one. So faint lines are
// hairlines, and in a crowd the strong ones are two or three hairlines side by side.
const HAIRLINE = 0.17;
const CROWD = 600;

function strokeWidth(weight: number, pixel: number): number {
  return weight <= HAIRLINE ? pixel : 1 + 1.25 * weight;
}

/** Batches curves by head and opacity, and strokes the faintest first. */
class Strokes {
  readonly #paths = new Map<number, Path2D>();
  #count = 0;

  readonly #geometry: Geometry;

  constructor(geometry: Geometry) {
    this.#geometry = geometry;
  }

  add(head: number, weight: number, query: number, key: number): void {
    const y0 = trackY(this.#geometry, query, head);
    const y1 = trackY(this.#geometry, key, head);
    if (!isVisible(this.#geometry, y0, y1)) return;
    const step = Math.max(1, Math.round(Math.min(1, weight) * STEPS));
    const bucket = step * 4096 + head;
    let path = this.#paths.get(bucket);
    if (!path) {
      path = new Path2D();
      this.#paths.set(bucket, path);
    }
    addCurve(path, this.#geometry, y0, y1);
    this.#count++;
  }

  /** Strongest on top: painted last, or, under what is there already, first. */
  draw(context: CanvasRenderingContext2D, paint: Paint, under = false): void {
    const pixel = 1 / (context.getTransform().a || 1);
    const buckets = [...this.#paths.keys()].sort((a, b) => (under ? b - a : a - b));
    context.save();
    if (under) context.globalCompositeOperation = "destination-over";
    for (const bucket of buckets) {
      const path = this.#paths.get(bucket);
      if (!path) continue;
      const weight = Math.floor(bucket / 4096) / STEPS;
      context.strokeStyle = css(paint.colour(bucket % 4096));
      context.globalAlpha = weight;
      const width = strokeWidth(weight, pixel);
      if (this.#count > CROWD) strokeAsHairlines(context, path, width, pixel);
      else {
        context.lineWidth = width;
        context.stroke(path);
      }
    }
    context.restore();
  }
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

// Lines drawn in one animation frame; the fainter rest follows beneath them, frame by frame.
const SLICE = 1500;

/** Draws a slice of the lines from `from` on (strongest first); returns where the next one starts. */
export function drawLines(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  lines: Lines,
  shown: Shown,
  from: number,
  paint: Paint,
): number {
  const strokes = new Strokes(geometry);
  const end = Math.min(shown.indices.length, from + SLICE);
  for (const i of shown.indices.subarray(from, end)) {
    const [head, query, key] = [lines.head[i] ?? 0, lines.query[i] ?? 0, lines.key[i] ?? 0];
    strokes.add(head, lines.weight[i] ?? 0, query, key);
  }
  strokes.draw(context, paint, true);
  return end;
}

// Below this a line cannot be seen; the bars still show it.
const FAINTEST = 0.01;

export function drawFans(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  fans: readonly Fan[],
  paint: Paint,
): void {
  const strokes = new Strokes(geometry);
  for (const fan of fans) {
    // A token that looks a little at everything has only weak lines: its strongest sets the scale.
    const gain = 1 / Math.max(strongestLine(fan), FAINTEST);
    for (let row = 0; row < fan.heads.length; row++) {
      for (let other = 0; other < fan.n; other++) {
        const weight = fan.weights[row * fan.n + other] ?? 0;
        if (weight < FAINTEST) continue;
        const [query, key] = fan.side === "query" ? [fan.unit, other] : [other, fan.unit];
        strokes.add(fan.heads[row] ?? 0, weight * gain, query, key);
      }
    }
  }
  strokes.draw(context, paint);
}

/** One line on its own, above all others. */
export function drawLine(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  lines: Lines,
  index: number,
  paint: Paint,
): void {
  const path = new Path2D();
  const head = lines.head[index] ?? 0;
  const query = trackY(geometry, lines.query[index] ?? 0, head);
  addCurve(path, geometry, query, trackY(geometry, lines.key[index] ?? 0, head));
  context.strokeStyle = css(paint.inks.paper);
  context.lineWidth = 6;
  context.stroke(path);
  context.strokeStyle = css(paint.colour(head));
  context.lineWidth = 3;
  context.stroke(path);
}

/** Beside each token of the other side: a bar for the mean over heads, made of one piece a head. */
export function drawBars(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  fan: Fan,
  paint: Paint,
): void {
  const mean = fanMean(fan);
  const largest = Math.max(0.1, ...mean);
  const toRight = fan.side === "query";
  context.font = `11px ${paint.inks.font}`;
  // The longest bar and its number just fit.
  const numbers = Math.max(30, 4 + context.measureText(formatWeight(Math.max(...mean))).width);
  const room = geometry.lane - numbers - 4;
  const start = toRight ? geometry.keyX + geometry.keyWidth + 4 : geometry.queryX - 4;
  const thickness = Math.min(10, geometry.rowHeight - 6);
  context.textBaseline = "middle";
  context.textAlign = toRight ? "left" : "right";
  for (let other = 0; other < fan.n; other++) {
    const y = rowMiddle(geometry, other);
    const total = mean[other] ?? 0;
    if (y < -20 || y > geometry.height + 20 || total <= 0) continue;
    let x = start;
    for (let row = 0; row < fan.heads.length; row++) {
      const weight = fan.weights[row * fan.n + other] ?? 0;
      const length = (room * weight) / fan.heads.length / largest;
      context.fillStyle = css(paint.colour(fan.heads[row] ?? 0));
      context.fillRect(toRight ? x : x - length, y - thickness / 2, length, thickness);
      x += toRight ? length : -length;
    }
    if (total < 0.1 * largest) continue;
    context.fillStyle = paint.inks.ink;
    context.fillText(formatWeight(total), x + (toRight ? 4 : -4), y + 0.5);
  }
}
