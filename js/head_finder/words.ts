/** What the finder says of heads, in words. */

import { formatAmount, formatCount, formatWeight } from "../shared/numbers";
import { short, signed } from "../shared/signed_numbers";
import {
  type Asked,
  type FinderData,
  type Head,
  type Metric,
  metricNamed,
  type Rank,
  rankOf,
} from "./data";
import type { FinderState, Mode } from "./state";

export function headName({ layer, head }: Pick<Head, "layer" | "head">): string {
  return `layer ${layer}, head ${head}`;
}

/** Capitals where a sentence or a heading begins. */
export function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** A metric that is a weight lies between 0 and 1. */
function isWeight({ unit }: Metric): boolean {
  return unit.startsWith("weight");
}

/** A value as it is said. */
export function written(metric: Metric, value: number): string {
  if (Number.isNaN(value)) return "none";
  if (isWeight(metric)) return formatWeight(value);
  if (metric.signed) return signed(value);
  return formatAmount(value, value >= 100 ? 0 : value >= 10 ? 1 : 2);
}

/** A value for a tile: ".41", "3.2", "<.01": nothing is called 0 or 1 that is not quite that. */
export function shortValue(metric: Metric, value: number): string {
  if (Number.isNaN(value)) return "–";
  if (isWeight(metric)) {
    if (value > 0 && value < 0.005) return "<.01";
    return value >= 0.995 && value < 1 ? ">.99" : value.toFixed(2).replace(/^0\./, ".");
  }
  if (metric.signed) return short(value) || "≈0";
  if (value > 0 && value < 0.05) return "<.1";
  return value >= 10 ? value.toFixed(0) : value.toFixed(1);
}

/** "previous token 0.41 [0.38, 0.44] (2nd of 270)", of one text without the interval. */
function metricWords(data: FinderData, metric: Metric, head: Head): string {
  const name = metric.label.toLowerCase();
  const rank = rankOf(data, metric, head);
  if (rank === null) return `${name} none`;
  const unit = isWeight(metric) ? "" : ` ${metric.unit}`;
  const value = `${written(metric, metric.of(head))}${unit}`;
  const between = intervalWords(metric, head);
  return `${name} ${[value, between, `(${rankWords(rank)})`].filter(Boolean).join(" ")}`;
}

/** "[0.38, 0.44]"; "" where there is no interval. */
export function intervalWords(metric: Metric, head: Head): string {
  const found = metric.interval(head);
  // One text alone has none.
  if (!found || Number.isNaN(found.low)) return "";
  return `[${written(metric, found.low)}, ${written(metric, found.high)}]`;
}

/** "2nd of 270". */
export function rankWords({ place, of }: Rank): string {
  return `${ordinal(place)} of ${formatCount(of)}`;
}

/** A head in a sentence, the metrics that are asked for first. */
export function headWords(data: FinderData, head: Head, first: readonly Metric[]): string {
  const metrics = [...new Set([...first, ...data.metrics])];
  const said = metrics.map((metric) => metricWords(data, metric, head)).join(", ");
  const share = data.toSinks(head);
  const sinks = Number.isNaN(share)
    ? ""
    : `; ${formatWeight(share)} of its attention${data.frame.corpus ? " on this text" : ""} goes to sinks`;
  return `${capital(headName(head))}: ${said}${sinks}.`;
}

/** How many heads are shown, of how many, and which are first. */
export function summary(data: FinderData, asked: Asked, shown: readonly Head[]): string {
  const metric = metricNamed(data, asked.metric);
  const total = formatCount(data.heads.length);
  const some = shown.length < data.heads.length;
  const count = some ? `${formatCount(shown.length)} of ${total} heads shown` : `${total} heads`;
  return `${count}${metric && some ? limits(metric, asked) : ""}. ${best(metric, shown)}`;
}

const ENDS = { mean: "", low: " (low end)", high: " (high end)" };

function limits(metric: Metric, { by, at_least: least, at_most: most }: Asked): string {
  if (least === null && most === null) return "";
  const ends = [
    least === null ? "" : `at least ${written(metric, least)}`,
    most === null ? "" : `at most ${written(metric, most)}`,
  ].filter(Boolean);
  return `, ${metric.label.toLowerCase()}${ENDS[by]} ${ends.join(" and ")}`;
}

function best(metric: Metric | null, shown: readonly Head[]): string {
  if (!metric) return "";
  if (metric.note) return metric.note;
  const known = shown.filter((head) => Number.isFinite(metric.of(head)));
  const highest = known.sort((a, b) => metric.of(b) - metric.of(a)).slice(0, 3);
  if (!highest.length) return shown.length ? "" : "Widen the limits to see some.";
  const named = highest.map((head) => `${headName(head)} (${written(metric, metric.of(head))})`);
  return `Highest ${metric.label.toLowerCase()}: ${named.join("; ")}.`;
}

function ordinal(n: number): string {
  const tens = n % 100;
  const end = tens > 10 && tens < 14 ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th");
  return `${formatCount(n)}${end}`;
}

/** "512 × 512 tokens; a pixel is the largest weight of 9 × 9". */
export function sizeWords({ frame }: FinderData): string {
  const { rows, columns, per_pixel: per, key } = frame;
  const pooled = per > 1 ? `; a pixel is the largest weight of ${per} × ${per}` : "";
  return `${formatCount(rows)} × ${formatCount(columns)} ${key.unit}s${pooled}`;
}

/** An atlas alone has no patterns to draw. */
export function modeOf(data: FinderData, { mode }: Pick<FinderState, "mode">): Mode {
  return mode === "patterns" && !data.drawn ? "metric" : mode;
}

/** What a saved picture shows: its controls are not there. */
export function caption(data: FinderData, state: Readonly<FinderState>): string {
  const kind = state.scene.kinds.find(({ name }) => name === data.frame.key.kind);
  const metric = metricNamed(data, state.metric)?.label.toLowerCase() ?? "";
  const second = metricNamed(data, state.second_metric)?.label.toLowerCase() ?? "";
  const drawn = { patterns: "patterns of heads", metric, scatter: `${metric} and ${second}` };
  const by = ENDS[state.by];
  const order = {
    layer: "",
    highest: `highest ${metric}${by} first`,
    lowest: `lowest ${metric}${by} first`,
  };
  const sorted = state.mode === "scatter" ? "" : order[state.sort];
  const said = [kind?.title ?? "Attention", drawn[modeOf(data, state)], sorted];
  return [...said, data.frame.corpus?.words].filter(Boolean).join(", ");
}
