/** Token columns and labels: which unit a token belongs to, what a unit is called, what is lit. */

import { unpack } from "./arrays";
import { type Child, h } from "./dom";
import type { Axis, CommonState, KindInfo, Scene, Sequence } from "./state";
import { quote, show, showPlain } from "./token_text";

export type Side = "query" | "key";

export interface TokenState {
  hovered: number | null;
  selected: number[];
}

/** The hover and selection that belong to a sequence: "source" has its own pair of traits. */
export function tokenState(state: CommonState, sequence: Sequence): TokenState {
  return sequence === "source"
    ? { hovered: state.hovered_source, selected: state.selected_source }
    : { hovered: state.hovered, selected: state.selected };
}

export function hoverPatch(sequence: Sequence, token: number | null): Partial<CommonState> {
  return sequence === "source" ? { hovered_source: token } : { hovered: token };
}

export function selectPatch(sequence: Sequence, tokens: number[]): Partial<CommonState> {
  return sequence === "source" ? { selected_source: tokens } : { selected: tokens };
}

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
    unitOf: (token) => (token === null ? null : (unitOfToken[token] ?? null)),
    firstToken: (unit) => first.get(unit) ?? unit,
    special,
    generated: mixed ? generated : generated.map(() => 0),
  };
}

/** The units that are lit, for the side of a map that shows this sequence. */
export function litUnits(
  of: Column,
  tokens: TokenState,
): { hovered: number | null; selected: Set<number> } {
  const selected = new Set<number>();
  for (const token of tokens.selected) {
    const unit = of.unitOf(token);
    if (unit !== null) selected.add(unit);
  }
  return { hovered: of.unitOf(tokens.hovered), selected };
}

/** Pins a unit, or lets it go: the new list of token positions. */
export function togglePinned(of: Column, selected: readonly number[], unit: number): number[] {
  const kept = selected.filter((token) => of.unitOf(token) !== unit);
  if (kept.length === selected.length) kept.push(of.firstToken(unit));
  return kept.sort((a, b) => a - b);
}

/** The text of a unit as nodes: the label, or "input → predicted" on a decoder's rows. */
export function labelNodes(axis: Axis, unit: number): Child[] {
  const label = axis.labels[unit] ?? "";
  const predicted = axis.predicted?.[unit];
  if (predicted === undefined) return [show(label)];
  const weigh = (name: "label" | "predicted"): string =>
    axis.emphasis === name ? `gh-${name} is-strong` : `gh-${name} is-weak`;
  return [
    h("bdi", { class: weigh("label") }, show(label)),
    h("span", { class: "gh-arrow", aria: { hidden: true } }, "→"),
    h("bdi", { class: weigh("predicted") }, show(predicted)),
  ];
}

/** The same as one string, for titles and canvases. */
export function labelText(axis: Axis, unit: number): string {
  const label = showPlain(axis.labels[unit] ?? "");
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

/** How a unit is called in a sentence: ‘chien’, or the predicted word where that is the emphasis. */
export function unitName(axis: Axis, unit: number): string {
  const predicted = axis.emphasis === "predicted" ? axis.predicted?.[unit] : undefined;
  return quote(predicted ?? axis.labels[unit] ?? "");
}

export function kindInfo(scene: Scene, name: string): KindInfo | undefined {
  return scene.kinds?.find((kind) => kind.name === name);
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

/** Width that the labels need, measured with the font they are shown in. */
export function measureLabels(
  context: CanvasRenderingContext2D | null,
  labels: readonly string[],
  font: string,
): number {
  if (!context) return 80;
  context.font = font;
  // Long inputs: the longest strings are the widest, near enough to skip measuring thousands.
  const candidates = [...labels].sort((a, b) => b.length - a.length).slice(0, 400);
  return Math.max(0, ...candidates.map((label) => context.measureText(label).width)) + 14;
}
