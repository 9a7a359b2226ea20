/** What stands over the columns, and hints to strong tokens that are scrolled out of view. */

import { fill, h } from "../shared/dom";
import { SIDES, type Side, sideHeading } from "../shared/map/axis";
import type { Axes } from "../shared/state";
import { type Geometry, rowMiddle } from "./geometry";
import { type Fan, fanMean } from "./lines";

export interface Headings {
  /** Belongs above the columns. */
  readonly above: HTMLElement;
  /** Lies over the lower edge of the columns. */
  readonly below: HTMLElement;
  fill(axes: Axes): void;
  place(geometry: Geometry): void;
  /** Says how many of a fan's strong tokens are out of view, on the side that it reaches. */
  hint(geometry: Geometry, fan: Fan | null): void;
}

// Of the fan's largest weight: what has less is not worth scrolling to.
const STRONG = 0.25;

/** How many of the tokens that a fan reaches strongly lie above and below what is in view. */
export function outOfView(geometry: Geometry, fan: Fan): { above: number; below: number } {
  const mean = fanMean(fan);
  const floor = STRONG * mean.reduce((a, b) => Math.max(a, b), 0);
  const beyond = { above: 0, below: 0 };
  if (floor <= 0) return beyond;
  for (const [unit, weight] of mean.entries()) {
    if (weight < floor) continue;
    const y = rowMiddle(geometry, unit);
    if (y < 0) beyond.above++;
    else if (y > geometry.height) beyond.below++;
  }
  return beyond;
}

export function createHeadings(): Headings {
  const part = (name: string): HTMLElement => h("div", { class: name });
  const hintPart = (): HTMLElement => h("span", { class: "al-hint", aria: { hidden: true } });
  const titles = { query: part("al-heading"), key: part("al-heading") };
  const above = { query: hintPart(), key: hintPart() };
  const below = { query: hintPart(), key: hintPart() };
  const say = (hint: HTMLElement, arrow: string, count: number): void => {
    hint.textContent = count ? `${arrow} ${count} more` : "";
  };
  return {
    above: h("div", { class: "al-headings" }, titles.query, titles.key),
    below: h("div", { class: "al-below" }, below.query, below.key),
    fill(axes) {
      for (const side of SIDES) {
        const [verb, who] = sideHeading(axes[side], side);
        const words = [h("b", {}, verb), h("span", { class: "gh-caption" }, who)];
        fill(titles[side], ...words, above[side]);
      }
    },
    place({ width, x0, x1, queryX, queryWidth, keyX }) {
      titles.query.style.width = `${x0 - 11}px`;
      titles.key.style.width = `${width - x1 - 11}px`;
      below.query.style.right = `${width - queryX - queryWidth}px`;
      below.key.style.left = `${keyX}px`;
    },
    hint(geometry, fan) {
      const reached: Side = fan?.side === "key" ? "query" : "key";
      const beyond = fan ? outOfView(geometry, fan) : { above: 0, below: 0 };
      for (const side of SIDES) {
        say(above[side], "↑", side === reached ? beyond.above : 0);
        say(below[side], "↓", side === reached ? beyond.below : 0);
      }
    },
  };
}
