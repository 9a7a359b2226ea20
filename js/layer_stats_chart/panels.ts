/** One layer in detail: histograms, a scatter, bars of heads, a table of words. */

import { scaleBand, scaleLinear } from "d3-scale";
import { unpack } from "../shared/arrays";
import { type Child, h, svg } from "../shared/dom";
import type { Theme } from "../shared/palette";
import type { Named } from "../shared/state";
import { show } from "../shared/token_text";
import { type Colours, coloursOf, markPath } from "./marks";
import { countScale, formatValue, linearScale, tickLabels, type ValueScale } from "./scales";
import type { BarsPanel, HistogramPanel, Panel, ScatterPanel, TablePanel } from "./state";

export interface PanelRoom {
  width: number;
  theme: Theme;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  onHead(head: number): void;
}

const HEIGHT = 168;
const LEGEND = 20;
const MARGIN = { top: 8, right: 10, bottom: 34 };

export function drawPanel(panel: Panel, room: PanelRoom): HTMLElement {
  return h(
    "figure",
    { class: "gh-panel", data: { panel: panel.type }, style: { width: `${room.width}px` } },
    h("figcaption", {}, panel.title),
    ...content(panel, room),
    panel.words ? h("p", { class: "gh-panel-words" }, panel.words) : null,
  );
}

function content(panel: Panel, room: PanelRoom): Child[] {
  switch (panel.type) {
    case "histogram":
      return histogram(panel, room);
    case "scatter":
      return scatter(panel, room);
    case "bars":
      return bars(panel, room);
    case "table":
      return [table(panel)];
  }
}

// ── Axes ────────────────────────────────────────────────────────────────────────────────────────

interface Plot {
  left: number;
  right: number;
  top: number;
  bottom: number;
  x(value: number): number;
  y(value: number): number;
  axes: SVGElement[];
}

interface PlotRoom {
  width: number;
  /** Above the plot. */
  header: number;
}

function plotOf(
  { width, header }: PlotRoom,
  xs: ValueScale | null,
  ys: ValueScale,
  names: [string, string],
): Plot {
  const widest = Math.max(...ys.ticks.map(({ label }) => label.length), 1);
  const [left, right] = [24 + 6.5 * widest, width - MARGIN.right];
  const [top, bottom] = [MARGIN.top + header, HEIGHT - MARGIN.bottom + header];
  const x = (value: number): number => left + (xs ? xs.share(value) : 0) * (right - left);
  const y = (value: number): number => bottom - ys.share(value) * (bottom - top);
  const rows = ys.ticks.flatMap(({ value, label }) => {
    const at = Math.round(y(value)) + 0.5;
    return [
      svg("line", { class: "gh-chart-grid", x1: left, x2: right, y1: at, y2: at }),
      svg("text", { class: "gh-chart-tick", x: left - 6, y: at, dy: "0.32em" }, label),
    ];
  });
  const columns = (xs?.ticks ?? []).map(({ value, label }) =>
    svg("text", { class: "gh-chart-number", x: x(value), y: bottom + 14 }, label),
  );
  const middle = `translate(9 ${(top + bottom) / 2}) rotate(-90)`;
  const axes = [
    ...rows,
    ...columns,
    axisName(names[0], { x: (left + right) / 2, y: bottom + 29 }),
    axisName(names[1], { transform: middle }),
  ];
  return { left, right, top, bottom, x, y, axes };
}

function axisName(name: string, place: Record<string, string | number>): SVGElement {
  return svg("text", { class: "gh-chart-axis", "text-anchor": "middle", ...place }, name);
}

/** An axis from end to end of the data, with round ticks inside. */
function exactScale(min: number, max: number, ticks: number): ValueScale {
  const scale = scaleLinear().domain([min, max]).range([0, 1]);
  const format = scale.tickFormat(ticks);
  return {
    share: scale,
    ticks: scale.ticks(ticks).map((value, i, all) => ({
      value,
      label: tickLabels(all, format)[i] ?? "",
    })),
    floor: min,
    max,
  };
}

