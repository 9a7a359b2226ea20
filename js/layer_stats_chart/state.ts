/** The traits of LayerStatsChart, and its frame. */

import type { Kind, MaybeFrame, Named, Packed, Sequence, TraceState } from "../shared/state";

export type ScaleName = "linear" | "log";
/** "auto" = as the statistic is best seen. */
export type ScaleChoice = "auto" | ScaleName;
export type Value = number | string | null;

/** One parameter of a metric, and how it is changed. */
export interface ParameterInfo {
  name: string;
  label: string;
  kind: "int" | "float" | "choice" | "text";
  /** May be null. */
  optional: boolean;
  min: number | null;
  max: number | null;
  choices: { value: string; label: string }[];
  help: string;
}

export interface MetricInfo {
  name: string;
  label: string;
  parameters: ParameterInfo[];
  /** Null where the user must say something first. */
  defaults: Record<string, Value>;
}

/** What is asked for; a user's own metric is not among those that can be chosen. */
export interface MetricState {
  name: string;
  label: string;
  parameters: Record<string, Value>;
  /** "24 texts", where it is a mean over texts. */
  over: string;
  /** "tuned lens, fitted on 200 texts", where layers are read by one. */
  fitted?: string;
}

export interface HistogramPanel {
  type: "histogram";
  title: string;
  x: string;
  y: string;
  edges: Packed;
  series: Named[];
  /** [series, bins] */
  values: Packed;
  mark: { value: number; label: string } | null;
  /** The tokens of each bin, which a click selects; empty = none does. */
  positions: readonly (readonly number[])[];
  words: string;
}

export interface ScatterPanel {
  type: "scatter";
  title: string;
  x: string;
  y: string;
  series: Named[];
  points_x: Packed;
  points_y: Packed;
  /** Which series each point belongs to. */
  points_series: Packed;
  words: string;
}

export interface BarsPanel {
  type: "bars";
  title: string;
  y: string;
  labels: string[];
  values: Packed;
  clickable: "head" | "positions" | "";
  /** What the bars are. */
  x: string;
  /** The tokens of each bar, where a click selects them. */
  positions: readonly (readonly number[])[];
  words: string;
}

export interface CurvePanel {
  type: "curve";
  title: string;
  x: string;
  y: string;
  series: Named[];
  points_x: Packed;
  /** [series, points] */
  values: Packed;
  words: string;
}

/** A value for every pair of places. */
export interface GridPanel {
  type: "grid";
  title: string;
  unit: string;
  /** The tokens that are the places. */
  positions: readonly number[];
  /** [places, places]; NaN = none. */
  values: Packed;
  /** Row and column that other panels are of. */
  pair: readonly [number, number] | null;
  words: string;
}

export interface TablePanel {
  type: "table";
  title: string;
  columns: string[];
  rows: string[][];
  words: string;
}

export type Panel = HistogramPanel | ScatterPanel | CurvePanel | BarsPanel | GridPanel | TablePanel;

/** One layer in detail. */
export interface Detail {
  layer: number;
  panels: Panel[];
}

export interface ChartState extends TraceState {
  metrics: MetricInfo[];
  metric: MetricState;
  quantity: string;
  scale: ScaleChoice;
  frame: MaybeFrame<ChartFrame>;
  detail: Detail | Record<string, never>;
}

export interface ChartFrame {
  kind: "chart";
  key: { kind: Kind; metric: string; quantity: string };
  /** The statistic's name, which may no longer be the one that is chosen. */
  metric_label: string;
  title: string;
  unit: string;
  /** What of the statistic can be drawn; `quantity` is what is. */
  quantities: Named[];
  quantity: string;
  layers: Packed;
  series: Named[];
  /** [series, layers]; NaN = no value. */
  mean: Packed;
  low: Packed;
  high: Packed;
  /** What `mean` is: "mean", or "median". */
  middle: string;
  /** What low to high is, in words; "" = there is no interval. */
  interval: string;
  /** The axis on which it is best seen. */
  scale: ScaleName;
  /** Range of the values under the null hypothesis, and its words. */
  null_low: Packed | null;
  null_mean: Packed | null;
  null_high: Packed | null;
  null_words: string;
  /** [series, layers]: 0 = not tested, 1 = tested, 2 = significant. */
  significant: Packed | null;
  test: string;
  /** [layers, heads]; NaN = no such head. */
  heat: null | { values: Packed; label: string; max: number | null };
  /** [series, layers, tokens], while they are few. */
  tokens: Packed | null;
  /** Whether values of a token can be asked for. */
  has_tokens: boolean;
  token_labels: string[];
  /** The token that stands out most: its value in a series and layer, beside their median. */
  outlier: null | {
    position: number;
    value: number;
    median: number;
    series: string;
    layer: number;
    /** Tokens that stand out, this one included. */
    n_tokens: number;
  };
  sequence: Sequence;
  help: string[];
  note: string;
  /** How far the result has come, in words; "" = it is complete. */
  partial: string;
}
