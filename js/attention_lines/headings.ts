/** What stands over the columns, and hints to strong tokens that are scrolled out of view. */

import { fill, h, hide, say, style } from "../shared/dom";
import { SIDES, type Side, sideHeading } from "../shared/map/axis";
import type { Axes } from "../shared/state";
import type { ColumnHead } from "./cells";
import { type Fan, fanValues } from "./fan";
import { type Geometry, middle } from "./geometry";
import type { Lines } from "./lines";

export interface Headings {
  /** Belongs above the columns. */
  readonly above: HTMLElement;
  /** Lies over the lower edge of the columns. */
  readonly below: HTMLElement;
  fill(axes: Axes): void;
  place(geometry: Geometry): void;
  /** Names the columns of values. */
  name(heads: readonly ColumnHead[], gutter: boolean): void;
  /** Says how many of a fan's strong tokens are out of view, on the side that it reaches. */
  hint(geometry: Geometry, fan: Fan | null, lines: Lines): void;
}

// Of the fan's largest weight: what has less is not worth scrolling to.
const STRONG = 0.25;

/** How many of the tokens that a fan reaches strongly lie above and below what is in view. */
export function outOfView(
  geometry: Geometry,
  side: Side,
  values: Float32Array,
): { above: number; below: number } {
  const floor = STRONG * values.reduce((a, b) => Math.max(a, b), 0);
  const beyond = { above: 0, below: 0 };
  if (floor <= 0) return beyond;
  for (const [unit, weight] of values.entries()) {
    if (weight < floor) continue;
    const y = middle(geometry, side, unit);
    if (y < 0) beyond.above++;
    else if (y > geometry.height) beyond.below++;
  }
  return beyond;
}

export function createHeadings(): Headings {
  const part = (name: string): HTMLElement => h("div", { class: name });
  const hintPart = (): HTMLElement => h("span", { class: "al-hint", aria: { hidden: true } });
  const titles = { query: part("al-heading is-query"), key: part("al-heading is-key") };
  const names = h("div", { class: "al-names", aria: { hidden: true } });
  const gutter = h("span", { class: "al-name is-gutter" }, "to sinks");
  const where = { query: h("span"), key: h("span") };
  const above = { query: hintPart(), key: hintPart() };
  const below = { query: hintPart(), key: hintPart() };
  let named = "";
  const more = (hint: HTMLElement, arrow: string, count: number): void =>
    say(hint, count ? `${arrow} ${count} more` : "");
  return {
    above: h(
      "div",
      { class: "al-head" },
      h("div", { class: "al-headings" }, titles.query, titles.key),
      names,
    ),
    below: h("div", { class: "al-below" }, below.query, below.key),
    fill(axes) {
      for (const side of SIDES) {
        const [verb, who] = sideHeading(axes[side], side);
        const words = [h("b", {}, where[side], verb), h("span", { class: "gh-caption" }, who)];
        fill(titles[side], ...words, above[side]);
      }
    },
    place({ horizontal, width, gutterX, queryX, queryWidth, keyX }) {
      style(titles.query, "width", horizontal ? "" : `${gutterX - 5}px`);
      style(titles.key, "width", horizontal ? "" : `${width - keyX - 5}px`);
      say(where.query, horizontal ? "above: " : "");
      say(where.key, horizontal ? "below: " : "");
      style(below.query, "right", `${width - queryX - queryWidth}px`);
      style(below.key, "left", `${keyX}px`);
      style(gutter, "left", `${gutterX + 2}px`);
    },
    name(heads, hasBars) {
      hide(gutter, !hasBars);
      const text = JSON.stringify(heads);
      if (text === named) return;
      named = text;
      fill(names, gutter, ...heads.map(nameOf));
    },
    hint(geometry, fan, lines) {
      const reached: Side = fan?.side === "key" ? "query" : "key";
      const none = { above: 0, below: 0 };
      const beyond =
        fan && !geometry.horizontal ? outOfView(geometry, reached, fanValues(fan, lines)) : none;
      for (const side of SIDES) {
        more(above[side], "↑", side === reached ? beyond.above : 0);
        more(below[side], "↓", side === reached ? beyond.below : 0);
      }
    },
  };
}

function nameOf({ x, width, words, colour, kind }: ColumnHead): HTMLElement {
  const name = h("span", { class: `al-name is-${kind}` }, words);
  name.style.left = `${x}px`;
  name.style.width = `${width}px`;
  if (colour) name.style.borderBottomColor = colour;
  return name;
}
