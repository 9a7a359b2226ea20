/** The traits of AttentionLines. */

import type { CommonState, LinesFrame, MaybeFrame } from "../shared/state";

export interface LinesState extends CommonState {
  /** Only lines with at least this weight are drawn (0…1). */
  threshold: number;
  frame: MaybeFrame<LinesFrame>;
}
