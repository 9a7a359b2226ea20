/** The numbers of one layer in words: the tooltip, and what screen readers hear. */

import { type Child, h } from "../shared/dom";
import type { ChartData, Series } from "./data";
import { formatValue } from "./scales";

export interface TokenLine {
  position: number;
  name: string;
  rows: readonly ArrayLike<number>[];
}

export function describeLayer(data: ChartData, index: number): string {
  const parts = data.series.map((series) => {
    const mean = series.mean[index] ?? Number.NaN;
    if (!Number.isFinite(mean)) return `${series.label} none`;
    const quartiles = `${formatValue(series.low[index] ?? 0)} to ${formatValue(series.high[index] ?? 0)}`;
    return `${series.label} ${formatValue(mean)}, quartiles ${quartiles}`;
  });
  return `Layer ${data.layers[index] ?? ""}: ${parts.join("; ")}`;
}

export function layerTable(
  data: ChartData,
  index: number,
  token: TokenLine | null,
  options: { colour(series: Series): string; open: boolean },
): Child[] {
  const cell = (text: string): HTMLElement => h("td", {}, text);
  const rows = data.series.map((series, i) => {
    const key = h("span", {
      class: `gh-chart-key is-${series.name}`,
      style: { "--series": options.colour(series) },
    });
    const mean = series.mean[index] ?? Number.NaN;
    const name = h("th", { attrs: { scope: "row" } }, key, series.label);
    if (!Number.isFinite(mean)) {
      const none = h("td", { attrs: { colspan: token ? 3 : 2 } }, "not in this layer");
      return h("tr", {}, name, none);
    }
    const [low, high] = [series.low[index] ?? Number.NaN, series.high[index] ?? Number.NaN];
    const own = token && cell(formatValue(token.rows[i]?.[index] ?? Number.NaN));
    const spread = cell(`${formatValue(low)} – ${formatValue(high)}`);
    return h("tr", {}, name, cell(formatValue(mean)), spread, own);
  });
  const head = ["", "mean", "quartiles", ...(token ? [token.name] : [])].map((text) =>
    h("th", { attrs: { scope: "col" } }, h("bdi", {}, text)),
  );
  return [
    h("strong", {}, `Layer ${data.layers[index] ?? ""}`),
    h("table", { class: "gh-chart-table" }, h("tr", {}, ...head), ...rows),
    options.open ? null : h("div", { class: "gh-caption" }, "no attention of this kind here"),
  ];
}

/** What goes off the chart, so that a clipped line does not mislead. */
export function beyondWords(data: ChartData, token: TokenLine, max: number): string {
  const beyond = data.layers.filter((_, j) => token.rows.some((row) => (row[j] ?? 0) > max));
  if (beyond.length === 0) return "";
  const most = Math.max(...token.rows.flatMap((row) => Array.from(row).filter(Number.isFinite)));
  const where = beyond.length === 1 ? `layer ${beyond[0]}` : `${beyond.length} layers`;
  return ` It leaves the chart in ${where} (up to ${formatValue(most)}).`;
}
