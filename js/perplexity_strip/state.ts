/** The traits of PerplexityStrip. */

import type { CommonState, MaybeFrame, StripFrame } from "../shared/state";

export type Measure = "surprisal" | "perplexity" | "probability" | "rank" | "entropy";

export interface StripState extends CommonState {
  measure: Measure;
  /** How many alternatives are shown. */
  k: number;
  frame: MaybeFrame<StripFrame>;
}
