/** The shapes of everything that Python sends and the browser writes: traits, axes, frames. */

export type Dtype = "uint8" | "uint16" | "uint32" | "int32" | "float16" | "float32";
export type Kind = "self" | "encoder" | "decoder" | "cross";
export type Unit = "token" | "word";
export type Sequence = "text" | "source" | "target";
export type ThemeTrait = "auto" | "light" | "dark";

/** An array as it travels: little-endian bytes in C order, never a JSON list of numbers. */
export interface Packed {
  dtype: Dtype;
  shape: number[];
  data: ArrayBufferView | ArrayBuffer;
}

export interface LayerInfo {
  number: number;
  heads: number;
}

export interface KindInfo {
  name: Kind;
  title: string;
  causal: boolean;
  query: Sequence;
  key: Sequence;
  layers: LayerInfo[];
}

/** What stays the same for the life of a trace. */
export interface Scene {
  model: string;
  family: "decoder" | "encoder-decoder" | "encoder";
  notice: string;
  kinds: KindInfo[];
}

/** One side of an attention map, in the current unit (tokens or words). */
export interface Axis {
  sequence: Sequence;
  labels: string[];
  /** What each decoder row predicts; only on the query axis of decoder and cross attention. */
  predicted: string[] | null;
  emphasis: "label" | "predicted";
  special: Packed;
  generated: Packed;
  /** Of a sentence pair: 0 or 1 for each unit, the sentence that it is of. */
  segments?: number[] | null;
  /** The unit that each token position belongs to. */
  unit_of_token: Packed;
}

export interface Axes {
  kind: Kind;
  unit: Unit;
  query: Axis;
  key: Axis;
}

/** A view that has no axes (LayerStatsChart), or none yet, gets an empty object. */
export type MaybeAxes = Axes | Record<string, never>;
export type MaybeFrame<F> = F | Record<string, never>;

export interface CommonState {
  layer: number;
  /** Head numbers, sorted; empty = all. */
  heads: number[];
  kind: Kind;
  unit: Unit;
  /** Token positions in "text" or "target". */
  selected: number[];
  hovered: number | null;
  /** Token positions in "source" of an encoder-decoder model. */
  selected_source: number[];
  hovered_source: number | null;
  theme: ThemeTrait;
  /** Pixels; 0 = the view's own natural height. */
  height: number;
  scene: Scene;
  axes: MaybeAxes;
  error: string;
  busy: string;
}

export interface LinesFrame {
  kind: "lines";
  key: { kind: Kind; layer: number; heads: number[]; unit: Unit };
  n_heads: number;
  /** Strongest first, with exact weights. */
  lines: { query: Packed; key: Packed; head: Packed; weight: Packed };
  /** Kept of every row and head; 0 = only the strongest of all rows. */
  per_row: number;
  n_total: number;
  n: number;
  /** From which weight on lines are drawn when the user has not said: as many as can be read. */
  automatic_threshold: number;
  /** Sum of all weights of each of `heads`. */
  mass: Packed;
  heads: Packed;
  /** [all heads of the layer, S, S]; 255 = that head's largest weight. */
  thumbnails: Packed;
  undefined_rows: Packed;
  row_sums_note: string;
}

export interface MatrixFrame {
  kind: "matrix";
  key: { kind: Kind; layer: number; heads: number[]; unit: Unit; aggregate: "mean" | "max" };
  rows: number;
  cols: number;
  pooled: "exact" | "max";
  cells_per_pixel: number;
  /** weight = value * row_scale[row]; |error| ≤ row_scale / 2. */
  values: Packed;
  row_scale: Packed;
  max: number;
  /** No row looks ahead: what is to the right of the diagonal is masked. */
  causal: boolean;
  /** The strongest cells, exact, strongest first; without the first row of a causal map. */
  largest: { query: Packed; key: Packed; weight: Packed };
  /** Bits. */
  row_entropy: Packed;
  column_mass: Packed;
  undefined_rows: Packed;
  title: string;
}

export interface StripFrame {
  kind: "strip";
  key: { kind: Kind; layer: number; heads: number[] };
  sequence: Sequence;
  texts: string[];
  gaps: string[];
  special: Packed;
  generated: Packed;
  surprisal: Packed;
  probability: Packed;
  entropy: Packed;
  rank: Packed;
  correct: Packed;
  undefined: string;
  perplexity: number | null;
  n_scored: number;
  /** Alternatives of the scored tokens from `start` on; null when nothing is scored. */
  top: null | {
    k: number;
    texts: string[];
    index: Packed;
    probability: Packed;
    /** Place of the true token among the k, 0 = first; 255 = it is none of them. */
    true: Packed;
    start: number;
  };
  source: null | { texts: string[]; gaps: string[]; special: Packed };
  /** [target, source]: exact weights, while they are few. */
  cross: Packed | null;
  cross_layer: number | null;
  note: string;
}

/** Something that can be chosen, or a series: its name, and what it is called on the page. */
export interface Named {
  name: string;
  label: string;
}

export interface ChartFrame {
  kind: "chart";
  key: { kind: Kind; metric: string; quantity: string };
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
  sequence: Sequence;
  help: string[];
  note: string;
  /** How far the result has come, in words; "" = it is complete. */
  partial: string;
}

export type Frame = LinesFrame | MatrixFrame | StripFrame | ChartFrame;

export function hasAxes(axes: MaybeAxes): axes is Axes {
  return "query" in axes;
}

export function hasFrame<F extends Frame>(frame: MaybeFrame<F>): frame is F {
  return "kind" in frame;
}
