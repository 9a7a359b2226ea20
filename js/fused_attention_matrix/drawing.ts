/** The matrix, its hatchings, margins and crosshair on the two canvases. */

import { css } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { GAP, LANE, type Plot, xOf, yOf } from "./geometry";
import { colours, type Grid, type Matrix, type Scale } from "./grid";

export interface Raster {
  readonly grid: Grid;
  readonly canvas: HTMLCanvasElement;
}

/** A grid as a small canvas, one pixel a value. */
export function makeRaster(
  matrix: Matrix,
  grid: Grid,
  table: Uint8ClampedArray,
  scale: Scale,
): Raster | null {
  const canvas = document.createElement("canvas");
  canvas.width = grid.width;
  canvas.height = grid.height;
  const context = canvas.getContext("2d");
  if (!context || !grid.width || !grid.height) return null;
  const pixels = colours(matrix, grid, table, scale);
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
  context.beginPath();
  context.rect(plot.left, plot.top, plot.width, plot.height);
  context.clip();
  context.imageSmoothingEnabled = false;
  for (const { grid, canvas } of rasters) {
    const [x, y] = [xOf(plot, grid.key), yOf(plot, grid.query)];
    const side = plot.cell * grid.factor;
    if (grid.query || grid.key) context.clearRect(x, y, grid.width * side, grid.height * side);
    context.drawImage(canvas, x, y, grid.width * side, grid.height * side);
  }
  hatch(context, plot, matrix, inks);
  context.restore();
  context.strokeStyle = inks.hairline;
  context.lineWidth = 1;
  context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
}

/** Causal region: thin diagonals. Undefined rows: diagonals the other way. */
function hatch(context: CanvasRenderingContext2D, plot: Plot, matrix: Matrix, inks: Inks): void {
  const first = Math.floor(plot.query);
  const last = Math.min(plot.rows, Math.ceil(plot.query + plot.height / plot.cell));
  if (matrix.causal) {
    const step = Math.max(1, Math.floor(1 / plot.cell));
    context.beginPath();
    for (let query = first; query < last; query += step) {
      const x = xOf(plot, query + step);
      context.rect(x, yOf(plot, query), plot.left + plot.width - x, step * plot.cell);
    }
    context.fillStyle = diagonals(context, inks.hairline, false);
    context.fill();
  }
  context.fillStyle = diagonals(context, inks.faint, true);
  for (let query = first; query < last; query++) {
    if (!matrix.undefinedRows[query]) continue;
    context.clearRect(plot.left, yOf(plot, query), plot.width, plot.cell);
    context.fillRect(plot.left, yOf(plot, query), plot.width, Math.max(1, plot.cell));
  }
}

function diagonals(
  context: CanvasRenderingContext2D,
  colour: string,
  falling: boolean,
): CanvasPattern | string {
  const size = 7;
  const scale = 2;
  const tile = document.createElement("canvas");
  tile.width = size * scale;
  tile.height = size * scale;
  const pen = tile.getContext("2d");
  if (!pen) return colour;
  pen.scale(scale, scale);
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 1, falling ? -1 : size + 1);
    pen.lineTo(shift + size + 1, falling ? size + 1 : -1);
  }
  pen.stroke();
  const pattern = context.createPattern(tile, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(1 / scale));
  return pattern ?? colour;
}

/** Bars in the margins: entropy of each row, mass of each column; one bar a pixel at most. */
export function drawMargins(
  context: CanvasRenderingContext2D,
  plot: Plot,
  matrix: Matrix,
  inks: Inks,
): void {
  const right = plot.left + plot.width + GAP;
  const below = plot.top + plot.height + GAP;
  const bar = (value: number, max: number): number => (max > 0 ? (LANE - 4) * (value / max) : 0);
  context.fillStyle = inks.faint;
  const thick = Math.min(7, Math.max(1, plot.cell - (plot.cell > 4 ? 2 : 0)));
  const inset = (plot.cell - thick) / 2;
  const entropyMax = largest(matrix.entropy);
  for (const [query, value] of inView(plot.query, plot.height, plot, matrix.entropy)) {
    if (matrix.undefinedRows[query]) continue;
    context.fillRect(right, yOf(plot, query) + inset, bar(value, entropyMax), thick);
  }
  const massMax = largest(matrix.mass);
  for (const [key, value] of inView(plot.key, plot.width, plot, matrix.mass)) {
    context.fillRect(xOf(plot, key) + inset, below, thick, bar(value, massMax));
  }
}

/** The largest of values of zero or more; undefined ones (NaN) are left out. */
export function largest(values: ArrayLike<number>): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value > max) max = value;
  }
  return max;
}

function* inView(
  first: number,
  pixels: number,
  plot: Plot,
  values: ArrayLike<number>,
): Generator<[number, number]> {
  const start = Math.ceil(first - 0.5);
  const end = Math.min(values.length, Math.floor(first + pixels / plot.cell + 0.01));
  for (let unit = Math.max(0, start); unit < end; unit++) yield [unit, values[unit] ?? 0];
}

export interface Marks {
  cell: { query: number; key: number } | null;
  rows: Iterable<number>;
  cols: Iterable<number>;
}

/** Crosshair of the hovered cell, bands of lit rows and columns; outlines, so colours stay. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  plot: Plot,
  marks: Marks,
  inks: Inks,
): void {
  const box = (x: number, y: number, width: number, height: number): void => {
    context.lineWidth = 3.5;
    context.strokeStyle = css(inks.paper);
    context.strokeRect(x, y, width, height);
    context.lineWidth = 1.5;
    context.strokeStyle = inks.ink;
    context.strokeRect(x, y, width, height);
  };
  context.save();
  context.beginPath();
  context.rect(plot.left - 3, plot.top - 3, plot.width + 6, plot.height + 6);
  context.clip();
  const side = Math.max(3, plot.cell);
  for (const row of marks.rows) box(plot.left, yOf(plot, row), plot.width, side);
  for (const col of marks.cols) box(xOf(plot, col), plot.top, side, plot.height);
  if (marks.cell) {
    const { query, key } = marks.cell;
    const middle = side / 2;
    context.lineWidth = 1;
    context.strokeStyle = inks.ink;
    context.setLineDash([2, 2]);
    context.beginPath();
    context.moveTo(plot.left, yOf(plot, query) + middle);
    context.lineTo(xOf(plot, key), yOf(plot, query) + middle);
    context.moveTo(xOf(plot, key) + middle, plot.top);
    context.lineTo(xOf(plot, key) + middle, yOf(plot, query));
    context.stroke();
    context.setLineDash([]);
    box(xOf(plot, key), yOf(plot, query), side, side);
  }
  context.restore();
}
