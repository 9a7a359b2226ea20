/** The lines of a frame: of every row its strongest, and which of them a rule draws. */

import { type NumberArray, unpack } from "../shared/arrays";
import { CHUNK_ARRAYS, type ChunkArray, type LinesFrame, type LinesState } from "./state";

/** The lines of some rows, and those of other rows that arrive at these units. */
export interface Chunk {
  readonly first: number;
  readonly rows: number;
  /** [maps, rows, per_row]; weight 0 = there are no more. */
  readonly key: NumberArray;
  readonly weight: NumberArray;
  readonly from: Readonly<Record<"row" | "map" | "rank" | "key" | "weight", NumberArray>>;
}

/** A frame with its arrays unpacked, and the parts of a long text that have come since. */
export interface Lines {
  readonly frame: LinesFrame;
  readonly heads: NumberArray;
  readonly nMaps: number;
  readonly chunks: Map<number, Chunk>;
  readonly undefinedRows: NumberArray;
  readonly mass: number;
  readonly sinks: SinkColumns;
}

export interface SinkColumns {
  /** Units of the key side that are a sink of any map. */
  readonly units: readonly number[];
  /** What a row gives to sinks, as a mean over the maps; NaN = it looks nowhere. */
  to(row: number): number;
}

export type Rule = Pick<LinesState, "top_k" | "threshold">;

/** Lines to draw, as parallel arrays. */
export interface Drawn {
  readonly query: number[];
  readonly key: number[];
  readonly map: number[];
  readonly weight: number[];
}

export function unpackLines(frame: LinesFrame): Lines {
  const { lines } = frame;
  const arrays = {} as Record<ChunkArray, NumberArray>;
  for (const name of CHUNK_ARRAYS) arrays[name] = unpack(lines[name]);
  const nMaps = lines.key.shape[0] ?? 1;
  return {
    frame,
    heads: unpack(frame.heads),
    nMaps,
    chunks: new Map([[lines.chunk, readChunk(arrays, lines.first, nMaps, frame.per_row)]]),
    undefinedRows: unpack(frame.undefined_rows),
    mass: Array.from(unpack(frame.mass)).reduce((a, b) => a + b, 0),
    sinks: sinkColumns(frame),
  };
}

export function readChunk(
  arrays: Readonly<Record<ChunkArray, NumberArray>>,
  first: number,
  nMaps: number,
  perRow: number,
): Chunk {
  const from = {
    row: arrays.from_row,
    map: arrays.from_map,
    rank: arrays.from_rank,
    key: arrays.from_key,
    weight: arrays.from_weight,
  };
  const rows = arrays.weight.length / Math.max(1, nMaps * perRow);
  return { first, rows, key: arrays.key, weight: arrays.weight, from };
}

function sinkColumns({ sinks }: LinesFrame): SinkColumns {
  const given = unpack(sinks.to);
  const [maps = 1, rows = 0] = sinks.to.shape;
  return {
    units: Array.from(unpack(sinks.units)),
    to(row) {
      let sum = 0;
      for (let map = 0; map < maps; map++) sum += given[map * rows + row] ?? Number.NaN;
      return sum / maps;
    },
  };
}

/** Whether the frame has the lines of all rows. */
export function isWhole({ frame, undefinedRows }: Lines): boolean {
  return frame.chunk_rows >= undefinedRows.length;
}

/** Whether the frame has all lines there are, and nothing is set aside. */
export function isComplete(lines: Lines): boolean {
  if (!isWhole(lines) || hasGutter(lines)) return false;
  let n = 0;
  for (const chunk of lines.chunks.values()) {
    for (let i = 0; i < chunk.weight.length; i++) if ((chunk.weight[i] ?? 0) > 0) n++;
  }
  return n === lines.frame.n_total;
}

/** Whether the heads that are drawn are one map. */
export function isCombined({ heads, nMaps }: Lines): boolean {
  return heads.length > 1 && nMaps === 1;
}

/** Whether what goes to sinks is drawn beside the lines. */
export function hasGutter({ frame, sinks }: Lines): boolean {
  return frame.sinks.mode === "aside" && sinks.units.length > 0;
}

/** The lines of rows from … to that a rule draws, and those that arrive there from other rows. */
export function linesBetween(lines: Lines, rule: Rule, from: number, to: number): Drawn {
  const drawn: Drawn = { query: [], key: [], map: [], weight: [] };
  const size = lines.frame.chunk_rows;
  const first = Math.floor(from / size);
  const last = Math.ceil(to / size);
  for (let number = first; number < last; number++) {
    const chunk = lines.chunks.get(number);
    if (!chunk) continue;
    // Rows beside those asked for are looked at as well: what they have may arrive.
    addRows(drawn, lines, chunk, rule, from, to);
    addArrivals(drawn, chunk, rule, first * size, last * size);
  }
  return drawn;
}

function addRows(
  drawn: Drawn,
  { nMaps, frame }: Lines,
  chunk: Chunk,
  rule: Rule,
  from: number,
  to: number,
): void {
  const most = Math.min(frame.per_row, rule.top_k ?? frame.per_row);
  const least = Math.fround(rule.threshold ?? 0);
  for (let map = 0; map < nMaps; map++) {
    for (let row = 0; row < chunk.rows; row++) {
      const at = (map * chunk.rows + row) * frame.per_row;
      for (let rank = 0; rank < most; rank++) {
        const weight = chunk.weight[at + rank] ?? 0;
        if (weight <= 0 || weight < least) break;
        const [query, key] = [chunk.first + row, chunk.key[at + rank] ?? 0];
        const isNear = (query >= from && query < to) || (key >= from && key < to);
        if (isNear) add(drawn, query, key, map, weight);
      }
    }
  }
}

function addArrivals(drawn: Drawn, chunk: Chunk, rule: Rule, from: number, to: number): void {
  const most = rule.top_k ?? Number.POSITIVE_INFINITY;
  const least = Math.fround(rule.threshold ?? 0);
  const { row, map, rank, key, weight } = chunk.from;
  for (let i = 0; i < row.length; i++) {
    const [query = 0, of = 0] = [row[i], weight[i]];
    // The rows of these parts bring their lines themselves.
    if ((rank[i] ?? 0) >= most || of < least || (query >= from && query < to)) continue;
    add(drawn, query, key[i] ?? 0, map[i] ?? 0, of);
  }
}

function add(drawn: Drawn, query: number, key: number, map: number, weight: number): void {
  drawn.query.push(query);
  drawn.key.push(key);
  drawn.map.push(map);
  drawn.weight.push(weight);
}

/** How many lines of the whole text are drawn, and which share of all attention they carry. */
export interface Shown {
  readonly n: number;
  readonly mass: number;
}

/** The same, where the frame has all rows; null where only the kernel knows. */
export function shownOf(lines: Lines, rule: Rule): Shown | null {
  const { frame } = lines;
  if (rule.top_k === frame.rule.top_k && rule.threshold === frame.rule.threshold) {
    return frame.shown;
  }
  if (!isWhole(lines)) return null;
  const { weight } = linesBetween(lines, rule, 0, frame.chunk_rows);
  const sum = weight.reduce((a, b) => a + b, 0);
  const aside = (frame.sinks.mode === "aside" && frame.sinks.share > 0) || frame.elsewhere > 0;
  if (weight.length === frame.n_total && !aside && sum > 0) return { n: weight.length, mass: 1 };
  return { n: weight.length, mass: lines.mass > 0 ? Math.min(1 - 1e-9, sum / lines.mass) : 0 };
}
