/** The traits of FusedAttentionMatrix. */

import type { CommonState, MatrixFrame, MaybeFrame } from "../shared/state";

export interface MatrixState extends CommonState {
  /** How several heads become one picture. */
  aggregate: "mean" | "max";
  /** Colour scale. */
  scale: "linear" | "log";
  frame: MaybeFrame<MatrixFrame>;
}
