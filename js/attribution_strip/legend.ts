/** The legend: what colours are worth, and what else is marked. */

import { type Child, h } from "../shared/dom";
import type { Paint } from "../shared/map/signed";
import { gradientCss } from "../shared/palette";
import { signed } from "../shared/signed_numbers";
import type { AttributionData } from "./data";

export function legendNodes(data: AttributionData, { table, bound }: Paint): Child[] {
  const units = [...new Set(data.frame.targets.map(({ unit }) => unit))];
  const ramp = h("span", { class: "gh-ramp", style: { background: gradientCss(table) } });
  const end = (value: number): HTMLElement => h("span", { class: "gh-number" }, signed(value));
  const key = (name: string, text: string, words: string): HTMLElement =>
    h("span", { class: "as-key" }, h("span", { class: `as-sample ${name}` }, text), words);
  const hasLater = data.frame.targets.some(
    ({ place }) => place < data.asked.input.texts.length - 1,
  );
  return [
    h(
      "span",
      { class: "gh-scale" },
      h("span", { class: "as-title" }, `attribution (${units.join(", ")})`),
      h("span", {}, "against"),
      ...[end(-bound), ramp, end(bound)],
      h("span", {}, "for"),
    ),
    key("as-target", "word", "is explained"),
    hasLater && key("is-later", "word", "comes later"),
  ];
}
