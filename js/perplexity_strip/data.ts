/** A frame unpacked once, so that hovering costs look-ups only. */

import { unpack } from "../shared/arrays";
import { type Alternative, alternativesOf } from "./alternatives";
import { type Compared, comparedOf } from "./compare";
import { colourScale, MEASURE_NAMES, readValues, type Values } from "./measures";
import { crossWeights } from "./source";
import type { StripFrame } from "./state";

export interface StripData {
  readonly frame: StripFrame;
  readonly values: Values;
  readonly special: ArrayLike<number>;
  readonly generated: ArrayLike<number>;
  /** The model's first guess was another token. */
  isWrong(position: number): boolean;
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
  return {
    frame,
    values,
    scaleEnds: MEASURE_NAMES.flatMap((name) => {
      const { ticks } = colourScale(name, values[name]);
      return [ticks[0]?.label ?? "", ticks.at(-1)?.label ?? ""];
    }),
    special: unpack(frame.special),
    generated: prompted ? generated : [],
    isWrong: (position) => correct[position] === 0,
    alternatives: alternativesOf(frame),
    cross: crossWeights(frame),
    compared: comparedOf(frame),
    nWrong: Array.from(correct).filter((flag) => flag === 0).length,
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
