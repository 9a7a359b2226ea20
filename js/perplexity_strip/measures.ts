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
}

export const MEASURES: Readonly<Record<Measure, MeasureInfo>> = {
  surprisal: { title: "Surprisal", unit: "bits", log: false },
  perplexity: { title: "Perplexity", unit: "choices", log: true },
  probability: { title: "Probability", unit: "of the token", log: false },
  rank: { title: "Rank", unit: "of the token", log: true },
  entropy: { title: "Entropy", unit: "bits", log: false },
};
export const MEASURE_NAMES = Object.keys(MEASURES) as Measure[];

/** Values beyond this quantile share the last colour: a few outliers must not bleach the rest. */
export const CLIP_QUANTILE = 0.95;

// The neighbours of 1 in single precision.
const BELOW_ONE = 1 - 2 ** -24;
const ABOVE_ONE = 1 + 2 ** -23;

/** The frame's arrays (nats) in the units that are shown (bits). */
export function readValues(frame: StripFrame): Values {
  const nats = Float32Array.from(unpack(frame.surprisal));
  const ranks = unpack(frame.rank);
  return {
    surprisal: nats.map((value) => value / Math.LN2),
    // Single precision comes to 1 before surprise comes to 0: what is nearly certain is not 1.
    perplexity: nats.map((value) => (value <= 0 ? 1 : Math.max(ABOVE_ONE, Math.exp(value)))),
    probability: Float32Array.from(unpack(frame.probability), (value, i) =>
      value === 1 && (nats[i] ?? 0) > 0 ? BELOW_ONE : value,
    ),
    rank: Float32Array.from(ranks, (rank) => (rank > 0 ? rank : Number.NaN)),
    entropy: Float32Array.from(unpack(frame.entropy), (value) => value / Math.LN2),
  };
}

export interface Scale {
  /** 0 = as expected as can be, 1 = the strongest colour. NaN for NaN. */
  share(value: number): number;
  /** Labels under the legend's ramp, by share. */
  ticks: readonly { share: number; label: string }[];
  /** In words what the scale leaves out; "" = nothing. */
  clip: string;
}

/** The colour scale of a measure over these values: a stronger colour is always a worse guess. */
export function colourScale(measure: Measure, values: Float32Array): Scale {
  if (measure === "probability") {
    const ticks = [0, 0.5, 1].map((share) => ({ share, label: `${100 * (1 - share)} %` }));
    return { share: (value) => 1 - value, ticks, clip: "" };
  }
  const known = values.filter((value) => !Number.isNaN(value)).sort();
  const { log } = MEASURES[measure];
  const [low, least] = log ? [1, 2] : [0, 1];
  const high = Math.max(least, quantile(known, CLIP_QUANTILE));
  const clipped = (known.at(-1) ?? 0) > high;
  const at = (share: number): number => (log ? high ** share : low + share * (high - low));
  const share = (value: number): number =>
    Math.min(1, Math.max(0, log ? Math.log(value) / Math.log(high) : value / high));
  const ticks = [0, 0.5, 1].map((share) => {
    const label = formatValue(measure, at(share), "short");
    return { share, label: clipped && share === 1 ? `≥ ${endOf(at(share), 3)}` : label };
  });
  const clip = clipped ? `scale ends at the ${100 * CLIP_QUANTILE} % quantile` : "";
  return { share, ticks, clip: [log ? "logarithmic" : "", clip].filter(Boolean).join("; ") };
}

/** Below this share of the axis no bar and no colour can be told from none. */
const FLAT = 0.04;

/** In words how well a text was predicted that shows no colour at all; "" when it shows some. */
export function flatWords(measure: Measure, values: Float32Array, { share }: Scale): string {
  const known = values.filter((value) => !Number.isNaN(value));
  if (known.length === 0 || known.some((value) => share(value) > FLAT)) return "";
  if (measure === "rank") return "every token has rank 1";
  // Rounded away from the best, so that the sentence is true of the worst.
  if (measure === "probability") {
    const least = Math.floor(1000 * known.reduce((a, b) => Math.min(a, b))) / 1000;
    return `every token at ${percent(least)} or more`;
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
