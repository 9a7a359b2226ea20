/** The legend: what the colours are worth, and what the other marks mean. */

import { type Child, h } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import { differenceRamp } from "./compare";
import type { StripData } from "./data";
import { MEASURES, type Scale } from "./measures";
import type { Measure } from "./state";

export function legendNodes(
  data: StripData,
  measure: Measure,
  scale: Scale,
  table: Uint8ClampedArray,
): Child[] {
  const { values, frame } = data;
  if (frame.n_scored === 0) return [];
  const { compared } = data;
  const nodes: Child[] = [
    compared ? differenceRamp(compared, measure, scale, table) : ramp(measure, scale, table),
  ];
  const key = (name: string, words: string): HTMLElement =>
    h(
      "span",
      { class: "gh-strip-key" },
      h("span", { class: `gh-strip-key-sample is-${name}` }, name === "unscored" ? "  " : "word"),
      words,
    );
  if (data.nWrong > 0) nodes.push(key("wrong", "not the first guess"));
  if (compared && compared.count < frame.texts.length) {
    nodes.push(key("unscored", "not compared"));
  } else if (values.surprisal.some(Number.isNaN)) nodes.push(key("unscored", "no value"));
  if (data.firstGenerated !== null) nodes.push(key("generated", "generated"));
  return nodes;
}

function ramp(measure: Measure, scale: Scale, table: Uint8ClampedArray): HTMLElement {
  const { title, unit } = MEASURES[measure];
  const labels = scale.ticks.map(({ label }) => h("span", {}, label));
  return h(
    "span",
    { class: "gh-strip-scale" },
    h("span", { class: "gh-strip-scale-title" }, `${title} (${unit})`),
    h(
      "span",
      { class: "gh-strip-ramp" },
      h("span", { class: "gh-ramp", style: { background: gradientCss(table) } }),
      h("span", { class: "gh-strip-ticks" }, ...labels),
    ),
    scale.clip && h("span", {}, scale.clip),
  );
}
