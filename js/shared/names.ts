/**
 * What tells units apart that are written alike: the token position of each, as in "it₈". The
 * position is that of the traits and the same in every view, whether a unit is a token or a word.
 */

import { quote } from "./token_text";

/** The position that belongs to a unit's name; null where no other is written alike. */
export type Numbering = (unit: number) => number | null;

/** `firstToken` gives a unit's position; of tokens it is their place. */
export function numbering(
  texts: readonly string[],
  firstToken: (unit: number) => number = (unit) => unit,
): Numbering {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(written(text), (counts.get(written(text)) ?? 0) + 1);
  return (unit) => {
    const text = texts[unit];
    return text !== undefined && (counts.get(written(text)) ?? 0) > 1 ? firstToken(unit) : null;
  };
}

/** As sentences have it: without the white space around it. */
function written(text: string): string {
  return text.trim() || text;
}

/** "₁₂"; nothing for null. */
export function subscript(position: number | null): string {
  if (position === null) return "";
  return String(position).replace(/\d/g, (digit) => String.fromCharCode(0x2080 + Number(digit)));
}

/** A unit in a sentence: ‘it’, or ‘it₈’ where there are several; ‘.’₇, which is no number. */
export function nameOf(text: string, position: number | null): string {
  const number = subscript(position);
  return /[\p{L}\p{N}]/u.test(text)
    ? quote(text).replace(/’$/, `${number}’`)
    : `${quote(text)}${number}`;
}

const numberings = new WeakMap<readonly string[], Numbering>();

/** The name of a token of a text; what is alike is counted once a text. */
export function tokenName(texts: readonly string[], position: number): string {
  let known = numberings.get(texts);
  if (!known) {
    known = numbering(texts);
    numberings.set(texts, known);
  }
  return nameOf(texts[position] ?? "", known(position));
}
