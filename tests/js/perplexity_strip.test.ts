import { beforeEach, describe, expect, test } from "vitest";
import {
  colourScale,
  flatWords,
  formatValue,
  quantile,
  readValues,
} from "../../js/perplexity_strip/measures";
import type { Measure, StripFrame, StripState } from "../../js/perplexity_strip/state";
import { PerplexityStripView } from "../../js/perplexity_strip/view";
import { inkOn, type Rgb, sequentialTable, tableColour } from "../../js/shared/palette";
import { type SplitToken, tokenNodes } from "../../js/shared/text";
import {
  type Asked,
  common,
  FakeHost,
  find,
  floats,
  integers,
  lostBy,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const HOSTILE = "</script><img src=x onerror=alert(1)>";
const TEXTS = ["The", " white", HOSTILE, ".\n", "Gone"];
const FIRST = "The first token has no value: the model sees nothing before it.";

/** Four of five tokens scored: probabilities 1/2, 1/8, 1/1024, 1. */
function stripFrame(more: Partial<StripFrame> = {}): StripFrame {
  const probability = [Number.NaN, 1 / 2, 1 / 8, 1 / 1024, 1];
  return {
    kind: "strip",
    key: { kind: "self", layer: 1, heads: [] },
    sequence: "text",
    texts: TEXTS,
    gaps: ["", "", "", "", "", ""],
    split: [],
    special: pack([0, 0, 0, 0, 0]),
    generated: pack([0, 0, 0, 0, 1]),
    surprisal: pack(
      probability.map((p) => -Math.log(p)),
      "float32",
    ),
    probability: pack(probability, "float32"),
    entropy: pack([Number.NaN, 1, 1, 1, 0], "float32"),
    rank: pack([-1, 1, 3, 40, 1], "int32"),
    correct: pack([255, 1, 0, 0, 1]),
    undefined: FIRST,
    perplexity: 11.3,
    n_scored: 4,
    words: {
      of_token: pack([0, 0, 1, 1, 2], "uint32"),
      surprisal: pack([Number.NaN, Math.log(8 * 1024), 0], "float32"),
    },
    top: {
      k: 2,
      texts: [" white", " whale"],
      index: pack([0, 1], "uint32", [1, 2]),
      probability: pack([0.5, 0.25], "float32", [1, 2]),
      true: pack([0]),
      start: 1,
    },
    source: null,
    cross: null,
    cross_layer: null,
    note: "",
    ...more,
  };
}

function mount(more: Partial<StripState> = {}, answer?: (asked: Asked) => never) {
  const axes = selfAxes(TEXTS);
  const state: StripState = {
    ...common(axes),
    measure: "surprisal",
    k: 2,
    reading: "",
    followed: [],
    trajectory: "probability",
    lenses: [],
    reading_lens: "",
    temperature: 1,
    sample_k: 0,
    sample_p: 1,
    by_id: false,
    compared: "",
    continued: [],
    frame: stripFrame(),
    ...more,
  };
  const host = new FakeHost<StripState>(state, answer ?? (() => answers()));
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  host.view = new PerplexityStripView(el, host);
  return { host, el, token: (i: number) => find(el, `[data-position="${i}"]`) };
}

function answers() {
  const result = { position: 3, tokens: [" sea", " ship"] };
  return { result, arrays: { probability: floats([0.6, 0.2]), true: integers([255]) } };
}

const over = (element: HTMLElement): void => {
  element.dispatchEvent(new Event("pointerover", { bubbles: true }));
};

describe("the text", () => {
  let el: HTMLElement;
  beforeEach(() => {
    el = mount().el;
  });

  test("untrusted text stays text", () => {
    expect(el.querySelector("img, script")).toBeNull();
    expect(find(el, '[data-position="2"]').textContent).toBe(HOSTILE);
  });

  test("is as it was written, a newline breaking the line behind its mark", () => {
    expect(find(el, ".gh-text").textContent).toContain(`The white${HOSTILE}.⏎\n`);
  });

  test("tokens that are not the first guess are underlined, those without value hatched", () => {
    const has = (name: string): number[] =>
      [...el.querySelectorAll(`[data-position].${name}`)].map((token) =>
        Number(token.getAttribute("data-position")),
      );
    expect(has("is-marked")).toEqual([2, 3]);
    expect(has("is-unscored")).toEqual([0]);
  });

  test("the generated part is marked where it begins", () => {
    expect(find(el, ".gh-text-generated").nextElementSibling?.textContent).toBe("Gone");
  });

  test("the perplexity stands with the number of tokens it is over, and only once", () => {
    const card = find(el, ".gh-strip-card").textContent;
    expect(card).toContain("11.3perplexity of the text");
    expect(card).toContain("4 of 5 tokens scored");
    expect(find(el, ".gh-status").textContent).not.toContain("11.3");
  });

  test("beside a token's card the status line keeps the text's perplexity", () => {
    over(find(el, `[data-position="2"]`));
    expect(find(el, ".gh-status").textContent).toContain("Perplexity 11.3 over 4 scored of 5");
  });
});

test("a token hovered elsewhere leaves text, profile and legend standing", () => {
  const { el, host } = mount();
  const hover = (hovered: number | null) => (): void => host.set({ hovered });
  expect(lostBy(find(el, ".gh-strip-main"), hover(2))).toEqual([]);
  expect(lostBy(find(el, ".gh-legend"), hover(3))).toEqual([]);
  // The card is of the token; the unseen one that keeps its room is not.
  expect(lostBy(find(el, ".gh-strip-card-room"), hover(null))).toEqual([]);
});

test("where no token shows a colour, words say how low all of them are", () => {
  const values = (list: number[]) => Float32Array.from(list);
  const words = (measure: Measure, list: number[]): string =>
    flatWords(measure, values(list), colourScale(measure, values(list)));
  expect(words("surprisal", [Number.NaN, 0.001, 0.012])).toBe("every token at 0.02 bits or less");
  expect(words("perplexity", [1, 1.002])).toBe("every token at 1.01 or less");
  expect(words("probability", [0.0004, 0.0013])).toBe("every token at 0.20 % or less");
  expect(words("rank", [1, 1])).toBe("every token has rank 1");
  expect(words("surprisal", [0.001, 0.5])).toBe("");
  expect(words("surprisal", [Number.NaN])).toBe("");
});

test("a space before a word belongs to neither colour, and is copied all the same", () => {
  const { el, token } = mount();
  expect(token(1).textContent).toBe("white");
  expect(find(el, ".gh-text").textContent).toContain("The white");
});

test("tokens that make up a character show it where it begins", () => {
  // An emoji over three tokens, a word that ends in half a letter, bytes that are none.
  const texts = [" ⟨F0 9F⟩", "⟨98⟩", "⟨80⟩!", "⟨FF⟩", "⟨C3⟩"];
  const split: SplitToken[] = [
    [0, " 😀", false],
    [1, "", true],
    [2, "!", true],
  ];
  const { token } = mount({ frame: stripFrame({ texts, split }) });
  const shown = texts.map((_, i) => token(i).textContent);
  expect(shown).toEqual(["😀", "‥", "‥!", "⟨FF⟩", "⟨C3⟩"]);
});

test("by word, every token has the colour of its word, and the card says what the word comes to", () => {
  const { el, token, host } = mount();
  const colour = (i: number): string => token(i).style.backgroundColor;
  expect(colour(2)).not.toBe(colour(3));
  host.set({ unit: "word" });
  expect(colour(2)).toBe(colour(3));
  // 1/8 and 1/1024: 13 bits.
  over(token(3));
  expect(find(el, ".gh-strip-card").textContent).toContain(
    "2 tokens: 13.0 bits, probability 0.01 %",
  );
  expect(find(el, ".gh-legend").textContent).toContain("Surprisal of words (bits)");
  // Of a word with a token that has no value there is none.
  expect(token(1).classList).toContain("is-unscored");
});

test("a part of the text is drawn in the profile, and the card says how it was predicted", async () => {
  const answer = { result: { n_scored: 2, n_correct: 1, perplexity: 8.5 }, arrays: {} };
  const { el, host } = mount({}, () => answer as never);
  const profile = find(el, ".gh-strip-profile");
  profile.setPointerCapture = () => undefined;
  profile.getBoundingClientRect = () => new DOMRect(0, 0, 50, 50);
  const at = (name: string, clientX: number): boolean =>
    profile.dispatchEvent(new MouseEvent(name, { clientX, button: 0, bubbles: true }));
  at("pointerdown", 15);
  at("pointermove", 38);
  at("pointerup", 38);
  at("click", 38);
  await settle();
  expect(host.asked.at(-1)).toEqual({ question: "span", args: { start: 1, stop: 4 } });
  expect(host.state.selected).toEqual([]);
  const card = find(el, ".gh-strip-card").textContent;
  expect(card).toContain("8.50perplexity of tokens 1–3");
  expect(card).toContain("50.0 %of them");
  // The same by keys: Shift draws from where the arrows are, Escape ends it.
  const text = find(el, ".gh-strip-scroller");
  press(text, "ArrowRight");
  press(text, "ArrowRight", { shiftKey: true });
  press(text, "ArrowRight", { shiftKey: true });
  await settle();
  expect(host.asked.at(-1)).toEqual({ question: "span", args: { start: 0, stop: 3 } });
  expect(el.querySelectorAll(".is-brushed")).toHaveLength(3);
  press(text, "Escape");
  expect(el.querySelectorAll(".is-brushed")).toHaveLength(0);
});

test("white space: single spaces stay, runs and blank tokens get marks", () => {
  const text = (token: string): string =>
    tokenNodes(token)
      .map((n) => n.textContent)
      .join("");
  expect(text(" word")).toBe(" word");
  expect(text("New York")).toBe("New York");
  expect(text("  two")).toBe("··two");
  expect(text(" ")).toBe("·");
  expect(text("a\n\nb")).toBe("a⏎\n⏎\nb");
});

describe("pointing at a token", () => {
  test("the first token says why it has no value", () => {
    const { el, token } = mount();
    over(token(0));
    expect(find(el, ".gh-strip-card").textContent).toContain(FIRST);
  });

  test("shows its numbers and the alternatives that came with the frame", () => {
    const { el, token, host } = mount();
    over(token(1));
    const card = find(el, ".gh-strip-card").textContent;
    expect(card).toContain("1.00 bits");
    expect(card).toContain("whale");
    expect(host.asked).toEqual([]);
    expect(token(1).classList.contains("is-hovered")).toBe(true);
  });

  test("asks for the alternatives that did not, and adds the true token below them", async () => {
    const { el, token, host } = mount();
    over(token(3));
    expect(host.asked).toEqual([{ question: "top_k", args: { position: 3, k: 2 } }]);
    expect(find(el, ".gh-strip-card").textContent).toContain("Asking the kernel");
    await settle();
    const rows = [...find(el, ".gh-strip-card ol").children].map((row) => row.textContent);
    expect(rows).toHaveLength(3);
    expect(rows[0]).toContain("sea");
    expect(find(el, ".gh-strip-bar-row.is-true").textContent).toContain("40");
    over(token(1));
    over(token(3));
    expect(host.asked).toHaveLength(1);
  });

  test("an answer that fails is said in the card", async () => {
    const { el, token, host } = mount();
    host.ask = () => Promise.reject(new Error("There is no kernel to ask."));
    over(token(3));
    await settle();
    expect(find(el, ".gh-strip-card").textContent).toContain("There is no kernel to ask.");
  });

  test("a click pins, arrows move, Enter pins, Escape clears", () => {
    const { host, token, el } = mount();
    token(2).click();
    expect(host.state.selected).toEqual([2]);
    const text = find(el, ".gh-strip-scroller");
    press(text, "ArrowRight");
    expect(host.state.hovered).toBe(3);
    press(text, "Enter");
    expect(host.state.selected).toEqual([2, 3]);
    press(text, "Escape");
    expect([host.state.selected, host.state.hovered]).toEqual([[], null]);
  });

  test("in words, the whole word lights up", () => {
    const axes = selfAxes(["The white", "rest"], "word");
    axes.query.unit_of_token = pack([0, 0, 1, 1, 1], "uint32");
    const { token } = mount({ unit: "word", axes, hovered: 0 });
    expect(token(1).classList.contains("is-hovered")).toBe(true);
    expect(token(2).classList.contains("is-hovered")).toBe(false);
  });
});

describe("equally probable tokens", () => {
  // Of a model in bfloat16: two tokens share the largest logit, and the arg-max is the other one.
  const tied = (place: number, correct: number) =>
    stripFrame({
      rank: pack([-1, 1, 3, 40, 1], "int32"),
      correct: pack([255, correct, 0, 0, 1]),
      top: {
        ...{ k: 2, texts: [" white", " whale"], start: 1, true: pack([place]) },
        index: pack(place === 0 ? [0, 1] : [1, 0], "uint32", [1, 2]),
        probability: pack([0.25, 0.25], "float32", [1, 2]),
      },
    });
  const rows = (el: HTMLElement) => [...find(el, ".gh-strip-card ol").children];

  test.each([0, 1])("the true token is marked where it stands, first or second (%i)", (place) => {
    const { el, token } = mount({ frame: tied(place, 0) });
    over(token(1));
    expect(rows(el).map((row) => row.classList.contains("is-true"))).toEqual(
      place === 0 ? [true, false] : [false, true],
    );
    expect(find(el, ".gh-strip-bar-row.is-true").textContent).toContain("white");
    expect(rows(el).map((row) => row.firstElementChild?.textContent)).toEqual(["1", "1"]);
  });

  test("rank 1 that is not the first guess is not marked as one, and words say that it is shared", () => {
    const { el, token } = mount({ frame: tied(1, 0) });
    over(token(1));
    expect(find(el, ".gh-legend").textContent).toContain("the first guess");
    // Two of three were not: marked is what was.
    expect(token(1).classList).not.toContain("is-marked");
    const words = "shares rank 1 with ‘\u2068whale\u2069’ (of equals, the first in the vocabulary";
    expect(find(el, ".gh-strip-card").textContent).toContain(words);
    expect(find(el, '[aria-live="polite"]').textContent).toContain(
      "rank 1, shared with ‘\u2068whale\u2069’",
    );
  });

  test("a true token that the alternatives leave out is added, not mistaken for one of them", async () => {
    const frame = tied(255, 0);
    const rank = pack([-1, 2, 3, 40, 1], "int32");
    const { el, token } = mount({ frame: { ...frame, rank } });
    over(token(1));
    expect(rows(el)).toHaveLength(3);
    expect(rows(el)[2]?.classList).toContain("is-true");
    expect(rows(el)[2]?.textContent).toContain("white");
  });
});

test("a probability that single precision rounds to 1 is not called certain", () => {
  const probability = pack([Number.NaN, 1, 1, 1, 1], "float32");
  const surprisal = pack([Number.NaN, 1e-9, 0, 1, 1], "float32");
  const { el, token } = mount({ frame: stripFrame({ probability, surprisal }) });
  over(token(1));
  expect(find(el, ".gh-strip-card").textContent).toContain("> 99.9 %");
});

describe("encoder-decoder models", () => {
  const frame = stripFrame({
    sequence: "target",
    source: { texts: ["a", " dog"], gaps: ["", "", ""], split: [], special: pack([0, 0]) },
    cross: pack([0, 0, 0, 0.9, 0, 0, 0, 0, 0, 0], "float32", [5, 2]),
    cross_layer: 1,
  });

  test("a target token lights the source tokens that its row looks at", () => {
    const { el, token } = mount({ frame });
    over(token(1));
    const lit = [...el.querySelectorAll("[data-source-position].is-coloured")];
    expect(lit.map((node) => node.textContent)).toEqual(["dog"]);
    expect(find(el, ".gh-strip-card").textContent).toMatch(/looks most at .*dog.* 0\.90/);
  });

  test("a source token hovered elsewhere is outlined", () => {
    const { el } = mount({ frame, hovered_source: 1 });
    const dog = find(el, '[data-source-position="1"]');
    expect(dog.classList.contains("is-hovered")).toBe(true);
  });
});

test("an encoder says in words that it predicts no next token", () => {
  const words = "This is an encoder: it predicts no next token.";
  const nothing = pack(new Array(5).fill(Number.NaN), "float32");
  const { el } = mount({
    frame: stripFrame({
      ...{ surprisal: nothing, probability: nothing, entropy: nothing, top: null },
      ...{ rank: pack([-1, -1, -1, -1, -1], "int32"), correct: pack([255, 255, 255, 255, 255]) },
      ...{ undefined: words, perplexity: null, n_scored: 0 },
    }),
  });
  expect(find(el, ".gh-strip-words").textContent).toBe(words);
  expect(el.querySelector(".is-unscored")).toBeNull();
  expect(find(el, ".gh-strip-card").textContent).not.toContain("100 %");
});

describe("layers read by a fitted lens", () => {
  const lenses = [{ name: "tuned", label: "tuned lens, fitted on 200 texts" }];
  const open = (more: Partial<StripState> = {}, can = true) => {
    const mounted = mount({ reading: "layers", selected: [3], ...more }, ((asked: Asked) =>
      asked.question === "layer_readings" ? layersAnswer(asked.args.lens) : answers()) as never);
    if (!can) {
      Object.assign(mounted.host, { can: (question: string) => question !== "follow" });
      mounted.host.view?.update({});
    }
    return mounted;
  };
  const choices = (el: HTMLElement): HTMLElement[] => [
    ...el.querySelectorAll<HTMLElement>('[data-action="reading-lens"] [data-value]'),
  ];

  test("there is a choice where there is a lens, and it is said which one reads", async () => {
    const { host, el } = open({ lenses, reading_lens: "tuned" });
    await settle();
    expect(choices(el).map((one) => one.textContent)).toEqual(["Logit lens", "Tuned"]);
    expect(choices(el)[1]?.title).toBe("Tuned lens, fitted on 200 texts");
    expect(find(el, ".gh-strip-read-by").textContent).toBe(
      "Read by the tuned lens, fitted on 200 texts.",
    );
    choices(el)[0]?.click();
    await settle();
    expect(host.state.reading_lens).toBe("");
    expect(host.asked.at(-1)?.args).toEqual({ position: 3, followed: "", lens: "" });
    expect(find(el, ".gh-strip-read-by").textContent).toBe("Read by the logit lens.");
  });

  test("without one there is nothing to choose", async () => {
    const { el } = open();
    await settle();
    expect(choices(el)).toEqual([]);
    expect(find(el, ".gh-strip-read-by").textContent).toBe("Read by the logit lens.");
  });

  test("where no other token can be followed the words are no buttons", async () => {
    const { el } = open({ lenses }, false);
    await settle();
    expect(el.querySelectorAll("button.gh-strip-word, button.gh-strip-chip")).toHaveLength(0);
    expect(find(el, ".gh-strip-word").textContent).toBe(HOSTILE.replaceAll(" ", "·"));
    expect(el.querySelector("img")).toBeNull();
  });
});

function layersAnswer(lens: unknown) {
  const result = {
    ...{ position: 3, true: { id: 1, text: " sea" }, layers: [0], top: [[HOSTILE]] },
    read_by: lens ? "tuned lens, fitted on 200 texts" : "logit lens",
    followed: [{ id: 1, text: " sea" }],
  };
  const arrays = {
    ...{ top_ids: integers([9]), top_probability: floats([0.5]), rank: integers([2]) },
    ...{ probability: floats([0.2]), followed_probability: floats([0.2]) },
    followed_rank: integers([2]),
  };
  return { result, arrays };
}

describe("going on from a word of the distribution", () => {
  const reading = { reading: "distribution", selected: [3] } as const;
  const open = (more: Partial<StripState> = {}) =>
    mount({ ...reading, selected: [3], ...more }, ((asked: Asked) =>
      asked.question === "distribution" ? distribution() : answers()) as never);
  const words = (el: HTMLElement): HTMLButtonElement[] => [
    ...el.querySelectorAll<HTMLButtonElement>('[data-action="continue"]'),
  ];

  test("a click on a word asks for it to be put there, and the arrows reach all", async () => {
    const { host, el } = open();
    await settle();
    expect(words(el).map((word) => word.textContent)).toEqual([
      "·sea",
      HOSTILE.replaceAll(" ", "·"),
    ]);
    expect(el.querySelector("img")).toBeNull();
    expect(words(el).map((word) => word.tabIndex)).toEqual([0, -1]);
    words(el)[0]?.focus();
    press(words(el)[0] as HTMLElement, "ArrowDown");
    expect(document.activeElement).toBe(words(el)[1]);
    words(el)[1]?.click();
    expect(host.asked.at(-1)).toEqual({
      question: "continue_with",
      args: { position: 3, token: 9 },
    });
  });

  test("what was put where is said above the text, and a click leads back", () => {
    const { host, el } = open();
    const bar = find(el, ".gh-strip-continued");
    expect(bar.hidden).toBe(true);
    host.set({ continued: [{ position: 3, token: " sea" }] });
    expect(bar.hidden).toBe(false);
    expect(bar.textContent).toMatch(/goes on from .*sea.* at token 3\./);
    host.set({
      continued: [
        { position: 3, token: " sea" },
        { position: 7, token: HOSTILE },
      ],
    });
    expect(bar.textContent).toContain("at token 7, the second time.");
    find(bar, "button").click();
    expect(host.asked.at(-1)).toEqual({ question: "step_back", args: {} });
  });

  test("without a kernel, or a model that writes, the words are words", async () => {
    const { host, el } = open();
    host.set({ continued: [{ position: 3, token: " sea" }] });
    await settle();
    host.turn("no kernel");
    host.view?.update({});
    expect(find(el, '[data-action="step-back"]').getAttribute("aria-disabled")).toBe("true");
    expect(words(el)).toEqual([]);
    expect(el.querySelectorAll(".gh-strip-choice")).toHaveLength(2);
    const encoder = open({ scene: { ...common(selfAxes(TEXTS)).scene, family: "encoder" } });
    await settle();
    expect(encoder.el.querySelectorAll(".gh-strip-choice")).toHaveLength(2);
    expect(words(encoder.el)).toEqual([]);
  });
});

function distribution() {
  const result = {
    ...{ true: null, n_vocabulary: 10, n_kept: 10, kept_mass: 1, entropy: 1 },
    ...{ masses: [[1, 0.6]], tokens: [" sea", HOSTILE], per_bin: 1 },
  };
  const arrays = {
    ...{ ids: integers([4, 9]), probability: floats([0.6, 0.2]), kept: integers([1, 1]) },
    ...{ curve_rank: integers([1, 2]), curve: floats([0.6, 0.2]), plain: floats([0.6, 0.2]) },
    ...{ by_id: floats([0.6, 0.2]), kept_by_id: integers([1, 1]) },
  };
  return { result, arrays };
}

describe("the scale", () => {
  const values = Float32Array.from({ length: 101 }, (_, i) => i);

  test("ends at a round number behind the 95 % quantile, its middle round as well", () => {
    expect(quantile(values, 0.95)).toBeCloseTo(95);
    const scale = colourScale("surprisal", values);
    const labels = (measure: Measure, list: Float32Array): string[] =>
      colourScale(measure, list).ticks.map(({ label }) => label);
    const upTo = (most: number): Float32Array => Float32Array.from({ length: 20 }, () => most);
    expect(labels("surprisal", Float32Array.of(...values, 300))).toEqual(["0", "50", "≥ 100"]);
    expect(scale.share(100)).toBe(1);
    expect(scale.clip).toBe("");
    expect(labels("surprisal", upTo(12.5))).toEqual(["0", "7", "14"]);
    expect(labels("surprisal", upTo(7.24))).toEqual(["0", "4", "8"]);
    expect(labels("surprisal", upTo(0.2))).toEqual(["0", "0.5", "1"]);
    expect(labels("rank", upTo(1700))).toEqual(["1", "50", "2,500"]);
    expect(labels("rank", upTo(1))).toEqual(["1", "2", "4"]);
  });

  test("the worse guess is the strong end, but of probability", () => {
    // All but few tokens are improbable: they would all be dark.
    expect(colourScale("probability", values).share(0)).toBe(0);
    expect(colourScale("rank", values).share(1)).toBe(0);
  });

  test("numbers are written with what matters of them", () => {
    expect(formatValue("surprisal", 3.06)).toBe("3.06 bits");
    expect(formatValue("perplexity", 12345.6)).toBe("12,350");
    expect(formatValue("probability", 0.9966)).toBe("99.7 %");
  });

  test("what is nearly certain is not written as certain", () => {
    expect(formatValue("perplexity", 1.0000018)).toBe("> 1");
    expect(formatValue("perplexity", 1)).toBe("1.00");
    expect(formatValue("surprisal", 0.0000026)).toBe("< 0.01 bits");
    expect(formatValue("entropy", 0)).toBe("0 bits");
    // In single precision e to the power of a hundred millionth is 1.
    const nats = pack([Number.NaN, 0, 1e-8, 0.5, 1], "float32");
    const { perplexity } = readValues(stripFrame({ surprisal: nats }));
    const words = Array.from(perplexity, (value) => formatValue("perplexity", value));
    expect(words).toEqual(["–", "1.00", "> 1", "1.65", "2.72"]);
  });
});

test("text on every colour of the scale has a contrast of 4.5 or more, in both themes", () => {
  const luminance = (rgb: Rgb): number => {
    const [r = 0, g = 0, b = 0] = rgb.map((channel) => {
      const c = channel / 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const theme of ["light", "dark"] as const) {
    for (const name of ["surprisal", "attention"] as const) {
      const table = sequentialTable(name, theme);
      for (let i = 0; i < 256; i++) {
        const colour = tableColour(table, i / 255);
        const [a, b] = [luminance(colour), inkOn(colour) === "#ffffff" ? 1 : 0];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        expect(contrast).toBeGreaterThanOrEqual(4.5);
      }
    }
  }
});
