/** Two traces on one scale: this one's values minus the other's, zero being the paper. */

import { unpack } from "../shared/arrays";
import { type Child, h } from "../shared/dom";
import { gradientCss } from "../shared/palette";
import { CLIP_QUANTILE, formatValue, MEASURES, quantile, type Scale } from "./measures";
import type { Measure, StripFrame } from "./state";

export interface Compared {
  /** This trace and the other. */
  readonly names: readonly [string, string];
  /** Of each token, in the measure's unit; NaN where there is none. */
  readonly difference: Readonly<Record<Measure, Float32Array>>;
  /** What the other has at the token's partner. */
  readonly other: Readonly<Record<Measure, Float32Array>>;
  readonly partner: ArrayLike<number>;
  readonly count: number;
}

/** How a difference is written: its unit, and how large one must be to colour fully. */
const UNITS: Readonly<Record<Measure, { unit: string; least: number; places: number }>> = {
  surprisal: { unit: "bits", least: 1, places: 2 },
  // Of perplexity and rank the ratio is shown: they span orders of magnitude.
  perplexity: { unit: "doublings", least: 1, places: 2 },
  probability: { unit: "percentage points", least: 5, places: 1 },
  rank: { unit: "doublings", least: 1, places: 2 },
  entropy: { unit: "bits", least: 1, places: 2 },
};

export function comparedOf({ compared }: StripFrame): Compared | null {
  if (!compared) return null;
  const { difference, other } = compared;
  const bits = (nats: number): number => nats / Math.LN2;
  const read = (packed: Parameters<typeof unpack>[0], in_unit: (value: number) => number) =>
    Float32Array.from(unpack(packed), in_unit);
  const surprisal = read(difference.surprisal, bits);
  const known = (rank: number): number => (rank > 0 ? rank : Number.NaN);
  return {
    names: compared.names,
    count: compared.n_compared,
    partner: unpack(compared.partner),
    difference: {
      surprisal,
      perplexity: surprisal,
      probability: read(difference.probability, (share) => 100 * share),
      rank: read(difference.rank, Number),
      entropy: read(difference.entropy, bits),
    },
    other: {
      surprisal: read(other.surprisal, bits),
      perplexity: read(other.surprisal, Math.exp),
      probability: read(other.probability, Number),
      rank: read(other.rank, known),
      entropy: read(other.entropy, bits),
    },
  };
}

/** "+1.25 bits"; a minus sign that is as wide as the plus. */
function formatDifference(measure: Measure, value: number): string {
  if (Number.isNaN(value)) return "–";
  const { unit, places } = UNITS[measure];
  const text = Math.abs(value).toFixed(places);
  const sign = Number(text) === 0 ? "" : value > 0 ? "+" : "−";
  return `${sign}${text} ${unit}`;
}

/** Shares from 0 to 1, no difference being 0.5; both arms are equally long. */
export function differenceScale(measure: Measure, values: Float32Array): Scale {
  const sizes = values.filter((value) => !Number.isNaN(value)).map(Math.abs);
  sizes.sort();
  const end = roundEnd(Math.max(UNITS[measure].least, quantile(sizes, CLIP_QUANTILE) || 0));
  const share = (value: number): number => 0.5 + 0.5 * Math.min(1, Math.max(-1, value / end));
  const label = (value: number): string =>
    value === 0 ? "0" : `${value > 0 ? "+" : "−"}${Math.abs(value)}`;
  const ticks = [-end, 0, end].map((value) => ({ share: share(value), label: label(value) }));
  const clipped = (sizes.at(-1) ?? 0) > end;
  return { share, ticks, clip: clipped ? "the ends also stand for what is beyond them" : "" };
}

/** The next of 1, 2, 5, 10, 20 … that is not below a number. */
function roundEnd(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const digit = [1, 2, 5, 10].find((one) => one * power >= value * (1 - 1e-9)) ?? 10;
  return digit * power;
}

/** The ramp of the legend: which of the two is which arm. */
export function differenceRamp(
  { names }: Compared,
  measure: Measure,
  scale: Scale,
  table: Uint8ClampedArray,
): HTMLElement {
  const [own, other] = names;
  const labels = scale.ticks.map(({ label }) => h("span", {}, label));
  const title = `${MEASURES[measure].title}: ${own} − ${other} (${UNITS[measure].unit})`;
  return h(
    "span",
    { class: "gh-strip-scale" },
    h("span", { class: "gh-strip-scale-title" }, h("bdi", {}, title)),
    h(
      "span",
      { class: "gh-strip-ramp" },
      h("span", { class: "gh-ramp", style: { background: gradientCss(table) } }),
      h("span", { class: "gh-strip-ticks" }, ...labels),
    ),
    scale.clip && h("span", {}, scale.clip),
  );
}

/** One token in both, for its card. */
export function comparedWords(
  { names, difference, other, partner }: Compared,
  measure: Measure,
  position: number,
): string {
  const [, theirs] = names;
  if (!partner[position]) return `No partner in ${theirs}: that has other words here.`;
  const value = difference[measure][position] ?? Number.NaN;
  if (Number.isNaN(value)) return `In ${theirs} the same token has no value.`;
  const there = formatValue(measure, other[measure][position] ?? Number.NaN);
  const { title } = MEASURES[measure];
  return `${title} in ${theirs}: ${there}, a difference of ${formatDifference(measure, value)}.`;
}

export function comparedCount({ names, count }: Compared, total: number): Child {
  return `${count} of ${total} tokens compared with ${names[1]}. `;
}
