/** The way of chosen tokens through the layers: probability or rank, on a logarithmic axis. */

import { svg } from "../shared/dom";
import { percent } from "../shared/numbers";
import { quote } from "../shared/token_text";
import type { LayersReading } from "./layers";
import { type Axis, axes, boxOf, chart, logAxis, pathThrough } from "./log_chart";

/** The colour of the i-th followed token. */
export type Colours = (i: number) => string;

/** Less than this is drawn at the lower end: single precision knows little of it. */
const LEAST = 1e-9;

export function trajectoryChart(
  reading: LayersReading,
  measure: "probability" | "rank",
  colours: Colours,
  width: number,
): SVGElement {
  const { layers, followed } = reading;
  const box = boxOf(width);
  const all = followed.flatMap((one) => one[measure]).filter((value) => value > 0);
  const y =
    measure === "probability"
      ? logAxis([Math.max(LEAST, Math.min(0.1, ...all)), 1], [box.bottom, box.top], 5)
      : // Rank 1 is best, and at the top.
        logAxis([1, Math.max(10, ...all)], [box.top, box.bottom], 5);
  const x = layerAxis(layers, box);
  const lines = followed.map((one, i) => {
    const points = layers.map((layer, at) => [x.at(layer), y.at(one[measure][at] ?? NaN)] as const);
    const stroke = `stroke: ${colours(i)}`;
    const drawn = [svg("path", { class: "gh-strip-line", d: pathThrough(points), style: stroke })];
    const dots = points.map(([cx, cy]) =>
      svg("circle", { cx, cy, r: layers.length > 16 ? 2 : 3, style: `fill: ${colours(i)}` }),
    );
    return svg("g", { "data-followed": one.id }, ...drawn, ...dots);
  });
  const name = measure === "probability" ? "probability" : "rank";
  const said = followed
    .map(({ text, probability }) => `${quote(text)} ${percent(probability.at(-1) ?? Number.NaN)}`)
    .join(", ");
  return chart(
    width,
    `${name} by layer; after the last layer: ${said}`,
    ...axes(box, x, y, { x: "layer", y: name }),
    // The token that came is on top.
    ...lines.reverse(),
  );
}

function layerAxis(layers: readonly number[], box: { left: number; right: number }): Axis {
  const [first, last] = [layers[0] ?? 0, layers.at(-1) ?? 1];
  const inset = 10;
  const at = (layer: number): number =>
    box.left + inset + ((layer - first) / Math.max(1, last - first)) * (box.right - box.left - 16);
  const step = Math.max(1, Math.ceil((layers.length * 26) / (box.right - box.left)));
  const ticks = layers
    .filter((layer) => (layer - first) % step === 0)
    .map((layer) => ({ value: layer, label: String(layer) }));
  return { at, ticks };
}
