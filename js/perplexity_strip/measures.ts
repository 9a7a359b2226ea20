/** What the colour can stand for: values per token, how they are written, and the colour scale. */

import { unpack } from "../shared/arrays";
import { endOf, formatAmount, formatCount, percent } from "../shared/numbers";
import type { Measure, StripFrame } from "./state";

/** Every measure of every token; NaN where the model has no value. */
export type Values = Readonly<Record<Measure, Float32Array>>;

export interface MeasureInfo {
  title: string;
  /** What the numbers on the scale are. */
  unit: string;
  /** Spans orders of magnitude: coloured on a logarithmic scale. */
  log: boolean;
  /** Strong colours are for what the model knew: most tokens are improbable, and would all be dark. */
  knew?: true;
}

export const MEASURES: Readonly<Record<Measure, MeasureInfo>> = {
  surprisal: { title: "Surprisal", unit: "bits", log: false },
  perplexity: { title: "Perplexity", unit: "choices", log: true },
  probability: { title: "Probability", unit: "of the token", log: false, knew: true },
  rank: { title: "Rank", unit: "of the token", log: true },
  entropy: { title: "Entropy", unit: "bits", log: false },
};
export const MEASURE_NAMES = Object.keys(MEASURES) as Measure[];

/** Most values are within this quantile: the few outliers beyond must not bleach the rest. */
export const CLIP_QUANTILE = 0.95;

// The neighbours of 1 in single precision.
const BELOW_ONE = 1 - 2 ** -24;
const ABOVE_ONE = 1 + 2 ** -23;

/** The frame's arrays (nats) in the units that are shown (bits). */
export function readValues(frame: StripFrame): Values {
  const nats = Float32Array.from(unpack(frame.surprisal));
  const probability = unpack(frame.probability);
  const ranks = unpack(frame.rank);
  return {
    ...ofSurprisal(nats),
    probability: Float32Array.from(probability, (value, i) => nearOne(value, nats[i] ?? 0)),
    rank: Float32Array.from(ranks, (rank) => (rank > 0 ? rank : Number.NaN)),
    entropy: Float32Array.from(unpack(frame.entropy), (value) => value / Math.LN2),
  };
}

/** What a surprisal in nats is in the other words for it. */
export function ofSurprisal(
  nats: Float32Array,
): Pick<Values, "surprisal" | "perplexity" | "probability"> {
  return {
    surprisal: nats.map((value) => value / Math.LN2),
    // Single precision comes to 1 before surprise comes to 0: what is nearly certain is not 1.
    perplexity: nats.map((value) => (value <= 0 ? 1 : Math.max(ABOVE_ONE, Math.exp(value)))),
    probability: nats.map((value) => nearOne(Math.exp(-value), value)),
  };
}

function nearOne(probability: number, nats: number): number {
  return probability === 1 && nats > 0 ? BELOW_ONE : probability;
}

export interface Scale {
  /** 0 = the paper, 1 = the strongest colour. NaN for NaN. */
  share(value: number): number;
  /** Labels under the legend's ramp, by share. */
  ticks: readonly { share: number; label: string; bits?: number }[];
  /** In words what the scale leaves out; "" = nothing. */
  clip: string;
}

/** The colour scale of a measure over these values: a stronger colour is a worse guess, but for probability. */
export function colourScale(measure: Measure, values: Float32Array): Scale {
  if (measure === "probability") {
    const ticks = [0, 0.5, 1].map((share) => ({ share, label: `${100 * share} %` }));
    return { share: (value) => value, ticks, clip: "" };
  }
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  const { log } = MEASURES[measure];
  const most = quantile(known, CLIP_QUANTILE);
  const high = log ? roundSquare(most) : roundDouble(most);
  const clipped = (known.at(-1) ?? 0) > high;
  const at = (share: number): number => (log ? high ** share : share * high);
  const share = (value: number): number =>
    Math.min(1, Math.max(0, log ? Math.log(value) / Math.log(high) : value / high));
  const ticks = [0, 0.5, 1].map((share) => {
    const label = formatValue(measure, at(share), "short");
    const end = clipped && share === 1 ? `≥ ${endOf(at(share), 3)}` : label;
    return { share, label: end, bits: at(share) };
  });
  const beyond = Math.round(100 * (1 - CLIP_QUANTILE));
  const clip = clipped ? `${beyond} % of the tokens or fewer lie beyond its end` : "";
  return { share, ticks, clip: [log ? "logarithmic" : "", clip].filter(Boolean).join("; ") };
}

/** The end of a scale whose middle is a round number too: 14 for 12.5, 1 at least. */
function roundDouble(most: number): number {
  const half = Math.max(0.5, most / 2 || 0);
  const power = 10 ** Math.floor(Math.log10(half));
  const grid = half / power >= 5 ? power : power / 2;
  return 2 * grid * Math.ceil(half / grid - 1e-6);
}

/** The same on a logarithmic scale from 1 on: 2,500 for 1,700, whose middle is 50. */
function roundSquare(most: number): number {
  const root = Math.sqrt(Math.max(4, most || 0));
  const power = 10 ** Math.floor(Math.log10(root));
  const step = [1, 2, 3, 5, 10].find((one) => one * power >= root * (1 - 1e-6)) ?? 10;
  return (step * power) ** 2;
}

/** Below this share of the axis no bar and no colour can be told from none. */
const FLAT = 0.04;

/** In words how well a text was predicted that shows no colour at all; "" when it shows some. */
export function flatWords(measure: Measure, values: Float32Array, { share }: Scale): string {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0 || known.some((value) => share(value) > FLAT)) return "";
  if (measure === "rank") return "every token has rank 1";
  // Rounded up, so that the sentence is true of the largest.
  if (measure === "probability") {
    const largest = Math.ceil(1000 * known.reduce((a, b) => Math.max(a, b))) / 1000;
    return `every token at ${percent(largest)} or less`;
  }
  const most = Math.max(1, Math.ceil(100 * known.reduce((a, b) => Math.max(a, b)))) / 100;
  return `every token at ${formatValue(measure, most)} or less`;
}

/** Linear interpolation between the two nearest of `sorted`. */
export function quantile(sorted: Float32Array, q: number): number {
  const position = q * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(position)], sorted[Math.ceil(position)]];
  if (below === undefined || above === undefined) return Number.NaN;
  return below + (position % 1) * (above - below);
}

const THREE_DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 3 });
const FOUR_DIGITS = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
/** Three or four digits: single precision knows no more of a large perplexity. */
function decimal(value: number, least: number): string {
  if (value >= 1000) return FOUR_DIGITS.format(value);
  if (value >= 100) return formatCount(value);
  return formatAmount(value, value >= 10 ? 1 : 2, least);
}

/** A value as text, with its unit unless `style` is short. */
export function formatValue(
  measure: Measure,
  value: number,
  style: "full" | "short" = "full",
): string {
  if (Number.isNaN(value)) return "–";
  if (measure === "probability") return percent(value);
  if (style === "short") return THREE_DIGITS.format(value);
  if (measure === "rank") return formatCount(value);
  // A perplexity of 1 is a certain guess, as 0 bits are.
  return measure === "perplexity" ? decimal(value, 1) : `${decimal(value, 0)} bits`;
}
