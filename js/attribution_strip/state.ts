/** The traits of AttributionStrip, and its frame. */

import type { MaybeFrame, Packed, Sequence, TraceState, Unit } from "../shared/state";
import type { SplitToken } from "../shared/text";

export type Method = "gradient_x_input" | "integrated_gradients";
export type Quantity = "log_probability" | "logit";
export type Show = "strip" | "matrix";

/** What a target is asked by; what is left open Python fills in. */
export interface Asked {
  /** Place of the predicted token; null = behind the last one, or the last label. */
  position: number | null;
  /** An id, or a text; null = the token that came. */
  token: number | string | null;
  /** A token whose logit is taken off. */
  against: number | string | null;
  quantity: Quantity;
}

/** How attribution is computed. */
export interface How {
  method: Method;
  baseline: "zero" | "pad";
  steps: number;
}

export interface AttributionState extends TraceState, Asked, How {
  /** Pinned positions: a strip each, above the current one. */
  targets: number[];
  show: Show;
  frame: MaybeFrame<AttributionFrame>;
}

export interface AttributionFrame {
  kind: "attribution";
  key: Asked & How & { targets: number[]; show: Show; unit: Unit };
  /** position = place + offset; a place is a token of the last input, or is behind all of them. */
  offset: number;
  /** Places that can be asked, both included. */
  places: [first: number, last: number];
  /** What is explained, a strip each. */
  targets: Target[];
  /** Which of them is the current one. */
  current: number;
  /** What attribution is of: "text", or "source" and "target" (the decoder's inputs). */
  inputs: Input[];
  /** Colours end at ± this. */
  bound: number;
  /** The method in words. */
  how: string;
  matrix: MatrixPart | null;
}

export interface Named {
  id: number;
  text: string;
}

export interface Target {
  position: number;
  /** Tokens of the last input from here on come later: they are exactly 0. */
  place: number;
  row: number;
  token: Named;
  against: Named | null;
  /** Whether the token is what stands there. */
  came: boolean;
  quantity: Quantity;
  unit: string;
  words: string;
  value: number;
  /** Of all attributions. */
  sum: number;
  /** Of integrated gradients only. */
  completeness: Completeness | null;
}

export interface Completeness {
  /** The number at the baseline. */
  baseline: number;
  /** | sum − (value − baseline) | */
  error: number;
  /** Of the difference. */
  relative: number;
  too_large: boolean;
  words: string;
}

export interface Input {
  sequence: Sequence;
  texts: string[];
  gaps: string[];
  split: SplitToken[];
  unwritten: number[];
  special: Packed;
  generated: Packed;
  /** Tokens, or words. */
  units: number;
  labels: string[];
  unit_of_token: Packed;
  /** [targets, units]: in the target's unit. */
  values: Packed;
  /** [targets, units]: of the sizes of all; NaN where all are 0. */
  share: Packed;
}

/** Every token that was predicted by every input. */
export interface MatrixPart {
  rows: number;
  labels: string[];
  /** The first position of each row. */
  positions: Packed;
  /** Columns of the last map from here on come later. */
  places: Packed;
  value: Packed;
  words: string;
  unit: string;
  /** In the order of the inputs, whose units are the columns. */
  maps: MatrixMap[];
  /** The strongest cells. */
  largest: { row: Packed; sequence: Packed; column: Packed; value: Packed };
}

export interface MatrixMap {
  sequence: Sequence;
  cols: number;
  pooled: "exact" | "max";
  cells_per_pixel: number;
  /** number = (value − zero) · row_scale[row] */
  zero: number;
  values: Packed;
  row_scale: Packed;
  exact: Packed | null;
  max: number;
}
