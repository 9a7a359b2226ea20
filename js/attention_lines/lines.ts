/** The lines of a frame: which are shown, how much of the attention they carry, one token's fan. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { Side } from "../shared/axis_text";
import type { LinesFrame } from "../shared/state";

/** A frame with its arrays unpacked. */
export interface Lines {
  readonly frame: LinesFrame;
  readonly query: NumberArray;
  readonly key: NumberArray;
  readonly head: NumberArray;
  readonly weight: NumberArray;
  readonly heads: NumberArray;
  readonly mass: NumberArray;
  readonly undefinedRows: NumberArray;
}

/** The lines to draw: indices into `Lines`, strongest first. */
export interface Shown {
  readonly indices: Uint32Array;
  /** Share of the selected heads' attention mass in these lines, 0…1. */
  readonly mass: number;
  /** Share of it in lines that the frame has no room for. */
  readonly leftOut: number;
  /** Lines of the selected heads that the frame holds. */
  readonly available: number;
}

export function unpackLines(frame: LinesFrame): Lines {
  return {
    frame,
    query: unpack(frame.lines.query),
    key: unpack(frame.lines.key),
    head: unpack(frame.lines.head),
    weight: unpack(frame.lines.weight),
    heads: unpack(frame.heads),
    mass: unpack(frame.mass),
    undefinedRows: unpack(frame.undefined_rows),
  };
}

/** The weight from which lines are drawn: the user's, else the frame's own choice. */
export function effectiveThreshold(lines: Lines | null, threshold: number | null): number {
  return threshold ?? lines?.frame.automatic_threshold ?? 0;
}

/** Smallest byte whose weight reaches the threshold; 256 = none does. */
export function thresholdByte(threshold: number, scale: number): number {
  if (threshold <= 0 || scale <= 0) return 0;
  return Math.min(256, Math.ceil(threshold / scale - 1e-6));
}

export function select(lines: Lines, heads: readonly number[], threshold: number): Shown {
  const wanted = heads.length ? new Set(heads) : null;
  const byte = thresholdByte(threshold, lines.frame.weight_scale);
  const indices = new Uint32Array(lines.weight.length);
  let shown = 0;
  let available = 0;
  for (let i = 0; i < lines.weight.length; i++) {
    if (wanted && !wanted.has(lines.head[i] ?? -1)) continue;
    available++;
    if ((lines.weight[i] ?? 0) >= byte) indices[shown++] = i;
  }
  return {
    indices: indices.subarray(0, shown),
    mass: massShown(lines, wanted, byte),
    leftOut: 1 - massShown(lines, wanted, 0),
    available,
  };
}

function massShown(lines: Lines, wanted: Set<number> | null, byte: number): number {
  let sum = 0;
  let count = 0;
  for (let row = 0; row < lines.heads.length; row++) {
    if (wanted && !wanted.has(lines.heads[row] ?? -1)) continue;
    sum += byte > 255 ? 0 : (lines.mass[row * 256 + byte] ?? 0);
    count++;
  }
  return count ? sum / count : 0;
}

/** One token's weights to (or from) every unit of the other side, per head. */
export interface Fan {
  readonly side: Side;
  readonly unit: number;
  readonly heads: ArrayLike<number>;
  /** [heads, other side]. */
  readonly weights: ArrayLike<number>;
  readonly n: number;
  /** Exact values from the kernel; else the frame's, rounded, and only where it has lines. */
  readonly exact: boolean;
}

/** The fan as far as the frame knows it. */
export function fanFromFrame(
  lines: Lines,
  heads: readonly number[],
  side: Side,
  unit: number,
  n: number,
): Fan {
  const numbers = heads.length
    ? heads
    : Array.from({ length: lines.frame.n_heads }, (_, head) => head);
  const rowOf = new Map(numbers.map((head, row) => [head, row]));
  const weights = new Float32Array(numbers.length * n);
  const [own, other] = side === "query" ? [lines.query, lines.key] : [lines.key, lines.query];
  for (let i = 0; i < own.length; i++) {
    if (own[i] !== unit) continue;
    const row = rowOf.get(lines.head[i] ?? -1);
    if (row === undefined) continue;
    weights[row * n + (other[i] ?? 0)] = (lines.weight[i] ?? 0) * lines.frame.weight_scale;
  }
  return { side, unit, heads: numbers, weights, n, exact: false };
}

/** Mean over the heads of a fan, per unit of the other side. */
export function fanMean(fan: Fan): Float32Array {
  const mean = new Float32Array(fan.n);
  for (let row = 0; row < fan.heads.length; row++) {
    for (let i = 0; i < fan.n; i++) {
      mean[i] = (mean[i] ?? 0) + (fan.weights[row * fan.n + i] ?? 0) / fan.heads.length;
    }
  }
  return mean;
}

/** The largest weight of a fan in any head; 1 where it has none. */
export function strongestLine(fan: Fan): number {
  return Array.from(fan.weights).reduce((a, b) => Math.max(a, b), 0) || 1;
}

/** The units with the largest values, largest first, zeros left out. */
export function strongest(values: Float32Array, count: number): number[] {
  return Array.from(values.keys())
    .filter((i) => (values[i] ?? 0) > 0)
    .sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0))
    .slice(0, count);
}
