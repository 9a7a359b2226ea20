/** A split text unpacked once, and what a token looks like. */

import { unpack } from "../shared/arrays";
import type { SplitFrame } from "./state";

/** What the colour of a token says. */
export type Look = "whole" | "part" | "byte" | "space" | "added" | "unknown" | "special";

/** In the order of the legend, with their names for one token and for several. */
export const LOOKS: Readonly<Record<Look, readonly [one: string, several: string]>> = {
  whole: ["whole word", "whole words"],
  part: ["word piece", "word pieces"],
  byte: ["byte token", "byte tokens"],
  space: ["white space", "white space"],
  added: ["added token", "added tokens"],
  unknown: ["unknown", "unknown"],
  special: ["special token", "special tokens"],
};

export interface Split {
  readonly frame: SplitFrame;
  readonly n: number;
  readonly ids: ArrayLike<number>;
  readonly segments: ArrayLike<number> | null;
  readonly looks: readonly Look[];
  span(position: number): readonly [start: number, end: number];
  /** The word of a token, which of its tokens it is (from 1), and of how many. */
  word(position: number): { text: string; place: number; of: number };
  count(look: Look): number;
}

export function readSplit(frame: SplitFrame, kindNames: readonly string[]): Split {
  const [spans, word, kinds] = [unpack(frame.spans), unpack(frame.word), unpack(frame.kinds)];
  const sizes = new Uint32Array(frame.words.length);
  const places = Array.from(word, (index) => {
    sizes[index] = (sizes[index] ?? 0) + 1;
    return sizes[index] ?? 1;
  });
  const looks = Array.from(kinds, (kind, i): Look => {
    const name = kindNames[kind] ?? "piece";
    if (name !== "piece") return name as Look;
    const index = word[i] ?? 0;
    if ((frame.words[index] ?? "").trim() === "") return "space";
    return (sizes[index] ?? 1) > 1 ? "part" : "whole";
  });
  return {
    ...{ frame, n: frame.texts.length, looks, ids: unpack(frame.ids) },
    segments: frame.segments && unpack(frame.segments),
    span: (i) => [spans[2 * i] ?? 0, spans[2 * i + 1] ?? 0],
    word(i) {
      const index = word[i] ?? 0;
      return { text: frame.words[index] ?? "", place: places[i] ?? 1, of: sizes[index] ?? 1 };
    },
    count: (look) => looks.filter((one) => one === look).length,
  };
}
