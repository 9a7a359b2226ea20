/** The text as it was written: one element per token, the gaps between them untouched. */

import { h } from "./dom";
import { type LongText, longText } from "./long_text";
import { css, inkOn, type Rgb } from "./palette";
import { show } from "./token_text";

export type SplitToken = readonly [position: number, text: string, goesOn: boolean];

export interface TextProps {
  texts: readonly string[];
  gaps: readonly string[];
  /** How tokens are written that share a character, and whether they go on with one. */
  split?: readonly SplitToken[];
  special: ArrayLike<number>;
  generated: ArrayLike<number>;
  /** Special tokens that the text does not have. */
  unwritten?: readonly number[];
  /** Writes a token; left out, as it stands in running text. */
  write?: (text: string) => Node[];
}

/** The tokens of a text, drawn into `element`. */
export interface TokenText extends LongText {
  /** Where each token carries its position. */
  readonly attribute: string;
  /** What a token's element stands for in the text. */
  written(position: number): string;
}

/**
 * `attribute` is where each token carries its position: "position" or "source-position"; `scroller`
 * is what scrolls a long text.
 */
export function tokenText(props: TextProps, attribute: string, scroller?: Element): TokenText {
  const element = h("div", { class: "gh-text", attrs: { dir: "auto" } });
  const texts = [...props.texts];
  const goesOn = new Set<number>();
  for (const [position, text, goes] of props.split ?? []) {
    texts[position] = text;
    if (goes) goesOn.add(position);
  }
  const isSpaced = (i: number): boolean => !props.write && /^ \S/.test(texts[i] ?? "");
  const textOf = (i: number): string => (texts[i] ?? "").slice(isSpaced(i) ? 1 : 0);
  const unwritten = new Set(props.unwritten);
  const writtenOf = (i: number): string => (unwritten.has(i) ? "" : textOf(i));
  const make = (i: number): HTMLElement => {
    const text = textOf(i);
    const token = tokenElement(text, i, props, attribute);
    if (goesOn.has(i)) {
      const mark = h("span", { class: "gh-mark is-going-on" }, "‥");
      if (text === "") token.replaceChildren(mark);
      else token.prepend(mark);
    }
    return token;
  };
  const spaceBefore = (i: number): string => (props.gaps[i] ?? "") + (isSpaced(i) ? " " : "");
  const parts = {
    count: texts.length,
    make,
    // A space before a word stands between two colours: at a line's end it would be a coloured stub.
    before: (i: number) =>
      startsGenerated(props, i)
        ? [props.gaps[i], generatedMark(), isSpaced(i) && " "]
        : [spaceBefore(i)],
    ends: (i: number) => ends({ ...props, texts }, i),
    plain(from: number, to: number): string {
      const found = from === 0 ? [spaceBefore(0)] : [];
      for (let i = from; i < to; i++) found.push(writtenOf(i), spaceBefore(i + 1));
      return found.join("");
    },
  };
  return { ...longText(element, parts, scroller), attribute, written: writtenOf };
}

function ends({ texts, gaps }: TextProps, i: number): "line" | "sentence" | "word" | "inside" {
  const [text, after] = [texts[i] ?? "", `${gaps[i + 1] ?? ""}${texts[i + 1] ?? ""}`];
  if (/\n$/.test(text) || /^\n/.test(gaps[i + 1] ?? "")) return "line";
  if (!/^\s/.test(after)) return "inside";
  return /[.!?]["'”’)\]]*$/.test(text) ? "sentence" : "word";
}

function startsGenerated({ generated }: TextProps, i: number): boolean {
  return generated[i] === 1 && i > 0 && generated[i - 1] !== 1;
}

function generatedMark(): HTMLElement {
  return h("span", { class: "gh-text-generated" }, "generated");
}

function tokenElement(
  text: string,
  position: number,
  { special, generated, write = tokenNodes }: TextProps,
  attribute: string,
): HTMLElement {
  const classes = ["gh-token"];
  if (special[position]) classes.push("is-special");
  if (generated[position]) classes.push("is-generated");
  return h("span", { class: classes.join(" "), data: { [attribute]: position } }, ...write(text));
}

/**
 * A token inside running text: the single spaces between words stay spaces, other white space gets
 * its mark, and a newline breaks the line behind its mark.
 */
export function tokenNodes(text: string): Node[] {
  const nodes: Node[] = [];
  const lines = text.split("\n");
  for (const [i, line] of lines.entries()) {
    if (line !== "" || lines.length === 1) nodes.push(...lineNodes(line));
    if (i < lines.length - 1) nodes.push(show("\n"), document.createTextNode("\n"));
  }
  return nodes;
}

function lineNodes(line: string): Node[] {
  if (line.trim() === "") return [show(line)];
  return line
    .split(/((?<! ) (?! ))/)
    .filter((part) => part !== "")
    .map((part) => (part === " " ? document.createTextNode(" ") : show(part)));
}

/** Colours a token; null = no colour of its own. The text stays readable on any background. */
export function paintToken(token: HTMLElement, colour: Rgb | null): void {
  token.style.backgroundColor = colour ? css(colour) : "";
  token.style.color = colour ? inkOn(colour) : "";
  token.classList.toggle("is-coloured", colour !== null);
}

/** The token element that an event happened on, as its position. */
export function positionOf(event: Event, attribute: string): number | null {
  const { target } = event;
  const token = target instanceof Element ? target.closest(`[data-${attribute}]`) : null;
  const value = token?.getAttribute(`data-${attribute}`);
  return value == null ? null : Number(value);
}

/** The tokens that keys move among. */
export type Tokens = Pick<LongText, "count" | "token">;

/** The token that a key leads to; null for another key. */
export function keyTarget(key: string, position: number, tokens: Tokens): number | null {
  const last = tokens.count - 1;
  const clamp = (to: number): number => Math.min(last, Math.max(0, to));
  if (key === "ArrowRight") return clamp(position + 1);
  if (key === "ArrowLeft") return clamp(position - 1);
  if (key === "Home") return 0;
  if (key === "End") return last;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  return neighbourLine(tokens, clamp(position), key === "ArrowDown" ? 1 : -1) ?? clamp(position);
}

/** Scrolls a long text until a token shows; the page itself is left alone. */
export function scrollTo(texts: HTMLElement, token: HTMLElement | undefined): void {
  if (!token || texts.scrollHeight <= texts.clientHeight) return;
  const [box, frame] = [token.getBoundingClientRect(), texts.getBoundingClientRect()];
  if (box.top < frame.top) texts.scrollTop += box.top - frame.top;
  else if (box.bottom > frame.bottom) texts.scrollTop += box.bottom - frame.bottom;
}

/** The token on the next line (`by` = 1) or the one before (-1) that is nearest in the line. */
function neighbourLine(tokens: Tokens, position: number, by: 1 | -1): number | null {
  const here = tokens.token(position)?.getClientRects()[0];
  if (!here) return null;
  let best: number | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  let lineTop: number | null = null;
  for (let i = position + by; i >= 0 && i < tokens.count; i += by) {
    const box = tokens.token(i)?.getClientRects()[0];
    if (!box || Math.abs(box.top - here.top) < here.height / 2) continue;
    lineTop ??= box.top;
    if (Math.abs(box.top - lineTop) > here.height / 2) break;
    const distance = Math.abs(box.left - here.left);
    if (distance < bestDistance) [best, bestDistance] = [i, distance];
  }
  return best;
}
