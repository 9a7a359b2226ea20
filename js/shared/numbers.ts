/**
 * Numbers in words, written by the same rules in every view.
 *
 * A number shows only digits that are known; and nothing is called 1, 100 %, 0 or 0 % that is not
 * quite that.
 */

const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

export function formatCount(count: number): string {
  return WHOLE.format(count);
}

/** A share of a whole, or a probability: "98.7 %", "0.03 %", "< 0.01 %", "> 99.9 %". */
export function percent(share: number): string {
  if (Number.isNaN(share)) return "–";
  if (share <= 0) return "0 %";
  if (share >= 1) return "100 %";
  const value = 100 * share;
  const places = value < 0.995 ? 2 : 1;
  return `${strictly(value, places, 100)} %`;
}

/**
 * An exact weight, 0…1: two places, three where two would come too near to 0 or 1; or as many as
 * asked for.
 */
export function formatWeight(value: number, places?: number): string {
  if (Number.isNaN(value)) return "–";
  if (value < known.least) return `< ${known.least}`;
  if (value === 0) return "0";
  if (isOne(value)) return "1";
  const usual = value >= 0.1 && value < 0.995 ? 2 : 3;
  return strictly(value, Math.min(places ?? usual, truePlaces(value)), 1);
}

/** How well a saved page knows its weights: with a kernel they are exact. */
let known = { relative: 0, least: 0 };

/** From now on weights show no more digits than are true, within a share of themselves, ± `least`. */
export function weightsAreKnownWithin(relative: number, least: number): void {
  known = { relative, least };
}

/** Places of which the last is off by one and a half at most. */
function truePlaces(value: number): number {
  const error = Math.abs(value) * known.relative + known.least;
  return error > 0 ? Math.max(0, Math.floor(-Math.log10(error / 1.5))) : Number.POSITIVE_INFINITY;
}

/** Whether a weight is 1 but for the rounding of floats: it may be a sum over a word's tokens. */
export function isOne(weight: number): boolean {
  return weight > 1 - 1e-6 && weight < 1 + 1e-5;
}

/** A quantity of zero or more: "0.81"; "0" only when there is none. `least` is another end of it. */
export function formatAmount(value: number, places = 2, least = 0): string {
  return value === 0 ? "0" : strictly(value, places, least);
}

/** `value` with so many places; where that would write 0 or `all`, on which side of it it is. */
function strictly(value: number, places: number, all: number): string {
  const text = value.toFixed(places);
  const step = 10 ** -places;
  if (Number(text) === 0) return `< ${step.toFixed(places)}`;
  if (Number(text) !== all || value === all) return text;
  return value < all ? `> ${(all - step).toFixed(places)}` : `> ${all}`;
}

/** A sum of weights that may be 1: what is 1 but for the rounding of floats is. */
export function formatSum(value: number): string {
  return Math.abs(value - 1) < 1e-5 ? "1" : formatWeight(value, 3);
}

/** "≈ 0.412 ± 0.003": a weight that is known within `error`; what is written holds. */
export function approximately(value: number, error: number): string {
  const text = value.toFixed(3);
  return `≈ ${text} ± ${roundUp(error + Math.abs(value - Number(text)), 3)}`;
}

/** `value` rounded up, for a "≤" that holds. */
export function roundUp(value: number, places: number): string {
  const scale = 10 ** places;
  // Not for what is one float's rounding above a round number.
  return (Math.ceil(value * scale - 1e-4) / scale).toFixed(places);
}

/** `value` rounded up to a few digits, for the end of an axis: "0.012", "4.4", "12". */
export function endOf(value: number, digits = 2): string {
  if (!(value > 0)) return "0";
  const places = digits - 1 - Math.floor(Math.log10(value));
  if (places > 0) return String(Number(roundUp(value, places)));
  return formatCount(Number(roundUp(value * 10 ** places, 0)) * 10 ** -places);
}
