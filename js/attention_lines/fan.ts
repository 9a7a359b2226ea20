/** One token's weights to (or from) every unit of the other side. */

import type { At } from "../shared/map/pin";
import { isCombined, isComplete, type Lines } from "./lines";

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
export function fanFromFrame(lines: Lines, { side, unit }: At, n: number): Fan {
  const { nMaps, frame } = lines;
  const drawn = new Float32Array(nMaps * n);
  for (const chunk of lines.chunks.values()) {
    for (let i = 0; i < chunk.weight.length; i++) {
      const weight = chunk.weight[i] ?? 0;
      if (weight <= 0) continue;
      const place = Math.floor(i / frame.per_row);
      const [map, query] = [Math.floor(place / chunk.rows), chunk.first + (place % chunk.rows)];
      const key = chunk.key[i] ?? 0;
      const [own, other] = side === "query" ? [query, key] : [key, query];
      if (own === unit) drawn[map * n + other] = weight;
    }
  }
  const heads = isCombined(lines) ? [] : lines.heads;
  return {
    side,
    unit,
    heads,
    weights: heads.length ? drawn : [],
    drawn,
    n,
    exact: isComplete(lines),
  };
}

/** What stands beside each unit in one number: heads combined as the lines are. */
export function fanValues(fan: Fan, lines: Lines): Float32Array {
  const { key, sinks } = lines.frame;
  const known = fan.heads.length > 0 && sinks.mode !== "hidden";
  const [from, rows] = known ? [fan.weights, fan.heads.length] : [fan.drawn, lines.nMaps];
  const values = new Float32Array(fan.n);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < fan.n; i++) {
      const value = from[row * fan.n + i] ?? 0;
      const now = values[i] ?? 0;
      values[i] = key.aggregate === "max" ? Math.max(now, value) : now + value / rows;
    }
  }
  return values;
}

/** The strongest line that is drawn of a fan; 1 where it has none. */
export function strongestLine(fan: Fan): number {
  let most = 0;
  for (let i = 0; i < fan.drawn.length; i++) most = Math.max(most, fan.drawn[i] ?? 0);
  return most || 1;
}

/** The units with the largest values, largest first, zeros left out. */
export function strongest(values: ArrayLike<number>, count: number): number[] {
  return Array.from(values, (value, unit) => ({ value, unit }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, count)
    .map(({ unit }) => unit);
}
