/** A frame unpacked once, so that hovering costs look-ups only. */

import { unpack } from "../shared/arrays";
import { type Alternative, alternativesOf } from "./alternatives";
import { type Compared, comparedOf } from "./compare";
import { colourScale, MEASURE_NAMES, ofSurprisal, readValues, type Values } from "./measures";
import { crossWeights } from "./source";
import type { StripFrame } from "./state";

export interface StripData {
  readonly frame: StripFrame;
  readonly values: Values;
  /** The same with those of its word at every token, where words have such a value. */
  readonly byWord: Values;
  /** Tokens of a token's word, in order. */
  word(position: number): number[];
  readonly special: ArrayLike<number>;
  readonly generated: ArrayLike<number>;
  /** Underlined: of the model's first guesses that were right, and those that were not, the fewer. */
  isMarked(position: number): boolean;
  readonly marksRight: boolean;
  alternatives(position: number, k: number): Alternative[] | null;
  cross: ((position: number) => Float32Array) | null;
  readonly nWrong: number;
  /** How it differs from another trace, where one is compared. */
  readonly compared: Compared | null;
  readonly firstGenerated: number | null;
  /** The ends of the scales of all measures, in words. */
  readonly scaleEnds: readonly string[];
}

export function stripData(frame: StripFrame): StripData {
  const correct = unpack(frame.correct);
  const generated = unpack(frame.generated);
  const first = generated.indexOf(1);
  // With no prompt there is nothing to tell the generated part from, and no marks are needed.
  const prompted = first > 0;
  const values = readValues(frame);
  const wordOf = unpack(frame.words.of_token);
  const ofWords = unpack(frame.words.surprisal);
  const nWrong = Array.from(correct).filter((flag) => flag === 0).length;
  const marksRight = 2 * nWrong > frame.n_scored && nWrong < frame.n_scored;
  return {
    frame,
    values,
    byWord: {
      ...values,
      ...ofSurprisal(Float32Array.from(wordOf, (word) => ofWords[word] ?? NaN)),
    },
    word(position) {
      const same = (at: number): boolean => wordOf[at] === wordOf[position];
      let [first, last] = [position, position];
      while (first > 0 && same(first - 1)) first--;
      while (last + 1 < wordOf.length && same(last + 1)) last++;
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    },
    scaleEnds: MEASURE_NAMES.flatMap((name) => {
      const { ticks } = colourScale(name, values[name]);
      return [ticks[0]?.label ?? "", ticks.at(-1)?.label ?? ""];
    }),
    special: unpack(frame.special),
    generated: prompted ? generated : [],
    isMarked: (position) => correct[position] === (marksRight ? 1 : 0),
    marksRight,
    alternatives: alternativesOf(frame),
    cross: crossWeights(frame),
    compared: comparedOf(frame),
    nWrong,
    firstGenerated: prompted ? first : null,
  };
}

/** The same text, cut into the same tokens? Then its elements can stay. */
export function sameText(a: StripFrame, b: StripFrame): boolean {
  const equal = (p: readonly string[], q: readonly string[]): boolean =>
    p.length === q.length && p.every((text, i) => text === q[i]);
  const sources = equal(a.source?.texts ?? [], b.source?.texts ?? []);
  return sources && equal(a.texts, b.texts) && equal(a.gaps, b.gaps);
}
