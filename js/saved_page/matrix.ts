/** The frame of FusedAttentionMatrix and its answers, as `frames/matrix.py` makes them. */

import type { MatrixFrame } from "../fused_attention_matrix/state";
import type { Json } from "../shared/host/stand_in";
import type { Side } from "../shared/map/axis";
import type { Packed, SinksPart } from "../shared/state";
import { type Drawn, drawMatrix, type MatrixAsked, mapTitle } from "./drawn";
import { ANSWER_BYTES } from "./lines";
import { pack, pooled, round, sum } from "./numbers";
import { toSinks } from "./sinks";

const [TILE, EXACT_CELLS, MOST_EXACT, N_LARGEST, SIGNED_ZERO] = [512, 64 * 64, 128, 12, 128];

/** Numbers of a cell beside its weight in each head. */
const NUMBERS = 5;

type Range = Record<"query0" | "query1" | "key0" | "key1", number>;

export function matrixFrame(of: MatrixAsked, key: Json, drawn: Drawn): MatrixFrame {
  const { asked } = of;
  const [rows, cols] = [drawn.rows.length, drawn.columns.length];
  const causal = of.causal && !looksAhead(drawn);
  const sizes = drawn.shown.map(Math.abs);
  return {
    key: key as MatrixFrame["key"],
    kind: "matrix",
    ...{ rows, cols },
    ...picture(drawn, { query0: 0, query1: rows, key0: 0, key1: cols }),
    exact: rows * cols > EXACT_CELLS ? null : pack("float32", [rows, cols], drawn.said),
    max: sizes.reduce((a, b) => Math.max(a, b), 0),
    causal,
    largest: largest(drawn, sizes, causal ? 1 : 0),
    row_entropy: pack("float32", [rows], entropies(of, drawn)),
    column_mass: pack("float32", [cols], columnMeans(drawn, drawn.whole)),
    undefined_rows: pack("uint8", [rows], drawn.undefinedRows),
    title: mapTitle(asked, drawn.heads),
    compare: compared(of, drawn),
    sinks: sinks(of, drawn),
    hidden: drawn.hidden,
    together: cellsTogether(drawn, headsOf(of).length),
    scores: false,
  };
}

/** A part at the best resolution that fits 512 × 512. */
export function tileAnswer(of: MatrixAsked, about: Json, part: Range) {
  const { values, row_scale, ...rest } = picture(drawMatrix(of), part);
  return { result: { about, ...part, ...rest } as Json, arrays: { values, row_scale } };
}

export function cellsAnswer(of: MatrixAsked, about: Json, { query0, query1, key0, key1 }: Range) {
  const [height, width] = [query1 - query0, key1 - key0];
  if (Math.max(height, width) > MOST_EXACT) throw new Error("These are too many cells at once.");
  const { said, columns } = drawMatrix(of);
  const values = Array.from({ length: height * width }, (_, i) => {
    const [row, column] = [query0 + Math.floor(i / width), key0 + (i % width)];
    return said[row * columns.length + column] ?? 0;
  });
  const arrays = { values: pack("float32", [height, width], values) };
  return { result: { about, query0, query1, key0, key1 } as Json, arrays };
}

/** Of how many rows and columns an answer has the cells: about as many of both. */
function cellsTogether({ rows, columns }: Drawn, nHeads: number): Record<Side, number> {
  const most = Math.floor(ANSWER_BYTES / (4 * (nHeads + NUMBERS)));
  const across = Math.max(1, Math.min(columns.length, Math.floor(Math.sqrt(most))));
  const down = Math.max(1, Math.min(rows.length, Math.floor(most / across)));
  return { query: down, key: Math.max(1, Math.min(columns.length, Math.floor(most / down))) };
}

