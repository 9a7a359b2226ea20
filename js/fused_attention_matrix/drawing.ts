/** The matrix, its hatchings, margins and crosshair on the two canvases. */

import { diagonals } from "../shared/map/hatching";
import { clipToPlot } from "../shared/map/marks";
import { type Plot, unitsInView, xOf, yOf } from "../shared/map/plot";
import { css, inkOn, tableColour } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { colours, entryOf, type Paint } from "./colour";
import { GAP, LANE } from "./geometry";
import { type Grid, isMasked, type Matrix, numberAt } from "./grid";
import { numberInCell, roomForNumber, scoreInCell } from "./numbers";

export interface Raster {
  readonly grid: Grid;
  readonly canvas: HTMLCanvasElement;
}

/** A grid as a small canvas, one pixel a value. */
export function makeRaster(matrix: Matrix, grid: Grid, paint: Paint): Raster | null {
  const canvas = document.createElement("canvas");
  canvas.width = grid.width;
  canvas.height = grid.height;
  const context = canvas.getContext("2d");
  if (!context || !grid.width || !grid.height) return null;
  const pixels = colours(matrix, grid, paint);
  context.putImageData(new ImageData(pixels, grid.width, grid.height), 0, 0);
  return { grid, canvas };
}

export function drawMatrix(
  context: CanvasRenderingContext2D,
  plot: Plot,
  matrix: Matrix,
  rasters: readonly Raster[],
  inks: Inks,
): void {
  context.save();
  clipToPlot(context, plot);
  context.imageSmoothingEnabled = false;
  for (const { grid, canvas } of rasters) {
    const [x, y] = [xOf(plot, grid.key), yOf(plot, grid.query)];
    const [width, height] = [
      grid.width * plot.across * grid.factor,
      grid.height * plot.down * grid.factor,
    ];
    if (grid.query || grid.key) context.clearRect(x, y, width, height);
    if (matrix.scores) {
      // Cells that are masked are see-through: windows and padding, too, not only what comes later.
      context.fillStyle = diagonals(context, inks.hairline, false);
      context.fillRect(x, y, width, height);
    }
    context.drawImage(canvas, x, y, width, height);
  }
  drawSinks(context, plot, matrix, inks);
  hatch(context, plot, matrix, inks);
  context.restore();
  context.strokeStyle = inks.hairline;
  context.lineWidth = 1;
  context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
}

/** Columns that stand apart: quiet stripes instead of colours. */
function drawSinks(
  context: CanvasRenderingContext2D,
  plot: Plot,
  matrix: Matrix,
  inks: Inks,
): void {
  const { key0, key1 } = unitsInView(plot);
  const side = Math.max(2, plot.across);
  for (const key of matrix.sinks.apart) {
    if (key < key0 - 1 || key > key1) continue;
    const x = xOf(plot, key);
    context.fillStyle = css(inks.paper);
    context.fillRect(x, plot.top, side, plot.height);
    context.fillStyle = inks.hairline;
    const wide = side < 8 ? side : 1;
    for (let at = wide > 1 ? 0 : 2; at < side; at += 4) {
      context.fillRect(x + at, plot.top, wide, plot.height);
      if (wide > 1) break;
    }
  }
}

/** Causal region: thin diagonals. Undefined rows: diagonals the other way. */
function hatch(context: CanvasRenderingContext2D, plot: Plot, matrix: Matrix, inks: Inks): void {
  const { query0: first, query1: last } = unitsInView(plot);
  if (matrix.causal) {
    const step = Math.max(1, Math.floor(1 / plot.down));
    context.beginPath();
    for (let query = first; query < last; query += step) {
      const x = Math.max(plot.left, xOf(plot, query + step));
      const width = plot.left + plot.width - x;
      if (width > 0) context.rect(x, yOf(plot, query), width, step * plot.down);
    }
    // A sink's column is striped below the diagonal only.
    context.save();
    context.clip();
    context.clearRect(plot.left, plot.top, plot.width, plot.height);
    context.fillStyle = diagonals(context, inks.hairline, false);
    context.fillRect(plot.left, plot.top, plot.width, plot.height);
    context.restore();
  }
  context.fillStyle = diagonals(context, inks.faint, true);
  for (let query = first; query < last; query++) {
    if (!matrix.undefinedRows[query]) continue;
    context.clearRect(plot.left, yOf(plot, query), plot.width, plot.down);
    context.fillRect(plot.left, yOf(plot, query), plot.width, Math.max(1, plot.down));
  }
}

