/** The traits of PerplexityStrip, and its frame. */

import type { Kind, MaybeFrame, Packed, Sequence, TraceState } from "../shared/state";
import type { SplitToken } from "../shared/text";

export type Measure = "surprisal" | "perplexity" | "probability" | "rank" | "entropy";

/** What is shown of the pinned token under the text; "" = nothing. */
export type Reading = "" | "layers" | "distribution";

export interface StripState extends TraceState {
  measure: Measure;
  /** How many alternatives are shown. */
  k: number;
  reading: Reading;
  /** Ids of tokens followed through the layers; empty = the true one and the first choices. */
  followed: number[];
  trajectory: "probability" | "rank";
  /** The fitted lenses that layers can be read by, beside the logit lens. */
  lenses: readonly { name: string; label: string }[];
  /** Name of the one that they are read by; "" = the logit lens. */
  reading_lens: string;
  temperature: number;
  /** Sampling keeps so many first choices; 0 = all. */
  sample_k: number;
  sample_p: number;
  by_id: boolean;
  /** What the trace is called that is compared with; "" = none. */
  compared: string;
  /** What was put in place of other tokens to let the model go on, oldest first. */
  continued: readonly { position: number; token: string }[];
  frame: MaybeFrame<StripFrame>;
}

export interface StripFrame {
  kind: "strip";
  key: { kind: Kind; layer: number; heads: number[] };
  sequence: Sequence;
  texts: string[];
  gaps: string[];
  /** How tokens are written that share a character (an emoji is often several). */
  split: SplitToken[];
  /** Special tokens that the text does not have: they are not copied. */
  unwritten?: number[];
  special: Packed;
  generated: Packed;
  surprisal: Packed;
  probability: Packed;
  entropy: Packed;
  rank: Packed;
  correct: Packed;
  undefined: string;
  perplexity: number | null;
  n_scored: number;
  /** The word of each token, and the surprisal (nats) of each word. */
  words: { of_token: Packed; surprisal: Packed };
  /** Alternatives of the scored tokens from `start` on; null when nothing is scored. */
  top: null | {
    k: number;
    texts: string[];
    index: Packed;
    probability: Packed;
    /** Place of the true token among the k, 0 = first; 255 = it is none of them. */
    true: Packed;
    start: number;
  };
  source: null | {
    texts: string[];
    gaps: string[];
    split: SplitToken[];
    unwritten?: number[];
    special: Packed;
  };
  /** [target, source]: exact weights, while they are few. */
  cross: Packed | null;
  cross_layer: number | null;
  note: string;
  /** Differences from another trace (nats; ranks in doublings), and the other's values. */
  compared?: {
    names: [string, string];
    n_compared: number;
    partner: Packed;
    difference: Record<Exclude<Measure, "perplexity">, Packed>;
    other: Record<Exclude<Measure, "perplexity">, Packed>;
  };
}
