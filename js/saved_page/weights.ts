/** The weights of the page: decoded, by tokens or words, each head alone or combined. */

import { unpack } from "../shared/arrays";
import type { Axis, Kind, Unit } from "../shared/state";
import type { Coding, Contents, StoredAxes, StoredLayer } from "./contents";

/** What is asked for, as in Python. */
export interface Selection {
  kind: Kind;
  layer: number;
  /** Empty = all. */
  heads: readonly number[];
  unit: Unit;
  /** Null = each head is a map of its own. */
  aggregate: "mean" | "max" | null;
}

/** Maps of one size, a head each or several combined. */
export interface Maps {
  heads: readonly number[];
  /** [rows × columns] each; what is masked has no weight. */
  values: readonly Float32Array[];
  rows: number;
  columns: number;
  /** [rows]: 1 = it may look nowhere. */
  undefinedRows: Uint8Array;
  /** [rows] each: what a row sums to, what reads as 0 included. */
  sums: readonly Float32Array[];
  /** Cells that a row of a map can see, of all rows. */
  visible: number;
}

/** Bytes of codes, and of decoded heads, that are kept. */
const [CODES_KEPT, HEADS_KEPT] = [128 << 20, 96 << 20];

export class Weights {
  readonly #contents: Contents;
  readonly #load: (element: string) => Promise<Uint8Array<ArrayBuffer>>;
  readonly #table: Float32Array;
  readonly #codes = keeping<Uint8Array | Uint16Array>(CODES_KEPT);
  readonly #heads = keeping<Float32Array>(HEADS_KEPT);

  constructor(contents: Contents, load: (element: string) => Promise<Uint8Array<ArrayBuffer>>) {
    this.#contents = contents;
    this.#load = load;
    this.#table = contents.coding ? decoded(contents.coding) : new Float32Array();
  }

  stored(kind: Kind, layer: number): StoredLayer | undefined {
    return this.#contents.layers.find((one) => one.kind === kind && one.layer === layer);
  }

  axes(kind: Kind, unit: Unit, special = true): StoredAxes["axes"] {
    const found = this.#contents.axes.find(
      (one) => one.kind === kind && one.unit === unit && one.special === special,
    );
    if (!found) throw new Error(this.#contents.refusal);
    return found.axes;
  }

  /** Has the codes of a layer at hand; only then are its maps. */
  async ready(kind: Kind, layer: number): Promise<void> {
    const at = this.#at(kind, layer);
    if (this.#codes.get(at.element)) return;
    const bytes = await this.#load(at.element);
    const codes = this.#contents.coding?.bits === 16 ? new Uint16Array(bytes.buffer) : bytes;
    this.#codes.put(at.element, codes);
  }

  maps({ kind, layer, heads, unit, aggregate }: Selection): Maps {
    const at = this.#at(kind, layer);
    const named = heads.length ? [...heads] : Array.from({ length: at.heads }, (_, head) => head);
    const [rows, columns] = this.#size(at, unit);
    const undefinedRows = this.#undefinedRows(at, unit, rows);
    const of = (head: number): Float32Array => this.#head(at, head, unit);
    const values = aggregate ? [combined(named.map(of), aggregate)] : named.map(of);
    const visible = at.triangular ? (rows * (rows + 1)) / 2 : rows * columns;
    const whole = named.map((head) => this.#sums(at, head, unit, rows));
    // The largest of several heads are no shares of anything.
    const sums =
      aggregate === "max" && named.length > 1
        ? values.map((map) => rowSums(map, rows, columns))
        : aggregate
          ? [combined(whole, "mean")]
          : whole;
    return { heads: named, values, rows, columns, undefinedRows, sums, visible };
  }

  /** Whether what reads as 0 adds up to something. */
  get coarse(): boolean {
    return this.#contents.coding?.coarse ?? false;
  }

  /** Bits of each row, as the model has them; null where the page does not say. */
  entropy({ kind, layer, heads, unit, aggregate }: Selection): ArrayLike<number> | null {
    const at = this.#at(kind, layer);
    const packed = at.entropy[unit];
    if (!packed) return null;
    const isAll = heads.length === 0 || heads.length === at.heads;
    const place = heads.length === 1 ? heads[0] : isAll && aggregate === "mean" ? at.heads : null;
    if (place === null || place === undefined) return null;
    const rows = packed.shape[1] ?? 0;
    return unpack(packed).subarray(place * rows, (place + 1) * rows);
  }

  #at(kind: Kind, layer: number): StoredLayer {
    const at = this.stored(kind, layer);
    if (!at) throw new Error(this.#contents.refusal);
    return at;
  }

  #head(at: StoredLayer, head: number, unit: Unit): Float32Array {
    const key = `${at.element}:${head}:${unit}`;
    const known = this.#heads.get(key);
    if (known) return known;
    const tokens = this.#tokens(at, head);
    const { query, key: looked } = this.axes(at.kind, unit);
    const found =
      unit === "token" ? tokens : fused(tokens, at, unpack(query.unit_of_token), looked, query);
    this.#heads.put(key, found);
    return found;
  }

  #tokens(at: StoredLayer, head: number): Float32Array {
    const codes = this.#codes.get(at.element);
    if (!codes) throw new Error(`Layer ${at.layer} has not been read yet.`);
    const { heads, rows, columns, triangular } = at;
    const values = new Float32Array(rows * columns);
    let start = 0;
    for (let row = 0; row < rows; row++) {
      const n = triangular ? row + 1 : columns;
      const from = start + head * n;
      for (let k = 0; k < n; k++) {
        values[row * columns + k] = this.#table[codes[from + k] ?? 0] ?? 0;
      }
      start += heads * n;
    }
    return values;
  }

