/** The legend: what colours are worth, and what else is marked. */

import { type Child, h } from "../shared/dom";
import type { Paint } from "../shared/map/signed";
import { gradientCss } from "../shared/palette";
import { signed } from "../shared/signed_numbers";
import type { AttributionData } from "./data";

/** `beyond`: there are values above what the colours end with. */
export function legendNodes(
  data: AttributionData,
  { table, bound }: Paint,
  beyond = false,
): Child[] {
  const { matrix, targets } = data.frame;
  const units = matrix ? [matrix.unit] : [...new Set(targets.map(({ unit }) => unit))];
  const ramp = h("span", { class: "gh-ramp", style: { background: gradientCss(table) } });
  const end = (value: number): HTMLElement => {
    const least = beyond ? (value < 0 ? "≤ " : "≥ ") : "";
    return h("span", { class: "gh-number" }, least + signed(value));
  };
  const key = (name: string, text: string, words: string): HTMLElement =>
    h("span", { class: "as-key" }, h("span", { class: `as-sample ${name}` }, text), words);
  const hasLater = targets.some(({ place }) => place < data.asked.input.texts.length - 1);
  return [
    h(
      "span",
      { class: "gh-scale" },
      h("span", { class: "as-title" }, `attribution (${units.join(", ")})`),
      h("span", {}, "against"),
      ...[end(-bound), ramp, end(bound)],
      h("span", {}, "for"),
    ),
    !matrix && key("as-target", "word", "is explained"),
    !matrix && hasLater && key("is-later", "word", "comes later"),
    matrix && key("is-hatched", "\u00a0\u00a0\u00a0", "comes later"),
  ];
}
