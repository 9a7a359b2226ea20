/** The frame of AttentionLines and its answers, as `frames/lines.py` makes them. */

import type { LinesFrame, LinesKey, Sentences } from "../attention_lines/state";
import type { Json } from "../shared/host/stand_in";
import type { Side } from "../shared/map/axis";
import type { Packed, Sinks as Wanted } from "../shared/state";
import { indexType, pack, pooled, quantile, round, sum } from "./numbers";
import { thumbnails } from "./pictures";
import { type Between, between, isBetween, onlyBetween } from "./sentences";
import { type Found, findSinks, type Mode, modeOf, sinksPart, without } from "./sinks";
import type { Maps, Selection, Weights } from "./weights";

const [LINE_BUDGET, WHOLE_ROWS, CHUNK_ROWS, MOST_OF_LONG_ROWS] = [20_000, 400, 128, 64];
const [ARRIVALS, ARRIVALS_A_COLUMN] = [512, 4];
const [MINIMAP, FULL_OF_PIXELS, STRONG] = [64, 0.98, 0.95];
/** Bytes that the answer to a pointer may take, unless a single unit takes more. */
export const ANSWER_BYTES = 128 << 10;
const [FAINTEST, LEAST_BESIDE_SINKS] = [0.01, 0.05];

export interface Rule {
  top_k: number | null;
  threshold: number | null;
}

/** What a page knows of the attention that is asked for, beside its weights. */
export interface Of {
  weights: Weights;
  asked: Selection;
  sinks: Wanted;
  sentences: Sentences;
  causal: boolean;
  /** The rule that finds sinks. */
  words: string;
}

/** The strongest lines of every map and row, strongest first. */
export interface Lines {
  maps: Maps;
  found: Found;
  mode: Mode;
  /** The sentences whose attention is drawn; null = all of it is. */
  pair: Between | null;
  drawn: Float32Array[];
  perRow: number;
  /** [maps × rows × perRow] */
  keys: Uint32Array;
  values: Float32Array;
  total: number;
  mass: Float32Array;
  /** Share of its attention that goes to sinks. */
  sunk: number;
  /** Share that is not between the sentences drawn. */
  elsewhere: number;
}

export function findLines({ weights, asked, sinks, sentences, causal }: Of): Lines {
  const maps = weights.maps(asked);
  const found = findSinks(weights, asked, causal);
  const mode = modeOf(found, sinks);
  const none = new Uint8Array(maps.columns);
  const pair = between(weights.axes(asked.kind, asked.unit), sentences);
  const whole = maps.values.map((map, i) =>
    mode === "shown"
      ? map
      : without(
          map,
          maps.columns,
          found.columns[i] ?? none,
          mode === "hidden",
          weights.coarse ? maps.sums[i] : null,
        ),
  );
  const drawn = pair ? whole.map((map) => onlyBetween(map, pair)) : whole;
  const perRow = linesPerRow(maps);
  const n = maps.values.length * maps.rows;
  const lines: Lines = {
    ...{ maps, found, mode, pair, drawn, perRow, total: 0, sunk: 0, elsewhere: 0 },
    keys: new Uint32Array(n * perRow),
    values: new Float32Array(n * perRow),
    mass: Float32Array.from(whole, (map, i) => massOf(maps, i, mode === "hidden" ? map : null)),
  };
  for (const [i, map] of drawn.entries()) {
    for (let row = 0; row < maps.rows; row++) takeStrongest(lines, map, i, row);
  }
  // What reads as 0 is there all the same.
  if (weights.coarse) lines.total = visibleOf(maps, pair) * drawn.length;
  if (pair) lines.elsewhere = elsewhereOf(mode === "hidden" ? whole : maps.values, pair);
  return lines;
}

function elsewhereOf(maps: readonly Float32Array[], pair: Between): number {
  const [kept, all] = [maps.map((map) => onlyBetween(map, pair)), maps].map((each) =>
    sum(each.map((map) => sum(map))),
  );
  return Math.min(1, Math.max(0, 1 - (kept ?? 0) / Math.max(1e-30, all ?? 0)));
}

/** How many keys rows see, of those that are drawn. */
function visibleOf({ rows, columns, visible }: Maps, pair: Between | null): number {
  if (!pair) return visible;
  const triangular = visible < rows * columns;
  let n = 0;
  for (let row = 0; row < rows; row++) {
    const last = triangular ? row + 1 : columns;
    for (let key = 0; key < last; key++) if (isBetween(pair, row, key)) n++;
  }
  return n;
}

/** What all rows of a map sum to; of one without sinks, of those that have anything left. */
function massOf({ sums, undefinedRows, columns }: Maps, i: number, rest: Float32Array | null) {
  let mass = 0;
  for (const [row, sum] of (sums[i] ?? new Float32Array()).entries()) {
    const has = !rest || rest.subarray(row * columns, (row + 1) * columns).some((w) => w > 0);
    if (has && !undefinedRows[row]) mass += sum;
  }
  return mass;
}

