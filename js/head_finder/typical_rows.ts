/** The rows of one head in many texts, unpacked: how many are in each bucket, and some of them. */

import { unpack } from "../shared/arrays";
import type { Typical } from "./state";

export interface TypicalToken {
  readonly text: string;
  readonly weight: number;
  /** The token that looks. */
  readonly query: boolean;
}

export interface TypicalRow {
  /** Number of the text. */
  readonly text: number;
  /** The token that looks, and its position. */
  readonly looks: string;
  readonly query: number;
  readonly value: number;
  /** Position of the first token below. */
  readonly start: number;
  readonly tokens: readonly TypicalToken[];
  /** Weight on tokens that are not among them. */
  readonly outside: number;
}

export interface Bucket {
  readonly number: number;
  readonly from: number;
  /** Infinite where it is open. */
  readonly to: number;
  /** Rows of all texts. */
  readonly count: number;
  readonly rows: readonly TypicalRow[];
}

export interface TypicalData {
  readonly key: Typical["key"];
  /** From the highest values down. */
  readonly buckets: readonly Bucket[];
  /** Rows of all texts together. */
  readonly total: number;
  /** Whether tokens have the spaces before them: else they stand apart as they are. */
  readonly spaced: boolean;
}

/** Fields of an example among `places`, and among `numbers`. */
const [PLACES, NUMBERS] = [5, 2];
/** Weight that is left out of a line's beginning at most, and tokens that stay before the rest. */
const UNSEEN = 0.01;
const LEAD = 4;
/** Tokens of a word at most. */
const WORD = 6;

export function typicalData(typical: Typical): TypicalData {
  const [edges, counts] = [unpack(typical.edges), unpack(typical.rows)];
  const rows = rowsOf(typical);
  const buckets = Array.from(counts, (count, number): Bucket => {
    const [from = 0, to = Number.POSITIVE_INFINITY] = [edges[number], edges[number + 1]];
    const own = rows.filter((one) => one.bucket === number).map(({ row }) => row);
    return { number, from, to, count, rows: own };
  });
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  const spaced = typical.tokens.some((token) => /^\s|\s$/.test(token));
  return { key: typical.key, buckets: buckets.reverse(), total, spaced };
}

function rowsOf({ key, places: packed, numbers, queries, tokens, weights }: Typical) {
  const [places, values, shares] = [unpack(packed), unpack(numbers), unpack(weights)];
  const rows: { bucket: number; row: TypicalRow }[] = [];
  // What is looked at is another text.
  const isHere = key.kind !== "cross";
  let at = 0;
  for (let n = 0; n < places.length / PLACES; n++) {
    const [text = 0, query = 0, start = 0, length = 0, bucket = 0] = places.slice(PLACES * n);
    const [value = 0, outside = 0] = values.slice(NUMBERS * n);
    const line = tokens.slice(at, at + length).map((token, i) => ({
      ...{ text: token, weight: shares[at + i] ?? 0, query: isHere && start + i === query },
    }));
    at += length;
    const about = { text, query, looks: queries[n] ?? "", value, start, outside };
    rows.push({ bucket, row: shortened({ ...about, tokens: line }) });
  }
  return rows;
}

/** A line begins a little before the first token that is looked at: what comes before is outside. */
function shortened(row: TypicalRow): TypicalRow {
  let [first, unseen] = [0, 0];
  for (const { weight, query } of row.tokens) {
    if (query || unseen + weight > UNSEEN) break;
    unseen += weight;
    first++;
  }
  let cut = Math.max(0, first - LEAD);
  // In the midst of a word it would be hard to read.
  while (cut > 0 && !/^\s/.test(row.tokens[cut]?.text ?? "") && cut > first - LEAD - WORD) cut--;
  const gone = row.tokens.slice(0, cut).reduce((sum, { weight }) => sum + weight, 0);
  const [start, outside] = [row.start + cut, row.outside + gone];
  return { ...row, start, outside, tokens: row.tokens.slice(cut) };
}