/** Everything there is to know of a cell, and of those right and below that fit in the answer. */
export function cellAnswer(of: MatrixAsked, about: Json, query: number, key: number) {
  const drawn = drawMatrix(of);
  const width = drawn.columns.length;
  const every = of.weights.maps({ ...of.asked, aggregate: null });
  const { heads } = every;
  const together = cellsTogether(drawn, heads.length);
  const rows = indices(query, Math.min(drawn.rows.length, query + together.query));
  const columns = indices(key, Math.min(width, key + together.key));
  const cells = (value: (at: number, row: number, column: number) => number): number[] =>
    rows.flatMap((row) => columns.map((column) => value(row * width + column, row, column)));
  const shape = [rows.length, columns.length];
  const ranked = drawn.said.map(Math.abs);
  const row = (y: number): Float32Array => ranked.subarray(y * width, (y + 1) * width);
  const sorted = new Map(rows.map((y) => [y, row(y).slice().sort()]));
  const numbers = (value: (at: number) => number | undefined): Packed =>
    pack(
      "float32",
      shape,
      cells((at) => value(at) ?? 0),
    );
  const weights = cells(
    (_, y, x) => (drawn.rows[y] ?? 0) * every.columns + (drawn.columns[x] ?? 0),
  );
  const away = drawn.away && {
    first: numbers((at) => drawn.first[at]),
    second: numbers((at) => (drawn.first[at] ?? 0) - (drawn.said[at] ?? 0)),
  };
  return {
    result: { about, query, key } as Json,
    arrays: {
      weight: numbers((at) => drawn.said[at]),
      share: numbers((at) => drawn.whole[at]),
      rank: pack(
        "uint32",
        shape,
        cells((at, y) => 1 + larger(sorted.get(y) ?? NONE, ranked[at] ?? 0)),
      ),
      n: pack(
        "uint32",
        [rows.length],
        rows.map((y) => row(y).filter((value) => value > 0).length),
      ),
      row_sum: pack(
        "float32",
        [rows.length],
        rows.map((y) => drawn.sums[y] ?? 0),
      ),
      weights: pack(
        "float32",
        [...shape, heads.length],
        weights.flatMap((place) => every.values.map((map) => map[place] ?? 0)),
      ),
      heads: pack("uint16", [heads.length], heads),
      ...away,
    },
  };
}

const NONE = new Float32Array();

function indices(first: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => first + i);
}

/** How many of some ascending numbers are larger. */
function larger(ascending: Float32Array, than: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) > than) high = middle;
    else low = middle + 1;
  }
  return ascending.length - low;
}

function headsOf({ weights, asked }: MatrixAsked): readonly number[] {
  const all = weights.stored(asked.kind, asked.layer)?.heads ?? 0;
  return asked.heads.length ? asked.heads : indices(0, all);
}

/** What is drawn, pooled to pixels and written as bytes with a scale for each row. */
function picture(drawn: Drawn, part: Range) {
  const width = drawn.columns.length;
  const signed = drawn.away !== null;
  const how = { size: TILE, pool: "max" } as const;
  const above = pooled(drawn.shown, width, part, how);
  const below = signed
    ? pooled(
        drawn.shown.map((value) => -value),
        width,
        part,
        how,
      ).values
    : null;
  const values = above.values.map((value, i) =>
    value >= (below?.[i] ?? 0) ? value : -(below?.[i] ?? 0),
  );
  const scale = new Float32Array(above.height);
  const bytes = new Uint8Array(values.length);
  const steps = signed ? 127 : 255;
  for (let y = 0; y < above.height; y++) {
    const row = values.subarray(y * above.width, (y + 1) * above.width);
    const step = row.reduce((a, b) => Math.max(a, Math.abs(b)), 0) / steps;
    scale[y] = step;
    for (const [x, value] of row.entries()) {
      const n = Math.max(-steps, Math.min(steps, round(value / Math.max(1e-30, step))));
      bytes[y * above.width + x] = n + (signed ? SIGNED_ZERO : 0);
    }
  }
  return {
    pooled: above.perPixel > 1 ? ("max" as const) : ("exact" as const),
    cells_per_pixel: above.perPixel,
    zero: signed ? SIGNED_ZERO : 0,
    values: pack("uint8", [above.height, above.width], bytes),
    row_scale: pack("float32", [above.height], scale),
  };
}

function looksAhead({ said, rows, columns }: Drawn): boolean {
  const width = columns.length;
  return (
    said.some((value, i) => value !== 0 && i % width > Math.floor(i / width)) && rows.length > 0
  );
}

