/** The source text of an encoder-decoder model, lit by what the current target row looks at. */

import { unpack } from "../shared/arrays";
import { h } from "../shared/dom";
import { tokenName } from "../shared/names";
import { formatWeight } from "../shared/numbers";
import { tableColour } from "../shared/palette";
import { paintToken, type TokenText, tokenText } from "../shared/text";
import type { StripFrame } from "./state";

/** Cross-attention weights [target tokens][source tokens] read from a frame; null = must be asked. */
export function crossWeights(frame: StripFrame): ((position: number) => Float32Array) | null {
  if (!frame.cross) return null;
  const weights = unpack(frame.cross);
  const n = frame.cross.shape[1] ?? 0;
  return (position) => Float32Array.from(weights.subarray(position * n, (position + 1) * n));
}

export interface SourceText {
  readonly element: HTMLElement;
  readonly text: TokenText;
  /** Lights the tokens by weight; null puts the light out. */
  light(weights: Float32Array | null, table: Uint8ClampedArray): void;
  /** Outlines hovered and pinned tokens. */
  mark(hovered: Iterable<number>, selected: ReadonlySet<number>): void;
}

export function sourceText(
  source: NonNullable<StripFrame["source"]>,
  scroller: Element,
): SourceText {
  const special = unpack(source.special);
  const text = tokenText({ ...source, special, generated: [] }, "source-position", scroller);
  const element = h(
    "div",
    { class: "gh-strip-source" },
    h("div", { class: "gh-caption" }, "Source, as the encoder reads it"),
    text.element,
  );
  return {
    element,
    text,
    light(weights, table) {
      const strongest = weights ? Math.max(...weights, 1e-9) : 1;
      text.dress((token, i) => {
        // The strongest token is always fully lit: rows differ in how sharply they look.
        const share = weights ? (weights[i] ?? 0) / strongest : 0;
        paintToken(token, share < 0.02 ? null : tableColour(table, share));
        token.title = weights ? `looked at with ${formatWeight(weights[i] ?? 0, 3)}` : "";
      });
    },
    mark(hovered, selected) {
      text.mark("is-hovered", hovered);
      text.mark("is-selected", selected);
    },
  };
}

/** "looks most at ‘dog’ 0.81, ‘the’ 0.11". */
export function looksWords(weights: Float32Array, texts: readonly string[]): string {
  const order = Array.from(weights.keys()).sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0));
  const best = order.slice(0, 2).filter((i) => (weights[i] ?? 0) >= 0.05);
  if (best.length === 0) return "looks at no source token with 0.05 or more";
  const parts = best.map((i) => `${tokenName(texts, i)} ${formatWeight(weights[i] ?? 0)}`);
  return `looks most at ${parts.join(", ")}`;
}