function picture({ width, header }: PlotRoom, label: string, ...children: Child[]): SVGElement {
  const size = { width, height: HEIGHT + header, role: "img", "aria-label": label };
  return svg("svg", { class: "gh-chart gh-panel-chart", ...size }, ...children);
}

/** Inside the picture, so that it goes where the picture goes. */
function legend(series: readonly Named[], colours: Colours, left: number): Child {
  if (!named(series)) return null;
  let x = left;
  const keys = series.map(({ name, label }) => {
    const at = `translate(${x + 5} 8)`;
    const key = svg("path", { d: markPath(name, 4), fill: colours(name), transform: at });
    const text = svg("text", { class: "gh-panel-key", x: x + 14, y: 8, dy: "0.32em" }, label);
    x += 26 + 6.2 * label.length;
    return svg("g", {}, key, text);
  });
  return svg("g", {}, ...keys);
}

function named(series: readonly Named[]): boolean {
  return series.length > 1;
}

// ── Histogram ───────────────────────────────────────────────────────────────────────────────────

function histogram(panel: HistogramPanel, { width, theme }: PanelRoom): Child[] {
  const edges = Array.from(unpack(panel.edges));
  const values = unpack(panel.values);
  const bins = edges.length - 1;
  const colours = coloursOf(panel.series, theme);
  const at = panel.mark?.value ?? edges[0] ?? 0;
  const [low = 0, high = 1] = [edges[0], edges[bins]];
  const xs = exactScale(Math.min(low, at), Math.max(high, at), Math.max(2, Math.floor(width / 90)));
  const ys = countScale([0, ...Array.from(values)]);
  const size = { width, header: named(panel.series) ? LEGEND : 0 };
  const plot = plotOf(size, xs, ys, [panel.x, panel.y]);
  const steps = panel.series.map(({ name }, row) => {
    const heights = values.subarray(row * bins, (row + 1) * bins);
    const outline = Array.from(heights, (value, i) => {
      const [from, to] = [plot.x(edges[i] ?? 0), plot.x(edges[i + 1] ?? 0)];
      return `L${from.toFixed(1)} ${plot.y(value).toFixed(1)}H${to.toFixed(1)}`;
    });
    const d = `M${plot.x(low).toFixed(1)} ${plot.bottom}${outline.join("")}V${plot.bottom}`;
    return svg("path", { class: "gh-panel-steps", style: `--series:${colours(name)}`, d });
  });
  const words = `${panel.title}. ${panel.x}. ${panel.words}`;
  const keys = legend(panel.series, colours, plot.left);
  return [picture(size, words, keys, ...plot.axes, ...steps, ...drawMark(panel, plot))];
}

/** A line where the observed value is, its name on the side with room. */
function drawMark({ mark }: HistogramPanel, plot: Plot): Child[] {
  if (!mark) return [];
  const x = plot.x(mark.value);
  const leftwards = x > (plot.left + plot.right) / 2;
  return [
    svg("line", { class: "gh-panel-mark", x1: x, x2: x, y1: plot.top, y2: plot.bottom }),
    svg(
      "text",
      {
        class: "gh-panel-mark-name",
        x: leftwards ? x - 5 : x + 5,
        y: plot.top + 9,
        "text-anchor": leftwards ? "end" : "start",
      },
      `${mark.label} ${formatValue(mark.value)}`,
    ),
  ];
}

// ── Scatter ─────────────────────────────────────────────────────────────────────────────────────

