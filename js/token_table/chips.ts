/** The text in its tokens: one below the other where two tokenizers are compared. */

import { h } from "../shared/dom";
import { createMarks, type LongText } from "../shared/long_text";
import { tokenText } from "../shared/text";
import { show } from "../shared/token_text";
import { type Block, blocks } from "./blocks";
import type { Split } from "./data";

/** Chips of the text, those of the other tokenizer, and what holds them. */
export interface Chips extends Omit<LongText, "dress"> {
  /** The same for the other's tokens. */
  markOther(name: string, positions: Iterable<number>): void;
}

/** Blocks that are laid out together, where there are many. */
const CHUNK = 128;
/** Longer tokens than this (a line of spaces, a template's words) may break over lines. */
const LONG = 24;

/** One tokenizer: running text, so that scripts keep their direction and their joined letters. */
export function chips(split: Split, scroller: Element): Chips {
  const { frame, segments } = split;
  const { texts, gaps } = frame;
  const props = { texts, gaps, special: [], generated: [], write: writeChip };
  const text = tokenText(props, "position", scroller);
  text.dress((chip, i) => {
    dress(chip, split, i);
    // A space is shown as a mark: a line may break there all the same.
    if (/^\s/.test(texts[i] ?? "")) chip.before(h("wbr"));
    if (segments && segments[i] !== segments[i - 1]) chip.before(sentenceMark(segments[i] ?? 0));
  });
  return { ...text, markOther: () => {} };
}

/** Two tokenizers: a column for every stretch of the text that both cut at its ends. */
export function comparedChips(split: Split, other: Split): Chips {
  const tokens = split.looks.map((_, i) => chipOf(split, i, "position"));
  const others = other.looks.map((_, i) => chipOf(other, i, "other-position"));
  const all = blocks(split, other);
  const element = h("div", { class: "gh-text tt-compared", attrs: { dir: "auto" } });
  const lazy = all.length > 4 * CHUNK ? " is-lazy" : "";
  for (let from = 0; from < all.length; from += CHUNK) {
    const chunk = h("div", { class: `gh-text-chunk${lazy}` });
    for (const block of all.slice(from, from + CHUNK)) {
      chunk.append(column(block, tokens, others));
      if (endsLine(split, block)) chunk.append(h("br"));
    }
    element.append(chunk);
  }
  return {
    element,
    count: tokens.length,
    token: (i) => tokens[i],
    mark: createMarks((i) => tokens[i]).mark,
    markOther: createMarks((i) => others[i]).mark,
    close: () => {},
  };
}

function column(
  { first, second }: Block,
  tokens: readonly HTMLElement[],
  others: readonly HTMLElement[],
): HTMLElement {
  // Where both cut alike there is nothing to look at.
  const same = first.length === 1 && second.length === 1;
  return h(
    "span",
    { class: same ? "tt-block is-same" : "tt-block" },
    h("span", { class: "tt-row" }, ...first.map((i) => tokens[i])),
    h("span", { class: "tt-row" }, ...second.map((i) => others[i])),
  );
}

function chipOf(split: Split, position: number, attribute: string): HTMLElement {
  const chip = h("bdi", { class: "gh-token", data: { [attribute]: position } });
  chip.append(show(split.frame.texts[position] ?? ""));
  return dress(chip, split, position);
}

function dress(chip: HTMLElement, { looks, frame }: Split, position: number): HTMLElement {
  chip.classList.add("tt-chip", `is-${looks[position]}`);
  chip.classList.toggle("is-odd", position % 2 === 1);
  chip.classList.toggle("is-long", (frame.texts[position] ?? "").length > LONG);
  return chip;
}

/** A token with every space marked; behind the mark of a line's end the line does end. */
function writeChip(text: string): Node[] {
  if (!text.includes("\n")) return [show(text)];
  return text
    .split(/(\n)/)
    .filter((part) => part !== "")
    .flatMap((part) =>
      part === "\n" ? [show(part), document.createTextNode("\n")] : [show(part)],
    );
}

function endsLine({ frame }: Split, { first }: Block): boolean {
  const last = first.at(-1);
  return last !== undefined && (frame.texts[last] ?? "").endsWith("\n");
}

function sentenceMark(segment: number): HTMLElement {
  return h("span", { class: "tt-sentence" }, `sentence ${segment + 1}`);
}
