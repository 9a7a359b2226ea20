/** The layer slider: its track is a chart of what the layers do. */

import { chartData, type Numbers, runs } from "../layer_stats_chart/data";
import { numbered } from "../layer_stats_chart/layout";
import type { ChartFrame } from "../layer_stats_chart/state";
import type { Control } from "../shared/controls";
import { fill, h, svg, watchSize } from "../shared/dom";

export interface TrackProps {
  layers: readonly number[];
  layer: number;
  /** The statistic that is drawn; null = none is known yet. */
  frame: ChartFrame | null;
  /** No other layer can be shown now. */
  disabled: boolean;
}

/** Pixels; the thumb's width stands in the style sheet, too. */
const [HEIGHT, NUMBERS, THUMB] = [34, 14, 12];
/** More lines than that are a tangle at this size. */
const MOST = 3;
/** Largest to smallest value from which the scale is logarithmic. */
const DECADES_FROM = 20;

export function layerTrack(
  onChange: (layer: number) => void,
  signal: AbortSignal,
): Control<TrackProps> {
  let props: TrackProps = { layers: [], layer: 0, frame: null, disabled: false };
  let width = 320;
  const input = h("input", {
    class: "ex-track-input",
    attrs: { type: "range", min: 0, step: 1 },
    aria: { label: "Layer" },
    data: { action: "layer" },
    on: {
      input: () => {
        const layer = props.layers[Number(input.value)];
        if (layer !== undefined) onChange(layer);
      },
    },
  });
  const picture = svg("svg", { class: "ex-track-picture", "aria-hidden": "true" });
  const track = h("div", { class: "ex-track-plot" }, picture, input);
  const caption = h("span", { class: "gh-caption ex-track-caption" });
  const element = h("div", { class: "ex-track" }, track, caption);
  const draw = (): void => drawTrack(picture, props, width);
  watchSize(
    track,
    () => {
      if (track.clientWidth === width) return;
      width = track.clientWidth;
      draw();
    },
    signal,
  );
  return {
    element,
    update(next) {
      props = next;
      element.hidden = next.layers.length < 2;
      input.max = String(next.layers.length - 1);
      input.value = String(Math.max(0, next.layers.indexOf(next.layer)));
      input.disabled = next.disabled;
      input.setAttribute("aria-valuetext", `layer ${next.layer}`);
      caption.replaceChildren(...captionNodes(next.frame));
      draw();
    },
  };
}

/** What the lines are: the statistic, and each line by its name. */
function captionNodes(frame: ChartFrame | null): Node[] {
  if (!frame) return [];
  const names = frame.series
    .slice(0, MOST)
    .map(({ label }, i) =>
      h("span", { class: "ex-track-name" }, h("span", { class: `ex-track-key is-${i}` }), label),
    );
  return [h("span", {}, frame.title), ...(names.length > 1 ? names : [])];
}

function drawTrack(picture: SVGElement, { layers, layer, frame }: TrackProps, width: number): void {
  const n = layers.length;
  const step = (width - THUMB) / Math.max(1, n - 1);
  const x = (i: number): number => THUMB / 2 + i * step;
  const at = layers.indexOf(layer);
  for (const [name, value] of Object.entries({ width, height: HEIGHT + NUMBERS })) {
    picture.setAttribute(name, String(value));
  }
  const band = Math.max(6, Math.min(22, step));
  const numbers = [...numbered(n, at, step)].map((i) => {
    const attrs = { class: "ex-track-number", x: x(i), y: HEIGHT + 11 };
    const text = svg("text", i === at ? { ...attrs, class: "ex-track-number is-current" } : attrs);
    text.textContent = String(layers[i]);
    return text;
  });
  const current = { x: x(at) - band / 2, y: 0, width: band, height: HEIGHT };
  fill(
    picture,
    svg("line", { class: "ex-track-floor", x1: 0, x2: width, y1: HEIGHT, y2: HEIGHT }),
    at >= 0 && svg("rect", { class: "ex-track-current", rx: 2, ...current }),
    ...(frame ? curves(frame, layers, x) : []),
    ...numbers,
  );
}

/** A line for each of the first series; layers of another kind of attention are left out. */
function curves(
  frame: ChartFrame,
  layers: readonly number[],
  x: (index: number) => number,
): SVGElement[] {
  const data = chartData(frame);
  const series = data.series.slice(0, MOST).map(({ mean }) => mean);
  const y = heights(series);
  return series.flatMap((values, i) =>
    runs(values).flatMap((run) => {
      const points = run.flatMap((index) => {
        const place = layers.indexOf(data.layers[index] ?? -1);
        return place < 0 ? [] : [`${x(place).toFixed(1)},${y(values[index] ?? 0).toFixed(1)}`];
      });
      const [first] = points;
      if (!first) return [];
      // A layer between two without a value is a point.
      if (points.length === 1) points.push(first);
      return [svg("polyline", { class: `ex-track-line is-${i}`, points: points.join(" ") })];
    }),
  );
}

/** From a value to pixels from the top; logarithmic where a few large values dwarf all others. */
function heights(series: readonly Numbers[]): (value: number) => number {
  const values = series.flatMap((one) => Array.from(one)).filter(Number.isFinite);
  const least = Math.min(...values);
  const most = Math.max(...values);
  const log = least > 0 && most / least > DECADES_FROM;
  const on = (value: number): number => (log ? Math.log(value) : value);
  const [low, high] = [log ? on(least) : Math.min(0, least), on(most)];
  const room = HEIGHT - 6;
  return (value) => 3 + room * (1 - (on(value) - low) / (high - low || 1));
}
