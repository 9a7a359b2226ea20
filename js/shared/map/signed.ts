/** Numbers → colours: blue below zero, paper at zero, orange above; beyond the bound the ends. */

import type { Grid } from "./grid";

export interface Paint {
  /** 256 RGB entries; zero is at 128. */
  readonly table: Uint8ClampedArray;
  readonly bound: number;
}

export function entryOf(value: number, bound: number): number {
  if (!(bound > 0) || Number.isNaN(value)) return 128;
  return 128 + Math.sign(value) * Math.round(127 * Math.min(1, Math.abs(value) / bound));
}

/** A grid in which `byRow` × `byColumn` pixels are one: the value with the largest size. */
export function pooled(grid: Grid, byRow: number, byColumn: number): Grid {
  if (byRow === 1 && byColumn === 1) return grid;
  const [height, width] = [Math.ceil(grid.height / byRow), Math.ceil(grid.width / byColumn)];
  const values = new Float32Array(width * height);
  for (let row = 0; row < grid.height; row++) {
    const to = Math.floor(row / byRow) * width;
    for (let column = 0; column < grid.width; column++) {
      const at = to + Math.floor(column / byColumn);
      const value = grid.values[row * grid.width + column] ?? 0;
      if (Math.abs(value) > Math.abs(values[at] ?? 0)) values[at] = value;
    }
  }
  const [perRow, perColumn] = [grid.perRow * byRow, grid.perColumn * byColumn];
  return { ...grid, values, height, width, perRow, perColumn };
}

/** RGBA bytes of a grid; what is no number stays see-through. */
export function colours(grid: Grid, { table, bound }: Paint): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * grid.width * grid.height);
  for (let i = 0; i < grid.width * grid.height; i++) {
    const value = grid.values[i] ?? Number.NaN;
    if (Number.isNaN(value)) continue;
    const entry = 3 * entryOf(value, bound);
    pixels[4 * i] = table[entry] ?? 0;
    pixels[4 * i + 1] = table[entry + 1] ?? 0;
    pixels[4 * i + 2] = table[entry + 2] ?? 0;
    pixels[4 * i + 3] = 255;
  }
  return pixels;
}
