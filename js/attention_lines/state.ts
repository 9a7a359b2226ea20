/** The traits of AttentionLines, and its frame. */

import type { Side } from "../shared/map/axis";
import type {
  Aggregate,
  Kind,
  MapState,
  MaybeFrame,
  Packed,
  Sinks,
  SinksPart,
  Unit,
} from "../shared/state";

/** Tokens in two columns, or in two rows. */
export type Orientation = "vertical" | "horizontal";

/** Of a sentence pair: lines of all rows, or only from one sentence to one. */
export type Sentences = "all" | "AA" | "BB" | "AB" | "BA";

export interface LinesState extends MapState {
  /** So many of each row and map are drawn, the strongest; null = however many. */
  top_k: number | null;
  /** Only lines with at least this weight are drawn (0…1); null = however weak. */
  threshold: number | null;
  sentences: Sentences;
  /** No lines but those of lit tokens. */
  blank: boolean;
  orientation: Orientation;
  frame: MaybeFrame<LinesFrame>;
}

/** Lines drawn of each row and map unless set otherwise: a constant, whatever is shown. */
export const TOP_K = 2;

export interface LinesKey {
  kind: Kind;
  layer: number;
  heads: number[];
  unit: Unit;
  aggregate: Aggregate;
  sinks: Sinks;
  sentences: Sentences;
}

export const CHUNK_ARRAYS = [
  "key",
  "weight",
  "from_row",
  "from_map",
  "from_rank",
  "from_key",
  "from_weight",
] as const;
export type ChunkArray = (typeof CHUNK_ARRAYS)[number];

/** What the kernel answers when it is asked for a fan. */
export interface FanPart {
  side: "query" | "key";
  position: number;
  weights: Packed;
  drawn: Packed;
  heads: Packed;
}

export interface LinesFrame {
  kind: "lines";
  key: LinesKey;
  /** Of the layer. */
  n_heads: number;
  /** Numbers of the heads that are drawn: each is a map, or all of them are one. */
  heads: Packed;
  /** [maps, rows, per_row], strongest first, exact; and what arrives from other rows. */
  lines: Record<ChunkArray, Packed> & { chunk: number; first: number };
  /** Rows of such a part; a text of no more has all of them in its frame. */
  chunk_rows: number;
  /** Kept of every row and map. */
  per_row: number;
  /** All lines with a weight, kept or not. */
  n_total: number;
  /** What `shown` is said of. */
  rule: Pick<LinesState, "top_k" | "threshold">;
  /** How many of all lines the rule draws, and their share of the mass. */
  shown: { n: number; mass: number };
  /** The weight that is drawn in full. */
  scale: number;
  /** A lit token's own lines are drawn from this weight on. */
  faintest: number;
  /** Units whose fans come together in an answer. */
  together: Record<Side, number>;
  /** [maps]: sum of all weights. */
  mass: Packed;
  /** Share of it that is not between the sentences drawn. */
  elsewhere: number;
  sinks: SinksPart;
  /** [height, width]: how strong the lines are in each part of the picture. */
  minimap: Packed;
  /** [all heads of the layer, S, S]. */
  thumbnails: Packed;
  undefined_rows: Packed;
  /** Exact weights of what was pointed at or pinned when the kernel drew it. */
  fans?: readonly FanPart[];
  row_sums_note: string;
}