function linesPerRow({ values, rows, columns }: Maps): number {
  const whole = rows <= WHOLE_ROWS;
  const most = whole ? columns : Math.min(columns, MOST_OF_LONG_ROWS);
  const inFrame = whole ? rows : CHUNK_ROWS;
  return Math.max(1, Math.min(most, Math.floor(LINE_BUDGET / (values.length * inFrame))));
}

function takeStrongest(lines: Lines, map: Float32Array, of: number, row: number): void {
  const { perRow, maps } = lines;
  const weights = map.subarray(row * maps.columns, (row + 1) * maps.columns);
  const keys: number[] = [];
  for (let key = 0; key < weights.length; key++) if (weights[key]) keys.push(key);
  lines.total += keys.length;
  keys.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
  const start = (of * maps.rows + row) * perRow;
  for (const [rank, key] of keys.slice(0, perRow).entries()) {
    lines.keys[start + rank] = key;
    lines.values[start + rank] = weights[key] ?? 0;
  }
}

export function linesKey({
  asked,
  sinks,
  sentences,
}: Pick<Of, "asked" | "sinks" | "sentences">): LinesKey {
  const { kind, layer, heads, unit, aggregate } = asked;
  const combined = aggregate ?? "separate";
  return { kind, layer, heads: [...heads], unit, aggregate: combined, sinks, sentences };
}

export function linesFrame(of: Of, lines: Lines, rule: Rule): LinesFrame {
  const { maps, found, mode, pair, drawn, perRow, elsewhere } = lines;
  const { weights, asked, words } = of;
  const at = weights.stored(asked.kind, asked.layer);
  const sinks = sinksPart(maps, found, mode, words, asked.aggregate === "max", pair);
  lines.sunk = sinks.share;
  return {
    key: linesKey(of),
    kind: "lines",
    n_heads: at?.heads ?? 0,
    heads: pack("uint16", [maps.heads.length], maps.heads),
    lines: { ...chunkArrays(lines, 0), chunk: 0, first: 0 } as LinesFrame["lines"],
    chunk_rows: chunkRows(maps),
    per_row: perRow,
    n_total: lines.total,
    rule,
    shown: shownOf(lines, rule),
    scale: scaleOf(lines),
    together: unitsTogether(maps, drawn.length),
    faintest: FAINTEST,
    mass: pack("float32", [lines.mass.length], lines.mass),
    elsewhere,
    sinks,
    minimap: minimap(maps, drawn),
    thumbnails: thumbnails(weights, asked),
    undefined_rows: pack("uint8", [maps.rows], maps.undefinedRows),
    row_sums_note: at?.note ?? "",
  };
}

/** The weight that is drawn in full: nineteen of twenty rows have no stronger line. */
function scaleOf(lines: Lines): number {
  const { values, perRow } = lines;
  const strongest = values.filter((value, i) => i % perRow === 0 && value > 0);
  if (!strongest.length) return 1;
  return Math.max(massIsDrawn(lines) ? 0 : LEAST_BESIDE_SINKS, quantile(strongest, STRONG));
}

/** Whether nothing of the mass is set aside. */
function massIsDrawn({ mode, sunk, elsewhere }: Lines): boolean {
  return (mode !== "aside" || sunk === 0) && elsewhere === 0;
}

/** How many lines a rule draws of the whole text, and their share of the mass. */
export function shownOf(lines: Lines, { top_k, threshold }: Rule): { n: number; mass: number } {
  const { values, perRow, total } = lines;
  const least = threshold === null ? 0 : Math.fround(threshold);
  let [n, carried] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const weight = values[i] ?? 0;
    if (weight <= 0 || weight < least || (top_k !== null && i % perRow >= top_k)) continue;
    n++;
    carried += weight;
  }
  const mass = sum(lines.mass);
  const isAll = n === total && massIsDrawn(lines);
  return { n, mass: isAll ? 1 : Math.min(1 - 1e-9, mass ? carried / mass : 0) };
}

function chunkRows({ rows }: Maps): number {
  return rows <= WHOLE_ROWS ? rows : CHUNK_ROWS;
}

/** A part of the lines: those of its rows, and the strongest of other rows to its units. */
export function chunkArrays(lines: Lines, chunk: number): Record<string, Packed> {
  const { maps, perRow, keys, values } = lines;
  const size = chunkRows(maps);
  const [start, stop] = [chunk * size, Math.min(maps.rows, (chunk + 1) * size)];
  const n = maps.values.length;
  const height = Math.max(0, stop - start);
  const part = <A extends Uint32Array | Float32Array>(all: A): number[] =>
    maps.values.flatMap((_, of) => {
      const from = (of * maps.rows + start) * perRow;
      return [...all.subarray(from, from + height * perRow)];
    });
  const arrived = arrivals(lines, start, (chunk + 1) * size);
  const type = indexType(maps.columns);
  const place = (at: number): number => Math.floor(at / perRow);
  return {
    key: pack(type, [n, height, perRow], part(keys)),
    weight: pack("float32", [n, height, perRow], part(values)),
    from_row: pack(
      "uint32",
      [arrived.length],
      arrived.map((at) => place(at) % maps.rows),
    ),
    from_map: pack(
      "uint16",
      [arrived.length],
      arrived.map((at) => Math.floor(place(at) / maps.rows)),
    ),
    from_rank: pack(
      "uint16",
      [arrived.length],
      arrived.map((at) => at % perRow),
    ),
    from_key: pack(
      type,
      [arrived.length],
      arrived.map((at) => keys[at] ?? 0),
    ),
    from_weight: pack(
      "float32",
      [arrived.length],
      arrived.map((at) => values[at] ?? 0),
    ),
  };
}

