/** How a score comes about, step by step: what raises it, what lowers it, what is added. */

import type { Parts } from "./data";
import type { Cells } from "./products";

export type StepKind = "up" | "down" | "sum" | "cap" | "bias" | "score";

export interface Step {
  readonly kind: StepKind;
  /** The dimension, where it is one. */
  readonly dim: number | null;
  /** How many dimensions it stands for. */
  readonly count: number;
  /** What it adds; of sums what they come to. */
  readonly value: number;
  /** Where its bar goes from and to. */
  readonly from: number;
  readonly to: number;
}

/** A dimension and its product. */
export interface Term {
  readonly dim: number;
  readonly product: number;
}

/** All terms of a sign, largest first. */
export function termsOf(cells: Cells, lane: number, dims: number, sign: 1 | -1): Term[] {
  const terms: Term[] = [];
  for (let dim = 0; dim < dims; dim++) {
    const product = cells.product(lane, dim);
    if (product * sign > 0) terms.push({ dim, product });
  }
  return terms.sort((a, b) => sign * (b.product - a.product) || a.dim - b.dim);
}

/** The steps from nothing to the score; `most` dimensions of each sign by themselves. */
export function stepsOf(
  parts: Parts,
  cells: Cells,
  { lane, dims, most }: { lane: number; dims: number; most: number },
): Step[] {
  const steps: Step[] = [];
  let at = 0;
  const add = (kind: StepKind, value: number, dim: number | null = null, count = 1): void => {
    steps.push({ kind, dim, count, value, from: at, to: at + value });
    at += value;
  };
  const total = (kind: StepKind, value: number): void => {
    steps.push({ kind, dim: null, count: 0, value, from: 0, to: value });
    at = value;
  };
  for (const [kind, sign] of [
    ["up", 1],
    ["down", -1],
  ] as const) {
    const terms = termsOf(cells, lane, dims, sign);
    // One more that is left would take the line that says how many are left.
    const named = terms.length === most + 1 ? terms : terms.slice(0, most);
    for (const { dim, product } of named) add(kind, product, dim);
    const rest = terms.slice(named.length);
    const sum = rest.reduce((so, { product }) => so + product, 0);
    if (rest.length) add(kind, sum, null, rest.length);
  }
  const { dot, capped, bias, score } = parts;
  const more = capped !== null || bias !== null;
  if (more) total("sum", dot);
  if (capped !== null) add("cap", capped - dot);
  if (bias !== null) add("bias", bias);
  total("score", score);
  return steps;
}
