/** Small calculations as torch makes them, and packed arrays. */

import type { Dtype, Packed } from "../shared/state";

const MAKERS = {
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  int32: Int32Array,
  float32: Float32Array,
} as const;

export function pack(
  dtype: Exclude<Dtype, "float16">,
  shape: readonly number[],
  values: ArrayLike<number>,
): Packed {
  return { dtype, shape: [...shape], data: MAKERS[dtype].from(values) };
}

/** The smallest type that holds the indices below `n`. */
export function indexType(n: number): "uint8" | "uint16" | "uint32" {
  if (n <= 1 << 8) return "uint8";
  return n <= 1 << 16 ? "uint16" : "uint32";
}

/** Between the two nearest values in proportion, as torch does; NaN of nothing. */
export function quantile(values: Float32Array, share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.slice().sort();
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const [low, high] = [sorted[below] ?? 0, sorted[Math.min(below + 1, sorted.length - 1)] ?? 0];
  return low + (high - low) * (at - below);
}

export function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i] ?? 0;
  return total;
}

/** To the nearest integer, halves to the even one. */
export function round(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

export interface Pixels {
  values: Float32Array;
  height: number;
  width: number;
  /** Cells on each axis of a pixel. */
  perPixel: number;
}

/** A part of a map with at most `size` pixels on an axis: the largest or the mean of its cells. */
export function pooled(
  map: Float32Array,
  columns: number,
  part: { query0: number; query1: number; key0: number; key1: number },
  { size, pool }: { size: number; pool: "max" | "mean" },
  undefinedRows?: Uint8Array,
): Pixels {
  const { query0, query1, key0, key1 } = part;
  const [n, m] = [Math.max(0, query1 - query0), Math.max(0, key1 - key0)];
  const perPixel = Math.max(1, Math.ceil(Math.max(n, m) / size));
  const [height, width] = [Math.ceil(n / perPixel), Math.ceil(m / perPixel)];
  const values = new Float32Array(height * width);
  const defined = new Uint32Array(height);
  for (let row = 0; row < n; row++) {
    const y = Math.floor(row / perPixel);
    if (!undefinedRows?.[query0 + row]) defined[y] = (defined[y] ?? 0) + 1;
    const from = (query0 + row) * columns + key0;
    for (let column = 0; column < m; column++) {
      const at = y * width + Math.floor(column / perPixel);
      const [so, value] = [values[at] ?? 0, map[from + column] ?? 0];
      values[at] = pool === "max" ? Math.max(so, value) : so + value;
    }
  }
  if (pool === "mean") {
    for (let at = 0; at < values.length; at++) {
      const [y, x] = [Math.floor(at / width), at % width];
      const across = Math.min(perPixel, m - x * perPixel);
      values[at] = (values[at] ?? 0) / (across * (defined[y] || Number.POSITIVE_INFINITY));
    }
  }
  return { values, height, width, perPixel };
}
