/** The card beside the text: one token in numbers, and what counts most for the target. */

import { type Child, fill, h, style } from "../shared/dom";
import type { Paint } from "../shared/map/signed";
import { subscript } from "../shared/names";
import { percent } from "../shared/numbers";
import { css } from "../shared/palette";
import { threeDigits } from "../shared/signed_numbers";
import { show } from "../shared/token_text";
import type { AttributionData, UnitAt } from "./data";
import { armsOf } from "./scale";
import type { Target } from "./state";
import { amount, targetName, trimmed, unitName, unitNumber, valueWords } from "./words";

export interface CardProps {
  readonly data: AttributionData;
  readonly paint: Paint;
  /** The target that it is about. */
  readonly target: number;
  /** The token that is pointed at. */
  readonly at: { readonly text: number; readonly token: number } | null;
}

export interface Card {
  readonly element: HTMLElement;
  update(props: CardProps): void;
}

const MOST_BARS = 10;

export function createCard(onPoint: (at: UnitAt | null) => void): Card {
  const top = h("div", { class: "as-card-top" });
  const list = h("ol", { class: "as-bars" });
  const caption = h("div", { class: "gh-caption" });
  const element = h(
    "aside",
    { class: "as-card", aria: { label: "Attribution in numbers" } },
    top,
    caption,
    list,
  );
  const unitOf = (event: Event): UnitAt | null => {
    const row = event.target instanceof Element ? event.target.closest("[data-unit]") : null;
    if (!(row instanceof HTMLElement)) return null;
    return { text: Number(row.dataset.text), unit: Number(row.dataset.unit) };
  };
  list.addEventListener("pointerover", (event) => onPoint(unitOf(event)));
  list.addEventListener("pointerleave", () => onPoint(null));
  let listed: readonly unknown[] = [];
  return {
    element,
    update(props) {
      const { data, paint, target, at } = props;
      const of = data.frame.targets[target];
      if (!of) return;
      fill(top, ...(at ? tokenNodes(props, of, at) : targetNodes(data, of)));
      const { up, down } = armsOf(paint);
      style(element, "--as-up", css(up));
      style(element, "--as-down", css(down));
      const unit = at && (data.texts[at.text]?.unitOf(at.token) ?? null);
      const lit = at && unit !== null ? `${at.text}:${unit}` : "";
      if (listed[0] !== data || listed[1] !== target) {
        listed = [data, target];
        caption.textContent = `What counts most for ${targetName(of)}`;
        fill(list, ...bars(data, target));
      }
      for (const row of list.children) {
        const { text, unit } = (row as HTMLElement).dataset;
        row.classList.toggle("is-lit", `${text}:${unit}` === lit);
      }
    },
  };
}

/** The target, while no token is pointed at. */
function targetNodes({ frame }: AttributionData, of: Target): Child[] {
  const { quantity, value, against, unit } = of;
  const isProbable = quantity === "log_probability" && !against;
  const figure = isProbable ? percent(Math.exp(value)) : threeDigits(value);
  const what = isProbable ? "probability" : against ? "difference of logits" : "logit";
  return [
    h("div", { class: "as-card-token" }, h("bdi", {}, targetName(of))),
    h("div", { class: "as-figure" }, h("strong", {}, figure), ` ${what}`),
    isProbable && h("div", {}, `log-probability ${amount(value, unit)}`),
    h("div", { class: "as-soft" }, frame.how),
  ];
}

/** A token, and what it counts for each target. */
function tokenNodes(
  { data, target }: CardProps,
  of: Target,
  { text, token }: { text: number; token: number },
): Child[] {
  const { input, special, generated } = data.texts[text] ?? data.asked;
  const tags = [
    `token ${token}`,
    ...(special[token] ? ["special"] : []),
    ...(generated[token] ? ["generated"] : []),
  ];
  const isBehind = text === data.texts.length - 1 && token >= input.texts.length;
  const written = isBehind ? "next" : (input.texts[token] ?? "");
  const heading = h(
    "div",
    { class: "as-card-token" },
    h("bdi", { attrs: { dir: "auto" } }, isBehind ? written : show(written)),
    h("span", { class: "gh-caption" }, isBehind ? "behind the text" : tags.join(" · ")),
  );
  if (text === data.texts.length - 1 && token === of.place && (of.came || isBehind)) {
    return [heading, h("div", {}, "This is what is explained."), h("div", {}, valueWords(of))];
  }
  if (data.isLater(target, text, token)) {
    return [heading, h("div", {}, `Comes later than ${targetName(of)}: it could not matter.`)];
  }
  const unit = data.texts[text]?.unitOf(token) ?? null;
  if (unit === null) return [heading, h("div", {}, "It has no attribution.")];
  const at = { text, unit };
  const share = data.share(target, at);
  return [
    heading,
    h("div", { class: "as-figure" }, h("strong", {}, amount(data.value(target, at), of.unit))),
    !Number.isNaN(share) && h("div", {}, `${percent(share)} of the sizes of all`),
    data.frame.key.unit === "word" && h("div", { class: "as-soft" }, wordWords(data, at)),
  ];
}

function wordWords(data: AttributionData, at: UnitAt): string {
  const n = data.texts[at.text]?.tokensOf(at.unit).length ?? 0;
  return n > 1 ? `The word ${unitName(data, at)}: the sum of its ${n} tokens` : "";
}

/** Against zero in the middle; the longest is the strongest. */
function bars(data: AttributionData, target: number): HTMLElement[] {
  const strongest = data.strongest(target, MOST_BARS);
  const [first] = strongest;
  if (!first) return [h("li", { class: "as-soft" }, "Nothing counts: all attributions are 0.")];
  const end = Math.abs(data.value(target, first));
  return strongest.map((at) => {
    const value = data.value(target, at);
    const { input } = data.texts[at.text] ?? data.asked;
    const length = (50 * Math.abs(value)) / end;
    const left = value < 0 ? 50 - length : 50;
    return h(
      "li",
      { data: { text: at.text, unit: at.unit } },
      h(
        "span",
        { class: "as-bar-text" },
        h("bdi", { attrs: { dir: "auto" } }, show(trimmed(input.labels[at.unit] ?? ""))),
        subscript(unitNumber(data, at)),
      ),
      h(
        "span",
        { class: "as-bar-track", aria: { hidden: true } },
        h("i", {
          class: value < 0 ? "is-down" : "is-up",
          style: { left: `${left}%`, width: `${length}%` },
        }),
      ),
      h("span", { class: "as-bar-value" }, threeDigits(value)),
    );
  });
}
