/** How the numbers of a matrix are written: weights; differences and scores with their sign. */

import { NUMBERED } from "../shared/map/plot";
import { approximately, formatAmount, formatWeight, isOne, roundUp } from "../shared/numbers";

/** Pixels of a cell from which on its number is written in it. */
export function roomForNumber(signed: boolean): number {
  return signed ? 34 : NUMBERED;
}

/** A number in as few letters as a cell has room for; nothing where it would be written as zero. */
export function numberInCell(value: number, signed: boolean): string {
  const size = Math.abs(value);
  if (size < 0.005) return "";
  const sign = signed ? (value < 0 ? "−" : "+") : "";
  if (isOne(size)) return `${sign}1`;
  return size >= 0.995 ? `${sign}>.99` : sign + size.toFixed(2);
}

/** The same of a score, which may be of any size. */
export function scoreInCell(score: number): string {
  const size = Math.abs(score);
  if (size < 0.005) return "";
  const places = size < 0.995 ? 2 : size < 9.95 ? 1 : 0;
  return (score < 0 ? "−" : "+") + size.toFixed(places);
}

/** "+0.31", "−0.0042": what is not zero is not called so. */
export function formatDifference(value: number, places = 2): string {
  if (Number.isNaN(value)) return "–";
  if (value === 0) return "0";
  if (value === -Infinity) return "−∞ (masked)";
  const size = Math.abs(value);
  const text =
    Number(size.toFixed(places)) === 0 ? size.toPrecision(1) : formatAmount(size, places);
  return (value < 0 ? "−" : "+") + text;
}

/** A number of the matrix in a sentence. */
export function formatNumber(value: number, signed: boolean, places?: number): string {
  return signed ? formatDifference(value, places) : formatWeight(value, places);
}

/** A number that is known within `error`. */
export function withError(value: number, error: number, signed: boolean): string {
  if (!signed || value >= 0) return (signed ? "+ " : "") + approximately(value, error);
  return `− ${approximately(-value, error)}`;
}

/** A number of which only is known that it is at most so large. */
export function atMost(value: number): string {
  return `≤ ${roundUp(value, 3).replace("-", "−")} (largest nearby)`;
}
