/** What the strip says of a text and of its tokens: card, status line and live region. */

import { type Child, h, hint } from "../shared/dom";
import { formatCount, percent } from "../shared/numbers";
import { quote } from "../shared/token_text";
import { type TokenCard, tieWords } from "./card";
import type { StripData } from "./data";
import { formatValue } from "./measures";
import type { Span } from "./profile";
import type { PartOfText } from "./questions";

function figure(value: string, words: string): Child {
  return h("span", { class: "gh-strip-figure" }, h("strong", {}, value), words);
}

/** A part of the text, chosen in the profile; a string says why nothing is known of it (yet). */
export function spanLines([start, stop]: Span, part: PartOfText | string): Child[] {
  const which = `tokens ${formatCount(start)}–${formatCount(stop - 1)}`;
  if (typeof part === "string") return [which, part];
  const { n_scored, n_correct, perplexity } = part;
  if (n_scored === 0) return [which, "No token of them has a value."];
  return [
    figure(formatValue("perplexity", perplexity ?? Number.NaN), `perplexity of ${which}`),
    figure(percent(n_correct / n_scored), "of them were the model’s first guess"),
    `${formatCount(n_scored)} of ${formatCount(stop - start)} tokens scored`,
  ];
}

/** The text as a whole, for a card without a token. */
export function summaryLines({ frame, nWrong }: StripData): Child[] {
  const { n_scored, perplexity, texts } = frame;
  const right = percent(n_scored > 0 ? 1 - nWrong / n_scored : Number.NaN);
  return [
    figure(formatValue("perplexity", perplexity ?? Number.NaN), "perplexity of the text"),
    figure(right, "of its tokens were the model’s first guess"),
    `${formatCount(n_scored)} of ${formatCount(texts.length)} tokens scored`,
  ];
}

const HINT =
  "Point at a token for its numbers and what the model expected; a click pins it. Draw along the chart (or Shift and arrows) for a part of the text.";

/** What the card does not say: the text's numbers beside a token's, else what can be done. */
export function statusWords({ frame }: StripData, pointed: boolean): Child[] {
  const { n_scored, perplexity, texts, note } = frame;
  if (n_scored === 0 || perplexity === null) return [note];
  if (!pointed) return [hint(HINT), ` ${note}`];
  return [
    "Perplexity ",
    h("strong", {}, formatValue("perplexity", perplexity)),
    ` over ${formatCount(n_scored)} scored of ${formatCount(texts.length)} tokens. ${note}`,
  ];
}

/** What a token's word comes to; "" where the token is the word. */
export function wordSentence({ frame, byWord, word }: StripData, position: number): string {
  const tokens = word(position);
  const split = new Map(frame.split.map(([token, text]) => [token, text]));
  const text = tokens.map((token) => split.get(token) ?? frame.texts[token] ?? "").join("");
  const bits = byWord.surprisal[position] ?? Number.NaN;
  if (tokens.length < 2 || Number.isNaN(bits)) return "";
  const probability = percent(byWord.probability[position] ?? Number.NaN);
  return `The word ${quote(text)}, ${tokens.length} tokens: ${formatValue("surprisal", bits)}, probability ${probability}.`;
}

/** A token's card in a sentence. */
export function tokenSentence(card: TokenCard): string {
  const { position, name, values, reason, alternatives, looks } = card;
  const rank = values.rank[position] ?? 0;
  const numbers =
    reason ||
    [
      formatValue("surprisal", values.surprisal[position] ?? 0),
      `probability ${percent(values.probability[position] ?? 0)}`,
      `rank ${formatValue("rank", rank)}${tieWords(alternatives, rank, ", shared with ")}`,
    ].join(", ");
  return `token ${position} ${name}: ${numbers}. ${looks}`;
}
