/** The traits of FusedAttentionMatrix, and its frame. */

import type { CommonState, Kind, MaybeFrame, Packed, Unit } from "../shared/state";

export interface MatrixState extends CommonState {
  /** How several heads become one picture. */
  aggregate: "mean" | "max";
  /** Colour scale. */
  scale: "linear" | "log";
  frame: MaybeFrame<MatrixFrame>;
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