  #size(at: StoredLayer, unit: Unit): [rows: number, columns: number] {
    if (unit === "token") return [at.rows, at.columns];
    const { query, key } = this.axes(at.kind, unit);
    return [query.labels.length, key.labels.length];
  }

  #sums(at: StoredLayer, head: number, unit: Unit, rows: number): Float32Array {
    if (!at.row_sums) return new Float32Array(rows).fill(1);
    const all = unpack(at.row_sums);
    const tokens = Float32Array.from(all.subarray(head * at.rows, (head + 1) * at.rows));
    if (unit === "token") return tokens;
    // A word looks as its tokens do on average.
    const [sums, sizes] = [new Float32Array(rows), new Uint32Array(rows)];
    const of = unpack(this.axes(at.kind, unit).query.unit_of_token);
    for (const [token, sum] of tokens.entries()) {
      const row = of[token] ?? 0;
      sums[row] = (sums[row] ?? 0) + sum;
      sizes[row] = (sizes[row] ?? 0) + 1;
    }
    return sums.map((sum, row) => sum / (sizes[row] || 1));
  }

  #undefinedRows(at: StoredLayer, unit: Unit, rows: number): Uint8Array {
    const flags = new Uint8Array(rows);
    const of = unit === "word" ? unpack(this.axes(at.kind, unit).query.unit_of_token) : null;
    for (const row of at.undefined) flags[of ? (of[row] ?? 0) : row] = 1;
    return flags;
  }
}

/** The weight of each code. */
function decoded({ bits, least }: Coding): Float32Array {
  const levels = (1 << bits) - 1;
  const weight = (_: unknown, code: number): number =>
    code === 0 ? 0 : Math.exp(Math.log(least) * (1 - (code - 1) / (levels - 1)));
  return Float32Array.from({ length: levels + 1 }, weight);
}

/** Sums over the tokens of the word looked at, means over those of the word that looks. */
function fused(
  tokens: Float32Array,
  { rows, columns }: StoredLayer,
  rowOf: ArrayLike<number>,
  { labels, unit_of_token }: Axis,
  query: Axis,
): Float32Array {
  const columnOf = unpack(unit_of_token);
  const width = labels.length;
  const values = new Float32Array(query.labels.length * width);
  const sizes = new Uint32Array(query.labels.length);
  for (let row = 0; row < rows; row++) {
    const unit = rowOf[row] ?? 0;
    sizes[unit] = (sizes[unit] ?? 0) + 1;
    for (let k = 0; k < columns; k++) {
      const weight = tokens[row * columns + k] ?? 0;
      if (weight) {
        const place = unit * width + (columnOf[k] ?? 0);
        values[place] = (values[place] ?? 0) + weight;
      }
    }
  }
  for (let i = 0; i < values.length; i++) {
    values[i] = (values[i] ?? 0) / (sizes[Math.floor(i / width)] || 1);
  }
  return values;
}

function combined(heads: readonly Float32Array[], aggregate: "mean" | "max"): Float32Array {
  const [first] = heads;
  if (!first || heads.length === 1) return first ?? new Float32Array();
  const values = new Float32Array(first.length);
  for (const head of heads) {
    for (let i = 0; i < values.length; i++) {
      const [so, weight] = [values[i] ?? 0, head[i] ?? 0];
      values[i] = aggregate === "mean" ? so + weight / heads.length : Math.max(so, weight);
    }
  }
  return values;
}

function rowSums(map: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from({ length: rows }, (_, row) =>
    map.subarray(row * columns, (row + 1) * columns).reduce((a, b) => a + b, 0),
  );
}

/** Arrays by name; what was not used for longest goes when they are more than `most` bytes. */
function keeping<A extends { byteLength: number }>(most: number) {
  const kept = new Map<string, A>();
  let bytes = 0;
  return {
    get(name: string): A | undefined {
      const found = kept.get(name);
      if (found) {
        kept.delete(name);
        kept.set(name, found);
      }
      return found;
    },
    put(name: string, array: A): void {
      kept.set(name, array);
      bytes += array.byteLength;
      for (const [other, { byteLength }] of kept) {
        if (bytes <= most || other === name) return;
        kept.delete(other);
        bytes -= byteLength;
      }
    },
  };
}
