/** The traits of QueryKeyView, and its frame. */

import type { Kind, MaybeFrame, Packed, TraceState } from "../shared/state";

/** Order of the dimensions. */
export type Sort = "dimension" | "largest";
/** Order of the keys. */
export type Rows = "text" | "strongest";

export interface QueryKeyState extends TraceState {
  /** Position of the token that looks. */
  query: number;
  /** The key token that is looked at closely. */
  key: number | null;
  sort: Sort;
  rows: Rows;
  frame: MaybeFrame<QueryKeyFrame>;
}

/** What the picture is of. */
export interface QueryKeyAsked {
  kind: Kind;
  layer: number;
  /** Empty = all of the layer. */
  heads: number[];
  query: number;
}

export interface QueryKeyFrame {
  kind: "query_key";
  key: QueryKeyAsked;
  /** Those that are drawn, ascending. */
  heads: number[];
  /** All of the key side. */
  n_keys: number;
  /** Of a head. */
  dimensions: number;
  scaling: number;
  softcap: number | null;
  /** [heads, dims]: dimensions by the mean size of their products, largest first. */
  order: Packed;
  /** [heads, dims] */
  query_vector: Packed;
  /** [heads, keys]: sums of the products. */
  dot: Packed;
  /** [heads, keys]: after the soft-cap. */
  capped: Packed | null;
  /** [heads, keys]: what is added. */
  bias: Packed | null;
  /** What that is; "" = nothing is added. */
  bias_words: string;
  /** [heads, keys]; −∞ = may not be looked at. */
  score: Packed;
  /** [heads, keys]; NaN = the token may look nowhere. */
  weight: Packed;
  /** [heads]: score of an attention sink. */
  sink: Packed | null;
  /** [heads]: largest product in size, of the keys that may be looked at. */
  bound: Packed;
  /** The keys whose products are here. */
  start: number;
  stop: number;
  /** [heads, stop - start, dims] */
  products: Packed;
  /** [heads, stop - start, dims] */
  keys_vectors: Packed;
  note: string;
}
