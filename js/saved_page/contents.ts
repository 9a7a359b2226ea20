/** What a saved page carries, as `widgets/glasshead/saving` writes it. */

import type { ExplorerFrame, OffHead, OffHow } from "../explorer/state";
import type { Typical } from "../head_finder/state";
import type { PatchFrame } from "../patch_grid/state";
import { revive } from "../shared/host/recorded";
import type { Json } from "../shared/host/stand_in";
import type { Axes, Kind, Packed, Unit } from "../shared/state";
import { stored } from "./stored";

/** How weights are written: see `frames/codes.py`. */
export interface Coding {
  bits: 8 | 16;
  /** The smallest weight that has a code; what is smaller reads as 0. */
  least: number;
  /** Most that a weight is off, as a share of itself. */
  relative_error: number;
  /** What reads as 0 adds up to something. */
  coarse: boolean;
}

/** The weights of a layer: by rows, then heads, then keys. */
export interface StoredLayer {
  kind: Kind;
  layer: number;
  /** The element that holds the codes. */
  element: string;
  heads: number;
  rows: number;
  columns: number;
  /** Row i has its first i + 1 keys only. */
  triangular: boolean;
  /** Rows that may look nowhere. */
  undefined: number[];
  /** Why rows sum to less than 1; "" = they do not. */
  note: string;
  /** [heads, rows]; null = all sum to 1. */
  row_sums: Packed | null;
  /** [heads + 1, rows] bits, of each head and of their mean, where the codes are too coarse. */
  entropy: Partial<Record<Unit, Packed>>;
}

export interface StoredAxes {
  kind: Kind;
  unit: Unit;
  /** Whether special tokens are among the units. */
  special: boolean;
  axes: Axes;
}

/** The activations of a block: see `frames/activations.py`. */
export interface StoredActivations {
  kind: Kind;
  layer: number;
  block: string;
  /** Bytes [tokens, dimensions], by dimension. */
  element: string;
  dtype: "float32" | "float16";
  /** [dimensions]: the dimension in each column; null = that order is not here. */
  orders: { largest: Packed; cluster: Packed | null };
  /** The frame without what depends on the order. */
  frame: Json;
}

/** Queries and keys of a layer, and what else makes its scores: see `frames/query_key_layer.py`. */
export interface StoredQueryKey {
  kind: Kind;
  layer: number;
  /** Bytes: queries [heads, rows, dims], then keys [key heads, keys, dims]. */
  element: string;
  dtype: "float32" | "float16";
  /** Those that are here, ascending. */
  heads: number[];
  /** The place of each one's key head. */
  of_head: number[];
  key_heads: number;
  rows: number;
  keys: number;
  dimensions: number;
  scaling: number;
  softcap: number | null;
  bias_words: string;
  note: string;
  /** [heads]: scores of attention sinks. */
  sinks: Packed | null;
  /** [heads, rows]: log-sum-exp of what takes part in the softmax beside these keys. */
  rest: Packed | null;
  /** First axis = heads: at key − query + rows − 1, by key, or by row and key. */
  bias: { by: "distance" | "key" | "cell"; values: Packed } | null;
  /** Keys after the row are hidden. */
  triangular: boolean;
  /** [1 or heads, rows, bytes]: a bit a key, highest first; 1 = hidden. */
  hidden: Packed | null;
}

/** A picture of a statistic, or one layer of it. */
export interface StoredChart {
  metric: Json;
  kind: Kind;
  quantity: string;
  frame: Json;
}

export interface StoredDetail {
  metric: Json;
  kind: Kind;
  layer: number;
  detail: Json;
}

/** What the strip was told of a pinned token's layers. */
export interface StoredReading {
  position: number;
  /** Name of the lens; "" = the logit lens. */
  lens: string;
  /** Ids, "3,17"; "" = the token that came and the first choices. */
  followed: string;
  result: Json;
  arrays: Record<string, Packed>;
}

/** Another run of the same text: what there is of it in place of that which the page opens with. */
export interface OtherRun {
  off: OffHead[];
  how: OffHow;
  without: ExplorerFrame["without"] | null;
  layers: StoredLayer[];
  charts: StoredChart[];
  details: StoredDetail[];
  heads: Contents["heads"];
  strip: Json | null;
  readings: StoredReading[];
}

export interface Contents {
  /** The traits as the page opens. */
  state: Json;
  coding: Coding | null;
  layers: StoredLayer[];
  axes: StoredAxes[];
  activations: StoredActivations[];
  query_key: StoredQueryKey[];
  charts: StoredChart[];
  details: StoredDetail[];
  /** By kind: what HeadFinder's frame has beside its patterns. */
  heads: Partial<Record<Kind, Json>>;
  /** Rows of heads in an atlas' texts. */
  rows: Typical[];
  /** The grids of patched runs that had been computed. */
  patches: PatchFrame[];
  /** The frame of the strip. */
  strip: Json | null;
  /** What the layers would predict where a token was pinned, by each lens. */
  readings: StoredReading[];
  /** Frames of AttributionStrip: of what is shown, and of what else can be. */
  attribution: { frame: Json }[];
  /** What is off in the run that the page opens with; null = nothing. */
  without: ExplorerFrame["without"] | null;
  runs: OtherRun[];
  /** The rule that finds sinks, in words. */
  sinks: { causal: string; other: string };
  /** What a view says that is asked for what is not here. */
  refusal: string;
}

export async function readContents(): Promise<Contents> {
  const text = new TextDecoder().decode(await stored("gh-contents"));
  return revive(JSON.parse(text)) as Contents;
}
