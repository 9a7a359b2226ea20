/** All heads of all layers as a heat map; a click goes to the head. */

import { type Child, h, svg } from "../shared/dom";
import {
  css,
  divergingTable,
  gradientCss,
  headColour,
  sequentialTable,
  type Theme,
  tableColour,
} from "../shared/palette";
import type { ChartData, Heat } from "./data";
import { drawLayerNumbers } from "./drawing";
import { type Layout, layout, numbered } from "./layout";
import { describeHead } from "./readout";
import { formatValue } from "./scales";

export interface HeatDrawing {
  data: ChartData;
  heat: Heat;
  layout: Layout;
  theme: Theme;
  current: number;
  /** Heads that are selected; empty = all. */
  heads: readonly number[];
  open: ReadonlySet<number>;
}

/** Cells this high at least; the map grows with the number of heads. */
const CELL = { least: 9, most: 26 };
/** Columns of few layers stand side by side, too. */
const MAX_STEP = 56;

export function heatHeight(heat: Heat, least: number): number {
  const plot = least - 48;
  const cell = Math.min(CELL.most, Math.max(CELL.least, Math.floor(plot / heat.nHeads)));
  return Math.max(least, cell * heat.nHeads + 48);
}

export function heatLayout(data: ChartData, heat: Heat, width: number, height: number): Layout {
  const labels = [String(heat.nHeads - 1), "head"];
  const nLayers = data.layers.length;
  return layout({ nLayers, series: [], labels, width, height, maxStep: MAX_STEP });
}

export function drawHeat(drawing: HeatDrawing): Child[] {
  const { data, heat, current, heads } = drawing;
  const { left, bottom, step, x } = drawing.layout;
  const table = tableOf(heat, drawing.theme);
  const width = Math.max(1, step - (step > 6 ? 1 : 0));
  const height = rowHeight(drawing) - (rowHeight(drawing) > 5 ? 1 : 0);
  const cells = data.layers.flatMap((layer, index) =>
    range(heat.nHeads).flatMap((head) => {
      const value = heat.at(index, head);
      if (!Number.isFinite(value)) return [];
      const outlined = index === current && heads.includes(head);
      return [
        svg("rect", {
          class: outlined ? "gh-chart-cell is-current" : "gh-chart-cell",
          "data-cell": `${layer}:${head}`,
          x: x(index) - width / 2,
          role: "button",
          "aria-label": describeHead(data, index, head),
          "aria-pressed": String(outlined),
          y: rowTop(drawing, head),
          width,
          height,
          fill: css(tableColour(table, shareOf(heat, value))),
        }),
      ];
    }),
  );
  const shown = numbered(heat.nHeads, heads.length === 1 ? (heads[0] ?? -1) : -1, height);
  const names = [...shown].map((head) => {
    const at = { x: left - 8, y: rowTop(drawing, head) + height / 2, dy: "0.32em" };
    const chosen = heads.includes(head) ? "gh-chart-tick is-current" : "gh-chart-tick";
    return svg("text", { class: chosen, ...at }, head);
  });
  const turn = `translate(9 ${(drawing.layout.top + bottom) / 2}) rotate(-90)`;
  return [
    drawLayerNumbers(data.layers, current, drawing.layout),
    svg("g", { "aria-hidden": "true" }, ...names),
    svg("text", { class: "gh-chart-axis", transform: turn, "text-anchor": "middle" }, "head"),
    drawAbsent(drawing),
    svg("g", { role: "presentation" }, ...cells),
    drawColumn(drawing),
  ];
}

/** A stroke where a layer has no such head: zero is as pale as the paper. */
function drawAbsent(drawing: HeatDrawing): Child {
  const { data, heat } = drawing;
  const { step, x } = drawing.layout;
  const reach = Math.min(4, step / 4, rowHeight(drawing) / 4);
  const strokes = data.layers.flatMap((_, index) =>
    range(heat.nHeads).flatMap((head) => {
      if (Number.isFinite(heat.at(index, head))) return [];
      const [cx, cy] = [x(index), rowTop(drawing, head) + rowHeight(drawing) / 2];
      return [`M${cx - reach} ${cy + reach}L${cx + reach} ${cy - reach}`];
    }),
  );
  if (strokes.length === 0) return null;
  return svg("path", { class: "gh-chart-absent", d: strokes.join("") });
}

/** Around the current layer, over its cells: behind them nothing of it could be seen. */
function drawColumn({ current, layout: { top, bottom, step, x } }: HeatDrawing): Child {
  if (current < 0) return null;
  const box = { x: x(current) - step / 2, y: top - 1, width: step, height: bottom - top + 2 };
  return svg("rect", { class: "gh-chart-outline", ...box });
}

/** The scale in real units. */
export function heatLegend(heat: Heat, theme: Theme): Child[] {
  const table = tableOf(heat, theme);
  const ramp = h("span", { class: "gh-ramp", style: { background: gradientCss(table) } });
  const end = (value: number): Child => h("span", { class: "gh-number" }, formatValue(value));
  const [low, high] = endsOf(heat);
  return [h("span", { class: "gh-scale" }, end(low), ramp, end(high)), heat.label];
}

/** The names of the thin lines, where heads are shown as lines. */
export function headKeys(heat: Heat | null, heads: readonly number[], theme: Theme): Child[] {
  if (!heat) return [];
  const colour = headColour(heads, theme);
  return heads.map((head) => {
    const background = css(colour(head));
    const stroke = h("span", { class: "gh-chart-stroke", style: { background } });
    return h("span", { class: "gh-chart-legend" }, stroke, `head ${head}`);
  });
}

/** Top of a cell's row, for tooltips too. */
export function rowTop(drawing: HeatDrawing, head: number): number {
  return drawing.layout.top + head * rowHeight(drawing);
}

function rowHeight({ layout: { top, bottom }, heat }: HeatDrawing): number {
  return (bottom - top) / Math.max(1, heat.nHeads);
}

/** Numbers with a sign: zero is paper, and as far below as above is as strong. */
function tableOf(heat: Heat, theme: Theme): Uint8ClampedArray {
  return heat.min < 0 ? divergingTable(theme) : sequentialTable("attention", theme);
}

function endsOf({ min, max }: Heat): readonly [number, number] {
  const far = Math.max(-min, max);
  return min < 0 ? [-far, far] : [min, max];
}

function shareOf(heat: Heat, value: number): number {
  const [low, high] = endsOf(heat);
  return (value - low) / (high - low || 1);
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