/** Places of the strongest lines of other rows to some columns, strongest first. */
function arrivals({ maps, perRow, keys, values }: Lines, start: number, stop: number): number[] {
  const at: number[] = [];
  for (let i = 0; i < values.length; i++) {
    const row = Math.floor(i / perRow) % maps.rows;
    const key = keys[i] ?? 0;
    if ((values[i] ?? 0) <= 0 || key < start || key >= stop) continue;
    if (row < start || row >= stop) at.push(i);
  }
  at.sort((a, b) => (values[b] ?? 0) - (values[a] ?? 0));
  const taken = new Map<number, number>();
  const kept: number[] = [];
  for (const i of at) {
    const key = keys[i] ?? 0;
    const n = taken.get(key) ?? 0;
    if (n >= ARRIVALS_A_COLUMN) continue;
    taken.set(key, n + 1);
    kept.push(i);
    if (kept.length === ARRIVALS) break;
  }
  return kept;
}

export function chunkAnswer(of: Of, lines: Lines, chunk: number) {
  const n = Math.ceil(Math.max(lines.maps.rows, lines.maps.columns) / chunkRows(lines.maps));
  if (!(chunk >= 0 && chunk < n)) throw new Error(`There is no part ${chunk} of the lines.`);
  const result = { key: linesKey(of), chunk, first: chunk * chunkRows(lines.maps) };
  return { result: result as Json, arrays: chunkArrays(lines, chunk) };
}

/** Of how many units of either side an answer has the fans. */
function unitsTogether({ heads, rows, columns }: Maps, nMaps: number): Record<Side, number> {
  const most = Math.floor(ANSWER_BYTES / (4 * (heads.length + nMaps)));
  return {
    query: Math.min(rows, Math.max(1, Math.floor(most / Math.max(1, columns)))),
    key: Math.min(columns, Math.max(1, Math.floor(most / Math.max(1, rows)))),
  };
}

/** All weights of a unit and of those after it: of each head, and as lines are drawn. */
export function fanAnswer(of: Of, lines: Lines, position: number, side: Side) {
  const every = of.weights.maps({ ...of.asked, aggregate: null });
  const result = { key: linesKey(of), position, side };
  const { heads } = every;
  const n = side === "query" ? every.rows : every.columns;
  const last = Math.min(n, position + unitsTogether(every, lines.drawn.length)[side]);
  const units = Array.from({ length: Math.max(0, last - position) }, (_, i) => position + i);
  return {
    result: result as Json,
    arrays: {
      weights: fans(every, every.values, units, side, lines.pair),
      drawn: fans(lines.maps, lines.drawn, units, side, lines.pair),
      heads: pack("uint16", [heads.length], heads),
    },
  };
}

function fans(
  { rows, columns, undefinedRows }: Maps,
  maps: readonly Float32Array[],
  units: readonly number[],
  side: Side,
  pair: Between | null,
): Packed {
  const others = side === "query" ? columns : rows;
  const values = new Float32Array(units.length * maps.length * others);
  let at = 0;
  for (const unit of units) {
    for (const map of maps) {
      for (let other = 0; other < others; other++) {
        const [row, column] = side === "query" ? [unit, other] : [other, unit];
        const weight = pair && !isBetween(pair, row, column) ? 0 : map[row * columns + column];
        values[at++] = undefinedRows[row] ? Number.NaN : (weight ?? 0);
      }
    }
  }
  return pack("float32", [units.length, maps.length, others], values);
}

/** How strong lines are in each part of the picture, as bytes. */
function minimap({ rows, columns, undefinedRows }: Maps, drawn: Float32Array[]): Packed {
  const all = { query0: 0, query1: rows, key0: 0, key1: columns };
  const how = { size: MINIMAP, pool: "mean" } as const;
  const pictures = drawn.map((map) => pooled(map, columns, all, how, undefinedRows));
  const [first] = pictures;
  if (!first) return pack("uint8", [0, 0], []);
  const mean = first.values.map((_, i) => {
    const each = pictures.map(({ values }) => values[i] ?? 0);
    return sum(each) / pictures.length;
  });
  const full = Math.max(1e-30, quantile(mean, FULL_OF_PIXELS));
  const bytes = mean.map((value) => Math.min(255, round((value / full) * 255)));
  return pack("uint8", [first.height, first.width], bytes);
}
