/** The frame unpacked: heads, their numbers, their pictures. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { Packed } from "../shared/state";
import type { End, FinderState, HeadsFrame, MetricFrame, WHICH } from "./state";

/** One head of the model. */
export interface Head {
  /** Number among all heads, padded: layer index × most heads + head. */
  readonly id: number;
  /** Place of its layer among those that there are. */
  readonly index: number;
  /** The model's own number. */
  readonly layer: number;
  readonly head: number;
}

export interface Metric {
  readonly name: string;
  readonly label: string;
  readonly unit: string;
  readonly note: string;
  /** Whether some of it is below zero: then its scale goes as far below as above. */
  readonly signed: boolean;
  /** End of its scale: its natural end or the largest value, of numbers with a sign the farthest. */
  readonly top: number;
  /** Largest and smallest value that there is. */
  readonly high: number;
  readonly low: number;
  of(head: Head): number;
  /** The value, or an end of its interval where there is one. */
  by(end: End, head: Head): number;
  /** Over many texts. */
  interval(head: Head): Interval | null;
  /** On the text that is traced; NaN where there is an atlas alone, or no such number. */
  here(head: Head): number;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Texts that have the number. */
  readonly texts: number;
}

export interface FinderData {
  readonly frame: HeadsFrame;
  /** By layer, then by head. */
  readonly heads: readonly Head[];
  readonly layers: readonly number[];
  readonly nHeads: readonly number[];
  readonly most: number;
  readonly metrics: readonly Metric[];
  /** Whether there are patterns: an atlas is of many texts. */
  readonly drawn: boolean;
  /** Pixels of one pattern. */
  readonly width: number;
  readonly height: number;
  readonly patterns: NumberArray;
  readonly sinks: NumberArray;
  scale(head: Head): number;
  toSinks(head: Head): number;
  /** The head of a layer (the model's number); null where there is none. */
  at(layer: number, head: number): Head | null;
}

export function finderData(frame: HeadsFrame): FinderData {
  const layers = [...unpack(frame.layers)];
  const nHeads = [...unpack(frame.n_heads)];
  const [, most = 0, height = 0, width = 0] = frame.patterns.shape;
  const heads = layers.flatMap((layer, index) =>
    Array.from({ length: nHeads[index] ?? 0 }, (_, head) => ({
      id: index * most + head,
      ...{ index, layer, head },
    })),
  );
  const byId = new Map(heads.map((head) => [head.id, head]));
  const [scale, toSinks] = [unpack(frame.scale), unpack(frame.to_sinks)];
  return {
    ...{ frame, heads, layers, nHeads, most, width, height },
    metrics: frame.metrics.map((one) => metricOf(one, heads)),
    drawn: width > 0,
    patterns: unpack(frame.patterns),
    sinks: unpack(frame.sinks),
    scale: ({ id }) => scale[id] ?? Number.NaN,
    toSinks: ({ id }) => toSinks[id] ?? Number.NaN,
    at: (layer, head) =>
      head >= 0 && head < most ? (byId.get(layers.indexOf(layer) * most + head) ?? null) : null,
  };
}

type Numbers = (head: Head) => number;

function numbers(packed: Packed | undefined): Numbers {
  const values = packed && unpack(packed);
  return ({ id }) => values?.[id] ?? Number.NaN;
}

function metricOf(frame: MetricFrame, heads: readonly Head[]): Metric {
  const { name, label, unit, max, note, interval } = frame;
  const of = numbers(frame.values);
  const [lowOf, highOf, texts] = [interval?.low, interval?.high, interval?.n].map(numbers) as [
    Numbers,
    Numbers,
    Numbers,
  ];
  const { low, high } = range(heads, of);
  // A share that no head has much of would leave all of the map pale: its scale ends where it does.
  const top = low < 0 ? Math.max(high, -low) : high > 0 ? high : (max ?? 1);
  const ends = { mean: of, low: interval ? lowOf : of, high: interval ? highOf : of };
  return {
    ...{ name, label, unit, note, of, low, high, top, signed: low < 0 },
    by: (end, head) => ends[end](head),
    interval: (head) =>
      interval && Number.isFinite(of(head))
        ? { low: lowOf(head), high: highOf(head), texts: texts(head) }
        : null,
    here: numbers(frame.here),
  };
}

/** The smallest and the largest of the numbers that there are. */
export function range(heads: readonly Head[], of: Numbers): { low: number; high: number } {
  const known = heads.map(of).filter(Number.isFinite);
  return known.length ? { low: Math.min(...known), high: Math.max(...known) } : { low: 0, high: 0 };
}

export function metricNamed(data: FinderData, name: string): Metric | null {
  return data.metrics.find((metric) => metric.name === name) ?? data.metrics[0] ?? null;
}

export type Asked = Pick<FinderState, "metric" | (typeof WHICH)[number]>;

/** Whether a head is among those that are asked for. */
export function passes(data: FinderData, asked: Asked): (head: Head) => boolean {
  const { at_least: least, at_most: most, only_layers: layers, only_heads: numbers } = asked;
  const metric = metricNamed(data, asked.metric);
  const among = layers.length ? new Set(layers) : null;
  const named = numbers.length ? new Set(numbers) : null;
  const limited = least !== null || most !== null;
  // A limit that was read off a value holds for it: values are of single precision.
  const [low, high] = [Math.fround(least ?? -Infinity), Math.fround(most ?? Infinity)];
  return (head) => {
    if (among && !among.has(head.layer)) return false;
    if (named && !named.has(head.head)) return false;
    if (!limited || !metric) return true;
    const value = metric.by(asked.by, head);
    return value >= low && value <= high;
  };
}

/** The heads that are shown, in their order; heads without a value come last. */
export function shownHeads(data: FinderData, asked: Asked): Head[] {
  const heads = data.heads.filter(passes(data, asked));
  const metric = metricNamed(data, asked.metric);
  if (asked.sort === "layer" || !metric) return heads;
  const sign = asked.sort === "highest" ? -1 : 1;
  const key = (head: Head): number => {
    const value = metric.by(asked.by, head);
    return Number.isNaN(value) ? Infinity : sign * value;
  };
  return heads.sort((a, b) => compare(key(a), key(b)) || a.id - b.id);
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The place of a head's value among those that have one, the highest first. */
export interface Rank {
  /** 1 = none is higher. */
  place: number;
  of: number;
}

/** Null for a head without a value. */
export function rankOf(data: FinderData, metric: Metric, head: Head): Rank | null {
  const own = metric.of(head);
  if (Number.isNaN(own)) return null;
  const values = data.heads.map(metric.of).filter((value) => !Number.isNaN(value));
  return { place: 1 + values.filter((value) => value > own).length, of: values.length };
}
