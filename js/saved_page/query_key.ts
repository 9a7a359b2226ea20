/** frames/query_key.py in small: frame and answers of QueryKeyView, of the queries and keys of the page. */

import type { QueryKeyAsked, QueryKeyFrame } from "../query_key_view/state";
import { decode, ITEM_SIZE, type NumberArray, unpack } from "../shared/arrays";
import type { Json } from "../shared/host/stand_in";
import type { Packed } from "../shared/state";
import type { StoredQueryKey } from "./contents";
import { indexType, pack } from "./numbers";

/** As in Python: keys, and bytes of their products and vectors, that a frame has. */
const [MOST_KEYS, FEWEST_KEYS, BYTES] = [256, 16, 4_000_000];

/** A layer at hand. */
export interface Vectors {
  readonly of: StoredQueryKey;
  /** [heads, rows, dims] */
  readonly queries: NumberArray;
  /** [key heads, keys, dims] */
  readonly keys: NumberArray;
}

/** Makes vectors of the bytes of an element: those of the queries, then those of the keys. */
export function vectorsOf(of: StoredQueryKey, bytes: Uint8Array): Vectors {
  const length = of.heads.length * of.rows * of.dimensions * ITEM_SIZE[of.dtype];
  const read = (part: Uint8Array): NumberArray => decode(of.dtype, part);
  return { of, queries: read(bytes.subarray(0, length)), keys: read(bytes.subarray(length)) };
}

/** The places of the heads that are asked for; null where some are not here. */
export function lanesOf(
  of: StoredQueryKey,
  heads: readonly number[],
  all: number,
): number[] | null {
  const named = heads.length ? heads : Array.from({ length: all }, (_, head) => head);
  const lanes = named.map((head) => of.heads.indexOf(head));
  return lanes.includes(-1) ? null : lanes;
}

/** One query, in one head. */
interface Lane {
  readonly query: NumberArray;
  readonly dot: Float32Array;
  readonly capped: Float32Array;
  readonly bias: Float32Array;
  readonly score: Float32Array;
  readonly weight: Float32Array;
  /** [dims]: mean and largest size of the products with what may be looked at. */
  readonly mean: Float64Array;
  readonly largest: number;
}

export function queryKeyFrame(
  vectors: Vectors,
  asked: QueryKeyAsked,
  places: readonly number[],
): QueryKeyFrame {
  const { of } = vectors;
  const { keys: nKeys, dimensions: dims } = of;
  const lanes = places.map((place) => laneOf(vectors, place, asked.query));
  const window = windowOf(lanes, nKeys, places.length * dims);
  const all = Array.from({ length: window.stop - window.start }, (_, i) => window.start + i);
  const { products, key_vectors } = productsOf(vectors, asked.query, places, all);
  const ofKeys = (name: "dot" | "capped" | "bias" | "score" | "weight"): Packed =>
    pack("float32", [lanes.length, nKeys], joined(lanes.map((lane) => lane[name])));
  const sinks = of.sinks && unpack(of.sinks);
  const blind = lanes.some(({ weight }) => weight.some(Number.isNaN));
  return {
    kind: "query_key",
    key: asked,
    heads: places.map((place) => of.heads[place] ?? 0),
    n_keys: nKeys,
    ...{ dimensions: dims, scaling: of.scaling, softcap: of.softcap },
    order: pack(indexType(dims), [lanes.length, dims], lanes.flatMap(orderOf)),
    query_vector: pack("float32", [lanes.length, dims], joined(lanes.map((lane) => lane.query))),
    dot: ofKeys("dot"),
    capped: of.softcap === null ? null : ofKeys("capped"),
    bias: of.bias && ofKeys("bias"),
    bias_words: of.bias_words,
    score: ofKeys("score"),
    weight: ofKeys("weight"),
    sink:
      sinks &&
      pack(
        "float32",
        [lanes.length],
        places.map((place) => sinks[place] ?? 0),
      ),
    bound: pack(
      "float32",
      [lanes.length],
      lanes.map(({ largest }) => largest),
    ),
    ...window,
    products,
    keys_vectors: key_vectors,
    note: (blind ? "This token may look nowhere. " : "") + of.note,
  };
}

/** The products with some keys, and the keys' vectors. */
export function productsOf(
  { of, queries, keys }: Vectors,
  query: number,
  places: readonly number[],
  asked: readonly number[],
) {
  const { dimensions: dims, rows, scaling } = of;
  const shape = [places.length, asked.length, dims];
  const products = new Float32Array(places.length * asked.length * dims);
  const found = new Float32Array(products.length);
  let i = 0;
  for (const place of places) {
    const ofQuery = (place * rows + query) * dims;
    for (const key of asked) {
      const ofKey = ((of.of_head[place] ?? 0) * of.keys + key) * dims;
      for (let dim = 0; dim < dims; dim++, i++) {
        found[i] = keys[ofKey + dim] ?? 0;
        products[i] = (queries[ofQuery + dim] ?? 0) * scaling * (found[i] ?? 0);
      }
    }
  }
  return { products: pack("float32", shape, products), key_vectors: pack("float32", shape, found) };
}

