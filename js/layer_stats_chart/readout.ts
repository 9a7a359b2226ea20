/** The numbers of one layer in words: the tooltip, and what screen readers hear. */

import { type Child, h } from "../shared/dom";
import { tokenName } from "../shared/names";
import type { ChartData, Numbers, Series, Significance } from "./data";
import { type Colours, keyMark } from "./marks";
import { formatValue } from "./scales";

export interface TokenLine {
  position: number;
  name: string;
  rows: readonly Numbers[];
}

/** A layer by its index; in a heat map a head of it. */
export interface Place {
  index: number;
  head: number | null;
}

/** What of the chart an event is about. */
export function placeOf(event: Event, data: ChartData | null): Place | null {
  const target = event.target instanceof Element ? event.target : null;
  const cell = target?.closest("[data-cell]")?.getAttribute("data-cell");
  const column = target?.closest("[data-layer]")?.getAttribute("data-layer");
  const [layer, head] = (cell ?? column ?? "").split(":");
  const index = layer ? (data?.layers.indexOf(Number(layer)) ?? -1) : -1;
  return index < 0 ? null : { index, head: head === undefined ? null : Number(head) };
}

const TESTED: Readonly<Record<Significance, string>> = {
  0: "not tested",
  1: "not significant",
  2: "significant",
};

/** What is infinite is a value, though none that can be drawn. */
function written(value: number): string {
  return value === Number.POSITIVE_INFINITY ? "∞" : formatValue(value);
}

function interval(low: Numbers, high: Numbers, index: number): string {
  const [from, to] = [low[index] ?? Number.NaN, high[index] ?? Number.NaN];
  return Number.isNaN(from) ? "" : `${written(from)} – ${written(to)}`;
}

export function describeLayer(data: ChartData, index: number): string {
  const parts = data.series.map((series) => {
    const mean = series.mean[index] ?? Number.NaN;
    if (Number.isNaN(mean)) return `${series.label} none`;
    const within = interval(series.low, series.high, index);
    return [
      `${series.label} ${written(mean)}`,
      within && `interval ${within}`,
      data.frame.test && TESTED[series.significance(index)],
    ]
      .filter(Boolean)
      .join(", ");
  });
  return `Layer ${data.layers[index] ?? ""}: ${parts.join("; ")}`;
}

export function describeHead(data: ChartData, index: number, head: number): string {
  const value = data.heat?.at(index, head) ?? Number.NaN;
  return `Layer ${data.layers[index] ?? ""}, head ${head}: ${formatValue(value)}`;
}

interface ColumnOf {
  head: string;
  cell(series: Series, row: number): string;
}

/** Only what the statistic has: intervals, null ranges, tests, the token pointed at. */
function columnsOf(data: ChartData, index: number, token: TokenLine | null): ColumnOf[] {
  const { frame, series } = data;
  const columns: ColumnOf[] = [{ head: "", cell: (one) => written(one.mean[index] ?? Number.NaN) }];
  if (frame.interval)
    columns.push({ head: "interval", cell: (one) => interval(one.low, one.high, index) });
  if (series.some((one) => one.nothing))
    columns.push({
      head: "by chance",
      cell: ({ nothing }) => (nothing ? interval(nothing.low, nothing.high, index) : ""),
    });
  if (frame.test) columns.push({ head: "", cell: (one) => TESTED[one.significance(index)] });
  if (token)
    columns.push({
      head: token.name,
      cell: (_, row) => formatValue(token.rows[row]?.[index] ?? Number.NaN),
    });
  return columns;
}

export function layerTable(
  data: ChartData,
  index: number,
  token: TokenLine | null,
  options: { colours: Colours; open: boolean },
): Child[] {
  const columns = columnsOf(data, index, token);
  const rows = data.series.map((series, i) => {
    const key = keyMark(series.name, options.colours(series.name));
    const name = h("th", { attrs: { scope: "row" } }, key, series.label);
    if (Number.isNaN(series.mean[index] ?? Number.NaN)) {
      const none = h("td", { attrs: { colspan: columns.length } }, "not in this layer");
      return h("tr", {}, name, none);
    }
    return h("tr", {}, name, ...columns.map((one) => h("td", {}, one.cell(series, i))));
  });
  const head = ["", ...columns.map((one) => one.head)].map((text) =>
    h("th", { attrs: { scope: "col" } }, h("bdi", {}, text)),
  );
  return [
    h("strong", {}, `Layer ${data.layers[index] ?? ""}`),
    h("table", { class: "gh-chart-table" }, h("tr", {}, ...head), ...rows),
    options.open ? null : h("div", { class: "gh-caption" }, "no attention of this kind here"),
  ];
}

/** What goes off the chart, so that a clipped line does not mislead. */
export function beyondWords(
  data: ChartData,
  token: TokenLine,
  { floor, max }: { floor: number; max: number },
): string {
  const off = (value: number | undefined): boolean =>
    value !== undefined && (value > max || value < floor);
  const beyond = data.layers.filter((_, j) => token.rows.some((row) => off(row[j])));
  if (beyond.length === 0) return "";
  const values = token.rows.flatMap((row) => Array.from(row).filter(off));
  const farthest = values.reduce((a, b) => (away(b) > away(a) ? b : a));
  const where = beyond.length === 1 ? `layer ${beyond[0]}` : `${beyond.length} layers`;
  const to = farthest > max ? "up to" : "down to";
  return ` It leaves the chart in ${where} (${to} ${formatValue(farthest)}).`;

  function away(value: number): number {
    return Math.max(value - max, floor - value);
  }
}

/** The token that stands out most, named; "" where none does. */
export function outlierWords({ frame }: ChartData): string {
  const { outlier, token_labels: labels } = frame;
  if (!outlier) return "";
  const { position, value, median, series, layer, n_tokens: n } = outlier;
  const where = `${series}, layer ${layer}; median ${formatValue(median)}`;
  const more = n > 1 ? `; ${n - 1} more` : "";
  return `outlier: token ${position} ${tokenName(labels, position)} ${formatValue(value)} (${where})${more}`;
}

/** What lines, bands and marks stand for. */
export function legendWords({ frame, series }: ChartData): string[] {
  const middle = frame.interval || frame.has_tokens ? `line: ${frame.middle}` : "";
  const line = frame.interval ? `${middle}; band: ${frame.interval}` : middle;
  const chance = series.some(({ nothing }) => nothing) ? `hatched: ${frame.null_words}` : "";
  return [line, chance, frame.test].filter(Boolean);
}
