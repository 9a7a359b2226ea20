/** What stands around the map: bars of dimensions with their outliers and numbers, bars of tokens. */

import { type Plot, unitsInView, xOf } from "../shared/map/plot";
import type { Inks } from "../shared/theme";
import { type ActivationPlot, GAP, MARK_LINE, NORMS, rmsBox } from "./geometry";
import type { Activations } from "./grid";
import { shortly } from "./numbers";
import { type BarScale, barScale } from "./scale";

export interface Margins {
  /** By column. */
  readonly rms: ArrayLike<number>;
  readonly rmsScale: BarScale;
  readonly normScale: BarScale;
}

export function marginsOf({ rms, norms, order }: Activations): Margins {
  const byColumn = Float32Array.from(order, (dimension) => rms[dimension] ?? 0);
  return { rms: byColumn, rmsScale: barScale(rms), normScale: barScale(norms) };
}

// ── Marks of outliers ───────────────────────────────────────────────────────────────────────────

export interface OutlierMark {
  readonly dimension: number;
  readonly x: number;
  /** Left end of its number, and its line above the bars; null = a triangle without a number. */
  readonly name: { readonly left: number; readonly line: number } | null;
}

/** Lines of marks that there is room for. */
export function markLines({ outliers }: Activations): number {
  return Math.min(2, outliers.length);
}

/** Outliers in view; of those whose numbers would cover each other the largest have theirs. */
export function markOutliers(
  plot: ActivationPlot,
  { outliers, columnOf }: Activations,
  widthOf: (words: string) => number,
): OutlierMark[] {
  const taken: { line: number; left: number; right: number }[] = [];
  const [first, last] = [plot.left, plot.left + plot.width];
  return outliers.flatMap((dimension): OutlierMark[] => {
    const x = xOf(plot, columnOf[dimension] ?? 0) + plot.across / 2;
    if (x < first || x > last) return [];
    const width = widthOf(String(dimension)) + 8;
    const left = Math.max(first, Math.min(last - width, x - width / 2));
    const isFree = (line: number): boolean =>
      taken.every((one) => one.line !== line || one.right <= left || one.left >= left + width);
    const line = Array.from({ length: plot.markLines }, (_, i) => i).find(isFree);
    if (line === undefined) return [{ dimension, x, name: null }];
    taken.push({ line, left, right: left + width });
    return [{ dimension, x, name: { left: left + width / 2, line } }];
  });
}

function drawMarks(
  context: CanvasRenderingContext2D,
  plot: ActivationPlot,
  map: Activations,
  inks: Inks,
): void {
  context.font = `600 11px ${inks.font}`;
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  const { top } = rmsBox(plot);
  const marks = markOutliers(plot, map, (words) => context.measureText(words).width);
  // From the numbers of the upper line to their triangles.
  context.fillStyle = inks.faint;
  for (const { x, name } of marks) {
    if (name?.line) context.fillRect(x - 0.5, top - 6 - MARK_LINE * name.line, 1, MARK_LINE);
  }
  for (const { x, dimension, name } of marks) {
    context.fillStyle = inks.ink;
    context.beginPath();
    context.moveTo(x, top + 1);
    context.lineTo(x - 4, top - 6);
    context.lineTo(x + 4, top - 6);
    context.closePath();
    context.fill();
    if (name) context.fillText(String(dimension), name.left, top - 9 - MARK_LINE * name.line);
  }
}

// ── Bars ────────────────────────────────────────────────────────────────────────────────────────

export function drawMargins(
  context: CanvasRenderingContext2D,
  plot: ActivationPlot,
  map: Activations,
  margins: Margins,
  inks: Inks,
): void {
  drawRms(context, plot, map, margins, inks);
  drawMarks(context, plot, map, inks);
  drawTicks(context, plot, map, inks);
  drawNorms(context, plot, map, margins, inks);
}

function drawRms(
  context: CanvasRenderingContext2D,
  plot: ActivationPlot,
  { order, isOutlier }: Activations,
  { rms, rmsScale }: Margins,
  inks: Inks,
): void {
  const { top, bottom } = rmsBox(plot);
  const height = bottom - top - 2;
  context.fillStyle = inks.hairline;
  for (const share of decades(rmsScale)) {
    context.fillRect(plot.left, bottom - share * height - 0.5, plot.width, 1);
  }
  context.fillRect(plot.left, bottom - 0.5, plot.width, 1);
  for (const bar of bars(rms, plot.key, plot.across, plot.width)) {
    const long = rmsScale.share(bar.value) * height;
    context.fillStyle = isOutlier.has(order[bar.of] ?? -1) ? inks.ink : inks.faint;
    context.fillRect(plot.left + bar.at, bottom - long, bar.thick, long);
  }
  context.font = `11px ${inks.font}`;
  context.textAlign = "right";
  context.textBaseline = "alphabetic";
  context.fillStyle = inks.soft;
  const right = plot.left - 6;
  context.fillText(shortly(rmsScale.top), right, top + 9);
  context.fillText(rmsScale.isLog ? "RMS, log" : "RMS", right, (top + bottom) / 2 + 5);
  context.fillText(rmsScale.isLog ? shortly(rmsScale.bottom) : "0", right, bottom + 1);
}

