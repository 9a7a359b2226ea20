/** The frame unpacked: what every key's score is made of, and the order of rows and columns. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { QueryKeyFrame, Rows, Sort } from "./state";

/** What the score of one key is made of, in one head. */
export interface Parts {
  /** Sum of the products. */
  readonly dot: number;
  /** After the soft-cap; null = there is none. */
  readonly capped: number | null;
  /** What is added; null = nothing. */
  readonly bias: number | null;
  /** −∞ = may not be looked at. */
  readonly score: number;
  readonly weight: number;
}

/** The keys in their order. */
export interface Order {
  keyAt(place: number): number;
  placeOf(key: number): number;
}

/** Heads are named by their lane: their place among those that are drawn. */
export interface QueryKeyData {
  readonly frame: QueryKeyFrame;
  readonly heads: readonly number[];
  readonly nKeys: number;
  readonly dims: number;
  parts(lane: number, key: number): Parts;
  isHidden(lane: number, key: number): boolean;
  query(lane: number, dim: number): number;
  /** Largest product in size: there colours end. */
  bound(lane: number): number;
  /** Largest number in size of the query's own. */
  queryBound(lane: number): number;
  /** Score of an attention sink; null = there is none. */
  sink(lane: number): number | null;
  /** Where bars end: those of scores and their parts on both sides of zero. */
  readonly ends: { readonly low: number; readonly high: number; readonly weight: number };
  /** The dimension in each column. */
  columns(sort: Sort): readonly number[];
  order(rows: Rows): Order;
  /** The key with most weight; the first where the token may look nowhere. */
  strongest(lane: number): number;
}

export function queryKeyData(frame: QueryKeyFrame): QueryKeyData {
  const { heads, n_keys: nKeys, dimensions: dims } = frame;
  const maybe = (packed: QueryKeyFrame["bias"]): NumberArray | null => packed && unpack(packed);
  const [dot, score, weight] = [unpack(frame.dot), unpack(frame.score), unpack(frame.weight)];
  const [capped, bias, sink] = [maybe(frame.capped), maybe(frame.bias), maybe(frame.sink)];
  const [vector, bound] = [unpack(frame.query_vector), unpack(frame.bound)];
  const first = unpack(frame.order).subarray(0, dims);
  const at = (lane: number, key: number): number => lane * nKeys + key;
  const isHidden = (lane: number, key: number): boolean =>
    (score[at(lane, key)] ?? -Infinity) === -Infinity;
  const orders = new Map<Rows, Order>();
  const queryBounds = heads.map((_, lane) =>
    largestOf(vector.subarray(lane * dims, (lane + 1) * dims)),
  );
  return {
    ...{ frame, heads, nKeys, dims, isHidden },
    parts(lane, key) {
      const i = at(lane, key);
      return {
        dot: dot[i] ?? Number.NaN,
        capped: capped ? (capped[i] ?? Number.NaN) : null,
        bias: bias ? (bias[i] ?? Number.NaN) : null,
        score: score[i] ?? Number.NaN,
        weight: weight[i] ?? Number.NaN,
      };
    },
    query: (lane, dim) => vector[lane * dims + dim] ?? Number.NaN,
    bound: (lane) => bound[lane] ?? 0,
    queryBound: (lane) => queryBounds[lane] ?? 0,
    sink: (lane) => sink?.[lane] ?? null,
    ends: { ...rangeOf(score), weight: weightEnd(largestOf(weight)) },
    columns: (sort) =>
      sort === "largest" ? [...first] : Array.from({ length: dims }, (_, dim) => dim),
    order(rows) {
      const known = orders.get(rows) ?? (rows === "text" ? inText() : byScore(score, nKeys));
      orders.set(rows, known);
      return known;
    },
    strongest(lane) {
      let best = 0;
      for (let key = 1; key < nKeys; key++) {
        if ((weight[at(lane, key)] ?? 0) > (weight[at(lane, best)] ?? 0)) best = key;
      }
      return best;
    },
  };
}

function inText(): Order {
  return { keyAt: (place) => place, placeOf: (key) => key };
}

/** By the scores of the first head, largest first; equal ones as in the text. */
function byScore(score: NumberArray, nKeys: number): Order {
  const keys = Array.from({ length: nKeys }, (_, key) => key);
  const of = (key: number): number => score[key] ?? -Infinity;
  keys.sort((a, b) => (of(a) === of(b) ? a - b : of(a) > of(b) ? -1 : 1));
  const places = new Uint32Array(nKeys);
  keys.forEach((key, place) => {
    places[key] = place;
  });
  return { keyAt: (place) => keys[place] ?? 0, placeOf: (key) => places[key] ?? 0 };
}

function largestOf(values: NumberArray): number {
  let largest = 0;
  for (const value of values) if (Math.abs(value) > largest) largest = Math.abs(value);
  return largest;
}

/** Zero is always in it; what may not be looked at is not. */
function rangeOf(scores: NumberArray): { low: number; high: number } {
  let [low, high] = [0, 0];
  for (const score of scores) {
    if (!Number.isFinite(score)) continue;
    low = Math.min(low, score);
    high = Math.max(high, score);
  }
  return { low, high };
}

/** Bars of weights are shares of all, unless none would be long enough to see. */
function weightEnd(largest: number): number {
  return largest === 0 || largest >= 0.4 ? 1 : largest;
}
