/** The traits of AttentionLines, and its frame. */

import type { CommonState, Kind, MaybeFrame, Packed, Unit } from "../shared/state";

export interface LinesState extends CommonState {
  /** Only lines with at least this weight are drawn (0…1); null = the frame's own choice. */
  threshold: number | null;
  frame: MaybeFrame<LinesFrame>;
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