function drawNorms(
  context: CanvasRenderingContext2D,
  plot: ActivationPlot,
  { norms }: Activations,
  { normScale }: Margins,
  inks: Inks,
): void {
  const left = plot.left + plot.width + GAP;
  context.fillStyle = inks.hairline;
  for (const share of decades(normScale)) {
    context.fillRect(left + share * NORMS - 0.5, plot.top, 1, plot.height);
  }
  context.fillStyle = inks.faint;
  for (const { at, thick, value } of bars(norms, plot.query, plot.down, plot.height)) {
    context.fillRect(left, plot.top + at, Math.max(1, normScale.share(value) * NORMS), thick);
  }
  context.font = `11px ${inks.font}`;
  context.textBaseline = "alphabetic";
  context.fillStyle = inks.soft;
  context.textAlign = "left";
  const [from, to] = [normScale.isLog ? shortly(normScale.bottom) : "0", shortly(normScale.top)];
  context.fillText(normScale.isLog ? "Norm, log" : "Norm", left, plot.top - 18);
  context.fillText(from, left, plot.top - 5);
  context.textAlign = "right";
  context.fillText(to, left + NORMS + 2, plot.top - 5);
}

/** Where powers of ten lie on a log scale. */
function decades({ isLog, bottom, top, share }: BarScale): number[] {
  if (!isLog) return [];
  const found: number[] = [];
  for (let power = Math.ceil(Math.log10(bottom)); 10 ** power < top; power++) {
    found.push(share(10 ** power));
  }
  return found;
}

interface Bar {
  /** The unit, of several in a pixel the largest. */
  of: number;
  at: number;
  thick: number;
  value: number;
}

/** The bars in view: of each pixel the longest. */
export function bars(
  values: ArrayLike<number>,
  first: number,
  size: number,
  pixels: number,
): Bar[] {
  const found: Bar[] = [];
  const step = Math.max(1, Math.floor(1 / size));
  const start = Math.max(0, Math.floor((first + 0.01) / step) * step);
  const end = Math.min(values.length, Math.ceil(first + pixels / size - 0.01));
  for (let unit = start; unit < end; unit += step) {
    let of = unit;
    for (let one = unit; one < Math.min(end, unit + step); one++) {
      if ((values[one] ?? 0) > (values[of] ?? 0)) of = one;
    }
    const from = Math.max(0, (unit - first) * size);
    const to = Math.min(pixels, (unit + step - first) * size);
    const gap = size > 4 ? 1 : 0;
    const thick = Math.max(1, to - from - 2 * gap);
    if (to > from) found.push({ of, at: from + gap, thick, value: values[of] ?? 0 });
  }
  return found;
}

// ── Numbers of the dimensions ───────────────────────────────────────────────────────────────────

const TICK_EVERY = 46;

/** The columns whose dimension is written: round numbers, or where these are in no order every so many. */
export function ticksOf(plot: Plot, { frame, order }: Activations): number[] {
  const step = roundStep(TICK_EVERY / plot.across);
  const { key0, key1 } = unitsInView(plot);
  const isOrdered = frame.key.sort === "dimension";
  const found: number[] = [];
  for (let column = key0; column < key1; column++) {
    if ((isOrdered ? (order[column] ?? 0) : column) % step === 0) found.push(column);
  }
  return found;
}

/** 1, 2, 5, 10, 20 …: the next of them that is large enough. */
function roundStep(least: number): number {
  if (least <= 0.75) return 1;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((by) => by * power).find((step) => step >= least) ?? 10 * power;
}

function drawTicks(
  context: CanvasRenderingContext2D,
  plot: ActivationPlot,
  map: Activations,
  inks: Inks,
): void {
  context.font = `11px ${inks.font}`;
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  for (const column of ticksOf(plot, map)) {
    const x = xOf(plot, column) + plot.across / 2;
    if (x < plot.left || x > plot.left + plot.width) continue;
    context.fillStyle = inks.faint;
    if (plot.across < TICK_EVERY / 2) context.fillRect(x - 0.5, plot.top - 4, 1, 3);
    context.fillStyle = inks.soft;
    const words = String(map.order[column] ?? "");
    const half = context.measureText(words).width / 2;
    const [first, last] = [plot.left + half, plot.left + plot.width - half];
    context.fillText(words, Math.max(first, Math.min(last, x)), plot.top - 6);
  }
}
