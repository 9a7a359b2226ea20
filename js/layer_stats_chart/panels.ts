/** One layer in detail: histograms, scatters, curves, bars, matrices of pairs, a table of words. */

import { scaleBand } from "d3-scale";
import { unpack } from "../shared/arrays";
import { type Child, h, svg } from "../shared/dom";
import type { Theme } from "../shared/palette";
import { show } from "../shared/token_text";
import { coloursOf, markPath } from "./marks";
import { grid } from "./pairs";
import { exactScale, LEGEND, legend, named, type Plot, picture, plotOf } from "./plot";
import { pressableTokens } from "./pressed";
import { countScale, formatValue, linearScale } from "./scales";
import type {
  BarsPanel,
  CurvePanel,
  HistogramPanel,
  Panel,
  ScatterPanel,
  TablePanel,
} from "./state";

export interface PanelRoom {
  width: number;
  theme: Theme;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  /** Whether another pair of places can be shown: a saved page has one for each layer. */
  canChoosePairs(): boolean;
  onHead(head: number): void;
  /** Selected tokens. */
  selected: readonly number[];
  onTokens(tokens: readonly number[]): void;
}

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
    case "curve":
      return curve(panel, room);
    case "bars":
      return bars(panel, room);
    case "grid":
      return [grid(panel, room)];
    case "table":
      return [table(panel)];
  }
}

// ── Histogram ───────────────────────────────────────────────────────────────────────────────────

function histogram(panel: HistogramPanel, room: PanelRoom): Child[] {
  const { width, theme } = room;
  const edges = Array.from(unpack(panel.edges));
  const values = unpack(panel.values);
  const bins = edges.length - 1;
  const colours = coloursOf(panel.series, theme);
  const at = panel.mark?.value ?? edges[0] ?? 0;
  const [low = 0, high = 1] = [edges[0], edges[bins]];
  const xs = exactScale(Math.min(low, at), Math.max(high, at), Math.max(2, Math.floor(width / 90)));
  const all = [0, ...Array.from(values)];
  const ys = all.every(Number.isInteger) ? countScale(all) : linearScale(all);
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
  const areas = pressableTokens(room, plot, panel.positions, (i) => ({
    from: plot.x(edges[i] ?? 0),
    to: plot.x(edges[i + 1] ?? 0),
    words: `${panel.x} ${formatValue(((edges[i] ?? 0) + (edges[i + 1] ?? 0)) / 2)}`,
  }));
  const marks = drawMark(panel, plot);
  return [picture(size, words, keys, ...plot.axes, ...steps, ...marks, ...areas)];
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
    const out = name === "trimmed" ? { class: "gh-panel-trimmed" } : look;
    return svg("path", { ...out, d: markPath(name, r), transform: at });
  });
  const words = `${panel.title}. ${panel.words}`;
  const keys = legend(panel.series, colours, plot.left);
  return [picture(room, words, keys, ...plot.axes, ...points)];
}

// ── Curve ───────────────────────────────────────────────────────────────────────────────────────

function curve(panel: CurvePanel, { width, theme }: PanelRoom): Child[] {
  const xs = Array.from(unpack(panel.points_x));
  const values = unpack(panel.values);
  const colours = coloursOf(panel.series, theme);
  const room = { width, header: named(panel.series) ? LEGEND : 0 };
  const across = exactScale(Math.min(...xs), Math.max(...xs), Math.max(2, Math.floor(width / 60)));
  const plot = plotOf(room, across, linearScale(Array.from(values).filter(Number.isFinite)), [
    panel.x,
    panel.y,
  ]);
  const lines = panel.series.map(({ name }, row) => {
    const own = values.subarray(row * xs.length, (row + 1) * xs.length);
    const points = xs
      .map((x, i) => [plot.x(x), plot.y(own[i] ?? Number.NaN)] as const)
      .filter(([, y]) => Number.isFinite(y));
    const at = points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`);
    const line = svg("path", { class: "gh-chart-mean", d: at.length ? `M${at.join("L")}` : "" });
    const marks = at.map((place) =>
      svg("path", {
        class: "gh-chart-mark",
        d: markPath(name, 3.2),
        transform: `translate(${place})`,
      }),
    );
    return svg("g", { style: `--series:${colours(name)}` }, line, ...marks);
  });
  const words = `${panel.title}. ${xs.map((x, i) => `${panel.x} ${x}: ${formatValue(values[i] ?? Number.NaN)}`).join("; ")}. ${panel.words}`;
  return [picture(room, words, legend(panel.series, colours, plot.left), ...plot.axes, ...lines)];
}

// ── Bars ────────────────────────────────────────────────────────────────────────────────────────

function bars(panel: BarsPanel, room: PanelRoom): Child[] {
  const values = Array.from(unpack(panel.values));
  const size = { width: room.width, header: 0 };
  const scale = linearScale([0, ...values.filter(Number.isFinite)]);
  const ofHeads = panel.clickable === "head";
  const plot = plotOf(size, null, scale, [ofHeads ? "head" : panel.x, panel.y]);
  const x = scaleBand<number>(values.keys(), [plot.left, plot.right]).padding(0.2);
  const longest = Math.max(...panel.labels.map((label) => label.length), 1);
  const every = Math.max(1, Math.ceil((6 + 7 * longest) / x.step()));
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
  const areas = pressableTokens(room, plot, panel.positions, (i) => ({
    from: x(i) ?? 0,
    to: (x(i) ?? 0) + x.bandwidth(),
    words: `${panel.x} ${panel.labels[i] ?? ""}: ${panel.y} ${formatValue(values[i] ?? Number.NaN)}`,
  }));
  return [picture(size, `${panel.title}. ${panel.words}`, ...plot.axes, ...shown, ...areas)];
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
