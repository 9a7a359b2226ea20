/** The traits of TokenTable, and its frame. */

import type { MaybeFrame, Packed, ViewState } from "../shared/state";

export interface TableState extends ViewState {
  hovered: number | null;
  selected: number[];
  frame: MaybeFrame<TokensFrame>;
}

/** How one tokenizer splits the text. */
export interface SplitFrame {
  name: string;
  texts: string[];
  gaps: string[];
  /** What the tokenizer itself calls each token. */
  own: string[];
  words: string[];
  ids: Packed;
  /** [token, 2]: start and end, in characters of the text. */
  spans: Packed;
  /** Places in `kind_names`. */
  kinds: Packed;
  /** Index of the word of each token. */
  word: Packed;
  /** Of a sentence pair: 0 or 1 for each token. */
  segments: Packed | null;
  n_words: number;
  n_characters: number;
  /** Characters of which several tokens hold parts. */
  n_split: number;
}

export interface TokensFrame extends SplitFrame {
  kind: "tokens";
  key: Record<string, never>;
  kind_names: string[];
  other: SplitFrame | null;
}
