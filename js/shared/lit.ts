/** Which tokens are lit, here and in linked views: pointed at (hovered), or pinned (selected). */

import type { CommonState, Sequence } from "./state";

export type Lit = Pick<CommonState, "hovered" | "selected" | "hovered_source" | "selected_source">;

export interface LitTokens {
  hovered: number | null;
  selected: number[];
}

const LIT: readonly string[] = [
  "hovered",
  "selected",
  "hovered_source",
  "selected_source",
] satisfies (keyof Lit)[];

/** Whether nothing has changed but which tokens are lit: what is drawn can stay. */
export function onlyLit(changed: object): boolean {
  const names = Object.keys(changed);
  return names.length > 0 && names.every((name) => LIT.includes(name));
}

/** The lit tokens of a sequence: "source" has its own pair of traits. */
export function litTokens(state: Lit, sequence: Sequence): LitTokens {
  return sequence === "source"
    ? { hovered: state.hovered_source, selected: state.selected_source }
    : { hovered: state.hovered, selected: state.selected };
}

export function hoverPatch(sequence: Sequence, token: number | null): Partial<Lit> {
  return sequence === "source" ? { hovered_source: token } : { hovered: token };
}

export function selectPatch(sequence: Sequence, tokens: number[]): Partial<Lit> {
  return sequence === "source" ? { selected_source: tokens } : { selected: tokens };
}

/** The list with the token pinned, or let go where it was. */
export function toggled(tokens: readonly number[], token: number): number[] {
  return tokens.includes(token)
    ? tokens.filter((other) => other !== token)
    : [...tokens, token].sort((a, b) => a - b);
}
