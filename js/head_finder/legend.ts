/** What the colours mean. */

import { type Child, h } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import { layerColour } from "./colours";
import { type FinderData, metricNamed } from "./data";
import type { Atlas } from "./painting";
import type { FinderState } from "./state";
import { modeOf, sizeWords, written } from "./words";

export function finderLegend(data: FinderData, atlas: Atlas, state: FinderState): HTMLElement[] {
  const { tables, theme } = atlas;
  if (state.mode === "scatter") {
    const [first = 0, last = 0] = [data.layers[0], data.layers.at(-1)];
    const stops = Array.from({ length: 9 }, (_, i) => layerColour(tables.weight, theme, i / 8));
    const ramp = `linear-gradient(to right, ${stops.join(", ")})`;
    return [
      scale(`layer ${first}`, ramp, String(last)),
      words("a dot is a head, named layer·head"),
      ...means(data),
    ];
  }
  const weights = gradientCss(tables.weight);
  if (modeOf(data, state) === "metric") {
    const metric = metricNamed(data, state.metric);
    if (!metric) return [];
    if (!metric.signed) {
      const top = written(metric, metric.top);
      return [scale("0", weights, top), words(metric.unit), ...means(data)];
    }
    const ends = [written(metric, -metric.top), written(metric, metric.top)] as const;
    return [scale(ends[0], gradientCss(tables.signed), ends[1]), words(metric.unit)];
  }
  return [
    scale("0", weights, "each head’s own scale"),
    scale("0", gradientCss(tables.sink), "1 in sinks"),
    words(
      `${sizeWords(data)}; by square root`,
      `Patterns: ${data.frame.scale_words}. A sink is ${data.frame.sinks_words}.`,
    ),
  ];
}

/** What the numbers are of, and what an interval is. */
function means({ frame: { corpus } }: FinderData): HTMLElement[] {
  return corpus ? [words(`means over ${corpus.words}`, corpus.note)] : [];
}

function scale(low: string, background: string, high: string): HTMLElement {
  const ramp = h("span", { class: "gh-ramp hf-ramp", style: { background } });
  return h("span", { class: "gh-scale" }, h("span", {}, low), ramp, h("span", {}, high));
}

function words(text: Child, title = ""): HTMLElement {
  return h("span", title ? { attrs: { title } } : {}, text);
}
