/** What the strip says of a text and of its tokens: card, status line and live region. */

import { type Child, h, hint } from "../shared/dom";
import { formatCount, percent } from "../shared/numbers";
import { type TokenCard, tieWords } from "./card";
import type { StripData } from "./data";
import { formatValue } from "./measures";

/** The text as a whole, for a card without a token. */
export function summaryLines({ frame, nWrong }: StripData): Child[] {
  const { n_scored, perplexity, texts } = frame;
  const right = percent(n_scored > 0 ? 1 - nWrong / n_scored : Number.NaN);
  const figure = (value: string, words: string): Child =>
    h("span", { class: "gh-strip-figure" }, h("strong", {}, value), words);
  return [
    figure(formatValue("perplexity", perplexity ?? Number.NaN), "perplexity of the text"),
    figure(right, "of its tokens were the model’s first guess"),
    `${formatCount(n_scored)} of ${formatCount(texts.length)} tokens scored`,
  ];
}

const HINT = "Point at a token for its numbers and what the model expected; a click pins it.";

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
