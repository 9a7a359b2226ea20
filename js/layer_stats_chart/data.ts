/** A chart frame unpacked into series. */

import { unpack } from "../shared/arrays";
import type { ChartFrame } from "../shared/state";

export interface Series {
  name: "attention" | "cross" | "mlp";
  label: string;
  /** By layer; NaN = the layer has no such block. */
  mean: ArrayLike<number>;
  low: ArrayLike<number>;
  high: ArrayLike<number>;
}

export interface ChartData {
  readonly frame: ChartFrame;
  /** The model's own numbers. */
  readonly layers: readonly number[];
  readonly series: readonly Series[];
  /** One token's values [series][layer]; null when they did not travel with the frame. */
  token(position: number): ArrayLike<number>[] | null;
}

export function chartData(frame: ChartFrame): ChartData {
  const layers = Array.from(unpack(frame.layers));
  const n = layers.length;
  const [mean, low, high] = [unpack(frame.mean), unpack(frame.low), unpack(frame.high)];
  const row = (values: typeof mean, i: number): ArrayLike<number> =>
    values.subarray(i * n, (i + 1) * n);
  const tokens = frame.tokens && unpack(frame.tokens);
  const nTokens = frame.tokens?.shape[2] ?? 0;
  return {
    frame,
    layers,
    series: frame.series.map((series, i) => ({
      ...series,
      mean: row(mean, i),
      low: row(low, i),
      high: row(high, i),
    })),
    token(position) {
      if (!tokens || position < 0 || position >= nTokens) return null;
      return frame.series.map((_, i) =>
        layers.map((__, j) => tokens[(i * n + j) * nTokens + position] ?? Number.NaN),
      );
    },
  };
}

/** Splits an answer [series, layer] into rows. */
export function tokenRows(values: ArrayLike<number>, nLayers: number): ArrayLike<number>[] {
  const flat = Array.from(values);
  const rows = nLayers > 0 ? Math.floor(flat.length / nLayers) : 0;
  return Array.from({ length: rows }, (_, i) => flat.slice(i * nLayers, (i + 1) * nLayers));
}

/** Runs of neighbouring layers that have a value: a line never bridges a layer without one. */
export function runs(values: ArrayLike<number>): number[][] {
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