export function productsAnswer(
  vectors: Vectors,
  asked: QueryKeyAsked,
  places: readonly number[],
  keys: readonly number[],
  about: Json,
): { result: Json; arrays: Readonly<Record<string, Packed>> } {
  const nKeys = vectors.of.keys;
  const isWrong = keys.some((key) => !(Number.isInteger(key) && key >= 0 && key < nKeys));
  if (isWrong || keys.length > MOST_KEYS)
    throw new Error(`These are no ${MOST_KEYS} keys or less.`);
  const arrays = productsOf(vectors, asked.query, places, keys);
  return { result: { ...asked, ...about }, arrays };
}

// ── One query, in one head ────────────────────────────────────────────────────────────────────

function laneOf({ of, queries, keys }: Vectors, place: number, row: number): Lane {
  const { dimensions: dims, keys: nKeys, scaling, softcap } = of;
  const from = (place * of.rows + row) * dims;
  const query = queries.subarray(from, from + dims);
  const [dot, capped, score] = [0, 1, 2].map(() => new Float32Array(nKeys)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const bias = biasOf(of, place, row);
  const isHidden = hiddenOf(of, place, row);
  const mean = new Float64Array(dims);
  let [largest, seen] = [0, 0];
  for (let key = 0; key < nKeys; key++) {
    const hidden = isHidden(key);
    const ofKey = ((of.of_head[place] ?? 0) * nKeys + key) * dims;
    let sum = 0;
    for (let dim = 0; dim < dims; dim++) {
      const product = scaling * (query[dim] ?? 0) * (keys[ofKey + dim] ?? 0);
      sum += product;
      if (hidden) continue;
      mean[dim] = (mean[dim] ?? 0) + Math.abs(product);
      if (Math.abs(product) > largest) largest = Math.abs(product);
    }
    if (hidden) bias[key] = 0;
    else seen += 1;
    dot[key] = sum;
    capped[key] = softcap === null ? sum : softcap * Math.tanh(sum / softcap);
    score[key] = hidden ? -Infinity : (capped[key] ?? 0) + (bias[key] ?? 0);
  }
  for (let dim = 0; dim < dims; dim++) mean[dim] = (mean[dim] ?? 0) / Math.max(1, seen);
  const rest = of.rest ? (unpack(of.rest)[place * of.rows + row] ?? -Infinity) : -Infinity;
  return { query, dot, capped, bias, score, weight: softmax(score, rest, seen), mean, largest };
}

function biasOf({ bias, rows, keys }: StoredQueryKey, place: number, row: number): Float32Array {
  if (!bias) return new Float32Array(keys);
  const values = unpack(bias.values);
  const from = {
    distance: place * (rows + keys - 1) + rows - 1 - row,
    key: place * keys,
    cell: (place * rows + row) * keys,
  }[bias.by];
  return Float32Array.from(values.subarray(from, from + keys));
}

/** Tells which keys of a row are hidden. */
function hiddenOf(of: StoredQueryKey, place: number, row: number): (key: number) => boolean {
  const { hidden, triangular } = of;
  const isLater = (key: number): boolean => triangular && key > row;
  if (!hidden) return isLater;
  const [heads = 1, rows = 0, bytes = 0] = hidden.shape;
  const from = ((heads > 1 ? place : 0) * rows + row) * bytes;
  const bits = unpack(hidden).subarray(from, from + bytes);
  return (key) => isLater(key) || (((bits[key >> 3] ?? 0) >> (7 - (key & 7))) & 1) === 1;
}

/** With what takes part beside the keys; a row that may look nowhere has none. */
function softmax(score: Float32Array, rest: number, seen: number): Float32Array {
  if (seen === 0 && rest === -Infinity) return new Float32Array(score.length).fill(Number.NaN);
  const top = score.reduce((most, one) => Math.max(most, one), rest);
  let total = Math.exp(rest - top);
  for (const one of score) total += Math.exp(one - top);
  return score.map((one) => Math.exp(one - top) / total);
}

function orderOf({ mean }: Lane): number[] {
  const dims = Array.from(mean.keys());
  return dims.sort((a, b) => (mean[b] ?? 0) - (mean[a] ?? 0) || a - b);
}

/** The stretch of keys that has most weight, as long as may travel with a frame. */
function windowOf(
  lanes: readonly Lane[],
  nKeys: number,
  perKey: number,
): { start: number; stop: number } {
  const fits = Math.floor(BYTES / (2 * 4 * perKey));
  const length = Math.min(nKeys, MOST_KEYS, Math.max(FEWEST_KEYS, fits));
  const of = (key: number): number =>
    lanes.reduce((sum, { weight }) => sum + (weight[key] || 0), 0);
  let within = 0;
  for (let key = 0; key < length; key++) within += of(key);
  let [best, start] = [within, 0];
  for (let first = 1; first + length <= nKeys; first++) {
    within += of(first + length - 1) - of(first - 1);
    if (within > best) [best, start] = [within, first];
  }
  return { start, stop: start + length };
}

function joined(parts: readonly ArrayLike<number>[]): number[] {
  return parts.flatMap((part) => Array.from(part));
}