/** The strongest cells from a row on, strongest first. */
function largest({ shown, columns }: Drawn, sizes: Float32Array, firstRow: number) {
  const width = columns.length;
  const best: number[] = [];
  for (let at = firstRow * width; at < sizes.length; at++) {
    const size = sizes[at] ?? 0;
    const last = best.at(-1);
    if (!size || (best.length === N_LARGEST && size <= (sizes[last ?? 0] ?? 0))) continue;
    const place = best.findIndex((other) => (sizes[other] ?? 0) < size);
    best.splice(place < 0 ? best.length : place, 0, at);
    best.length = Math.min(best.length, N_LARGEST);
  }
  const packed = (type: "uint32" | "float32", value: (at: number) => number): Packed =>
    pack(type, [best.length], best.map(value));
  return {
    query: packed("uint32", (at) => Math.floor(at / width)),
    key: packed("uint32", (at) => at % width),
    weight: packed("float32", (at) => shown[at] ?? 0),
  };
}

/** Bits, of each row as a distribution; NaN where it may look nowhere. */
function entropies(of: MatrixAsked, drawn: Drawn): number[] {
  const { whole, rows, columns, undefinedRows, hidden } = drawn;
  const width = columns.length;
  if (of.weights.coarse) {
    // What reads as 0 is spread out: only what was computed when the page was saved is true.
    const known = hidden.cols === 0 ? of.weights.entropy(of.asked) : null;
    return rows.map((row) => known?.[row] ?? Number.NaN);
  }
  return rows.map((_, y) => {
    const row = whole.subarray(y * width, (y + 1) * width);
    const total = sum(row);
    if (undefinedRows[y] || total <= 0) return Number.NaN;
    let bits = 0;
    for (const weight of row) if (weight > 0) bits -= (weight / total) * Math.log2(weight / total);
    return Math.max(0, bits);
  });
}

/** Of every column, over the rows that look somewhere. */
function columnMeans({ rows, columns, undefinedRows }: Drawn, values: Float32Array): Float32Array {
  const width = columns.length;
  const n = Math.max(1, rows.length - sum(undefinedRows));
  const means = new Float32Array(width);
  for (let i = 0; i < values.length; i++) {
    means[i % width] = (means[i % width] ?? 0) + (values[i] ?? 0) / n;
  }
  return means;
}

function sinks(of: MatrixAsked, drawn: Drawn): SinksPart {
  const width = drawn.columns.length;
  const units = [...drawn.columns.keys()].filter((column) => drawn.sinks[column]);
  const { undefinedRows, sums } = drawn;
  const n = drawn.rows.length - sum(undefinedRows);
  const mass = columnMeans(drawn, drawn.whole);
  const sunk = n * sum(units.map((unit) => mass[unit] ?? 0));
  const total = sum(sums.map((all, row) => (undefinedRows[row] ? 0 : all)));
  const given = toSinks(
    drawn.whole,
    { columns: width, undefinedRows },
    drawn.sinks,
    of.asked.aggregate === "max",
  );
  return {
    mode: drawn.mode,
    words: of.words,
    share: sunk / Math.max(1e-30, total),
    units: pack("uint32", [units.length], units),
    of_map: pack(
      "uint8",
      [1, units.length],
      units.map(() => 1),
    ),
    to: pack("float32", [1, drawn.rows.length], units.length ? given : given.fill(Number.NaN)),
  };
}

function compared(of: MatrixAsked, drawn: Drawn): MatrixFrame["compare"] {
  const { away, said, rows, columns } = drawn;
  if (!away) return null;
  const width = columns.length;
  const distance = rows.map(
    (_, y) => sum(said.subarray(y * width, (y + 1) * width).map(Math.abs)) / 2,
  );
  const nHeads = of.weights.stored(away.kind, away.layer)?.heads ?? 0;
  return {
    layer: away.layer,
    title: mapTitle(away, nHeads),
    trace: "",
    row_distance: pack("float32", [rows.length], distance),
    column_change: pack("float32", [width], columnMeans(drawn, said)),
  };
}
