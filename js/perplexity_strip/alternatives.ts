/** The most probable tokens at a position: from the frame while they travel with it, else asked. */

import { unpack } from "../shared/arrays";
import type { Answer } from "../shared/host/host";
import type { StripFrame } from "./state";

export interface Alternative {
  text: string;
  probability: number;
  /** It is the token that came. */
  isTrue: boolean;
}

/** Looks alternatives up in a frame; null where it has none for that position. */
export function alternativesOf(
  frame: StripFrame,
): (position: number, k: number) => Alternative[] | null {
  const { top } = frame;
  if (!top) return () => null;
  const index = unpack(top.index);
  const probability = unpack(top.probability);
  const places = unpack(top.true);
  const rows = Math.floor(index.length / top.k);
  return (position, k) => {
    const row = position - top.start;
    if (row < 0 || row >= rows || k > top.k) return null;
    return Array.from({ length: k }, (_, j) => ({
      text: top.texts[index[row * top.k + j] ?? -1] ?? "",
      probability: probability[row * top.k + j] ?? Number.NaN,
      isTrue: places[row] === j,
    }));
  };
}

/** Reads the answer to the question "top_k". */
export function readAlternatives({ result, arrays }: Answer): Alternative[] {
  const texts = Array.isArray(result.tokens) ? result.tokens.map(String) : [];
  const values = arrays.probability?.values;
  const place = arrays.true?.values[0];
  return texts.map((text, i) => ({
    text,
    probability: values?.[i] ?? Number.NaN,
    isTrue: i === place,
  }));
}

/**
 * The ranks of alternatives, best first, as ranks are counted: by how many are more probable. So
 * equals share one. The true token has its own already.
 */
export function ranksOf(alternatives: readonly Alternative[], trueRank: number): number[] {
  return alternatives.map(({ probability, isTrue }) =>
    isTrue ? trueRank : 1 + alternatives.filter((other) => other.probability > probability).length,
  );
}
