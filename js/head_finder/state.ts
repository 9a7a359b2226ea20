/** The traits of HeadFinder, and its frame. */

import type { Kind, MaybeFrame, Packed, TraceState, Unit } from "../shared/state";

export type Mode = "patterns" | "metric" | "scatter";
export type Sort = "layer" | "highest" | "lowest";

/** Traits that say which heads are shown, and in which order. */
export const WHICH = ["sort", "at_least", "at_most", "only_layers", "only_heads"] as const;

export interface FinderState extends TraceState {
  mode: Mode;
  /** Drawn, and by which heads are sorted and filtered. */
  metric: string;
  /** Of the vertical axis of the scatter. */
  second_metric: string;
  /** Metrics that the model runs for, as Python has them: what there is of them is in the frame. */
  more_metrics: readonly unknown[];
  sort: Sort;
  /** Only heads whose metric lies in between; null = no limit. */
  at_least: number | null;
  at_most: number | null;
  /** Only heads of these layers; empty = all. */
  only_layers: number[];
  /** Only heads with these numbers; empty = all. */
  only_heads: number[];
  frame: MaybeFrame<HeadsFrame>;
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
  /** [layers, heads, height, width]: square roots of weights, see `scale_words`. */
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
}
