/** What the picture shows, in sentences: status line, live region and tooltips. */

import { rowName, type Side, unitName } from "../shared/map/axis";
import type { At } from "../shared/map/pin";
import { formatCount, formatWeight, percent } from "../shared/numbers";
import type { Axes } from "../shared/state";
import { type Fan, fanValues, strongest } from "./fan";
import type { Curve } from "./geometry";
import { isCombined, type Lines, type Rule, type Shown } from "./lines";
import type { Sentences } from "./state";

export function count(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;
}

/** A threshold as it was set: "0.05", "0.123". */
export function thresholdWords(threshold: number): string {
  const rounded = threshold.toFixed(2);
  return Math.abs(Number(rounded) - threshold) < 1e-9 ? rounded : String(threshold);
}

/** "from sentence A to sentence B". */
export function sentencesWords(sentences: Sentences): string {
  return `from sentence ${sentences.charAt(0)} to sentence ${sentences.charAt(1)}`;
}

/** The same of what is drawn; "" = all, and in pictures from before there was a choice. */
function betweenWords({ frame: { key } }: Lines): string {
  return (key.sentences ?? "all") === "all" ? "" : sentencesWords(key.sentences);
}

/** "the 2 strongest of each word and head, from 0.05 on". */
function ruleWords(lines: Lines, { top_k, threshold }: Rule): string {
  const of = `${lines.frame.key.unit}${lines.nMaps > 1 ? " and head" : ""}`;
  const words: string[] = [];
  if (top_k !== null) {
    words.push(
      top_k === 1 ? `the strongest of each ${of}` : `the ${top_k} strongest of each ${of}`,
    );
  }
  if (threshold !== null) words.push(`from ${thresholdWords(threshold)} on`);
  return words.join(", ");
}

/** "337 lines shown, 14.9 % of the attention mass: the 2 strongest of each word; …". */
export function linesSentence(
  axes: Axes,
  lines: Lines,
  shown: Shown | null,
  rule: Rule | null,
): string {
  const { frame } = lines;
  const words: string[] = [];
  if (!rule)
    words.push(`All lines off: point at a ${frame.key.unit}, or pin one, to see its lines`);
  else if (!shown) words.push(`Lines shown: ${ruleWords(lines, rule) || "all"}`);
  else {
    const which = ruleWords(lines, rule);
    words.push(
      `${count(shown.n, "line")} shown, ${percent(shown.mass)} of ${massName(lines)}${which && `: ${which}`}`,
    );
  }
  if (rule && isCut(axes, lines, rule)) {
    const of = `${frame.key.unit}${lines.nMaps > 1 ? " and head" : ""}`;
    words.push(`what lies beyond the ${frame.per_row} strongest of each ${of} is left out`);
  }
  const between = betweenWords(lines);
  if (between) words.push(`${percent(frame.elsewhere)} is not ${between}`);
  words.push(...sinkWords(axes, lines));
  const undefinedRows = Array.from(lines.undefinedRows).filter(Boolean).length;
  if (undefinedRows) words.push(`${count(undefinedRows, "row")} fully masked: undefined, no lines`);
  return words.join("; ");
}

/** Whether lines that the rule lets through had no room. */
function isCut(axes: Axes, { frame }: Lines, { top_k }: Rule): boolean {
  return (
    (top_k ?? Number.POSITIVE_INFINITY) > frame.per_row && frame.per_row < axes.key.labels.length
  );
}

/** What shares are of. */
export function massName(lines: Lines): string {
  const { key, sinks } = lines.frame;
  const rest = sinks.mode === "hidden" ? " that is left" : "";
  return isCombined(lines) && key.aggregate === "max"
    ? `the mass of the largest weights${rest}`
    : `the attention mass${rest}`;
}

function sinkWords(axes: Axes, { frame, sinks }: Lines): string[] {
  const { mode, share } = frame.sinks;
  if (mode === "shown" || !sinks.units.length) return [];
  const names = sinkNames(axes, sinks.units);
  return mode === "aside"
    ? [`${percent(share)} goes to ${names}, set aside: bars on the left`]
    : [`without ${names} (${percent(share)}), the rest renormalised`];
}

