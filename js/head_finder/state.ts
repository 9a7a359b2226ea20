/** The traits of HeadFinder, and its frame. */

import type { Kind, MaybeFrame, Packed, TraceState, Unit } from "../shared/state";

export type Mode = "patterns" | "metric" | "scatter";
export type Sort = "layer" | "highest" | "lowest";
/** A number of the mean over many texts: itself, or an end of its interval. */
export type End = "mean" | "low" | "high";

/** Traits that say which heads are shown, and in which order. */
export const WHICH = ["sort", "by", "at_least", "at_most", "only_layers", "only_heads"] as const;

export interface FinderState extends TraceState {
  mode: Mode;
  /** Drawn, and by which heads are sorted and filtered. */
  metric: string;
  /** Of the vertical axis of the scatter. */
  second_metric: string;
  /** Metrics that the model runs for, as Python has them: what there is of them is in the frame. */
  more_metrics: readonly unknown[];
  sort: Sort;
  /** Which number of an atlas sorts and filters. */
  by: End;
  /** Only heads whose metric lies in between; null = no limit. */
  at_least: number | null;
  at_most: number | null;
  /** Only heads of these layers; empty = all. */
  only_layers: number[];
  /** Only heads with these numbers; empty = all. */
  only_heads: number[];
  frame: MaybeFrame<HeadsFrame>;
  /** Rows of one head in many texts; empty where there is no atlas. */
  typical: MaybeTypical;
}

export interface MetricFrame {
  name: string;
  label: string;
  /** What the number is in: "bits", "weight on the token before". */
  unit: string;
  /** Natural end of its scale, if it has one. */
  max: number | null;
  /** [layers, heads]; NaN where a head has none. */
  values: Packed;
  /** Why no head has one; "" = some do. */
  note: string;
  /** Over many texts: [layers, heads] each. */
  interval?: Interval;
  /** [layers, heads]: what it is on the text that is traced. */
  here?: Packed;
}

export interface Interval {
  low: Packed;
  high: Packed;
  /** Texts that have the number. */
  n: Packed;
}

/** The texts that an atlas is of. */
export interface Corpus {
  /** "2,000 texts, 95 % bootstrap intervals". */
  words: string;
  texts: number;
  /** What must be said of it: texts that were left out; "" = nothing. */
  note: string;
}

/** Rows of one head in many texts, by the bucket of a metric that they are in. */
export interface Typical {
  key: { kind: Kind; layer: number; head: number; metric: string };
  /** [buckets + 1]; the last may be infinite. */
  edges: Packed;
  /** [buckets]: rows of all texts. */
  rows: Packed;
  /** [examples, 5]: text, query, start of the window, its tokens, bucket; in the order in which they are shown. */
  places: Packed;
  /** [examples, 2]: the row's value, and its weight outside the window. */
  numbers: Packed;
  /** [examples]: the token that looks. */
  queries: string[];
  /** Of all examples, one after the other. */
  tokens: string[];
  /** [tokens]: the row's weights. */
  weights: Packed;
}

export type MaybeTypical = Typical | Record<string, never>;

export function hasTypical(typical: MaybeTypical): typical is Typical {
  return "key" in typical;
}

export interface HeadsFrame {
  kind: "heads";
  key: { kind: Kind; unit: Unit };
  /** The model's own numbers. */
  layers: Packed;
  /** [layers] */
  n_heads: Packed;
  rows: number;
  columns: number;
  /** Cells of a map on each axis of a pixel. */
  per_pixel: number;
  /** [layers, heads, height, width]: square roots of weights, see `scale_words`; of no text 0 × 0. */
  patterns: Packed;
  /** [layers, heads, width]: pixels in which a column is a sink of the head. */
  sinks: Packed;
  /** [layers, heads]: the weight that is drawn in full. */
  scale: Packed;
  /** [layers, heads]: share of its attention that a head gives to its sinks. */
  to_sinks: Packed;
  scale_words: string;
  sinks_words: string;
  metrics: MetricFrame[];
  /** Which layers have no attention; "" = all have. */
  note: string;
  /** The metrics are means over many texts. */
  corpus?: Corpus;
}
