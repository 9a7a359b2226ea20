/** What d3-scale needs of d3-interpolate for numbers; the build puts it in its place. */

export function interpolateNumber(a: number, b: number): (share: number) => number {
  return (share) => a * (1 - share) + b * share;
}

export function interpolateRound(a: number, b: number): (share: number) => number {
  return (share) => Math.round(a * (1 - share) + b * share);
}

export { interpolateNumber as interpolate };

/** Only for diverging scales, which nothing here uses. */
export function piecewise(): never {
  throw new Error("Scales of colours are not built in.");
}
