/** The legend: what the colours are worth, and what the other marks mean. */

import { type Child, h } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import { differenceRamp } from "./compare";
import type { StripData } from "./data";
import { formatValue, MEASURES, type Scale } from "./measures";
import type { Measure } from "./state";

export function legendNodes(
  data: StripData,
  measure: Measure,
  scale: Scale,
  table: Uint8ClampedArray,
  byWord: boolean,
): Child[] {
  const { values, frame } = data;
  if (frame.n_scored === 0) return [];
  const { compared } = data;
  const nodes: Child[] = [
    compared
      ? differenceRamp(compared, measure, scale, table)
      : ramp(measure, scale, table, byWord && measure in ofWords),
  ];
  const key = (name: string, words: string): HTMLElement =>
    h(
      "span",
      { class: "gh-strip-key" },
      h("span", { class: `gh-strip-key-sample is-${name}` }, name === "unscored" ? "  " : "word"),
      words,
    );
  if (data.nWrong > 0)
    nodes.push(key("marked", data.marksRight ? "the first guess" : "not the first guess"));
  if (compared && compared.count < frame.texts.length) {
    nodes.push(key("unscored", "not compared"));
  } else if (values.surprisal.some(Number.isNaN)) nodes.push(key("unscored", "no value"));
  if (data.firstGenerated !== null) nodes.push(key("generated", "generated"));
  return nodes;
}

const ofWords: Partial<Record<Measure, true>> = {
  surprisal: true,
  perplexity: true,
  probability: true,
};

function ramp(
  measure: Measure,
  scale: Scale,
  table: Uint8ClampedArray,
  byWord: boolean,
): HTMLElement {
  const { title, unit } = MEASURES[measure];
  const labels = scale.ticks.map(({ label }) => h("span", {}, label));
  // Surprisal and perplexity are one scale, said in two ways.
  const choices = scale.ticks.map(({ bits, label }) => {
    const end = label.startsWith("≥") ? "≥ " : "";
    const bothWays = measure === "surprisal";
    const words = bothWays ? end + formatValue("perplexity", 2 ** (bits ?? 0), "short") : "\u00a0";
    return h("span", {}, words);
  });
  return h(
    "span",
    { class: "gh-strip-scale" },
    h(
      "span",
      { class: "gh-strip-scale-title" },
      `${title}${byWord ? " of words" : ""} (${byWord ? unit.replace("token", "word") : unit})`,
    ),
    h(
      "span",
      { class: "gh-strip-ramp" },
      h("span", { class: "gh-ramp", style: { background: gradientCss(table) } }),
      h("span", { class: "gh-strip-ticks" }, ...labels),
      // Empty where there is no second scale: no other measure moves what stands below.
      h("span", { class: "gh-strip-ticks is-second" }, ...choices),
    ),
    measure === "surprisal" && h("span", { class: "gh-strip-second" }, "below: perplexity"),
    scale.clip && h("span", {}, scale.clip),
  );
}
