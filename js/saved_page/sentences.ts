/** The sentences of a pair, as `frames/sentences.py` has them: rows of one, columns of one. */

import type { Sentences } from "../attention_lines/state";
import type { Axes } from "../shared/state";

export interface Between {
  readonly rows: Uint8Array;
  readonly columns: Uint8Array;
}

/** Which rows and columns are drawn; null = all. */
export function between({ query, key }: Axes, sentences: Sentences): Between | null {
  const [of, to] = [0, 1].map((i) => "AB".indexOf(sentences.charAt(i)));
  if (sentences === "all" || !query.segments || !key.segments) return null;
  return {
    rows: Uint8Array.from(query.segments, (segment) => Number(segment === of)),
    columns: Uint8Array.from(key.segments, (segment) => Number(segment === to)),
  };
}

export function isBetween({ rows, columns }: Between, row: number, column: number): boolean {
  return rows[row] === 1 && columns[column] === 1;
}

/** A map in which all else has no weight. */
export function onlyBetween(map: Float32Array, pair: Between): Float32Array {
  const n = pair.columns.length;
  return map.map((weight, i) => (isBetween(pair, Math.floor(i / n), i % n) ? weight : 0));
}
