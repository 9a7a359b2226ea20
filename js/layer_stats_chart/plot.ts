/** What the figures of a layer have in common: axes, a legend, room. */

import { scaleLinear } from "d3-scale";
import { type Child, svg } from "../shared/dom";
import type { Named } from "../shared/state";
import { type Colours, markPath } from "./marks";
import { tickLabels, type ValueScale } from "./scales";

const HEIGHT = 168;
export const LEGEND = 20;
const MARGIN = { top: 8, right: 10, bottom: 34 };

export interface Plot {
  left: number;
  right: number;
  top: number;
  bottom: number;
  x(value: number): number;
  y(value: number): number;
  axes: SVGElement[];
}

export interface PlotRoom {
  width: number;
  /** Above the plot. */
  header: number;
}

export function plotOf(
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

export function axisName(name: string, place: Record<string, string | number>): SVGElement {
  return svg("text", { class: "gh-chart-axis", "text-anchor": "middle", ...place }, name);
}

/** An axis from end to end of the data, with round ticks inside. */
export function exactScale(min: number, max: number, ticks: number): ValueScale {
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

export function picture(
  { width, header }: PlotRoom,
  label: string,
  ...children: Child[]
): SVGElement {
  // What is within an image is hidden from screen readers: buttons are in a group.
  const buttons = children.some(
    (child) =>
      child instanceof Element &&
      (child.matches("[role=button]") || child.querySelector("[role=button]") !== null),
  );
  const role = buttons ? "group" : "img";
  const size = { width, height: HEIGHT + header, role, "aria-label": label };
  return svg("svg", { class: "gh-chart gh-panel-chart", ...size }, ...children);
}

/** Inside the picture, so that it goes where the picture goes. */
export function legend(series: readonly Named[], colours: Colours, left: number): Child {
  if (!named(series)) return null;
  let x = left;
  const keys = series.map(({ name, label }) => {
    const at = `translate(${x + 5} 8)`;
    const key =
      name === "trimmed"
        ? svg("path", { class: "gh-panel-trimmed", d: markPath(name, 4), transform: at })
        : svg("path", { d: markPath(name, 4), fill: colours(name), transform: at });
    const text = svg("text", { class: "gh-panel-key", x: x + 14, y: 8, dy: "0.32em" }, label);
    x += 26 + 6.2 * label.length;
    return svg("g", {}, key, text);
  });
  return svg("g", {}, ...keys);
}

export function named(series: readonly Named[]): boolean {
  return series.length > 1;
}
