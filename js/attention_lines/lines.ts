/** The lines of a frame: which are shown, how much of the attention they carry, one token's fan. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { At } from "../shared/map/pin";
import type { LinesFrame } from "./state";

/** A frame with its arrays unpacked. */
export interface Lines {
  readonly frame: LinesFrame;
  readonly query: NumberArray;
  readonly key: NumberArray;
  readonly head: NumberArray;
  /** Exact, strongest first. */
  readonly weight: NumberArray;
  readonly heads: NumberArray;
  /** Sum of all weights of each of these heads, whether the frame has room for them or not. */
  readonly mass: NumberArray;
  readonly undefinedRows: NumberArray;
}

/** The lines to draw: indices into `Lines`, strongest first. */
export interface Shown {
  readonly indices: Uint32Array;
  /** Share of the selected heads' attention mass in these lines, 0…1; 1 only if these are all. */
  readonly mass: number;
  /** Share of it in lines that the frame has no room for; 0 only if there are none. */
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

export function select(lines: Lines, heads: readonly number[], threshold: number): Shown {
  const wanted = heads.length ? new Set(heads) : null;
  // Compared as the kernel does, in single precision.
  const least = Math.fround(threshold);
  const indices = new Uint32Array(lines.weight.length);
  const sums = { shown: 0, available: 0, all: 0 };
  let shown = 0;
  let available = 0;
  for (let i = 0; i < lines.weight.length; i++) {
    if (wanted && !wanted.has(lines.head[i] ?? -1)) continue;
    const weight = lines.weight[i] ?? 0;
    available++;
    sums.available += weight;
    if (weight < least) continue;
    indices[shown++] = i;
    sums.shown += weight;
  }
  for (const [row, mass] of lines.mass.entries()) {
    if (!wanted || wanted.has(lines.heads[row] ?? -1)) sums.all += mass;
  }
  const complete = isComplete(lines);
  return {
    indices: indices.subarray(0, shown),
    mass: complete && available > 0 && shown === available ? 1 : part(sums.shown, sums.all),
    leftOut: complete ? 0 : 1 - part(sums.available, sums.all),
    available,
  };
}

/** Whether the frame has all lines of its heads. */
export function isComplete({ frame }: Lines): boolean {
  return frame.n === frame.n_total;
}

/** A part that is not all, as a share: below 1, whatever the rounding of the sums. */
function part(sum: number, all: number): number {
  return all > 0 ? Math.min(1 - 1e-9, sum / all) : 0;
}

/** One token's weights to (or from) every unit of the other side, per head. */
export interface Fan extends Readonly<At> {
  readonly heads: ArrayLike<number>;
  /** [heads, other side]. */
  readonly weights: ArrayLike<number>;
  readonly n: number;
  /** All weights; else only those of lines that the frame has room for. */
  readonly exact: boolean;
}

/** The fan as far as the frame knows it. */
export function fanFromFrame(
  lines: Lines,
  heads: readonly number[],
  { side, unit }: At,
  n: number,
): Fan {
  // Of the heads that are wanted only those that the frame is of: the others are on their way.
  const numbers = Array.from(lines.heads).filter((head) => !heads.length || heads.includes(head));
  const rowOf = new Map(numbers.map((head, row) => [head, row]));
  const weights = new Float32Array(numbers.length * n);
  const [own, other] = side === "query" ? [lines.query, lines.key] : [lines.key, lines.query];
  for (let i = 0; i < own.length; i++) {
    if (own[i] !== unit) continue;
    const row = rowOf.get(lines.head[i] ?? -1);
    if (row === undefined) continue;
    weights[row * n + (other[i] ?? 0)] = lines.weight[i] ?? 0;
  }
  return { side, unit, heads: numbers, weights, n, exact: isComplete(lines) };
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
