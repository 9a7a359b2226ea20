/** Value axes: linear, with zero where it is near, or logarithmic; round ticks either way. */

import { scaleLinear, scaleLog } from "d3-scale";
import type { ChartData, Numbers } from "./data";
import type { ChartState, ScaleName } from "./state";

export interface ValueScale {
  /** 0 at the bottom of the axis, 1 at its top; NaN where the value cannot be shown. */
  share(value: number): number;
  ticks: readonly { value: number; label: string }[];
  /** The smallest and the largest value on the axis. */
  floor: number;
  max: number;
}

const TICKS = 5;

/** Every number that is drawn for the layers and for `heads`; single tokens may lie beyond. */
function drawn(data: ChartData, heads: readonly number[]): number[] {
  const lists: Numbers[] = data.series.flatMap(({ mean, low, high, nothing }) => [
    mean,
    low,
    high,
    ...(nothing ? [nothing.low, nothing.mean, nothing.high] : []),
  ]);
  const { heat } = data;
  if (heat) lists.push(...heads.map((head) => data.layers.map((_, index) => heat.at(index, head))));
  return lists.flatMap((list) => Array.from(list)).filter(Number.isFinite);
}

/** Whether a logarithmic axis can show everything. */
export function allowsLog(data: ChartData, heads: readonly number[] = []): boolean {
  const values = drawn(data, heads);
  return values.length > 0 && values.every((value) => value > 0);
}

/** The axis that is shown: what was chosen, as far as everything can be shown on it. */
export function scaleOf(data: ChartData, { scale, heads }: ChartState): ScaleName {
  const wanted = scale === "auto" ? data.frame.scale : scale;
  return wanted === "log" && allowsLog(data, heads) ? "log" : "linear";
}

/** The axis that holds everything but single tokens. */
export function valueScale(
  data: ChartData,
  name: ScaleName,
  heads: readonly number[] = [],
): ValueScale {
  const values = drawn(data, heads);
  const [min, max] = [Math.min(...values), Math.max(...values)];
  return name === "log" && allowsLog(data, heads) ? logScale(min, max) : linearScale(values);
}

export function linearScale(values: readonly number[]): ValueScale {
  let [min, max] = values.length ? [Math.min(...values), Math.max(...values)] : [0, 1];
  // Zero belongs to the axis unless the data are far away from it.
  if (min > 0 && min < 0.6 * max) min = 0;
  if (max < 0 && max > 0.6 * min) max = 0;
  if (min === max) [min, max] = min === 0 ? [0, 1] : [Math.min(0, min), Math.max(0, max)];
  const scale = scaleLinear().domain([min, max]).nice(TICKS).range([0, 1]);
  const [floor = 0, top = 1] = scale.domain();
  const ticks = scale.ticks(TICKS);
  const labels = tickLabels(ticks, scale.tickFormat(TICKS));
  return {
    share: scale,
    ticks: ticks.map((value, i) => ({ value, label: labels[i] ?? "" })),
    floor,
    max: top,
  };
}

/** The same for numbers of things: there is no half of one. */
export function countScale(values: readonly number[]): ValueScale {
  const scale = linearScale(values);
  const whole = scale.ticks.filter(({ value }) => Number.isInteger(value));
  return { ...scale, ticks: whole.map(({ value }) => ({ value, label: formatValue(value) })) };
}

function logScale(min: number, max: number): ValueScale {
  const scale = scaleLog()
    .domain([min * 0.95, max * 1.05])
    .range([0, 1]);
  const [floor = 1, top = 10] = scale.domain();
  // Over many decades only the powers of ten are named, within one every step.
  const decades = Math.log10(top / floor);
  const ticks = scale.ticks(TICKS).filter((value) => {
    const mantissa = value / 10 ** Math.floor(Math.log10(value) + 1e-9);
    const allowed = decades > 3 ? [1] : decades > 1 ? [1, 2, 5] : [1, 2, 3, 4, 5, 6, 7, 8, 9];
    return allowed.some((one) => Math.abs(one - mantissa) < 1e-6);
  });
  // Data close together lie between two such steps: d3's own are shown.
  const shown = ticks.length < 3 ? scale.ticks(TICKS) : ticks;
  return {
    share: (value) => (value > 0 ? scale(value) : Number.NaN),
    ticks: shown.map((value) => ({ value, label: formatValue(value) })),
    floor,
    max: top,
  };
}

/** d3's format for the step; powers of ten where it would be too long. A label appears once. */
export function tickLabels(ticks: readonly number[], format: (value: number) => string): string[] {
  const largest = Math.max(...ticks.map(Math.abs), 0);
  const write = (digits: number | null): string[] =>
    ticks.map((value) =>
      value === 0 ? "0" : minus(digits === null ? format(value) : value.toExponential(digits)),
    );
  if (largest >= 1e-3 && largest < 1e6) return write(null);
  for (let digits = 1; digits < 8; digits++) {
    const labels = write(digits);
    if (new Set(labels).size === labels.length) return labels;
  }
  return write(null);
}

function minus(text: string): string {
  return text.replaceAll("-", "−");
}

/** Three significant digits, for readouts; more where three would make 1 of what is not. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return minus(value.toLocaleString("en-US", { maximumFractionDigits: 0 }));
  if (size > 0 && size < 1e-3) return minus(value.toExponential(1));
  if (value === 0) return "0";
  let digits = 3;
  while (size !== 1 && digits < 7 && Number(size.toPrecision(digits)) === 1) digits++;
  return minus(String(Number(value.toPrecision(digits))));
}
