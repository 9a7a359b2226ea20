/** The traits of FusedAttentionMatrix, and its frame. */

import type { Side } from "../shared/map/axis";
import type {
  Aggregate,
  Kind,
  MapState,
  MaybeFrame,
  Packed,
  Sinks,
  SinksPart,
  Unit,
} from "../shared/state";

/** How weights map to colours. */
export type Scale = "sqrt" | "linear" | "log";

/** What is taken away from what is shown; what it does not name is the view's own. */
export interface Compare {
  layer?: number;
  /** Empty = all. */
  heads?: number[];
  /** The name of another trace, which only Python can give. */
  trace?: string;
}

export interface MatrixState extends MapState {
  scale: Scale;
  /** Colours end at what is in view, or always at 1. */
  value_range: "data" | "fixed";
  /** Rows divided by their sum over the columns shown. */
  normalise: boolean;
  /** Rows and columns of special tokens left out. */
  hide_special: boolean;
  /** What enters the softmax, instead of the weights that it becomes; of tokens only. */
  scores: boolean;
  compare: Compare | null;
  /** Token positions of the pinned cell's row and column; empty = none. */
  pinned: number[];
  frame: MaybeFrame<MatrixFrame>;
}

export interface MatrixFrame {
  kind: "matrix";
  key: {
    kind: Kind;
    layer: number;
    heads: number[];
    unit: Unit;
    aggregate: Aggregate;
    sinks: Sinks;
    normalise: boolean;
    hide_special: boolean;
    scores: boolean;
    compare: Compare | null;
  };
  rows: number;
  cols: number;
  pooled: "exact" | "max";
  cells_per_pixel: number;
  /** number = (value - zero) * row_scale[row]; |error| ≤ row_scale / 2. Of scores 0 = masked. */
  values: Packed;
  row_scale: Packed;
  zero: number;
  /** All numbers of a small map. */
  exact: Packed | null;
  /** The largest number, of differences the largest size. */
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
  /** What is taken away; null where nothing is. */
  compare: ComparePart | null;
  sinks: SinksPart;
  /** Picture, `exact`, `max` and `largest` are of scores, all else of weights. */
  scores: boolean;
  /** How many rows and columns are left out. */
  hidden: { rows: number; cols: number };
  /** Rows and columns whose cells come together in an answer. */
  together: Record<Side, number>;
}

export interface ComparePart {
  layer: number;
  title: string;
  /** The name of another trace, or nothing. */
  trace: string;
  /** [rows]: half the sum of the sizes of its differences. */
  row_distance: Packed;
  /** [columns]: mean difference. */
  column_change: Packed;
}
