/** A story as Python sends it: captions over states of the view. */

/** One step; `state` and `reveal` are whole states, so that steps can be read in any order. */
export interface StoryStep {
  caption: string;
  state: Readonly<Record<string, unknown>>;
  /** A question that waits for a guess; "" = none. */
  ask: string;
  /** Answers to choose from; none = words are typed, or a token is clicked. */
  choices: readonly string[];
  /** The answers that are right: words, or token positions. */
  words: readonly string[];
  positions: readonly number[];
  /** The text that positions are of. */
  where: "text" | "source";
  /** Said when the answer is known, and the state that is shown then. */
  because: string;
  reveal: Readonly<Record<string, unknown>>;
}

/** What an answer is compared by: neither capitals nor spaces around it matter. */
export function sameWords(a: string, b: string): boolean {
  return plain(a) === plain(b);
}

function plain(words: string): string {
  return words.normalize("NFKC").trim().replace(/\s+/gu, " ").toLocaleLowerCase();
}
