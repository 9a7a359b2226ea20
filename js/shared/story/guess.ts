/** The question of a step: it waits for a guess, says whether that is right, and can give way. */

import { button, disable, fill, h } from "../dom";
import { quote } from "../token_text";
import { type StoryStep, sameWords } from "./steps";
import type { Tokens } from "./tokens";

export interface Guess {
  readonly element: HTMLElement;
  /** The story may go on. */
  readonly isKnown: boolean;
  /** Tokens were clicked while the question waits. */
  clicked(tokens: readonly number[]): void;
}

export interface GuessOptions {
  step: StoryStep;
  tokens: Tokens;
  /** The answer is known, guessed or shown. */
  onKnown(): void;
}

export function createGuess({ step, tokens, onKnown }: GuessOptions): Guess {
  let isKnown = false;
  const verdict = h("p", { class: "gh-verdict", attrs: { role: "status" } });
  const say = (strong: string, words: string): void => {
    fill(verdict, h("strong", {}, strong), ` ${words}`);
  };
  const known = (strong: string): void => {
    if (isKnown) return;
    isKnown = true;
    for (const control of element.querySelectorAll("button")) disable(control, true);
    field.readOnly = true;
    say(strong, step.because);
    element.dataset.known = "true";
    onKnown();
  };
  const guess = (isRight: boolean, guessed: string): void => {
    if (isKnown) return;
    if (isRight) known("Right.");
    else say("Not yet.", `It is not ${guessed}. ${AGAIN}`);
  };
  const answer = (): string =>
    [...step.words.map((words) => quote(words)), ...step.positions.map(tokens.name)].join(" or ");
  const sayWords = (words: string): void => {
    guess(
      step.words.some((right) => sameWords(right, words)),
      quote(words),
    );
  };
  const field = h("input", {
    class: "gh-guess",
    attrs: { type: "text", autocomplete: "off", spellcheck: "false" },
    aria: { label: step.ask },
    on: {
      keydown: (event) => event.key === "Enter" && field.value.trim() && sayWords(field.value),
    },
  });
  const element = h(
    "div",
    { class: "gh-ask" },
    h("p", { class: "gh-ask-words" }, step.ask),
    h("div", { class: "gh-ask-answers" }, ...answers(step, field, sayWords), reveal()),
    // The longest that is ever said keeps its room.
    h(
      "div",
      { class: "gh-verdicts" },
      verdict,
      h("p", { class: "gh-verdict is-room", aria: { hidden: true } }, longest(step)),
    ),
  );
  function reveal(): HTMLElement {
    const show = (): void => known(`It is ${answer()}.`);
    return button("gh-button", show, { data: { action: "story-reveal" } }, "Show the answer");
  }
  return {
    element,
    get isKnown() {
      return isKnown;
    },
    clicked(pinned) {
      const isRight = (token: number): boolean =>
        step.positions.some((right) => tokens.isSame(token, right));
      const token = pinned.find(isRight) ?? pinned.at(-1);
      if (token !== undefined && step.positions.length) guess(isRight(token), tokens.name(token));
    },
  };
}

const AGAIN = "Look again, or have the answer shown.";

function longest({ because }: StoryStep): string {
  return because.length > AGAIN.length
    ? `Not yet. ${because}`
    : `Not yet. It is not this. ${AGAIN}`;
}

/** What the reader guesses with. */
function answers(
  { choices, positions }: StoryStep,
  field: HTMLInputElement,
  guess: (words: string) => void,
): HTMLElement[] {
  if (positions.length) return [h("span", { class: "gh-caption" }, "Click it in the view.")];
  if (choices.length) {
    const choice = (words: string): HTMLElement =>
      button("gh-button", () => guess(words), { data: { choice: words } }, words);
    return choices.map(choice);
  }
  const check = (): void => {
    if (field.value.trim()) guess(field.value);
  };
  return [field, button("gh-button", check, { data: { action: "story-check" } }, "Check")];
}
