/** `frames/activations.py` in small: maps of activations that the page carries, in any order. */

import type { ActivationsFrame } from "../activation_map/state";
import { decode, unpack } from "../shared/arrays";
import type { Json } from "../shared/host/stand_in";
import type { Kind, Packed } from "../shared/state";
import type { Contents, StoredActivations } from "./contents";
import { indexType, pack } from "./numbers";

const MOST_ROWS = 512;
const MOST_COLUMNS = 1024;
/** Maps that are kept unpacked. */
const MOST_KEPT = 4;

/** What is shown: as the key of the frame. */
export interface ActivationsAsked {
  kind: Kind;
  layer: number;
  block: string;
  sort: string;
}

type Stored = Pick<Contents, "activations" | "refusal">;

/** A range of tokens and of places in the order. */
export type Place = Record<"row0" | "row1" | "column0" | "column1", number>;

export class Activations {
  readonly #contents: Stored;
  readonly #load: (element: string) => Promise<Uint8Array<ArrayBuffer>>;
  readonly #kept = new Map<string, Float32Array>();

  constructor(contents: Stored, load: (element: string) => Promise<Uint8Array<ArrayBuffer>>) {
    this.#contents = contents;
    this.#load = load;
  }

  async frame(asked: ActivationsAsked): Promise<Json> {
    const of = this.#stored(asked);
    const { tokens, dimensions } = frameOf(of);
    const all = { row0: 0, row1: tokens, column0: 0, column1: dimensions };
    const { result, arrays } = await this.tile(asked, all);
    const order = orderOf(of, asked.sort, this.#contents.refusal);
    const there = this.#contents.activations.filter(({ kind }) => kind === asked.kind);
    const blocks = new Set(there.map(({ block }) => block));
    const stored = there.filter(({ block }) => block === asked.block).map(({ layer }) => layer);
    const isThere = (layer: number): boolean =>
      asked.block === "embedding" || stored.includes(layer);
    return {
      ...of.frame,
      ...result,
      ...arrays,
      key: keyOf(asked),
      order: pack(indexType(dimensions), [dimensions], order),
      blocks: frameOf(of).blocks.filter((block) => blocks.has(block)),
      layers: frameOf(of).layers.filter(isThere),
    };
  }

  async tile(asked: ActivationsAsked, place: Place) {
    const of = this.#stored(asked);
    const { tokens, dimensions } = frameOf(of);
    const { row0, row1, column0, column1 } = place;
    for (const [start, stop, whole, what] of [
      [row0, row1, tokens, "tokens"],
      [column0, column1, dimensions, "dimensions"],
    ] as const) {
      if (!(start >= 0 && start < stop && stop <= whole)) {
        throw new Error(`${what} ${start} to ${stop} are no part of 0 to ${whole}.`);
      }
    }
    const order = orderOf(of, asked.sort, this.#contents.refusal);
    const perRow = Math.ceil((row1 - row0) / MOST_ROWS);
    const perColumn = Math.ceil((column1 - column0) / MOST_COLUMNS);
    const values = largestOfPixels(await this.#values(of), order, place, { perRow, perColumn });
    const result = { ...place, per_row: perRow, per_column: perColumn, key: keyOf(asked) };
    return { result: result as Json, arrays: { values } };
  }

  /** There is one embedding, whatever the layer. */
  #stored({ kind, layer, block }: ActivationsAsked): StoredActivations {
    const found = this.#contents.activations.find(
      (one) =>
        one.kind === kind && one.block === block && (block === "embedding" || one.layer === layer),
    );
    if (!found) throw new Error(this.#contents.refusal);
    return found;
  }

  async #values({ element, dtype }: StoredActivations): Promise<Float32Array> {
    const known = this.#kept.get(element);
    if (known) return known;
    const values = decode(dtype, await this.#load(element)) as Float32Array;
    this.#kept.set(element, values);
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value ?? "");
    return values;
  }
}

/** As the frame says it; the order of the names is part of it. */
export function keyOf({ kind, layer, block, sort }: ActivationsAsked): Json {
  return { kind, layer, block, sort };
}

function frameOf({ frame }: StoredActivations): ActivationsFrame {
  return frame as unknown as ActivationsFrame;
}

function orderOf(of: StoredActivations, sort: string, refusal: string): ArrayLike<number> {
  const { dimensions } = frameOf(of);
  if (sort === "dimension") return Uint32Array.from({ length: dimensions }, (_, i) => i);
  const order = sort === "largest" ? of.orders.largest : of.orders.cluster;
  if (!order) throw new Error(refusal);
  return unpack(order);
}

/** Of every pixel the number that is largest in size; of equals the positive one. */
function largestOfPixels(
  values: Float32Array,
  order: ArrayLike<number>,
  { row0, row1, column0, column1 }: Place,
  { perRow, perColumn }: { perRow: number; perColumn: number },
): Packed {
  const height = Math.ceil((row1 - row0) / perRow);
  const width = Math.ceil((column1 - column0) / perColumn);
  const found = new Float32Array(height * width);
  for (let row = row0; row < row1; row++) {
    const start = row * order.length;
    const to = Math.floor((row - row0) / perRow) * width;
    for (let column = column0; column < column1; column++) {
      const value = values[start + (order[column] ?? 0)] ?? 0;
      const at = to + Math.floor((column - column0) / perColumn);
      const before = found[at] ?? 0;
      const [size, largest] = [Math.abs(value), Math.abs(before)];
      // What is no number is none in its pixel either.
      if (size > largest || (size === largest && value > before) || Number.isNaN(value)) {
        found[at] = value;
      }
    }
  }
  return pack("float32", [height, width], found);
}

// ── What follows a change ───────────────────────────────────────────────────────────────────────

/** Block, layer and order stay within what the page carries. */
export function fittingActivations(
  asked: ActivationsAsked,
  { activations }: Pick<Contents, "activations">,
): Partial<ActivationsAsked> {
  const ofKind = activations.filter(({ kind }) => kind === asked.kind);
  const block = ofKind.some((one) => one.block === asked.block) ? asked.block : ofKind[0]?.block;
  const there = ofKind.filter((one) => one.block === block);
  const distance = ({ layer }: StoredActivations): number => Math.abs(layer - asked.layer);
  const [first] = there.sort((a, b) => distance(a) - distance(b));
  if (!first || block === undefined) return {};
  const sorted = asked.sort !== "cluster" || first.orders.cluster !== null;
  return {
    block,
    layer: block === "embedding" ? asked.layer : first.layer,
    sort: sorted ? asked.sort : "dimension",
  };
}
