/**
 * Sinks of the maps on the page, by the rule of `maps/sinks.py`: found from the weights that the
 * page carries.
 */

import { unpack } from "../shared/arrays";
import type { SinksPart, Sinks as Wanted } from "../shared/state";
import { pack, sum } from "./numbers";
import { type Between, onlyBetween } from "./sentences";
import type { Maps, Selection, Weights } from "./weights";

const [MUCH, EVEN, MOST] = [0.05, 2, 0.75];
const [FIRST_ROW, ROWS, ROWS_SHARE, NEXT, LOOKED_AT] = [4, 8, 0.1, 64, 2048];
/** Share of the attention from which on sinks are set aside where nobody has said otherwise. */
const MUCH_MASS = 0.1;

export type Mode = "aside" | "shown" | "hidden";

/** Of every map: which columns are sinks, and how much of its attention they get. */
export interface Found {
  columns: Uint8Array[];
  share: number[];
}

/** Whether rows see what comes before only, and whether rows and columns are the same units. */
export interface Sight {
  causal: boolean;
  own: boolean;
  /** [columns]: 1 = it stands for special tokens. */
  marked: ArrayLike<number>;
}

export function sightOf(weights: Weights, { kind, unit }: Selection, causal: boolean): Sight {
  const { query, key } = weights.axes(kind, unit);
  return { causal, own: query.sequence === key.sequence, marked: unpack(key.special) };
}

/** A maximum over heads has the sinks of their mean. */
export function findSinks(weights: Weights, asked: Selection, causal: boolean): Found {
  const of = asked.aggregate === "max" ? { ...asked, aggregate: "mean" as const } : asked;
  const maps = weights.maps(of);
  const sight = sightOf(weights, asked, causal);
  const each = maps.values.map((map) => sinksOf(map, maps, sight));
  return { columns: each.map((one) => one.columns), share: each.map((one) => one.share) };
}

function sinksOf(map: Float32Array, { rows, columns, undefinedRows }: Maps, sight: Sight) {
  const { causal, own, marked } = sight;
  const some = someRows(rows);
  const near = causal
    ? Math.max(NEXT, Math.floor(((NEXT >> 1) * rows) / Math.max(1, some.length)))
    : rows;
  const [decided, much] = [new Uint32Array(columns), new Uint32Array(columns)];
  const mass = new Float64Array(columns);
  for (const row of some) {
    if (undefinedRows[row]) continue;
    const enough = Math.max(MUCH, EVEN / (causal ? row + 1 : columns));
    for (let column = 0; column < columns; column++) {
      const weight = map[row * columns + column] ?? 0;
      mass[column] = (mass[column] ?? 0) + weight;
      const sees = causal ? column < row && row >= FIRST_ROW : !own || column !== row;
      if (!sees || row > Math.max(column, FIRST_ROW - 1) + near) continue;
      decided[column] = (decided[column] ?? 0) + 1;
      if (weight >= enough) much[column] = (much[column] ?? 0) + 1;
    }
  }
  const least = Math.min(Math.floor(ROWS_SHARE * some.length), NEXT >> 2);
  const flags = Uint8Array.from({ length: columns }, (_, column) => {
    const needed = Math.max(least, marked[column] || column === 0 ? ROWS >> 1 : ROWS);
    const n = decided[column] ?? 0;
    return n >= needed && (much[column] ?? 0) >= MOST * n ? 1 : 0;
  });
  const given = mass.reduce((total, each, column) => total + (flags[column] ? each : 0), 0);
  return { columns: flags, share: given / Math.max(1e-30, sum(mass)) };
}

/** All rows, or as many as decide, spread evenly. */
function someRows(n: number): number[] {
  if (n <= LOOKED_AT) return Array.from({ length: n }, (_, row) => row);
  const step = (n - 1) / (LOOKED_AT - 1);
  return Array.from({ length: LOOKED_AT }, (_, i) => Math.floor(i * step));
}

export function modeOf({ share }: Found, wanted: Wanted): Mode {
  if (wanted !== "auto") return wanted;
  return sum(share) / Math.max(1, share.length) >= MUCH_MASS ? "aside" : "shown";
}

/**
 * A map whose sinks have no weight; renormalised, what is left of a row sums to what it did.
 *
 * `sums` say what rows sum to where the weights themselves do not.
 */
export function without(
  map: Float32Array,
  columns: number,
  sinks: Uint8Array,
  renormalised: boolean,
  sums: Float32Array | null = null,
): Float32Array {
  const rest = map.slice();
  for (let start = 0, row = 0; start < rest.length; start += columns, row++) {
    let [given, left] = [0, 0];
    for (let column = 0; column < columns; column++) {
      const weight = rest[start + column] ?? 0;
      if (sinks[column]) {
        given += weight;
        rest[start + column] = 0;
      } else left += weight;
    }
    const before = sums?.[row] ?? given + left;
    // Weights that read as 0 are a part of what is left; rounding makes it no less than the others.
    const after = Math.max(left, before - given);
    if (!renormalised || left <= 0) continue;
    for (let at = start; at < start + columns; at++) rest[at] = (rest[at] ?? 0) * (before / after);
  }
  return rest;
}

/** What each row gives to the sinks of its map; of a maximum over heads the largest of it. */
export function toSinks(
  map: Float32Array,
  { columns, undefinedRows }: Pick<Maps, "columns" | "undefinedRows">,
  sinks: Uint8Array,
  largest: boolean,
): Float32Array {
  return Float32Array.from(undefinedRows, (undefinedRow, row) => {
    if (undefinedRow) return Number.NaN;
    let given = 0;
    for (let column = 0; column < columns; column++) {
      if (!sinks[column]) continue;
      const weight = map[row * columns + column] ?? 0;
      given = largest ? Math.max(given, weight) : given + weight;
    }
    return given;
  });
}

/** What a frame says of its sinks: of attention between the sentences that are drawn. */
export function sinksPart(
  maps: Maps,
  found: Found,
  mode: Mode,
  words: string,
  largest: boolean,
  pair: Between | null = null,
): SinksPart {
  const units: number[] = [];
  for (let column = 0; column < maps.columns; column++) {
    const isDrawn = !pair || pair.columns[column] === 1;
    if (isDrawn && found.columns.some((flags) => flags[column])) units.push(column);
  }
  const said = pair ? maps.values.map((map) => onlyBetween(map, pair)) : maps.values;
  const given = said.map((map, i) =>
    toSinks(map, maps, found.columns[i] ?? new Uint8Array(), largest),
  );
  let [sunk, all] = [0, 0];
  for (const [i, map] of maps.values.entries()) {
    all += sum(map);
    sunk += sum(
      toSinks(said[i] ?? map, maps, found.columns[i] ?? new Uint8Array(), false).map(orNothing),
    );
  }
  return {
    mode,
    words,
    share: sunk / Math.max(1e-30, all),
    units: pack("uint32", [units.length], units),
    of_map: pack(
      "uint8",
      [maps.values.length, units.length],
      found.columns.flatMap((flags) => units.map((unit) => flags[unit] ?? 0)),
    ),
    to: pack(
      "float32",
      [maps.values.length, maps.rows],
      given.flatMap((each) => [...each]),
    ),
  };
}

function orNothing(value: number): number {
  return Number.isNaN(value) ? 0 : value;
}
