/** The traits of AttentionLines. */

import type { CommonState, LinesFrame, MaybeFrame } from "../shared/state";

export interface LinesState extends CommonState {
  /** Only lines with at least this weight are drawn (0…1); null = the frame's own choice. */
  threshold: number | null;
  frame: MaybeFrame<LinesFrame>;
}