/** The number in every cell, where cells have room for it and it is known exactly. */
export function drawNumbers(
  context: CanvasRenderingContext2D,
  plot: Plot,
  matrix: Matrix,
  exact: Grid | null,
  paint: Paint,
  inks: Inks,
): void {
  if (!exact || Math.min(plot.across, plot.down) < roomForNumber(paint.signed)) return;
  context.save();
  clipToPlot(context, plot);
  context.font = `10px ${inks.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const inCell = (value: number): string => {
    if (!matrix.scores) return numberInCell(value, paint.signed);
    return value === -Infinity ? "" : scoreInCell(value);
  };
  const { query0, query1, key0, key1 } = unitsInView(plot);
  for (let query = query0; query < query1; query++) {
    if (matrix.undefinedRows[query]) continue;
    const y = yOf(plot, query) + plot.down / 2;
    for (let key = key0; key < key1; key++) {
      const value = isMasked(matrix, query, key)
        ? null
        : (numberAt(exact, query, key)?.weight ?? null);
      const words = value === null ? "" : inCell(value);
      if (value === null || !words) continue;
      const apart = matrix.sinks.isApart(key);
      const ground = tableColour(paint.table, entryOf(value, paint) / 255);
      context.fillStyle = apart ? inks.soft : inkOn(ground);
      context.fillText(words, xOf(plot, key) + plot.across / 2, y);
    }
  }
  context.restore();
}

/** Bars in the margins, one bar a pixel at most. */
export function drawMargins(
  context: CanvasRenderingContext2D,
  plot: Plot,
  rows: readonly ArrayLike<number>[],
  columns: ArrayLike<number>,
  inks: Inks,
): void {
  context.fillStyle = inks.faint;
  for (const [lane, values] of rows.entries()) {
    const left = plot.left + plot.width + GAP + lane * (LANE + GAP);
    const most = largest(values);
    for (const { at, thick, value } of bars(values, plot.query, plot.down, plot.height)) {
      context.fillRect(left, plot.top + at, length(value, most), thick);
    }
  }
  const below = plot.top + plot.height + GAP;
  const most = largest(columns);
  for (const { at, thick, value } of bars(columns, plot.key, plot.across, plot.width)) {
    context.fillRect(plot.left + at, below, thick, length(value, most));
  }
}

function length(value: number, most: number): number {
  return most > 0 ? (LANE - 4) * (value / most) : 0;
}

/** The bars in view: of each pixel the longest. */
function bars(
  values: ArrayLike<number>,
  first: number,
  size: number,
  pixels: number,
): { at: number; thick: number; value: number }[] {
  const found: { at: number; thick: number; value: number }[] = [];
  const thick = Math.min(7, Math.max(1, size - (size > 4 ? 2 : 0)));
  const step = Math.max(1, Math.floor(1 / size));
  const start = Math.max(0, Math.floor((first + 0.01) / step) * step);
  const end = Math.min(values.length, Math.ceil(first + pixels / size - 0.01));
  for (let unit = start; unit < end; unit += step) {
    let value = 0;
    for (let one = unit; one < Math.min(end, unit + step); one++) {
      value = Math.max(value, Math.abs(values[one] || 0));
    }
    const at = (unit - first) * size + (size * step - thick) / 2;
    if (value > 0 && at > -thick / 2 && at < pixels - thick / 2) found.push({ at, thick, value });
  }
  return found;
}

/** The largest size of some numbers; undefined ones (NaN) are left out. */
export function largest(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i] || 0));
  return max;
}
