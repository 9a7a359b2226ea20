/** The products with each key: of some they are in the frame, of others they are asked for. */

import { type NdArray, type NumberArray, unpack } from "../shared/arrays";
import type { Answer, Host } from "../shared/host/host";
import { createQuestion, isAbout, type Reply } from "../shared/host/question";
import type { Order, QueryKeyData } from "./data";
import type { QueryKeyAsked, QueryKeyState } from "./state";

/** What one key brings, in every head. */
export interface Cells {
  product(lane: number, dim: number): number;
  /** The key's own number. */
  key(lane: number, dim: number): number;
}

export interface Products {
  /** Another frame: what is known is of another query. */
  begin(data: QueryKeyData | null): void;
  /** What the key at a place of the order brings; null until it has come. */
  at(order: Order, place: number): Cells | null;
  /** Asks for what is missing between two places. */
  ask(order: Order, first: number, last: number): void;
  /** Why there are none; "" = they are there, or on their way. */
  readonly failure: string;
}

/** Keys that are asked for together. */
const BLOCK = 128;
/** Answers that are kept: with many heads each has a few MB. */
const KEPT = 12;

type Asked = { start: number; stop: number } | { keys: readonly number[] };

export function createProducts(
  host: Host<QueryKeyState>,
  signal: AbortSignal,
  onCome: () => void,
): Products {
  let data: QueryKeyData | null = null;
  let own: ((key: number) => Cells | null) | null = null;
  let failure = "";
  const common = {
    read: (answer: Answer) => readAnswer(answer, data),
    onReply: onCome,
    most: KEPT,
  };
  const stretch = createQuestion<{ start: number; stop: number }, Stretch>(host, signal, {
    ...{ ...common, name: "products" },
  });
  const chosen = createQuestion<{ keys: readonly number[] }, Stretch>(host, signal, {
    ...{ ...common, name: "chosen_products" },
  });
  const blockOf = (order: Order, place: number, nKeys: number): [Asked, number] => {
    const start = place - (place % BLOCK);
    const stop = Math.min(start + BLOCK, nKeys);
    // Places that are positions make a stretch.
    const isText = order.keyAt(start) === start && order.keyAt(stop - 1) === stop - 1;
    if (isText && order.keyAt(place) === place) return [{ start, stop }, place - start];
    const keys = Array.from({ length: stop - start }, (_, i) => order.keyAt(start + i));
    return [{ keys }, place - start];
  };
  const reply = (asked: Asked): Reply<Stretch> | undefined =>
    "keys" in asked ? chosen.reply(asked) : stretch.reply(asked);
  return {
    begin(next) {
      data = next;
      own = next && inFrame(next);
      failure = "";
      stretch.forget();
      chosen.forget();
    },
    at(order, place) {
      if (!data) return null;
      const there = own?.(order.keyAt(place));
      if (there) return there;
      const [asked, within] = blockOf(order, place, data.nKeys);
      const known = reply(asked);
      failure = known && "failure" in known ? known.failure : "";
      return known && "value" in known ? cellsOf(known.value, within) : null;
    },
    ask(order, first, last) {
      if (!data) return;
      for (let place = first; place <= last; place++) {
        if (own?.(order.keyAt(place))) continue;
        const [asked] = blockOf(order, place, data.nKeys);
        if ("keys" in asked) chosen.ask(asked);
        else stretch.ask(asked);
        place = place - (place % BLOCK) + BLOCK - 1;
      }
    },
    get failure() {
      return failure;
    },
  };
}

/** Products and vectors of some keys: [heads, keys, dims]. */
interface Stretch {
  readonly products: NumberArray;
  readonly vectors: NumberArray;
  readonly nKeys: number;
  readonly dims: number;
}

function cellsOf({ products, vectors, nKeys, dims }: Stretch, within: number): Cells {
  const at = (lane: number, dim: number): number => (lane * nKeys + within) * dims + dim;
  return {
    product: (lane, dim) => products[at(lane, dim)] ?? Number.NaN,
    key: (lane, dim) => vectors[at(lane, dim)] ?? Number.NaN,
  };
}

function inFrame({ frame, dims }: QueryKeyData): (key: number) => Cells | null {
  const { start, stop } = frame;
  const [products, vectors] = [unpack(frame.products), unpack(frame.keys_vectors)];
  const stretch = { products, vectors, nKeys: stop - start, dims };
  return (key) => (key >= start && key < stop ? cellsOf(stretch, key - start) : null);
}

function readAnswer({ result, arrays }: Answer, data: QueryKeyData | null): Stretch | null {
  const { products, key_vectors: vectors } = arrays;
  if (!data || !products || !vectors) return null;
  const { kind, layer, heads, query } = result as unknown as QueryKeyAsked;
  const shown = data.frame.key;
  if (!isAbout({ kind, layer, heads, query }, pick(shown))) return null;
  return stretchOf(products, vectors);
}

function pick({ kind, layer, heads, query }: QueryKeyAsked): QueryKeyAsked {
  return { kind, layer, heads, query };
}

function stretchOf({ values, shape }: NdArray, vectors: NdArray): Stretch {
  const [, nKeys = 0, dims = 0] = shape;
  return { products: values, vectors: vectors.values, nKeys, dims };
}
