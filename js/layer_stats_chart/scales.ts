/** Value axes: linear from zero, or logarithmic; round ticks either way. */

import type { ChartData } from "./data";
import type { ScaleName } from "./state";

export interface ValueScale {
  /** 0 at the bottom of the axis, 1 at its top; NaN where the value cannot be shown. */
  share(value: number): number;
  ticks: readonly { value: number; label: string }[];
  /** The smallest and the largest value on the axis. */
  floor: number;
  max: number;
}

/** The axis that holds every mean and quartile. Single tokens may lie beyond it. */
export function valueScale(data: ChartData, name: ScaleName): ValueScale {
  const values = data.series
    .flatMap(({ mean, low, high }) => [mean, low, high])
    .flatMap((list) => Array.from(list))
    .filter((value) => Number.isFinite(value) && (name === "linear" || value > 0));
  const max = Math.max(...values, 0) || 1;
  return name === "log" ? logScale(Math.min(...values, max), max) : linearScale(max);
}

function linearScale(max: number): ValueScale {
  const step = niceStep(max / 4);
  const top = step * Math.ceil(max / step - 1e-9);
  const count = Math.round(top / step);
  const ticks = Array.from({ length: count + 1 }, (_, i) => tick(i * step));
  return { share: (value) => value / top, ticks, floor: 0, max: top };
}

function logScale(min: number, max: number): ValueScale {
  const bottom = niceBelow(min * 0.95);
  const top = niceAbove(max * 1.05);
  const span = Math.log(top / bottom);
  const ticks = ladder(bottom, top);
  // Over many decades only the powers of ten are named.
  const shown = ticks.length > 7 ? ticks.filter((value) => isPowerOfTen(value)) : ticks;
  return {
    share: (value) => (value > 0 ? Math.log(value / bottom) / span : Number.NaN),
    ticks: shown.map(tick),
    floor: bottom,
    max: top,
  };
}

/** 1, 2 or 5 times a power of ten, at least `step`. */
function niceStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const factor = [1, 2, 2.5, 5, 10].find((f) => f * power >= step * (1 - 1e-9)) ?? 10;
  return factor * power;
}

const RUNGS = [1, 2, 5] as const;

/** All 1, 2, 5 × powers of ten from `bottom` to `top`. */
function ladder(bottom: number, top: number): number[] {
  const result: number[] = [];
  for (let e = Math.floor(Math.log10(bottom)); e <= Math.ceil(Math.log10(top)); e++) {
    for (const rung of RUNGS) {
      const value = rung * 10 ** e;
      if (value >= bottom * 0.999 && value <= top * 1.001) result.push(value);
    }
  }
  return result;
}

function niceBelow(value: number): number {
  return ladder(value / 10, value).at(-1) ?? value;
}

function niceAbove(value: number): number {
  return ladder(value, value * 10)[0] ?? value;
}

function isPowerOfTen(value: number): boolean {
  return Math.abs(Math.log10(value) - Math.round(Math.log10(value))) < 1e-6;
}

function tick(value: number): { value: number; label: string } {
  return { value, label: formatTick(value) };
}

function formatTick(value: number): string {
  if (value !== 0 && (value >= 1e6 || value < 1e-3)) return value.toExponential(0);
  return value.toLocaleString("en-US", { maximumSignificantDigits: 3 });
}

/** Three significant digits, for readouts. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (value >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 0 });
  return value === 0 ? "0" : value.toPrecision(3);
}
