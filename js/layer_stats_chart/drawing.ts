/** The chart as SVG elements: axes, intervals, null ranges, means with marks, single tokens' lines. */

import { type Child, svg } from "../shared/dom";
import { type ChartData, type Numbers, runs, type Series } from "./data";
import { type Layout, numbered, spread } from "./layout";
import { type Colours, mark } from "./marks";
import type { ValueScale } from "./scales";

/** Pixels between layers below which marks get smaller, so that the line stays to be seen. */
const DENSE = 14;
const CROWDED = 6;

export interface Drawing {
  data: ChartData;
  layout: Layout;
  scale: ValueScale;
  /** Index into the layers, -1 when the current layer is not among them. */
  current: number;
  /** Layers that can be gone to: those with attention of the current kind. */
  open: ReadonlySet<number>;
  colours: Colours;
}

export function drawAxes({ layout, scale }: Drawing): SVGElement {
  const { left, right, y } = layout;
  const crosses = scale.floor < 0 && scale.max > 0;
  const ticks = scale.ticks.flatMap(({ value, label }) => {
    const at = Math.round(y(scale.share(value))) + 0.5;
    const zero = crosses && value === 0 ? "gh-chart-grid is-zero" : "gh-chart-grid";
    return [
      svg("line", { class: zero, x1: left, x2: right, y1: at, y2: at }),
      svg("text", { class: "gh-chart-tick", x: left - 8, y: at, dy: "0.32em" }, label),
    ];
  });
  return svg("g", { "aria-hidden": "true" }, ...ticks);
}

