/** The chart as SVG elements: axes, quartile bands, means with marks, single tokens' lines. */

import { type Child, svg } from "../shared/dom";
import { type ChartData, runs, type Series } from "./data";
import { type Layout, numbered, spread } from "./layout";
import type { ValueScale } from "./scales";

export interface Drawing {
  data: ChartData;
  layout: Layout;
  scale: ValueScale;
  /** Index into the layers, -1 when the current layer is not among them. */
  current: number;
  /** Layers that can be gone to: those with attention of the current kind. */
  open: ReadonlySet<number>;
  colour(series: Series): string;
}

export function drawAxes({ data, layout, scale, current }: Drawing): SVGElement {
  const { left, right, bottom, x, y } = layout;
  const ticks = scale.ticks.flatMap(({ value, label }) => {
    const at = Math.round(y(scale.share(value))) + 0.5;
    return [
      svg("line", { class: "gh-chart-grid", x1: left, x2: right, y1: at, y2: at }),
      svg("text", { class: "gh-chart-tick", x: left - 8, y: at, dy: "0.32em" }, label),
    ];
  });
  const shown = numbered(data.layers.length, current, layout.step);
  const numbers = [...shown].map((index) =>
    svg(
      "text",
      {
        class: index === current ? "gh-chart-number is-current" : "gh-chart-number",
        x: x(index),
        y: bottom + 15,
      },
      data.layers[index] ?? "",
    ),
  );
  const middle = { x: (left + right) / 2, y: bottom + 32, "text-anchor": "middle" };
  return svg(
    "g",
    { "aria-hidden": "true" },
    ...ticks,
    ...numbers,
    svg("text", { class: "gh-chart-axis", ...middle }, "layer"),
  );
}

/** The current layer's column, behind everything. */
export function drawCurrent({ layout, current }: Drawing): Child {
  if (current < 0) return null;
  const { top, bottom, step, x } = layout;
  const width = Math.min(32, Math.max(step, 8));
  const box = { x: x(current) - width / 2, y: top - 6, width, height: bottom - top + 26 };
  return svg("rect", { class: "gh-chart-current", rx: 3, ...box });
}

export function drawSeries(drawing: Drawing, series: Series): SVGElement {
  const { layout, scale } = drawing;
  const point = (index: number, value: number | undefined): string =>
    `${layout.x(index).toFixed(1)},${layout.y(scale.share(value ?? Number.NaN)).toFixed(1)}`;
  const group = svg("g", { class: "gh-chart-series", style: `--series:${drawing.colour(series)}` });
  const [bands, lines, marks]: Node[][] = [[], [], []];
  for (const run of runs(shown(series.mean, scale))) {
    const high = run.map((i) => point(i, series.high[i]));
    const low = run.map((i) => point(i, Math.max(series.low[i] ?? 0, scale.floor))).reverse();
    if (run.length > 1) {
      bands?.push(svg("polygon", { class: "gh-chart-band", points: [...high, ...low].join(" ") }));
      const means = run.map((i) => point(i, series.mean[i])).join(" ");
      lines?.push(svg("polyline", { class: "gh-chart-mean", points: means }));
    } else {
      // A layer without neighbours has no band: its quartiles are a bar.
      lines?.push(svg("polyline", { class: "gh-chart-bar", points: `${high[0]} ${low[0]}` }));
    }
    for (const i of run)
      marks?.push(mark(series.name, layout, i, scale.share(series.mean[i] ?? 0)));
  }
  group.append(...(bands ?? []), ...(lines ?? []), ...(marks ?? []));
  return group;
}

function shown(values: ArrayLike<number>, scale: ValueScale): number[] {
  return Array.from(values, (value) => (Number.isFinite(scale.share(value)) ? value : Number.NaN));
}

/** Circle, diamond, square: the blocks differ in shape as well as in colour. */
export function mark(
  name: Series["name"],
  layout: Pick<Layout, "x" | "y" | "step">,
  index: number,
  share: number,
): SVGElement {
  const [x, y] = [layout.x(index), layout.y(share)];
  const r = layout.step < 14 ? 2.5 : 3.5;
  const common = { class: "gh-chart-mark" };
  if (name === "attention") return svg("circle", { ...common, cx: x, cy: y, r });
  const side = 1.8 * r;
  return svg("rect", {
    ...common,
    transform: name === "cross" ? `rotate(45 ${x} ${y})` : "",
    ...{ x: x - side / 2, y: y - side / 2, width: side, height: side },
  });
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
  return ends.map(({ series }, i) =>
    svg(
      "text",
      { class: "gh-chart-label", x, y: ys[i] ?? 0, dy: "0.32em", fill: drawing.colour(series) },
      series.label,
    ),
  );
}

/** One token's own values as thin lines; what lies above the axis gets an arrow at its top. */
export function drawToken(drawing: Drawing, rows: readonly ArrayLike<number>[]): Child[] {
  const { data, layout, scale } = drawing;
  return data.series.map((series, i) => {
    const values = rows[i] ?? [];
    const group = svg("g", {
      class: "gh-chart-token",
      style: `--series:${drawing.colour(series)}`,
    });
    for (const run of runs(shown(values, scale))) {
      const share = (j: number): number => scale.share(values[j] ?? Number.NaN);
      const points = run.map((j) => `${layout.x(j)},${layout.y(clamp(share(j)))}`);
      group.append(svg("polyline", { points: points.join(" ") }));
      for (const j of run) {
        if (share(j) > 1) group.append(arrow(layout.x(j), layout.top));
      }
      if (run.length === 1) {
        const [cx, cy] = (points[0] ?? "").split(",");
        group.append(svg("circle", { cx: cx ?? 0, cy: cy ?? 0, r: 2 }));
      }
    }
    return group;
  });
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

function arrow(x: number, y: number): SVGElement {
  return svg("path", { class: "gh-chart-beyond", d: `M${x - 4} ${y - 2}h8l-4 -6z` });
}

/** One column per layer to point at and click; they also name the layers for screen readers. */
export function drawColumns(drawing: Drawing, describe: (index: number) => string): Child[] {
  const { data, layout, current, open } = drawing;
  const { top, step, x, height } = layout;
  return data.layers.map((layer, index) =>
    svg("rect", {
      class: open.has(layer) ? "gh-chart-column is-open" : "gh-chart-column",
      "data-layer": layer,
      role: "button",
      "aria-label": describe(index),
      "aria-pressed": String(index === current),
      "aria-disabled": String(!open.has(layer)),
      x: x(index) - step / 2,
      y: top - 6,
      width: Math.max(1, step),
      height: height - top,
    }),
  );
}
