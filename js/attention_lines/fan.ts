/** One token's weights to (or from) every unit of the other side. */

import type { At } from "../shared/map/pin";
import { type Chunk, isCombined, isComplete, type Lines } from "./lines";

export interface Fan extends Readonly<At> {
  /** Heads whose own weights are known; none until the kernel has answered. */
  readonly heads: ArrayLike<number>;
  /** [heads, n]: as the model computed them. */
  readonly weights: ArrayLike<number>;
  /** [maps, n]: as lines are drawn, heads combined and sinks taken out. */
  readonly drawn: ArrayLike<number>;
  /** Units of the other side. */
  readonly n: number;
  /** All weights; else only those of lines that the frame has. */
  readonly exact: boolean;
}

/** The fan as far as the frame knows it. */
export function fanFromFrame(lines: Lines, at: At, n: number): Fan {
  const drawn = new Float32Array(lines.nMaps * n);
  for (const chunk of lines.chunks.values()) {
    if (at.side === "query") takeRow(drawn, lines, chunk, at.unit, n);
    else takeColumn(drawn, lines, chunk, at.unit, n);
  }
  const heads = isCombined(lines) ? [] : lines.heads;
  const weights = heads.length ? drawn : [];
  return { ...at, heads, weights, drawn, n, exact: isComplete(lines) };
}

function takeRow(
  drawn: Float32Array,
  { nMaps, frame: { per_row } }: Lines,
  { first, rows, key, weight }: Chunk,
  unit: number,
  n: number,
): void {
  if (unit < first || unit >= first + rows) return;
  for (let map = 0; map < nMaps; map++) {
    const start = (map * rows + unit - first) * per_row;
    for (let i = start; i < start + per_row; i++) {
      if ((weight[i] ?? 0) > 0) drawn[map * n + (key[i] ?? 0)] = weight[i] ?? 0;
    }
  }
}

function takeColumn(
  drawn: Float32Array,
  { frame: { per_row } }: Lines,
  { first, rows, key, weight }: Chunk,
  unit: number,
  n: number,
): void {
  for (let i = 0; i < key.length; i++) {
    if (key[i] !== unit || (weight[i] ?? 0) <= 0) continue;
    const place = Math.floor(i / per_row);
    drawn[Math.floor(place / rows) * n + first + (place % rows)] = weight[i] ?? 0;
  }
}

const valuesKnown = new WeakMap<Fan, Float32Array>();

/** What stands beside each unit in one number: heads combined as the lines are. */
export function fanValues(fan: Fan, lines: Lines): Float32Array {
  let values = valuesKnown.get(fan);
  if (!values) {
    values = combined(fan, lines);
    valuesKnown.set(fan, values);
  }
  return values;
}

function combined(fan: Fan, { frame, nMaps }: Lines): Float32Array {
  const own = fan.heads.length > 0 && frame.sinks.mode !== "hidden";
  const [from, rows] = own ? [fan.weights, fan.heads.length] : [fan.drawn, nMaps];
  // Summed in double precision and then divided: the mean of twelve ones is 1.
  const values = new Float64Array(fan.n);
  const isMax = frame.key.aggregate === "max";
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < fan.n; i++) {
      const value = from[row * fan.n + i] ?? 0;
      const now = values[i] ?? 0;
      values[i] = isMax ? Math.max(now, value) : now + value;
    }
  }
  return Float32Array.from(values, (value) => (isMax ? value : value / Math.max(1, rows)));
}

const strongestKnown = new WeakMap<Fan, number>();

/** The strongest line that is drawn of a fan; 1 where it has none. */
export function strongestLine(fan: Fan): number {
  const known = strongestKnown.get(fan);
  if (known !== undefined) return known;
  let most = 0;
  for (let i = 0; i < fan.drawn.length; i++) most = Math.max(most, fan.drawn[i] ?? 0);
  strongestKnown.set(fan, most || 1);
  return most || 1;
}

/** The units with the largest values, largest first, zeros left out. */
export function strongest(values: ArrayLike<number>, count: number): number[] {
  const found: number[] = [];
  for (let unit = 0; unit < values.length; unit++) {
    const value = values[unit] ?? 0;
    if (value <= 0) continue;
    let place = found.length;
    while (place > 0 && (values[found[place - 1] ?? 0] ?? 0) < value) place--;
    if (place >= count) continue;
    found.splice(place, 0, unit);
    found.length = Math.min(found.length, count);
  }
  return found;
}