function scatter(panel: ScatterPanel, { width, theme }: PanelRoom): Child[] {
  const [xs, ys] = [unpack(panel.points_x), unpack(panel.points_y)];
  const of = unpack(panel.points_series);
  const colours = coloursOf(panel.series, theme);
  const room = { width, header: named(panel.series) ? LEGEND : 0 };
  const plot = plotOf(room, linearScale(Array.from(xs)), linearScale(Array.from(ys)), [
    panel.x,
    panel.y,
  ]);
  const r = xs.length > 400 ? 1.8 : 2.8;
  const points = Array.from(xs, (value, i) => {
    const name = panel.series[of[i] ?? 0]?.name ?? "";
    const at = `translate(${plot.x(value).toFixed(1)} ${plot.y(ys[i] ?? 0).toFixed(1)})`;
    const look = { class: "gh-panel-point", style: `--series:${colours(name)}` };
    return svg("path", { ...look, d: markPath(name, r), transform: at });
  });
  const words = `${panel.title}. ${panel.words}`;
  const keys = legend(panel.series, colours, plot.left);
  return [picture(room, words, keys, ...plot.axes, ...points)];
}

// ── Bars ────────────────────────────────────────────────────────────────────────────────────────

function bars(panel: BarsPanel, room: PanelRoom): Child[] {
  const values = Array.from(unpack(panel.values));
  const size = { width: room.width, header: 0 };
  const scale = linearScale([0, ...values.filter(Number.isFinite)]);
  const ofHeads = panel.clickable === "head";
  const plot = plotOf(size, null, scale, [ofHeads ? "head" : "", panel.y]);
  const x = scaleBand<number>(values.keys(), [plot.left, plot.right]).padding(0.2);
  const every = Math.max(1, Math.ceil(20 / x.step()));
  const shown = panel.labels.map((label, i) => {
    const at = (x(i) ?? 0) + x.bandwidth() / 2;
    const place = { class: "gh-chart-number", x: at, y: plot.bottom + 14 };
    const name = i % every ? null : svg("text", place, label);
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value)) return svg("g", {}, name);
    const [zero, end] = [plot.y(0), plot.y(value)];
    const on = !ofHeads || room.heads.length === 0 || room.heads.includes(Number(label));
    const box = {
      x: x(i) ?? 0,
      y: Math.min(zero, end),
      width: x.bandwidth(),
      height: Math.max(0.5, Math.abs(zero - end)),
    };
    const bar = svg("rect", { class: on ? "gh-panel-bar" : "gh-panel-bar is-off", ...box });
    const area = ofHeads ? pressable(label, value, room, plot, { at, step: x.step() }) : null;
    return svg("g", {}, bar, name, area);
  });
  return [picture(size, `${panel.title}. ${panel.words}`, ...plot.axes, ...shown)];
}

/** The whole column of a bar can be pressed: small bars are hard to hit. */
function pressable(
  label: string,
  value: number,
  room: PanelRoom,
  plot: Plot,
  { at, step }: { at: number; step: number },
): SVGElement {
  const words = `Head ${label}: ${formatValue(value)}`;
  const area = svg("rect", {
    class: "gh-chart-column is-open",
    "data-head": label,
    role: "button",
    "aria-label": words,
    x: at - step / 2,
    y: plot.top,
    width: step,
    height: plot.bottom - plot.top,
  });
  area.append(svg("title", {}, words));
  area.addEventListener("click", () => room.onHead(Number(label)));
  return area;
}

// ── Table ───────────────────────────────────────────────────────────────────────────────────────

function table({ title, columns, rows }: TablePanel): HTMLElement {
  const head = columns.map((column) => h("th", { attrs: { scope: "col" } }, column));
  const body = rows.map((row) =>
    h("tr", {}, ...row.map((text) => h("td", {}, h("bdi", {}, show(text))))),
  );
  return h(
    "div",
    { class: "gh-panel-scroll", attrs: { tabindex: 0, role: "region" }, aria: { label: title } },
    h(
      "table",
      { class: "gh-panel-table" },
      h("thead", {}, h("tr", {}, ...head)),
      h("tbody", {}, ...body),
    ),
  );
}
