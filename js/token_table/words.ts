/** What the table says of a text and of its tokens. */

import { type Child, h } from "../shared/dom";
import { tokenName } from "../shared/names";
import { formatCount } from "../shared/numbers";
import { quote } from "../shared/token_text";
import { LOOKS, type Split } from "./data";

/** "41 tokens for 29 words (1.4 a word) and 143 characters; 3 tokens are parts of one character." */
export function summary(split: Split): Child[] {
  const { n_words, n_characters, n_split } = split.frame;
  const special = split.count("special");
  const rate = n_words > 0 && ` (${perWord(split)} a word)`;
  const [bytes, unknown] = [split.count("byte"), split.count("unknown")];
  return [
    strong(counted(split.n, "token")),
    special > 0 && `, ${formatCount(special)} of them special,`,
    " for ",
    strong(counted(n_words, "word")),
    rate,
    " and ",
    strong(counted(n_characters, "character")),
    bytes > 0 &&
      `; ${counted(bytes, "token")} ${bytes === 1 ? "is a part" : "are parts"} of ${characters(n_split)}`,
    unknown > 0 &&
      `; ${counted(unknown, "token")} stand${unknown === 1 ? "s" : ""} for unknown text`,
    ".",
  ];
}

/** "demo decoder makes 52 tokens of it (1.8 a word), 27 % more." */
export function comparison(split: Split, other: Split): Child[] {
  const share = split.n > 0 ? other.n / split.n - 1 : 0;
  const percent = Math.round(100 * Math.abs(share));
  const more = `${percent < 1 ? "less than 1" : percent} % ${share > 0 ? "more" : "fewer"}`;
  return [
    strong(other.frame.name),
    " (below) makes ",
    strong(counted(other.n, "token")),
    ` of it (${perWord(other)} a word), `,
    other.n === split.n ? "as many." : `${more}.`,
  ];
}

/** A token in a sentence. */
export function tokenWords(split: Split, position: number): string {
  const [start, end] = split.span(position);
  const { text, place, of } = split.word(position);
  const look = split.looks[position] ?? "whole";
  const own = split.frame.own[position];
  const sentence = split.segments && `, sentence ${(split.segments[position] ?? 0) + 1}`;
  const where =
    start === end ? `put in at character ${formatCount(start)}` : `characters ${range(start, end)}`;
  const word = of > 1 ? `, ${place} of ${of} tokens of the word ${quote(text)}` : "";
  return (
    `Token ${formatCount(position)} ${tokenName(split.frame.texts, position)}: ` +
    `id ${split.ids[position] ?? 0}, ${own ? `own string ${quote(own)}, ` : ""}` +
    `${where}, ${LOOKS[look][0]}${word}${sentence ?? ""}.`
  );
}

/** "4–9", "4": where a token stands; "–" where it covers nothing. */
export function range(start: number, end: number): string {
  if (start === end) return "–";
  return `${start}–${end}`;
}

function perWord(split: Split): string {
  const { n_words } = split.frame;
  return n_words > 0 ? ((split.n - split.count("special")) / n_words).toFixed(1) : "–";
}

function characters(n: number): string {
  if (n === 0) return "no character";
  return n === 1 ? "one character" : counted(n, "character");
}

function counted(n: number, noun: string): string {
  return `${formatCount(n)} ${noun}${n === 1 ? "" : "s"}`;
}

function strong(words: string): HTMLElement {
  return h("strong", {}, words);
}
