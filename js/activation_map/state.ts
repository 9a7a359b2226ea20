/** The traits of ActivationMap, and its frame. */

import type { Kind, MaybeFrame, Packed, Sequence, TraceState } from "../shared/state";

/** The order of the columns: by number, by size (RMS), or what goes together side by side. */
export type Sort = "dimension" | "largest" | "cluster";

export interface ActivationState extends TraceState {
  /** Whose output it is: "embedding", "residual", "attention", "mlp" or another block's. */
  block: string;
  sort: Sort;
  /** Pinned dimensions. */
  dimensions: number[];
  frame: MaybeFrame<ActivationsFrame>;
}

export interface ActivationsFrame {
  kind: "activations";
  key: { kind: Kind; layer: number; block: string; sort: string };
  block: string;
  /** What there is to choose. */
  blocks: string[];
  /** The layers that have the block: others than have attention. */
  layers: number[];
  /** Whose tokens the rows are. */
  side: Sequence;
  tokens: number;
  dimensions: number;
  /** [dimensions]: the dimension in each column. */
  order: Packed;
  /** [dimensions], by dimension: root mean square over tokens. */
  rms: Packed;
  /** [tokens]: L2 norm. */
  norms: Packed;
  /** Dimensions, ascending. */
  outliers: Packed;
  /** The rule that finds them. */
  outliers_words: string;
  /** Colours end at ± this. */
  bound: number;
  /** Share of cells beyond it. */
  beyond: number;
  /** The largest size. */
  largest: number;
  row0: number;
  row1: number;
  column0: number;
  column1: number;
  /** Tokens and dimensions in a pixel. */
  per_row: number;
  per_column: number;
  /** [height, width]: of a pixel the value with the largest size, signed. */
  values: Packed;
  note: string;
}
