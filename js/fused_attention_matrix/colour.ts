/** Numbers → colours: where a number lies on the table, and where the table ends. */

import { endOf } from "../shared/numbers";
import { type Grid, isHidden, isMasked, type Matrix } from "./grid";
import type { Scale } from "./state";

/** How numbers are coloured. */
export interface Paint {
  /** 256 RGB entries; of differences zero is at 128. */
  readonly table: Uint8ClampedArray;
  readonly scale: Scale;
  /** The number at the strong end; larger ones are clipped to it. */
  readonly top: number;
  readonly signed: boolean;
}

/** Where the colours end, and whether anything in view lies beyond. */
export interface Top {
  readonly top: number;
  readonly clipped: boolean;
}

/** A part of the matrix in units, half open. */
export interface Part {
  readonly query0: number;
  readonly query1: number;
  readonly key0: number;
  readonly key1: number;
}

/** The log scale shows this many powers of ten below the strong end. */
export const DECADES = 3;

/** Where a size lies between zero and the strong end, 0…1. */
export function shade(size: number, top: number, scale: Scale): number {
  if (size <= 0 || top <= 0) return 0;
  const share = Math.min(1, size / top);
  if (scale === "sqrt") return Math.sqrt(share);
  return scale === "linear" ? share : Math.max(0, 1 + Math.log10(share) / DECADES);
}

/** The entry of the table for a number. */
export function entryOf(value: number, { top, scale, signed }: Paint): number {
  const share = shade(Math.abs(value), top, scale);
  return signed ? 128 + Math.round(127 * share) * Math.sign(value) : Math.round(255 * share);
}

/** RGBA bytes of a grid; masked cells and undefined rows stay see-through. */
export function colours(matrix: Matrix, grid: Grid, paint: Paint): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint32Array(grid.width * grid.height);
  const inks = inksOf(paint.table);
  const ofByte = new Uint32Array(256);
  for (let row = 0; row < grid.height; row++) {
    const query = grid.query + row * grid.factor;
    if (grid.factor === 1 && matrix.undefinedRows[query]) continue;
    const unit = grid.rowScale[row] ?? 0;
    for (let byte = 0; byte < 256; byte++) {
      const masked = isHidden(grid, byte);
      ofByte[byte] = masked ? 0 : (inks[entryOf((byte - grid.zero) * unit, paint)] ?? 0);
    }
    // A pixel is seen where any of its cells is.
    const lastQuery = query + grid.factor - 1;
    const end = matrix.causal
      ? Math.min(grid.width, Math.floor((lastQuery - grid.key) / grid.factor) + 1)
      : grid.width;
    const start = row * grid.width;
    for (let i = start; i < start + end; i++) pixels[i] = ofByte[grid.values[i] ?? 0] ?? 0;
  }
  return new Uint8ClampedArray(pixels.buffer);
}

/** The table as 32-bit pixels, in the byte order of this machine. */
function inksOf(table: Uint8ClampedArray): Uint32Array {
  const bytes = new Uint8ClampedArray(4 * 256);
  for (let i = 0; i < 256; i++) {
    bytes.set([table[3 * i] ?? 0, table[3 * i + 1] ?? 0, table[3 * i + 2] ?? 0, 255], 4 * i);
  }
  return new Uint32Array(bytes.buffer);
}

// Early rows have few columns to share among and would take the whole colour table.
const ROWS_BELOW_TOP = 0.95;

/** Where sinks stand apart no smaller weight has full colour; lines have the same floor. */
const LEAST_BESIDE_SINKS = 0.05;

/** Where colours end for a part of the matrix: all but the strongest 5 % of its rows stay below. */
export function topIn(matrix: Matrix, grid: Grid, part: Part): Top {
  const { factor, width, zero } = grid;
  const clip = (from: number, first: number, most: number): number =>
    Math.max(0, Math.min(most, (from - first) / factor));
  // The first row of a causal map has one column: its 1 says nothing.
  const firstRow = matrix.causal && grid.height > 1 && part.query0 < 1 && grid.query === 0 ? 1 : 0;
  const row0 = Math.max(firstRow, Math.floor(clip(part.query0, grid.query, grid.height)));
  const row1 = Math.ceil(clip(part.query1, grid.query, grid.height));
  const key0 = Math.floor(clip(part.key0, grid.key, width));
  const key1 = Math.ceil(clip(part.key1, grid.key, width));
  const maxima: number[] = [];
  for (let row = row0; row < row1; row++) {
    const query = grid.query + row * factor;
    if (factor === 1 && matrix.undefinedRows[query]) continue;
    if (isMasked(matrix, query + factor - 1, grid.key + key0 * factor)) continue;
    let largest = 0;
    for (let i = row * width + key0; i < row * width + key1; i++) {
      const value = grid.values[i] ?? zero;
      if (!isHidden(grid, value)) largest = Math.max(largest, Math.abs(value - zero));
    }
    maxima.push(largest * (grid.rowScale[row] ?? 0));
  }
  maxima.sort((a, b) => a - b);
  const most = maxima[maxima.length - 1] ?? 0;
  const below = maxima[Math.round(ROWS_BELOW_TOP * (maxima.length - 1))] || most;
  // What a head that looks at its sinks alone has left must not look like a pattern.
  const least = matrix.sinks.apart.length && !matrix.compare ? LEAST_BESIDE_SINKS : 0;
  // Two digits: an end that can be said, and does not move with every pixel.
  const top = Math.max(least, Number(endOf(below || matrix.frame.max)));
  return { top, clipped: most > top * 1.005 };
}
