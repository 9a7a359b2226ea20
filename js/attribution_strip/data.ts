/** The frame unpacked once, so that hovering costs look-ups only. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { AttributionFrame, Input, Target } from "./state";

/** One of the texts that attribution is of. */
export interface InputText {
  readonly input: Input;
  readonly special: NumberArray;
  readonly generated: NumberArray;
  /** The unit of a token; null = of none. */
  unitOf(token: number): number | null;
  /** The tokens of a unit, in order. */
  tokensOf(unit: number): readonly number[];
}

/** A unit of one of the texts. */
export interface UnitAt {
  /** Which text. */
  readonly text: number;
  readonly unit: number;
}

export interface AttributionData {
  readonly frame: AttributionFrame;
  readonly texts: readonly InputText[];
  /** The text whose tokens can be asked for: the last. */
  readonly asked: InputText;
  readonly current: Target;
  /** Attribution of a unit to a target, in the target's unit. */
  value(target: number, at: UnitAt): number;
  /** The same as a share of the sizes of all. */
  share(target: number, at: UnitAt): number;
  /** Whether a token of a text comes later than what is predicted: it cannot matter. */
  isLater(target: number, text: number, token: number): boolean;
  /** The units that count most for a target, by size. */
  strongest(target: number, most: number): readonly UnitAt[];
  /** The place of a token, by the position that traits have; and back. */
  placeOf(position: number): number;
  positionOf(place: number): number | null;
  /** Whether it can be asked why the token at a place was predicted. */
  canAsk(place: number): boolean;
}

export function attributionData(frame: AttributionFrame): AttributionData {
  const texts = frame.inputs.map(inputText);
  const values = frame.inputs.map((input) => unpack(input.values));
  const shares = frame.inputs.map((input) => unpack(input.share));
  const last = texts.length - 1;
  const at = (of: readonly NumberArray[], target: number, { text, unit }: UnitAt): number =>
    of[text]?.[target * (frame.inputs[text]?.units ?? 0) + unit] ?? Number.NaN;
  const value = (target: number, one: UnitAt): number => at(values, target, one);
  const [first, behind] = frame.places;
  return {
    frame,
    texts,
    asked: texts[last] as InputText,
    current: frame.targets[frame.current] as Target,
    value,
    share: (target, one) => at(shares, target, one),
    isLater: (target, text, token) => text === last && token >= (frame.targets[target]?.place ?? 0),
    strongest(target, most) {
      const size = (one: UnitAt): number => Math.abs(value(target, one));
      const all = frame.inputs.flatMap(({ units }, text) =>
        Array.from({ length: units }, (_, unit) => ({ text, unit })),
      );
      const counting = all.filter((one) => size(one) > 0);
      return counting.sort((a, b) => size(b) - size(a)).slice(0, most);
    },
    placeOf: (position) => position - frame.offset,
    positionOf(place) {
      const position = place + frame.offset;
      return position < 0 ? null : position;
    },
    canAsk: (place) => place >= first && place <= behind,
  };
}

function inputText(input: Input): InputText {
  const unitOfToken = unpack(input.unit_of_token);
  const tokens: number[][] = Array.from({ length: input.units }, () => []);
  unitOfToken.forEach((unit, token) => {
    tokens[unit]?.push(token);
  });
  return {
    input,
    special: unpack(input.special),
    generated: unpack(input.generated),
    unitOf(token) {
      const unit = unitOfToken[token];
      return unit === undefined || unit >= input.units ? null : unit;
    },
    tokensOf: (unit) => tokens[unit] ?? [],
  };
}

/** The same texts, cut into the same tokens, of as many targets? Then their elements can stay. */
export function sameTexts(a: AttributionFrame, b: AttributionFrame): boolean {
  const equal = (p: readonly string[], q: readonly string[]): boolean =>
    p.length === q.length && p.every((text, i) => text === q[i]);
  return (
    a.targets.length === b.targets.length &&
    a.inputs.length === b.inputs.length &&
    a.inputs.every(({ texts, gaps }, i) => {
      const other = b.inputs[i];
      return other !== undefined && equal(texts, other.texts) && equal(gaps, other.gaps);
    })
  );
}
