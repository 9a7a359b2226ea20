/** Small pictures of heads, as `frames/head_pictures.py` and `frames/heads.py` make them. */

import type { HeadsFrame } from "../head_finder/state";
import type { Json } from "../shared/host/stand_in";
import type { Packed } from "../shared/state";
import { pack, pooled, quantile, round } from "./numbers";
import { findSinks } from "./sinks";
import type { Maps, Selection, Weights } from "./weights";

const [THUMB, THUMB_FULL] = [32, 0.9];
/** Of HeadFinder: bytes of all patterns, pixels of one among many and of one alone. */
const [BYTES, LARGEST, ALONE] = [900_000, 64, 224];
const [DARKEST, LEAST_EVEN] = [0.98, 4];

/** Max-pooled pattern of every head of a layer; nine of ten pixels do not exceed 255. */
export function thumbnails(weights: Weights, asked: Selection): Packed {
  const maps = weights.maps({ ...asked, heads: [], aggregate: null });
  const size = Math.min(THUMB, Math.max(maps.rows, maps.columns));
  const { coarse } = weights;
  const triangular = weights.stored(asked.kind, asked.layer)?.triangular ?? false;
  // Where small weights read as 0, what can be seen is no less seen.
  const isSeen = (value: number, at: number): boolean =>
    value !== 0 || (coarse && !(triangular && at % size > Math.floor(at / size)));
  const bytes = new Uint8Array(maps.values.length * size * size);
  for (const [i, map] of maps.values.entries()) {
    const small = shrunk(map, maps, size);
    const seen = small.filter(isSeen);
    const full = Math.max(1e-30, seen.length ? quantile(seen, THUMB_FULL) : 1);
    const scaled = small.map((value) => Math.min(255, round((value / full) * 255)));
    bytes.set(scaled, i * size * size);
  }
  return pack("uint8", [maps.values.length, size, size], bytes);
}

/** The largest weight of each part, of a square picture whatever the map's shape. */
function shrunk(map: Float32Array, { rows, columns }: Maps, size: number): Float32Array {
  const small = new Float32Array(size * size);
  for (let row = 0; row < rows; row++) {
    const y = Math.floor((row * size) / rows);
    for (let column = 0; column < columns; column++) {
      const at = y * size + Math.floor((column * size) / columns);
      small[at] = Math.max(small[at] ?? 0, map[row * columns + column] ?? 0);
    }
  }
  return small;
}

interface Pattern {
  values: Uint8Array;
  sinks: Uint8Array;
  scale: number;
  toSinks: number;
  height: number;
  width: number;
  perPixel: number;
}

function patterns(weights: Weights, asked: Selection, causal: boolean, size: number): Pattern[] {
  const maps = weights.maps({ ...asked, aggregate: null });
  const found = findSinks(weights, { ...asked, aggregate: null }, causal);
  const all = { query0: 0, query1: maps.rows, key0: 0, key1: maps.columns };
  return maps.values.map((map, i) => {
    const { values, height, width, perPixel } = pooled(map, maps.columns, all, {
      size,
      pool: "max",
    });
    const sinks = new Uint8Array(width);
    found.columns[i]?.forEach((is, column) => {
      if (is) sinks[Math.floor(column / perPixel)] = 1;
    });
    const rest = values.filter((value, at) => value !== 0 && !sinks[at % width]);
    const strong = rest.length ? quantile(rest, DARKEST) : 0;
    const scale = Math.min(1, Math.max(LEAST_EVEN / maps.columns, strong));
    const bytes = Uint8Array.from(values, (value, at) => {
      const darkness = sinks[at % width] ? value : value / scale;
      return round(Math.sqrt(Math.min(1, darkness)) * 255);
    });
    return { values: bytes, sinks, scale, toSinks: found.share[i] ?? 0, height, width, perPixel };
  });
}

/** What HeadFinder's frame has of patterns, one layer after the other. */
export function headPatterns(
  weights: Weights,
  layers: readonly { number: number; heads: number }[],
  { kind, unit, causal }: Pick<Selection, "kind" | "unit"> & { causal: boolean },
): Partial<HeadsFrame> {
  const most = Math.max(...layers.map(({ heads }) => heads));
  const room = Math.floor(Math.sqrt(Math.floor(BYTES / (layers.length * most))));
  const size = Math.min(LARGEST, Math.max(1, room));
  const drawn = layers.map(({ number }) =>
    patterns(weights, { kind, layer: number, heads: [], unit, aggregate: null }, causal, size),
  );
  const first = drawn[0]?.[0];
  const [height, width, perPixel] = first ? [first.height, first.width, first.perPixel] : [0, 0, 1];
  const n = layers.length * most;
  const [values, sinks] = [new Uint8Array(n * height * width), new Uint8Array(n * width)];
  const [scale, toSinks] = [new Float32Array(n), new Float32Array(n)];
  for (const [l, heads] of drawn.entries()) {
    for (const [h, one] of heads.entries()) {
      const at = l * most + h;
      values.set(one.values, at * height * width);
      sinks.set(one.sinks, at * width);
      [scale[at], toSinks[at]] = [one.scale, one.toSinks];
    }
  }
  return {
    per_pixel: perPixel,
    patterns: pack("uint8", [layers.length, most, height, width], values),
    sinks: pack("uint8", [layers.length, most, width], sinks),
    scale: pack("float32", [layers.length, most], scale),
    to_sinks: pack("float32", [layers.length, most], toSinks),
  };
}

/** One head, larger than it is in the frame. */
export function patternAnswer(weights: Weights, asked: Selection, causal: boolean) {
  const [one] = patterns(weights, asked, causal, ALONE);
  if (!one) throw new Error("There is no such head.");
  const { kind, unit, layer, heads } = asked;
  return {
    result: { kind, unit, layer, head: heads[0], scale: one.scale } as Json,
    arrays: {
      values: pack("uint8", [one.height, one.width], one.values),
      sinks: pack("uint8", [one.width], one.sinks),
    },
  };
}
