/** The two sides of a map: which unit a token belongs to, and what a unit is called. */

import { unpack } from "../arrays";
import { type Child, h } from "../dom";
import { type Numbering, nameOf, numbering, subscript } from "../names";
import type { Axis, Sequence } from "../state";
import { quote, show, showPlain } from "../token_text";

export type Side = "query" | "key";
export const SIDES: readonly Side[] = ["query", "key"];

/** An axis with its arrays unpacked, made once per `axes` trait. */
export interface Column {
  readonly axis: Axis;
  readonly length: number;
  unitOf(token: number | null): number | null;
  firstToken(unit: number): number;
  readonly special: ArrayLike<number>;
  readonly generated: ArrayLike<number>;
}

export function column(axis: Axis): Column {
  const unitOfToken = unpack(axis.unit_of_token);
  const first = new Map<number, number>();
  unitOfToken.forEach((unit, token) => {
    if (!first.has(unit)) first.set(unit, token);
  });
  const [special, generated] = [unpack(axis.special), unpack(axis.generated)];
  // A text that the model wrote as a whole needs no marks: there is nothing to tell it from.
  const mixed = generated.some((of, unit) => of === 0 && special[unit] === 0);
  return {
    axis,
    length: axis.labels.length,
    // A token that is left out belongs to the unit after the last.
    unitOf(token) {
      const unit = token === null ? undefined : unitOfToken[token];
      return unit === undefined || unit >= axis.labels.length ? null : unit;
    },
    firstToken: (unit) => first.get(unit) ?? unit,
    special,
    generated: mixed ? generated : generated.map(() => 0),
  };
}

/** Which token position tells a unit from others that are written alike. */
function numberOf(axis: Axis, unit: number): number | null {
  let known = numberings.get(axis);
  if (!known) {
    const { firstToken } = column(axis);
    known = numbering(axis.labels, firstToken);
    numberings.set(axis, known);
  }
  return known(unit);
}

const numberings = new WeakMap<Axis, Numbering>();

/** The mark beside a label: of words only, since a column of numbered commas is hard to read. */
function labelMark(axis: Axis, unit: number): string {
  const isWord = /[\p{L}\p{N}]/u.test(axis.labels[unit] ?? "");
  return isWord ? subscript(numberOf(axis, unit)) : "";
}

/** The text of a unit as nodes: the label, or "input → predicted" on a decoder's rows. */
export function labelNodes(axis: Axis, unit: number): Child[] {
  const label = axis.labels[unit] ?? "";
  const mark = labelMark(axis, unit);
  const nth = mark && h("span", { class: "gh-nth" }, mark);
  const predicted = axis.predicted?.[unit];
  if (predicted === undefined) return [h("bdi", {}, show(label)), nth];
  const weigh = (name: "label" | "predicted"): string =>
    axis.emphasis === name ? `gh-${name} is-strong` : `gh-${name} is-weak`;
  return [
    h("span", { class: "gh-given" }, h("bdi", { class: weigh("label") }, show(label)), nth),
    h("span", { class: "gh-arrow", aria: { hidden: true } }, "→"),
    h("bdi", { class: weigh("predicted") }, show(predicted)),
  ];
}

/** The same as one string, for titles and canvases. */
export function labelText(axis: Axis, unit: number): string {
  const label = showPlain(axis.labels[unit] ?? "") + labelMark(axis, unit);
  const predicted = axis.predicted?.[unit];
  return predicted === undefined ? label : `${label} → ${showPlain(predicted)}`;
}

/** What a unit is, for its tooltip: its text, and which sentence of a pair it is of. */
export function unitTitle(axis: Axis, unit: number): string {
  const segment = axis.segments?.[unit];
  const sentence = segment === undefined ? "" : ` (sentence ${segment === 0 ? "A" : "B"})`;
  return labelText(axis, unit) + sentence;
}

/** Whether the second sentence of a pair begins with this unit. */
export function startsSentence(axis: Axis, unit: number): boolean {
  return axis.segments?.[unit] === 1 && axis.segments[unit - 1] === 0;
}

/**
 * How a unit is called in a sentence: ‘chien’, or ‘it₈’ where there are several; where the
 * predicted word is the emphasis that word, with its row where several predict it.
 */
export function unitName(axis: Axis, unit: number): string {
  const predicted = axis.emphasis === "predicted" ? axis.predicted?.[unit] : undefined;
  if (predicted === undefined) return nameOf(axis.labels[unit] ?? "", numberOf(axis, unit));
  const several = axis.predicted?.some((text, i) => i !== unit && text.trim() === predicted.trim());
  return several ? rowName(axis, unit) : quote(predicted);
}

/** A row in a sentence: "‘le’ → ‘chien’" where rows predict. */
export function rowName(axis: Axis, unit: number): string {
  const label = nameOf(axis.labels[unit] ?? "", numberOf(axis, unit));
  const predicted = axis.predicted?.[unit];
  return predicted === undefined ? label : `${label} → ${quote(predicted)}`;
}

/** The heading over a side: which tokens these are and what they do. */
export function sideHeading(axis: Axis, side: Side): [verb: string, who: string] {
  const names: Record<Sequence, string> = {
    text: "",
    source: "source (encoder)",
    target: axis.predicted ? "input → predicted (decoder)" : "target (decoder)",
  };
  return [side === "query" ? "looks at …" : "… is looked at", names[axis.sequence]];
}
