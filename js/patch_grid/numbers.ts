/** How recovered shares are written: with two places, and 0 and 1 only where it is quite that. */

import { formatAmount } from "../shared/numbers";

/** What differs from 0 or 1 by less is the rounding of floats. */
const ROUNDING = 1e-5;

/** What is less in size is as good as paper, and not worth a word. */
export const TOLD_FROM = 0.05;

/** A recovered share: "0.62", "−0.31", "> 0.99"; 0 and 1 only where it is quite that. */
export function formatShare(value: number): string {
  if (Number.isNaN(value)) return "–";
  if (Math.abs(value) < ROUNDING) return "0";
  if (Math.abs(value - 1) < ROUNDING) return "1";
  if (value < 0) return `−${formatAmount(-value)}`.replace("−< ", "> −");
  return formatAmount(value, 2, 1);
}

/** The same in as few letters as a cell has room for: ".62", "−.31", ">.99", "1.2". */
export function shortShare(value: number): string {
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (Math.abs(size - 1) < ROUNDING) return `${sign}1`;
  if (size >= 0.995 && size < 1) return value < 0 ? "−1.0" : ">.99";
  return sign + (size < 1 ? size.toFixed(2).slice(1) : size.toFixed(1));
}
