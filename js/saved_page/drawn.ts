/** What a matrix draws of a map, as `frames/drawn.py`: units left out, rows renormalised, another
 * map taken away. */

import type { Compare } from "../fused_attention_matrix/state";
import { unpack } from "../shared/arrays";
import type { Sinks as Wanted } from "../shared/state";
import { type Found, findSinks, type Mode, modeOf, without } from "./sinks";
import type { Maps, Selection, Weights } from "./weights";

export interface MatrixAsked {
  weights: Weights;
  /** Its heads are combined. */
  asked: Selection;
  sinks: Wanted;
  normalise: boolean;
  hideSpecial: boolean;
  compare: Compare | null;
  causal: boolean;
  words: string;
}

export interface Drawn {
  rows: readonly number[];
  columns: readonly number[];
  /** Rows and columns that are left out. */
  hidden: { rows: number; cols: number };
  mode: Mode;
  /** [columns]: 1 = a sink of either map. */
  sinks: Uint8Array;
  /** [rows × columns]: the weights of the model. */
  whole: Float32Array;
  /** Without hidden sinks, and renormalised. */
  first: Float32Array;
  /** `first`, or its difference from another map. */
  said: Float32Array;
  /** Without the sinks that are set aside. */
  shown: Float32Array;
  undefinedRows: Uint8Array;
  /** [rows]: what a row of the whole map sums to. */
  sums: Float32Array;
  away: Selection | null;
  heads: number;
}

/** The map that is taken away; what is not named is the view's own. */
export function takenAway(asked: Selection, compare: Compare | null): Selection | null {
  if (!compare) return null;
  return { ...asked, layer: compare.layer ?? asked.layer, heads: compare.heads ?? asked.heads };
}

const NONE = new Float32Array();

export function drawMatrix(of: MatrixAsked): Drawn {
  const { weights, asked, causal, hideSpecial } = of;
  const maps = weights.maps(asked);
  const away = takenAway(asked, of.compare);
  const found = [asked, ...(away ? [away] : [])].map((one) => findSinks(weights, one, causal));
  const sunk = both(found, maps.columns);
  const mode = modeOf({ columns: [], share: [Math.max(...found.map(meanShare))] }, of.sinks);
  const rows = unitsOf(weights, asked, "query", hideSpecial);
  const columns = unitsOf(weights, asked, "key", hideSpecial);
  const hidden = { rows: maps.rows - rows.length, cols: maps.columns - columns.length };
  const known = <A>(sums: A): A | null => (weights.coarse ? sums : null);
  const made = ({ values: [map = NONE], sums: [sums = NONE] }: Maps): Float32Array => {
    const rest = mode === "hidden" ? without(map, maps.columns, sunk, true, known(sums)) : map;
    const part = narrowed(rest, maps.columns, rows, columns);
    if (!of.normalise) return part;
    const whole = rows.map((row) => sums[row] ?? 0);
    return normalised(part, columns.length, hidden.cols === 0 ? known(whole) : null);
  };
  const map = maps.values[0] ?? NONE;
  const first = made(maps);
  const minus = away ? made(weights.maps(away)) : null;
  const said = minus ? first.map((value, i) => value - (minus[i] ?? 0)) : first;
  const sinks = Uint8Array.from(columns, (column) => sunk[column] ?? 0);
  const shown =
    mode === "aside" ? said.map((value, i) => (sinks[i % columns.length] ? 0 : value)) : said;
  return {
    ...{ rows, columns, mode, sinks, first, said, shown, away },
    hidden,
    whole: narrowed(map, maps.columns, rows, columns),
    undefinedRows: Uint8Array.from(rows, (row) => maps.undefinedRows[row] ?? 0),
    sums: Float32Array.from(rows, (row) => maps.sums[0]?.[row] ?? 0),
    heads: weights.stored(asked.kind, asked.layer)?.heads ?? 0,
  };
}

function meanShare({ share }: Found): number {
  return share.reduce((a, b) => a + b, 0) / Math.max(1, share.length);
}

function both(found: readonly Found[], columns: number): Uint8Array {
  return Uint8Array.from({ length: columns }, (_, column) =>
    found.some((one) => one.columns.some((flags) => flags[column])) ? 1 : 0,
  );
}

/** The units of a side that are drawn: all, or those that are no special tokens. */
function unitsOf(
  weights: Weights,
  { kind, unit }: Selection,
  side: "query" | "key",
  hideSpecial: boolean,
): number[] {
  const special = unpack(weights.axes(kind, unit)[side].special);
  const all = Array.from(special, (_, i) => i);
  const plain = all.filter((i) => !special[i]);
  return hideSpecial && plain.length > 0 ? plain : all;
}

function narrowed(
  map: Float32Array,
  width: number,
  rows: readonly number[],
  columns: readonly number[],
): Float32Array {
  if (columns.length === width && map.length === rows.length * width) return map;
  const part = new Float32Array(rows.length * columns.length);
  for (const [y, row] of rows.entries()) {
    for (const [x, column] of columns.entries()) {
      part[y * columns.length + x] = map[row * width + column] ?? 0;
    }
  }
  return part;
}

/** A row that looks at nothing of what is shown stays at zero; `sums` are known of whole rows. */
function normalised(part: Float32Array, width: number, sums: readonly number[] | null) {
  const found = part.slice();
  for (let start = 0, y = 0; start < part.length; start += width, y++) {
    const row = found.subarray(start, start + width);
    const added = row.reduce((a, b) => a + b, 0);
    const total = Math.max(1e-30, added, added > 0 ? (sums?.[y] ?? 0) : 0);
    for (let i = 0; i < width; i++) row[i] = (row[i] ?? 0) / total;
  }
  return found;
}

/** "head 3", "mean of all 9 heads". */
export function mapTitle({ heads, aggregate }: Selection, nHeads: number): string {
  if (heads.length === 1 || nHeads === 1) return `head ${heads[0] ?? 0}`;
  const word = aggregate === "mean" ? "mean" : "maximum";
  if (heads.length === 0 || heads.length === nHeads) return `${word} of all ${nHeads} heads`;
  return heads.length <= 6
    ? `${word} of heads ${heads.join(", ")}`
    : `${word} of ${heads.length} heads`;
}
