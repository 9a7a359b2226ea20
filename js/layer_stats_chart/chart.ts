/** The chart itself: lines by layer, or a heat map of heads; above them the lines of one token. */

import { fill, svg } from "../shared/dom";
import { css, headColour, type Theme } from "../shared/palette";
import type { ChartData } from "./data";
import {
  type Drawing,
  drawAxes,
  drawColumns,
  drawCurrent,
  drawLabels,
  drawLayerNumbers,
  drawNull,
  drawPatterns,
  drawSeries,
  drawThin,
} from "./drawing";
import { drawHeat, type HeatDrawing, heatHeight, heatLayout } from "./heat";
import { layout } from "./layout";
import { coloursOf, INK } from "./marks";
import { describeLayer, type TokenLine } from "./readout";
import { valueScale } from "./scales";
import type { ScaleName } from "./state";

/** What is to be drawn. */
export interface ChartProps {
  data: ChartData;
  /** Heads as a heat map; else lines. */
  map: boolean;
  scale: ScaleName;
  layer: number;
  /** Layers that can be gone to: those with attention of the current kind. */
  open: ReadonlySet<number>;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  theme: Theme;
  width: number;
  height: number;
}

let charts = 0;

export class Chart {
  readonly element = svg("svg", { class: "gh-chart", role: "group" });
  /** What is drawn now: lines, or a heat map, or neither yet. */
  lines: Drawing | null = null;
  heat: HeatDrawing | null = null;
  readonly #token = svg("g", {});
  readonly #pattern = `gh-chart-hatch-${charts++}`;

  get drawn(): Drawing | HeatDrawing | null {
    return this.lines ?? this.heat;
  }

  draw(props: ChartProps): void {
    const { frame, series } = props.data;
    const names = series.map(({ label }) => label).join(", ");
    const words = `${frame.title}, ${frame.unit} by layer, for ${names}. ${frame.note}`;
    this.element.setAttribute("aria-label", words);
    if (props.map) this.#drawMap(props);
    else this.#drawLines(props);
  }

  /** The lines of the hovered or pinned token; nothing else is touched. */
  light(token: TokenLine | null): void {
    const { lines } = this;
    if (!lines) return;
    const rows = token?.rows ?? [];
    const of = lines.data.series.slice(0, rows.length);
    fill(
      this.#token,
      ...of.map(({ name }, i) =>
        drawThin(lines, rows[i] ?? [], lines.colours(name), "gh-chart-token"),
      ),
    );
  }

  #drawLines(props: ChartProps): void {
    const { data, heads, theme, width, height, open } = props;
    const scale = valueScale(data, props.scale, heads);
    // As wide as either axis' numbers are: the plot stays where it is when the axis changes.
    const axes = [scale, valueScale(data, props.scale === "log" ? "linear" : "log", heads)];
    const labels = axes.flatMap(({ ticks }) => ticks.map(({ label }) => label));
    const room = { nLayers: data.layers.length, series: data.series, labels, width, height };
    const colours = data.heat ? INK : coloursOf(data.series, theme);
    const current = data.layers.indexOf(props.layer);
    const drawing: Drawing = { data, open, current, scale, layout: layout(room), colours };
    this.lines = drawing;
    this.heat = null;
    this.#size(width, height);
    fill(
      this.element,
      drawPatterns(this.#pattern),
      drawCurrent(current, drawing.layout),
      drawAxes(drawing),
      drawLayerNumbers(data.layers, current, drawing.layout),
      ...data.series.map((series) => drawNull(drawing, series, this.#pattern)),
      ...data.series.map((series) => drawSeries(drawing, series)),
      this.#token,
      svg("g", {}, ...headLines(drawing, heads, theme)),
      ...drawLabels(drawing),
      ...drawColumns(drawing, (index) => describeLayer(data, index)),
    );
  }

  #drawMap({ data, heads, theme, width, height: least, open, layer }: ChartProps): void {
    const { heat } = data;
    if (!heat) return;
    const height = heatHeight(heat, least);
    const current = data.layers.indexOf(layer);
    const place = heatLayout(data, heat, width, height);
    this.lines = null;
    this.heat = { data, open, current, heat, heads, theme, layout: place };
    this.#size(width, height);
    fill(this.element, ...drawHeat(this.heat));
  }

  #size(width: number, height: number): void {
    for (const [name, value] of Object.entries({ width, height })) {
      this.element.setAttribute(name, String(value));
    }
  }
}

function headLines(drawing: Drawing, heads: readonly number[], theme: Theme) {
  const { heat, layers } = drawing.data;
  if (!heat) return [];
  const colour = headColour(heads, theme);
  return heads.map((head) => {
    const values = layers.map((_, index) => heat.at(index, head));
    return drawThin(drawing, values, css(colour(head)), "gh-chart-head");
  });
}
