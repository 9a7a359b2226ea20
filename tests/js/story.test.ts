import { beforeEach, describe, expect, test } from "vitest";
import type { TraceState } from "../../js/shared/state";
import type { StoryStep } from "../../js/shared/story/steps";
import { createStory, type Story } from "../../js/shared/story/story";
import { common, FakeHost, find, selfAxes } from "./fake_host";

const HOSTILE = "</script><img src=x onerror=alert(1)>";

function step(more: Partial<StoryStep>): StoryStep {
  const empty = { ask: "", choices: [], words: [], positions: [], because: "" } as const;
  return { caption: "", state: {}, where: "text", reveal: {}, ...empty, ...more };
}

let host: FakeHost<TraceState>;
let story: Story;
let place: HTMLElement;

/** A view of three tokens that tells a story. */
function tell(...steps: StoryStep[]): void {
  const axes = selfAxes(["the", " cat", " sat"]);
  host = new FakeHost<TraceState>({ ...common(axes), frame: {}, story: steps });
  story = createStory(host);
  host.view = { update: () => story.sync(host.state), destroy() {} };
  place = document.body.appendChild(story.element);
  story.sync(host.state);
}

const click = (selector: string): void => find(place, selector).click();
const shown = (selector = ""): string =>
  find(place, `.gh-story-page.is-shown ${selector}`).textContent?.replace(/[\u2068\u2069]/gu, "") ??
  "";
const next = "[data-action=story-next]";

beforeEach(() => document.body.replaceChildren());

describe("a story", () => {
  test("shows one caption after the other, each with its state", () => {
    tell(
      step({ caption: "All heads.", state: { layer: 1, heads: [] } }),
      step({ caption: "One of them.", state: { layer: 2, heads: [1] } }),
    );
    expect(shown()).toBe("All heads.");
    click(next);
    expect(shown()).toBe("One of them.");
    expect(host.state).toMatchObject({ step: 1, layer: 2, heads: [1] });
    expect(place.textContent).toContain("2 of 2");
    click("[data-action=story-back]");
    expect(host.state).toMatchObject({ step: 0, layer: 1, heads: [] });
  });

  test("ends where it ends, and its buttons stay", () => {
    tell(step({ caption: "Only this." }));
    expect(find(place, next).getAttribute("aria-disabled")).toBe("true");
    click(next);
    expect(host.state.step).toBe(0);
  });

  test("is not there where none is told", () => {
    tell();
    expect(place.hidden).toBe(true);
  });

  test("follows the kernel, and keeps what was answered", () => {
    const asks = step({ ask: "Which animal?", words: ["cat"] });
    tell(asks, step({ caption: "Yes." }));
    click("[data-action=story-reveal]");
    host.set({ step: 1 });
    expect(shown()).toBe("Yes.");
    host.set({ step: 0 });
    expect(shown("[role=status]")).toContain("It is ‘cat’.");
    expect(find(place, next).hasAttribute("aria-disabled")).toBe(false);
  });

  test("takes hostile words as text, in paragraphs", () => {
    tell(
      step({ caption: `One.\n\n${HOSTILE}`, ask: HOSTILE, words: ["a"], choices: ["a", HOSTILE] }),
    );
    expect(place.querySelector("img")).toBeNull();
    expect(place.querySelectorAll(".gh-story-page > p")).toHaveLength(2);
    expect(shown(".gh-ask-words")).toBe(HOSTILE);
  });

  test("pages that are not shown are no stops for Tab", () => {
    tell(step({ ask: "A?", words: ["a"] }), step({ ask: "B?", words: ["b"] }));
    const [first, second] = place.querySelectorAll(".gh-story-page");
    expect(first?.hasAttribute("inert")).toBe(false);
    expect(second?.hasAttribute("inert")).toBe(true);
  });
});

describe("a question", () => {
  const asks = (more: Partial<StoryStep>) => {
    tell(step({ ask: "Which word?", because: "See row 2.", ...more }), step({}));
  };
  const isOpen = (): boolean => find(place, next).getAttribute("aria-disabled") === "true";

  test("waits for the right words, whatever their capitals", () => {
    asks({ words: ["cat", "the cat"], reveal: { layer: 2 } });
    const field = find(place, ".gh-guess") as HTMLInputElement;
    field.value = "dog";
    click("[data-action=story-check]");
    expect(shown("[role=status]")).toContain("Not yet. It is not ‘dog’.");
    expect([isOpen(), host.state.layer]).toEqual([true, 1]);
    field.value = "  The  CAT ";
    field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
    expect(shown("[role=status]")).toBe("Right. See row 2.");
    expect([isOpen(), host.state.layer]).toEqual([false, 2]);
  });

  test("takes one of the choices", () => {
    asks({ words: ["sat"], choices: ["cat", "sat"] });
    click("[data-choice=cat]");
    expect(isOpen()).toBe(true);
    click("[data-choice=sat]");
    expect(isOpen()).toBe(false);
  });

  test("takes a token that is clicked in the view", () => {
    asks({ positions: [1] });
    host.set({ selected: [2] });
    expect(shown("[role=status]")).toContain("It is not ‘sat’");
    host.set({ selected: [] });
    expect(isOpen()).toBe(true);
    host.set({ selected: [1, 2] });
    expect(isOpen()).toBe(false);
  });

  test("pins of the step itself are no guess", () => {
    tell(step({}), step({ ask: "Which?", positions: [1], state: { selected: [1] } }), step({}));
    click(next);
    expect(isOpen()).toBe(true);
  });

  test("takes any token of a word where words are shown", () => {
    asks({ positions: [1] });
    const { axes } = host.state as { axes: ReturnType<typeof selfAxes> };
    const words = { ...axes.key, labels: ["the", "cat"], unit_of_token: axes.key.unit_of_token };
    words.unit_of_token = { ...words.unit_of_token, data: Uint32Array.of(0, 1, 1) };
    host.set({ unit: "word", axes: { ...axes, unit: "word", query: words, key: words } });
    host.set({ selected: [2] });
    expect(isOpen()).toBe(false);
  });

  test("gives way, and says what it is", () => {
    asks({ positions: [1], reveal: { layer: 2 } });
    click("[data-action=story-reveal]");
    expect(shown("[role=status]")).toBe("It is ‘cat’. See row 2.");
    expect([isOpen(), host.state.layer]).toEqual([false, 2]);
  });
});
