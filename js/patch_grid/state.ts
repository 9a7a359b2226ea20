/** The traits of PatchGrid, and its frame. */

import type { Kind, MaybeFrame, Packed, Sequence, TraceState } from "../shared/state";
import type { SplitToken } from "../shared/text";

/** What of the clean run is put into the corrupted one. */
export type What = "residual" | "attention" | "mlp" | "head";

export type Quantity = "log_probability" | "logit";

/** What is asked of the model. */
export interface Target {
  /** Place of the predicted token; null = where the two runs are to differ, as Python finds it. */
  position: number | null;
  /** An id, or a token's text; null = what the clean run expects there. */
  token: number | string | null;
  /** Whose logit is taken off; with both null what the corrupted run expects, where it is another. */
  against: number | string | null;
  quantity: Quantity;
}

export interface PatchState extends TraceState, Target {
  what: What;
  /** The chosen cell: layer and position, or where heads are patched layer and head; empty = none. */
  cell: number[];
  /** Columns of the grid; where heads are patched, the tokens at which they are. Empty = all. */
  positions: number[];
  /** Rows; empty = all. */
  only_layers: number[];
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

/** A token that the target is of, by its id and its text. */
export interface TargetToken {
  id: number;
  text: string;
}

export interface PatchKey extends Target {
  what: What;
  kind: Kind;
  positions: number[];
  only_layers: number[];
}

export interface PatchFrame {
  kind: "patches";
  key: PatchKey;
  what: What;
  /** What is put in, in words: "residual stream behind the layer". */
  what_words: string;
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
  /** The same, as it was found. */
  about: {
    position: number;
    token: TargetToken;
    against: TargetToken | null;
    quantity: Quantity;
  };
  /** Whose tokens are patched, and compared. */
  side: Sequence;
  clean: PatchText;
  corrupted: PatchText;
  /** [tokens]: 1 where they differ. */
  differs: Packed;
  /** All that can be patched in some model; a reason says why it cannot be in this one. */
  whats: { name: What; reason: string }[];
  /** How far it is; "" = complete. */
  partial: string;
  note: string;
}
