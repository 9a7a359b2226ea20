/** The most probable tokens at a position: from the frame while they travel with it, else asked. */

import { unpack } from "../shared/arrays";
import type { StripFrame } from "../shared/state";
import type { Answer } from "../shared/view";

export interface Alternative {
  text: string;
  probability: number;
}

/** Looks alternatives up in a frame; null where it has none for that position. */
export function alternativesOf(
  frame: StripFrame,
): (position: number, k: number) => Alternative[] | null {
  const { top } = frame;
  if (!top) return () => null;
  const index = unpack(top.index);
  const probability = unpack(top.probability);
  const rows = Math.floor(index.length / top.k);
  return (position, k) => {
    const row = position - top.start;
    if (row < 0 || row >= rows || k > top.k) return null;
    return Array.from({ length: k }, (_, j) => ({
      text: top.texts[index[row * top.k + j] ?? -1] ?? "",
      probability: probability[row * top.k + j] ?? Number.NaN,
    }));
  };
}

/** Reads the answer to the question "top_k". */
export function readAlternatives({ result, arrays }: Answer): Alternative[] {
  const texts = Array.isArray(result.tokens) ? result.tokens.map(String) : [];
  const values = arrays.probability?.values;
  return texts.map((text, i) => ({ text, probability: values?.[i] ?? Number.NaN }));
}
