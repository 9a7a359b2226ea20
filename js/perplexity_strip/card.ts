/**
 * The card beside the text: one token's numbers and what the model would rather have written.
 *
 * It stands in the page instead of floating over it: it hides no text, and it follows tokens that
 * are hovered in a linked view.
 */

import { type Child, fill, h } from "../shared/dom";
import { percent } from "../shared/numbers";
import { quote, show } from "../shared/token_text";
import { type Alternative, ranksOf } from "./alternatives";
import { formatValue, MEASURE_NAMES, MEASURES, type Values } from "./measures";
import type { Measure } from "./state";

/** Alternatives, or in words why there are none (yet). */
export type Alternatives = readonly Alternative[] | string;

export interface TokenCard {
  position: number;
  text: string;
  /** How it is called in a sentence. */
  name: string;
  tags: readonly string[];
  values: Values;
  measure: Measure;
  /** Why the token has no value; "" when it has one. */
  reason: string;
  alternatives: Alternatives;
  /** "looks most at ‘chien’ 0.82" for encoder-decoder models, else "". */
  looks: string;
}

/** What an empty card has to leave room for. */
export interface Room {
  values: Values;
  /** Alternatives asked for. */
  k: number;
  /** Whether there is a source text to look at. */
  looks: boolean;
}

export interface Card {
  readonly element: HTMLElement;
  /** A full card stands unseen behind whatever is shown. */
  keep(room: Room): void;
  showToken(card: TokenCard): void;
  /** What the card says while no token is hovered or pinned. */
  showSummary(lines: readonly Child[]): void;
}

const BLANK: Alternative = { text: "\u00a0", probability: 0, isTrue: false };

export function createCard(): Card {
  const shown = h("div");
  const space = h("div", { class: "gh-strip-card-room", aria: { hidden: true } });
  let kept = "";
  return {
    element: h(
      "aside",
      { class: "gh-strip-card", aria: { label: "The token in numbers" } },
      shown,
      space,
    ),
    // The card's height is always the same then: if it grew under the pointer, the page could move
    // the hovered token away from it.
    keep(room) {
      const needs = `${room.k}:${room.looks}`;
      if (kept !== needs) fill(space, ...fullCard(room));
      kept = needs;
    },
    showToken: (card) => fill(shown, ...tokenNodes(card)),
    showSummary: (lines) =>
      fill(shown, ...lines.map((line) => h("p", { class: "gh-strip-card-summary" }, line))),
  };
}

function fullCard({ values, k, looks }: Room): Child[] {
  const blank = BLANK.text;
  return tokenNodes({
    ...{
      position: -1,
      text: blank,
      name: blank,
      tags: [],
      values,
      measure: "surprisal",
      reason: "",
    },
    // One more than asked for: the true token follows when it is none of them.
    alternatives: Array.from({ length: k + 1 }, () => BLANK),
    looks: looks ? blank : "",
  });
}

function tokenNodes(card: TokenCard): Child[] {
  const heading = h(
    "div",
    { class: "gh-strip-card-heading" },
    h("bdi", { class: "gh-strip-card-token", attrs: { dir: "auto" } }, show(card.text)),
    h("span", { class: "gh-caption" }, [`token ${card.position}`, ...card.tags].join(" · ")),
  );
  const looks = card.looks && h("p", { class: "gh-strip-card-note" }, card.looks);
  if (card.reason) return [heading, h("p", { class: "gh-strip-card-reason" }, card.reason), looks];
  return [heading, numbers(card), alternatives(card), looks];
}

function numbers({ values, measure, position }: TokenCard): HTMLElement {
  const rows = MEASURE_NAMES.map((name) => {
    const value = values[name][position] ?? Number.NaN;
    const current = name === measure ? "is-current" : "";
    return h(
      "div",
      { class: `gh-strip-card-number ${current}`, data: { measure: name } },
      h("dt", {}, MEASURES[name].title),
      h("dd", {}, formatValue(name, value)),
    );
  });
  return h("dl", { class: "gh-strip-card-numbers" }, ...rows);
}

function alternatives(card: TokenCard): HTMLElement {
  const title = h("div", { class: "gh-caption" }, "What the model expected here");
  if (typeof card.alternatives === "string") {
    const words = h("p", { class: "gh-strip-card-reason" }, card.alternatives);
    return h("div", { class: "gh-strip-card-alternatives" }, title, words);
  }
  const rank = card.values.rank[card.position] ?? Number.NaN;
  const ranks = ranksOf(card.alternatives, rank);
  const rows = card.alternatives.map((one, i) => bar(one, ranks[i] ?? Number.NaN));
  if (!card.alternatives.some(({ isTrue }) => isTrue)) {
    const probability = card.values.probability[card.position] ?? Number.NaN;
    rows.push(bar({ text: card.text, probability, isTrue: true }, rank));
  }
  const tie = tieWords(
    card.alternatives,
    rank,
    `It shares rank ${formatValue("rank", rank)} with `,
  );
  const words = tie && h("p", { class: "gh-strip-card-note" }, `${tie}.`);
  return h("div", { class: "gh-strip-card-alternatives" }, title, h("ol", {}, ...rows), words);
}

/** Which alternatives are as probable as the true token, behind `lead`; "" = none that is known. */
export function tieWords(alternatives: Alternatives, rank: number, lead: string): string {
  if (typeof alternatives === "string") return "";
  const ranks = ranksOf(alternatives, rank);
  const equals = alternatives.filter(({ isTrue }, i) => !isTrue && ranks[i] === rank);
  if (!equals.length) return "";
  const guess = rank === 1 ? " (of equals, the first in the vocabulary is the first guess)" : "";
  return `${lead}${equals.map(({ text }) => quote(text)).join(", ")}${guess}`;
}

/** The track is 100 %. */
function bar({ text, probability, isTrue }: Alternative, rank: number): HTMLElement {
  const label = `${quote(text)}, ${percent(probability)}${isTrue ? ", the true token" : ""}`;
  const width = `${(100 * probability).toFixed(1)}%`;
  return h(
    "li",
    { class: isTrue ? "gh-strip-bar-row is-true" : "gh-strip-bar-row", aria: { label } },
    h("span", { class: "gh-strip-bar-rank" }, formatValue("rank", rank)),
    h("bdi", { class: "gh-strip-bar-text", attrs: { dir: "auto" } }, show(text)),
    h(
      "span",
      { class: "gh-strip-bar-track" },
      h("span", { class: "gh-strip-bar", style: { width } }),
    ),
    h("span", { class: "gh-strip-bar-value" }, percent(probability)),
  );
}
