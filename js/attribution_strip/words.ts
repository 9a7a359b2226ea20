/** What is said of attribution: of a target, of a token, of a cell. */

import { type Child, hint } from "../shared/dom";
import { type Numbering, nameOf, numbering, tokenName } from "../shared/names";
import { percent } from "../shared/numbers";
import { threeDigits } from "../shared/signed_numbers";
import type { Sequence } from "../shared/state";
import { quote } from "../shared/token_text";
import type { AttributionData, InputText, UnitAt } from "./data";
import type { Target } from "./state";

/** "+2.31 nats"; logits have no unit of their own. */
export function amount(value: number, unit: string): string {
  const number = threeDigits(value);
  if (unit !== "logits") return `${number} ${unit}`;
  return /^[+−]?1$/.test(number) ? `${number} logit` : `${number} logits`;
}

/** What is explained: "‘ Rome’", or "‘ Rome’ rather than ‘ Paris’". */
export function targetName({ token, against }: Target): string {
  return quote(token.text) + (against ? ` rather than ${quote(against.text)}` : "");
}

/** Where it stands in the text. */
export function whereWords(data: AttributionData, { place, came }: Target): string {
  const { texts } = data.asked.input;
  if (place < texts.length) {
    return came ? `token ${place}` : `in place of ${tokenName(texts, place)}`;
  }
  return "behind the text";
}

/** Which number is explained. */
function numberName({ quantity, token, against }: Target): string {
  if (against) return `logit of ${quote(token.text)} less that of ${quote(against.text)}`;
  return `${quantity === "logit" ? "logit" : "log-probability"} of ${quote(token.text)}`;
}

/** "log-probability −0.31 nats, probability 73 %". */
export function valueWords({ value, quantity, against, unit }: Target): string {
  if (against) return `difference of logits ${threeDigits(value)}`;
  if (quantity === "logit") return `logit ${threeDigits(value)}`;
  return `log-probability ${amount(value, unit)}, probability ${percent(Math.exp(value))}`;
}

/** What its attributions add up to, and to what they should. */
export function sumWords({ sum, unit, completeness }: Target): string {
  return completeness?.words ?? `Attributions add up to ${amount(sum, unit)}.`;
}

/** A unit in a sentence. */
export function unitName(data: AttributionData, at: UnitAt): string {
  return nameOf(data.texts[at.text]?.input.labels[at.unit] ?? "", unitNumber(data, at));
}

const numberings = new WeakMap<InputText, Numbering>();

/** What tells a unit from others that are written alike: where it stands. */
export function unitNumber(data: AttributionData, { text, unit }: UnitAt): number | null {
  const of = data.texts[text];
  if (!of) return null;
  const known =
    numberings.get(of) ?? numbering(of.input.labels, (one) => of.tokensOf(one)[0] ?? one);
  numberings.set(of, known);
  return known(unit);
}

/** Without the space before a word: that stands between what is written. */
export function trimmed(text: string): string {
  return /^ \S/.test(text) ? text.slice(1) : text;
}

/** "attribution +2.31 nats, 34 % of the size of all". */
export function attributionWords(data: AttributionData, target: number, at: UnitAt): string {
  const of = data.frame.targets[target];
  const value = data.value(target, at);
  const share = data.share(target, at);
  const ofAll = Number.isNaN(share) ? "" : `, ${percent(share)} of the sizes of all`;
  return `attribution ${amount(value, of?.unit ?? "")}${ofAll}`;
}

/** A token in a sentence, for status line and live region. */
export function tokenSentence(
  data: AttributionData,
  target: number,
  text: number,
  token: number,
): string {
  const of = data.frame.targets[target];
  const { texts } = data.texts[text]?.input ?? { texts: [] };
  if (!of) return "";
  if (text === data.texts.length - 1 && token >= texts.length) {
    return `What the model expects behind the text.`;
  }
  const name = tokenName(texts, token);
  if (text === data.texts.length - 1 && token === of.place && of.came) {
    return `${name} is what is explained: ${valueWords(of)}.`;
  }
  if (data.isLater(target, text, token)) {
    return `${name} comes later than ${targetName(of)}: it could not matter.`;
  }
  const unit = data.texts[text]?.unitOf(token) ?? null;
  if (unit === null) return `${name} has no attribution.`;
  const at = { text, unit };
  return `${unitName(data, at)}: ${attributionWords(data, target, at)}, to ${targetName(of)}.`;
}

/** Why a place cannot be asked. */
export const NO_PREDICTION = "Nothing was predicted there: no other token comes before it.";

/** Why none can be asked on a page that was saved. */
export const ONLY_SAVED =
  "Other tokens were not saved with this page: ask about them in a notebook.";

const HINT =
  "Point at a token for its attribution. A click asks why it was predicted; with Shift it is kept beside the others.";

const MATRIX_HINT =
  "Point at a cell for its attribution. A click asks why the token of its row was predicted.";

/** While nothing is pointed at. */
export function statusWords({ frame, current }: AttributionData): Child[] {
  const how = capital(frame.how);
  if (frame.matrix)
    return [hint(MATRIX_HINT), ` ${how}, of the ${frame.matrix.words} of each row.`];
  return [hint(HINT), ` ${how}, of the ${numberName(current)}.`];
}

export function capital(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const TEXTS: Readonly<Record<Sequence, string>> = {
  text: "",
  source: "Source, as the encoder reads it",
  target: "Target so far, as the decoder reads it",
};

/** What stands over a text where there are two. */
export function textHeading(sequence: Sequence): string {
  return TEXTS[sequence];
}
