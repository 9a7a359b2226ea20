/** A chart frame unpacked into series. */

import { unpack } from "../shared/arrays";
import type { Named, Packed } from "../shared/state";
import type { ChartFrame } from "./state";

export type Numbers = ArrayLike<number>;

/** 0 = not tested, 1 = tested, 2 = significant. */
export type Significance = 0 | 1 | 2;

/** Values by layer; NaN = the layer has none. */
export interface Series extends Named {
  mean: Numbers;
  low: Numbers;
  high: Numbers;
  nothing: { low: Numbers; mean: Numbers; high: Numbers } | null;
  significance(index: number): Significance;
}

export interface Heat {
  readonly nHeads: number;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  at(index: number, head: number): number;
}

export interface ChartData {
  readonly frame: ChartFrame;
  /** The model's own numbers. */
  readonly layers: readonly number[];
  readonly series: readonly Series[];
  readonly heat: Heat | null;
  /** One token's values [series][layer]; null when they did not travel with the frame. */
  token(position: number): Numbers[] | null;
}

export function chartData(frame: ChartFrame): ChartData {
  const layers = Array.from(unpack(frame.layers));
  const n = layers.length;
  const rows = (packed: Packed | null): ((i: number) => Numbers) | null => {
    const values = packed && unpack(packed);
    return values && ((i) => values.subarray(i * n, (i + 1) * n));
  };
  const none: Numbers = new Float32Array(n).fill(Number.NaN);
  const [mean, low, high] = [rows(frame.mean), rows(frame.low), rows(frame.high)];
  const nothing = [rows(frame.null_low), rows(frame.null_mean), rows(frame.null_high)];
  const significant = rows(frame.significant);
  const tokens = frame.tokens && unpack(frame.tokens);
  const nTokens = frame.tokens?.shape[2] ?? 0;
  return {
    frame,
    layers,
    series: frame.series.map((series, i) => ({
      ...series,
      mean: mean?.(i) ?? none,
      low: low?.(i) ?? none,
      high: high?.(i) ?? none,
      nothing: nothing[0]
        ? { low: nothing[0](i), mean: nothing[1]?.(i) ?? none, high: nothing[2]?.(i) ?? none }
        : null,
      significance: (index) => (significant?.(i)[index] ?? 0) as Significance,
    })),
    heat: heatOf(frame),
    token(position) {
      if (!tokens || position < 0 || position >= nTokens) return null;
      return frame.series.map((_, i) =>
        layers.map((__, j) => tokens[(i * n + j) * nTokens + position] ?? Number.NaN),
      );
    },
  };
}

function heatOf({ heat }: ChartFrame): Heat | null {
  if (!heat) return null;
  const values = unpack(heat.values);
  const nHeads = heat.values.shape[1] ?? 0;
  const finite = Array.from(values).filter(Number.isFinite);
  return {
    nHeads,
    label: heat.label,
    min: Math.min(0, ...finite),
    // A scale with a natural end still shows small values: it ends where the data do.
    max: finite.some((value) => value !== 0) ? Math.max(0, ...finite) : 1,
    at: (index, head) => values[index * nHeads + head] ?? Number.NaN,
  };
}

/** Splits an answer [series, layer] into rows. */
export function tokenRows(values: Numbers, nLayers: number): Numbers[] {
  const flat = Array.from(values);
  const rows = nLayers > 0 ? Math.floor(flat.length / nLayers) : 0;
  return Array.from({ length: rows }, (_, i) => flat.slice(i * nLayers, (i + 1) * nLayers));
}

/** Runs of neighbouring layers that have a value: a line never bridges a layer without one. */
export function runs(values: Numbers): number[][] {
  const result: number[][] = [];
  let current: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (Number.isFinite(values[i])) current.push(i);
    else if (current.length) {
      result.push(current);
      current = [];
    }
  }
  if (current.length) result.push(current);
  return result;
}