/** "the sinks ‘The’, ‘,’ and 3 more". */
export function sinkNames(axes: Axes, units: readonly number[]): string {
  const named = units.slice(0, 3).map((unit) => unitName(axes.key, unit));
  const more = units.length - named.length;
  const list = named.join(", ") + (more ? ` and ${more} more` : "");
  return `the sink${units.length > 1 ? "s" : ""} ${list}`;
}

/** A part of a sentence: words, or the name of a unit that can be gone to. */
export type Part = string | (At & { readonly words: string });

export function wordsOf(parts: readonly Part[]): string {
  return parts.map((part) => (typeof part === "string" ? part : part.words)).join("");
}

/** "‘it’ looks most at ‘animal’ 0.41, ‘the’ 0.17". */
export function fanSentence(axes: Axes, fan: Fan, lines: Lines): Part[] {
  const [own, other] = fan.side === "query" ? [axes.query, axes.key] : [axes.key, axes.query];
  const name = fan.side === "query" ? rowName(axes.query, fan.unit) : unitName(own, fan.unit);
  const subject = `${axes.unit} ${fan.unit} ${name}`;
  if (fan.side === "query" && lines.undefinedRows[fan.unit]) {
    return [`${subject} is fully masked: its attention is undefined`];
  }
  const values = fanValues(fan, lines);
  const aside = fan.side === "query" && lines.frame.sinks.mode === "aside" ? lines.sinks.units : [];
  const reached: Side = fan.side === "query" ? "key" : "query";
  const named = (units: readonly number[]): Part[] =>
    units.flatMap((unit, place): Part[] => [
      place ? ", " : "",
      { side: reached, unit, words: unitName(other, unit) },
      ` ${formatWeight(values[unit] ?? 0)}`,
    ]);
  const toSinks = aside.filter((unit) => (values[unit] ?? 0) > 0).slice(0, 3);
  const between = betweenWords(lines);
  const most = mostOf(values.map((value, i) => (aside.includes(i) ? 0 : value)));
  const verb = fan.side === "query" ? "looks most at" : "is looked at most by";
  if (!most.length && !toSinks.length) {
    return [
      `${subject}: ${fan.exact ? "no weight" : "no line in this picture"}${between && ` ${between}`}`,
    ];
  }
  const without = lines.frame.sinks.mode === "hidden" ? ", of what is left without sinks" : "";
  return [
    most.length ? `${subject} ${verb} ` : `${subject} looks at nothing else`,
    ...named(most),
    fan.exact ? "" : ", or more (weaker lines are not in this picture)",
    without,
    toSinks.length ? ", beside the sinks " : "",
    ...named(toSinks),
    between && `, ${between} only`,
    `, ${headsWords(lines)}`,
  ];
}

/** "mean of 9 heads", "head 3". */
export function headsWords({ heads, frame }: Lines): string {
  if (heads.length === 1) return `head ${heads[0]}`;
  return `${frame.key.aggregate === "max" ? "largest" : "mean"} of ${heads.length} heads`;
}

/** The three strongest, without those that hardly get anything beside the first. */
function mostOf(values: Float32Array): number[] {
  const units = strongest(values, 3);
  const floor = 0.01 * (values[units[0] ?? 0] ?? 0);
  return units.filter((unit) => (values[unit] ?? 0) >= floor);
}

/** A line under the pointer: [heads and weight, both tokens]. */
export function lineWords(axes: Axes, lines: Lines, line: Curve): [string, string] {
  const of = isCombined(lines) ? headsWords(lines) : `head ${lines.heads[line.map]}`;
  return [
    `${of.charAt(0).toUpperCase()}${of.slice(1)}: ${formatWeight(line.weight, 3)}`,
    `${rowName(axes.query, line.query)} looks at ${unitName(axes.key, line.key)}`,
  ];
}

/** What a row gives to sinks: [how much in all, to which as far as that is known]. */
export function sinksOfRow(
  axes: Axes,
  lines: Lines,
  row: number,
  fan: Fan | null,
): [string, string[]] {
  const { units, to } = lines.sinks;
  const all = to(row);
  const first = `${rowName(axes.query, row)} to sinks: ${formatWeight(all)}`;
  if (!fan?.exact || fan.heads.length === 0) return [first, []];
  const values = fanValues(fan, lines);
  const each = units
    .filter((unit) => (values[unit] ?? 0) >= 0.001)
    .map((unit) => `${unitName(axes.key, unit)} ${formatWeight(values[unit] ?? 0)}`);
  return [first, each.slice(0, 6)];
}