export function drawLayerNumbers(
  layers: readonly number[],
  current: number,
  { left, right, bottom, step, x }: Layout,
): SVGElement {
  const numbers = [...numbered(layers.length, current, step)].map((index) =>
    svg(
      "text",
      {
        class: index === current ? "gh-chart-number is-current" : "gh-chart-number",
        x: x(index),
        y: bottom + 15,
      },
      layers[index] ?? "",
    ),
  );
  const middle = { x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle" };
  return svg(
    "g",
    { "aria-hidden": "true" },
    ...numbers,
    svg("text", { class: "gh-chart-axis", ...middle }, "layer"),
  );
}

/** The current layer's column, behind everything. */
export function drawCurrent(current: number, { top, bottom, step, x }: Layout): Child {
  if (current < 0) return null;
  const width = Math.min(32, Math.max(step, 8));
  const box = { x: x(current) - width / 2, y: top - 6, width, height: bottom - top + 26 };
  return svg("rect", { class: "gh-chart-current", rx: 3, ...box });
}

/** Diagonals for what chance alone gives: no band of data looks like that. */
export function drawPatterns(id: string): SVGElement {
  const size = { width: 5, height: 5, patternUnits: "userSpaceOnUse" };
  const stripe = svg("path", { class: "gh-chart-hatch", d: "M0 0V5" });
  return svg("defs", {}, svg("pattern", { id, ...size, patternTransform: "rotate(45)" }, stripe));
}

export function drawNull(drawing: Drawing, series: Series, pattern: string): Child {
  const { nothing } = series;
  if (!nothing) return null;
  const { band, curve } = shapes(drawing);
  const wide = (values: Numbers): number[][] =>
    runs(shown(values, drawing.scale)).map((run) => (run.length > 1 ? run : spanned(run)));
  const bands = wide(nothing.low).map((run) =>
    svg("path", {
      class: "gh-chart-null",
      fill: `url(#${pattern})`,
      d: band(run, nothing.low, nothing.high),
    }),
  );
  // A mean that is infinite is no line along the axis' end.
  const means = wide(nothing.mean).map((run) =>
    svg("path", { class: "gh-chart-null-mean", d: curve(run, nothing.mean) }),
  );
  return svg("g", {}, ...bands, ...means);
}

/** A single layer still has a width. */
function spanned(run: readonly number[]): number[] {
  const [index = 0] = run;
  return [index - 0.25, index + 0.25];
}

export function drawSeries(drawing: Drawing, series: Series): SVGElement {
  const { layout, scale } = drawing;
  const style = `--series:${drawing.colours(series.name)}`;
  const dense = layout.step < DENSE ? "gh-chart-series is-dense" : "gh-chart-series";
  const group = svg("g", { class: dense, style });
  const { band, curve } = shapes(drawing);
  const [bands, lines, marks]: [Node[], Node[], Node[]] = [[], [], []];
  const r = layout.step < CROWDED ? 1.7 : layout.step < DENSE ? 2.5 : 3.7;
  const spread = Array.from(series.low, (low, i) => low + (series.high[i] ?? Number.NaN));
  for (const run of runs(shown(spread, scale))) {
    if (run.length > 1) {
      const d = band(run, series.low, series.high);
      bands.push(svg("path", { class: "gh-chart-band", d }));
      continue;
    }
    // A layer without neighbours has no band: its interval is a bar.
    const [index = 0] = run;
    const ends = [series.low, series.high].map((end) => heightOf(drawing, end[index]));
    const x = layout.x(index);
    lines.push(svg("path", { class: "gh-chart-bar", d: `M${x} ${ends[0]}V${ends[1]}` }));
  }
  for (const run of runs(shown(series.mean, scale))) {
    if (run.length > 1)
      lines.push(svg("path", { class: "gh-chart-mean", d: curve(run, series.mean) }));
    for (const i of run) {
      const y = layout.y(scale.share(series.mean[i] ?? 0));
      const tested = drawing.data.frame.test ? series.significance(i) : null;
      marks.push(mark(series.name, layout.x(i), y, r, tested));
    }
  }
  group.append(...bands, ...lines, ...marks);
  return group;
}

/** Paths of lines and bands over runs of layers; what is beyond the axis stops at its ends. */
function shapes(drawing: Drawing) {
  const path = (run: readonly number[], values: Numbers): string =>
    run
      .map((i) => [drawing.layout.x(i).toFixed(1), heightOf(drawing, values[Math.round(i)])])
      .join("L");
  return {
    curve: (run: readonly number[], values: Numbers): string => `M${path(run, values)}`,
    band: (run: readonly number[], low: Numbers, high: Numbers): string =>
      `M${path(run, high)}L${path([...run].reverse(), low)}Z`,
  };
}

function heightOf({ layout, scale }: Drawing, value: number | undefined): number {
  const within = Math.min(scale.max, Math.max(scale.floor, value ?? Number.NaN));
  return Math.round(10 * layout.y(scale.share(within))) / 10;
}

function shown(values: Numbers, scale: ValueScale): number[] {
  return Array.from(values, (value) => (Number.isFinite(scale.share(value)) ? value : Number.NaN));
}

/** Names at the line ends, moved apart where lines meet. */
export function drawLabels(drawing: Drawing): Child[] {
  const { data, layout, scale } = drawing;
  if (!layout.direct) return [];
  const ends = data.series.flatMap((series) => {
    const last = runs(shown(series.mean, scale)).at(-1)?.at(-1);
    return last === undefined ? [] : [{ series, last }];
  });
  const at = ends.map(({ series, last }) => layout.y(scale.share(series.mean[last] ?? 0)));
  const ys = spread(at, layout.top, layout.bottom);
  const x = layout.right + 6;
  return ends.map(({ series }, i) => {
    const fill = drawing.colours(series.name);
    const place = { x, y: ys[i] ?? 0, dy: "0.32em", fill };
    return svg("text", { class: "gh-chart-label", ...place }, series.label);
  });
}

/** Lines of one token, or of one head: thin; what lies beyond the axis gets an arrow at its end. */
export function drawThin(drawing: Drawing, values: Numbers, colour: string, name: string): Child {
  const { layout, scale } = drawing;
  const { curve } = shapes(drawing);
  const group = svg("g", { class: name, style: `--series:${colour}` });
  for (const run of runs(shown(values, scale))) {
    group.append(svg("path", { class: "gh-chart-thin", d: curve(run, values) }));
    for (const j of run) {
      const share = scale.share(values[j] ?? 0);
      if (share > 1) group.append(arrow(layout.x(j), layout.top, -1));
      if (share < 0) group.append(arrow(layout.x(j), layout.bottom, 1));
    }
    if (run.length === 1) {
      const [j = 0] = run;
      group.append(svg("circle", { cx: layout.x(j), cy: heightOf(drawing, values[j]), r: 2 }));
    }
  }
  return group;
}

/** Points up (-1) or down (1), out of the plot. */
function arrow(x: number, y: number, way: 1 | -1): SVGElement {
  const d = `M${x - 4} ${y + 2 * way}h8l-4 ${6 * way}z`;
  return svg("path", { class: "gh-chart-beyond", d });
}

/** One column per layer to point at and click; they also name the layers for screen readers. */
export function drawColumns(drawing: Drawing, describe: (index: number) => string): Child[] {
  const { data, layout, current, open } = drawing;
  const { top, step, x, height, width } = layout;
  return data.layers.map((layer, index) => {
    const from = Math.max(0, x(index) - step / 2);
    const to = Math.min(width, x(index) + step / 2);
    return svg("rect", {
      class: open.has(layer) ? "gh-chart-column is-open" : "gh-chart-column",
      "data-layer": layer,
      role: "button",
      "aria-label": describe(index),
      "aria-pressed": String(index === current),
      "aria-disabled": String(!open.has(layer)),
      x: from,
      y: top - 6,
      width: Math.max(1, to - from),
      height: height - top,
    });
  });
}
