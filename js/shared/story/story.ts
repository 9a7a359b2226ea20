/** A story told over a view: its caption, where the reader is in it, back and next. */

import { button, disable, fill, h } from "../dom";
import { type Host, isFixed, same } from "../host/host";
import { litTokens } from "../lit";
import type { TraceState, ViewState } from "../state";
import { createGuess, type Guess } from "./guess";
import type { StoryStep } from "./steps";
import { tokensOf } from "./tokens";

export interface Story {
  readonly element: HTMLElement;
  /** Brings it in line with the state. */
  sync(state: ViewState): void;
}

interface Page {
  readonly element: HTMLElement;
  readonly guess: Guess | null;
}

export function createStory<S extends ViewState>(host: Host<S>): Story {
  let steps: readonly StoryStep[] = [];
  let pages: readonly Page[] = [];
  let shown = -1;
  /** Pinned tokens when the step began, or at the last guess. */
  let before: readonly number[] = [];
  const go = (by: number): void => {
    const step = host.state.step + by;
    const to = steps[step];
    if (to) host.set({ ...to.state, step } as unknown as Partial<S>);
  };
  const turn = (by: number, action: string, words: string): HTMLButtonElement =>
    button("gh-button", () => go(by), { data: { action } }, words);
  const [back, next] = [turn(-1, "story-back", "‹ Back"), turn(1, "story-next", "Next ›")];
  const place = h("span", { class: "gh-caption" });
  const leaves = h("div", { class: "gh-story-pages" });
  const element = h(
    "section",
    { class: "gh-story", attrs: { hidden: true }, aria: { label: "Story" } },
    leaves,
    h("div", { class: "gh-story-turn" }, back, place, next),
  );
  /** Whether there is such a step, and its picture: without a kernel it may be another one's. */
  const canShow = (at: number): boolean => {
    const now = host.state as Readonly<Record<string, unknown>>;
    const to = steps[at]?.state;
    const isOther = (name: string): boolean =>
      isFixed(host, name as keyof S & string) && !same(now[name], to?.[name]);
    return to !== undefined && !Object.keys(to).some(isOther);
  };
  const refresh = (): void => {
    const guess = pages[shown]?.guess;
    disable(back, !canShow(shown - 1));
    disable(next, !canShow(shown + 1) || guess?.isKnown === false);
  };
  const pageOf = (step: StoryStep): Page => {
    const guess = step.ask
      ? createGuess({
          step,
          tokens: tokensOf(() => host.state, step),
          onKnown() {
            refresh();
            host.set(step.reveal as unknown as Partial<S>);
          },
        })
      : null;
    const paragraphs = step.caption.split(/\n\s*\n/u).map((words) => h("p", {}, words));
    return { element: h("div", { class: "gh-story-page" }, ...paragraphs, guess?.element), guess };
  };
  return {
    element,
    sync(state) {
      if (state.story !== steps) {
        [steps, shown] = [state.story, -1];
        pages = steps.map(pageOf);
        fill(leaves, ...pages.map((page) => page.element));
        element.hidden = steps.length === 0;
      }
      const step = steps[state.step];
      if (!step) return;
      if (state.step !== shown) {
        shown = state.step;
        before = pinsOf(state, step);
        place.textContent = `${shown + 1} of ${steps.length}`;
        for (const [i, page] of pages.entries()) turnTo(page.element, i === shown);
      }
      const pins = pinsOf(state, step);
      const clicked = pins.filter((token) => !before.includes(token));
      before = pins;
      if (clicked.length) pages[shown]?.guess?.clicked(clicked);
      refresh();
    },
  };
}

/** All pages lie on each other, so that the view keeps its place; one is to be seen. */
function turnTo(page: HTMLElement, isShown: boolean): void {
  page.classList.toggle("is-shown", isShown);
  page.toggleAttribute("inert", !isShown);
  if (isShown) page.removeAttribute("aria-hidden");
  else page.setAttribute("aria-hidden", "true");
}

function pinsOf(state: ViewState, { where }: StoryStep): readonly number[] {
  if (!("selected" in state)) return [];
  return litTokens(state as TraceState, where === "source" ? "source" : "text").selected;
}
