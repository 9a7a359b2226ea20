/** What the picture shows, in sentences: status line, live region and tooltips. */

import { rowName, unitName } from "../shared/map/axis";
import { formatCount, formatWeight, percent } from "../shared/numbers";
import type { Axes } from "../shared/state";
import { type Fan, fanMean, type Lines, type Shown, strongest } from "./lines";

export function count(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** A threshold as it was set: "0.05", "0.123". */
export function thresholdWords(threshold: number): string {
  const rounded = threshold.toFixed(2);
  return Math.abs(Number(rounded) - threshold) < 1e-9 ? rounded : String(threshold);
}

/** "1,900 lines shown, 98.7 % of the attention mass; …" and what was cut, by whom. */
export function linesSentence(lines: Lines, shown: Shown, threshold: number): string {
  const { frame } = lines;
  const hidden = shown.available - shown.indices.length;
  const words = [
    `${count(shown.indices.length, "line")} shown, ${percent(shown.mass)} of the attention mass`,
  ];
  if (hidden > 0) words.push(`${formatCount(hidden)} below ${thresholdWords(threshold)} hidden`);
  if (frame.n < frame.n_total) {
    const kept = frame.per_row
      ? `${frame.per_row} strongest of each ${frame.key.unit} and head`
      : `${formatCount(frame.n)} strongest`;
    words.push(`what lies beyond the ${kept} is left out (${percent(shown.leftOut)} of the mass)`);
  }
  const undefinedRows = Array.from(lines.undefinedRows).filter(Boolean).length;
  if (undefinedRows) words.push(`${count(undefinedRows, "row")} fully masked: undefined, no lines`);
  return words.join("; ");
}

/** "‘it’ looks most at ‘animal’ 0.41, ‘the’ 0.17". */
export function fanSentence(axes: Axes, fan: Fan, lines: Lines): string {
  const [own, other] = fan.side === "query" ? [axes.query, axes.key] : [axes.key, axes.query];
  const name = fan.side === "query" ? rowName(axes.query, fan.unit) : unitName(own, fan.unit);
  const subject = `${axes.unit} ${fan.unit} ${name}`;
  if (fan.side === "query" && lines.undefinedRows[fan.unit]) {
    return `${subject} is fully masked: its attention is undefined`;
  }
  const mean = fanMean(fan);
  const most = mostOf(mean).map((i) => `${unitName(other, i)} ${formatWeight(mean[i] ?? 0)}`);
  const verb = fan.side === "query" ? "looks most at" : "is looked at most by";
  if (!most.length) {
    const none = fan.exact ? "no weight" : "no line in this picture";
    return `${subject}: ${none}`;
  }
  const error = fan.exact ? "" : ", or more (weaker lines are not in this picture)";
  const heads =
    fan.heads.length > 1 ? `, mean of ${fan.heads.length} heads` : `, head ${fan.heads[0]}`;
  return `${subject} ${verb} ${most.join(", ")}${error}${heads}`;
}

/** The three strongest, without those that hardly get anything beside the first. */
function mostOf(mean: Float32Array): number[] {
  const units = strongest(mean, 3);
  const floor = 0.01 * (mean[units[0] ?? 0] ?? 0);
  return units.filter((unit) => (mean[unit] ?? 0) >= floor);
}

/** A line under the pointer: [head and weight, both tokens]. */
export function lineWords(axes: Axes, lines: Lines, index: number): [string, string] {
  const from = rowName(axes.query, lines.query[index] ?? 0);
  const to = unitName(axes.key, lines.key[index] ?? 0);
  return [
    `Head ${lines.head[index]}: ${formatWeight(lines.weight[index] ?? 0, 3)}`,
    `${from} looks at ${to}`,
  ];
}
