/** The traits of PatchGrid, and its frame. */

import type { Kind, MaybeFrame, Packed, Sequence, TraceState } from "../shared/state";
import type { SplitToken } from "../shared/text";

/** What of the clean run is put into the corrupted one. */
export type What = "residual" | "attention" | "mlp" | "head";

export interface PatchState extends TraceState {
  what: What;
  /** The chosen cell: layer and position, or where heads are patched layer and head; empty = none. */
  cell: number[];
  frame: MaybeFrame<PatchFrame>;
}

/** The tokens of one of the two runs, as they are written. */
export interface PatchText {
  texts: string[];
  gaps: string[];
  split?: SplitToken[];
  unwritten?: number[];
  special: Packed;
}

export interface PatchFrame {
  kind: "patches";
  key: { what: What; kind: Kind };
  what: What;
  /** [rows]: the model's own numbers, ascending. */
  layers: Packed;
  columns: "position" | "head";
  /** [columns]: token positions, or head numbers. */
  places: Packed;
  /** [rows, columns]: the share of the difference that is recovered; NaN = no such cell, or not yet. */
  recovered: Packed;
  /** [rows, columns]: the target's value in the patched run. */
  patched: Packed;
  f_clean: number;
  f_corrupted: number;
  /** "nats" or "logits". */
  unit: string;
  /** What is asked of the model, in words. */
  target: string;
  /** Whose tokens are patched, and compared. */
  side: Sequence;
  clean: PatchText;
  corrupted: PatchText;
  /** All that can be patched in some model; a reason says why it cannot be in this one. */
  whats: { name: What; reason: string }[];
  /** How far it is; "" = complete. */
  partial: string;
  note: string;
}
