/** Colours and marks: blocks differ in shape as well as in colour. */

import { h, svg } from "../shared/dom";
import {
  css,
  HEAD_COLOURS,
  headColour,
  headColours,
  type Rgb,
  type Theme,
} from "../shared/palette";
import type { Named } from "../shared/state";
import type { Significance } from "./data";

type Shape = (r: number) => string;

// Around (0, 0), with areas that look alike.
const circle: Shape = (r) => `M${r} 0A${r} ${r} 0 1 1 ${-r} 0A${r} ${r} 0 1 1 ${r} 0Z`;
/** A cross: what is left out. */
const cross: Shape = (r) => `M${-r} ${-r}L${r} ${r}M${-r} ${r}L${r} ${-r}`;
const square: Shape = (r) => `M${-0.9 * r} ${-0.9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}Z`;
const diamond: Shape = (r) => `M0 ${-1.3 * r}L${1.3 * r} 0L0 ${1.3 * r}L${-1.3 * r} 0Z`;
const triangle: Shape = (r) => `M0 ${-1.3 * r}L${1.2 * r} ${0.8 * r}L${-1.2 * r} ${0.8 * r}Z`;

const SHAPES: Readonly<Record<string, Shape>> = {
  mlp: square,
  incorrect: square,
  cross: diamond,
  residual: triangle,
  trimmed: cross,
};
/** The blocks have the same colour in every statistic. */
const COLOUR_OF: Readonly<Record<string, number>> = {
  attention: 0,
  mlp: 1,
  cross: 2,
  residual: 3,
  correct: 2,
  incorrect: 1,
};
const LOOK: Readonly<Record<Significance, string>> = {
  0: "gh-chart-mark is-untested",
  1: "gh-chart-mark is-open",
  2: "gh-chart-mark",
};

export type Colours = (name: string) => string;

/** What stands for all heads is ink: each colour belongs to a head. */
export const INK: Colours = () => "var(--gh-ink)";

/**
 * A colour for each series, none repeated; beyond the palette ink, told apart by mark and name.
 * Where there are more than the palette has, and none is a block (one statistic with ever more
 * bins, say), their order is a way between two colours that can be read as text, too.
 */
export function coloursOf(series: readonly Named[], theme: Theme): Colours {
  if (series.length > HEAD_COLOURS && series.every(({ name }) => !(name in COLOUR_OF))) {
    return onTheWay(series, theme);
  }
  const taken = new Set<number>();
  const numbers = new Map<string, number>();
  for (const { name } of series) {
    const own = COLOUR_OF[name];
    if (own !== undefined && !taken.has(own)) numbers.set(name, own).size && taken.add(own);
  }
  let next = 0;
  for (const { name } of series) {
    if (numbers.has(name)) continue;
    while (taken.has(next)) next++;
    numbers.set(name, next);
    taken.add(next);
  }
  const colour = headColour(
    [...numbers.values()].sort((a, b) => a - b),
    theme,
  );
  return (name) => css(colour(numbers.get(name) ?? 0));
}

function onTheWay(series: readonly Named[], theme: Theme): Colours {
  const [, from, , to] = headColours([0, 1, 2, 3], theme);
  const places = new Map(series.map(({ name }, i) => [name, i / (series.length - 1)]));
  return (name) => {
    const share = places.get(name) ?? 0;
    const mixed = [0, 1, 2].map((i) => (from?.[i] ?? 0) * (1 - share) + (to?.[i] ?? 0) * share);
    return css(mixed as unknown as Rgb);
  };
}

/** A mark of radius r at (0, 0). */
export function markPath(name: string, r: number): string {
  return (SHAPES[name] ?? circle)(r);
}

/** A mark of radius r; open where a test found nothing, small where there was none; null = plain. */
export function mark(
  name: string,
  x: number,
  y: number,
  r: number,
  significance: Significance | null,
): SVGElement {
  return svg("path", {
    class: significance === null ? LOOK[2] : LOOK[significance],
    d: markPath(name, significance === 0 ? 0.6 * r : r),
    transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`,
  });
}

/** The mark of a series in front of its name. */
export function keyMark(name: string, colour: string): HTMLElement {
  const box = { width: 12, height: 12, viewBox: "-6 -6 12 12", "aria-hidden": "true" };
  const picture = svg("svg", box, svg("path", { d: markPath(name, 4), fill: colour }));
  return h("span", { class: "gh-chart-key" }, picture);
}
