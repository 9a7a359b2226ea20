/** How activations are written: the digits that are known, with their sign. */

import { formatCount } from "../shared/numbers";

/** Digits that are known. */
let digits = 4;

/** From now on activations are those of half precision, as a saved page may carry them. */
export function activationsAreRounded(): void {
  digits = 3;
}

export function formatActivation(value: number): string {
  if (Number.isNaN(value)) return "–";
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return `${sign}∞`;
  if (size === 0) return "0";
  if (size >= 999.95)
    return sign + formatCount(digits < 4 ? Number(size.toPrecision(digits)) : size);
  if (size >= 1e-3) return sign + size.toPrecision(digits);
  return sign + size.toExponential(2).replace("e-", "e−");
}

/** The same in as few letters as a cell or the end of an axis has room for. */
export function shortly(value: number): string {
  const sign = value < 0 ? "−" : "";
  const size = Math.abs(value);
  if (!Number.isFinite(size)) return formatActivation(value);
  if (size >= 9_950) return `${sign}${(size / 1000).toFixed(0)}k`;
  if (size >= 99.5) return sign + formatCount(size);
  if (size >= 0.0095 || size === 0) return sign + String(Number(size.toPrecision(2)));
  return sign + size.toExponential(0).replace("e-", "e−");
}
