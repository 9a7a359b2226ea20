import { beforeEach, describe, expect, test, vi } from "vitest";
import { unpackLines } from "../../js/attention_lines/lines";
import type { LinesFrame, LinesState } from "../../js/attention_lines/state";
import { AttentionLinesView } from "../../js/attention_lines/view";
import { lineWords } from "../../js/attention_lines/words";
import type { Answer } from "../../js/shared/host/host";
import type { Axes } from "../../js/shared/state";
import {
  type Asked,
  axis,
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

const WORDS = ["The", " animal", " was", " tired"];
// [query, key, head, weight], strongest first: six lines of two heads, 2.5 in all.
const LINES = [
  [0, 0, 0, 1],
  [1, 0, 0, 0.5],
  [3, 1, 1, 0.5],
  [2, 1, 1, 0.25],
  [3, 3, 0, 0.2],
  [2, 2, 0, 0.05],
] as const;

function linesFrame(axes: Axes, undefinedRows = [0, 0, 0, 0]): LinesFrame {
  const at = (place: 0 | 1 | 2 | 3): number[] => LINES.map((line) => line[place]);
  return {
    kind: "lines",
    key: { kind: axes.kind, layer: 1, heads: [], unit: axes.unit },
    n_heads: 2,
    lines: {
      query: pack(at(0), "uint16"),
      key: pack(at(1), "uint16"),
      head: pack(at(2)),
      weight: pack(at(3), "float32"),
    },
    per_row: 4,
    n_total: 6,
    n: 6,
    automatic_threshold: 0.7,
    mass: pack([1.75, 0.75], "float32"),
    heads: pack([0, 1], "uint16"),
    thumbnails: pack(new Array(8).fill(255), "uint8", [2, 2, 2]),
    undefined_rows: pack(undefinedRows),
    row_sums_note: "",
  };
}

function exactFan({ question, args }: Asked): Answer | null {
  if (question !== "fan") return null;
  return {
    result: { layer: 1, kind: "self", unit: "token", ...args },
    arrays: {
      weights: floats([0.11, 0.71, 0.1, 0.08, 0.21, 0.61, 0.1, 0.08], [2, 4]),
      heads: integers([0, 1]),
    },
  };
}

function show(
  axes: Axes = selfAxes(WORDS),
  more: Partial<LinesState> = {},
  answer?: (asked: Asked) => Answer | null,
): { host: FakeHost<LinesState>; root: HTMLElement } {
  const state: LinesState = { ...common(axes), threshold: 0.1, frame: linesFrame(axes), ...more };
  const host = new FakeHost<LinesState>(state, answer);
  const view = new AttentionLinesView(document.body, host);
  host.view = view;
  return { host, root: find(document.body, ".gh") };
}

beforeEach(() => document.body.replaceChildren());

const token = (root: HTMLElement, side: string, unit: number): HTMLElement =>
  find(root, `[data-side="${side}"][data-unit="${unit}"]`);
const status = (root: HTMLElement): string => find(root, ".gh-status").textContent ?? "";
const over = (element: HTMLElement): boolean =>
  element.dispatchEvent(new MouseEvent("pointermove", { bubbles: true }));

describe("what is shown", () => {
  test("untrusted token text stays text", async () => {
    const evil = "</script><img src=x onerror=alert(1)>";
    const { root } = show(selfAxes(["The", evil, " was", " tired"]));
    await settle();
    expect(token(root, "query", 1).textContent).toBe("</script><img·src=x·onerror=alert(1)>");
    expect(root.querySelector("img")).toBeNull();
  });

  test("decoder rows show the input token and what it predicts, the predicted one stronger", async () => {
    const axes: Axes = {
      kind: "cross",
      unit: "token",
      query: axis(["<s>", "le", "chien", "brun"], {
        sequence: "target",
        predicted: ["le", "chien", "brun", "</s>"],
        emphasis: "predicted",
      }),
      key: axis(["the", "brown", "dog", "</s>"], { sequence: "source" }),
    };
    const { root } = show(axes);
    await settle();
    expect(token(root, "query", 1).textContent).toBe("le→chien");
    expect(find(token(root, "query", 1), ".is-strong").textContent).toBe("chien");
    expect(find(root, ".al-headings").textContent).toContain("input → predicted");
  });

  test("the threshold changes the number of lines and the words that say it", async () => {
    const { host, root } = show();
    expect(root.dataset.lines).toBe("5");
    expect(status(root)).toContain(
      "5 lines shown, 98.0 % of the attention mass; 1 below 0.10 hidden",
    );
    host.set({ threshold: 0.5 });
    expect(root.dataset.lines).toBe("3");
    expect(status(root)).toContain(
      "3 lines shown, 80.0 % of the attention mass; 3 below 0.50 hidden",
    );
    host.set({ threshold: 0 });
    expect(status(root)).toBe("6 lines shown, 100 % of the attention mass");
  });

  test("lines are counted from exact weights, at any threshold", () => {
    // A hair below and at 0.05, which one byte would not tell apart.
    const axes = selfAxes(WORDS);
    const weights = [1, 0.5, 0.5, 0.25, Math.fround(0.05), 0.0499];
    const whole = linesFrame(axes);
    const lines = { ...whole.lines, weight: pack(weights, "float32") };
    const { host, root } = show(axes, { frame: { ...whole, lines }, threshold: 0.05 });
    expect(root.dataset.lines).toBe("5");
    expect(status(root)).toContain("1 below 0.05 hidden");
    host.set({ threshold: 0.0499 });
    expect(root.dataset.lines).toBe("6");
    host.set({ threshold: 0.0502 });
    expect(status(root)).toContain("2 below 0.0502 hidden");
  });

  test("nearly all of the mass is not all of it", () => {
    const axes = selfAxes(WORDS);
    const whole = linesFrame(axes);
    const weights = [1, 1, 1, 1, 1, 0.0001];
    const frame = {
      ...{ ...whole, mass: pack([4, 1.0001], "float32") },
      lines: { ...whole.lines, weight: pack(weights, "float32") },
    };
    const { host, root } = show(axes, { frame, threshold: 0.01 });
    expect(status(root)).toContain("5 lines shown, > 99.9 % of the attention mass");
    host.set({ threshold: 0 });
    expect(status(root)).toBe("6 lines shown, 100 % of the attention mass");
    host.set({ frame: { ...frame, n_total: 7 } });
    expect(status(root)).toContain("6 lines shown, > 99.9 % of the attention mass");
    expect(status(root)).toContain("left out (< 0.01 % of the mass)");
  });

  test("a head that the frame is not of has no part in a mean, and the view says it is late", () => {
    vi.useFakeTimers();
    try {
      const axes = selfAxes(WORDS);
      const whole = linesFrame(axes);
      const frame: LinesFrame = {
        ...{ ...whole, n: 4, n_total: 4, key: { ...whole.key, heads: [0] } },
        ...{ heads: pack([0], "uint16"), mass: pack([1.75], "float32") },
        lines: {
          query: pack([0, 1, 3, 2], "uint16"),
          key: pack([0, 0, 3, 2], "uint16"),
          head: pack([0, 0, 0, 0]),
          weight: pack([1, 0.5, 0.2, 0.05], "float32"),
        },
      };
      const { host, root } = show(axes, { frame, heads: [0], hovered: 3 });
      expect(find(root, ".gh-banners").textContent).toBe("");
      host.set({ heads: [0, 1] });
      expect(status(root)).toContain("looks most at ‘\u2068tired\u2069’ 0.20, head 0");
      vi.advanceTimersByTime(1000);
      expect(find(root, ".gh-banners").textContent).toContain("The picture is still the last one");
    } finally {
      vi.useRealTimers();
    }
  });

  test("a picture that lags behind its controls says so, until the right one comes", async () => {
    vi.useFakeTimers();
    try {
      const axes = selfAxes(WORDS);
      const { host, root } = show(axes);
      host.set({ layer: 2 });
      const banner = (): string => find(root, ".gh-banners").textContent ?? "";
      expect(banner()).toBe("");
      vi.advanceTimersByTime(1000);
      expect(banner()).toContain("The picture is still the last one");
      const whole = linesFrame(axes);
      host.set({ frame: { ...whole, key: { ...whole.key, layer: 2 } } });
      expect(banner()).toBe("");
    } finally {
      vi.useRealTimers();
    }
  });

  test("long work says how far it is and is ended by one button, which stays in its place", () => {
    const { host, root } = show(selfAxes(WORDS));
    host.set({ busy: "computing layer 2: 10%" });
    const cancel = find(root, "[data-action=cancel]") as HTMLButtonElement;
    host.set({ busy: "computing layer 2: 60%" });
    expect(find(root, ".gh-banners").textContent).toBe("computing layer 2: 60%Cancel");
    expect(find(root, "[data-action=cancel]")).toBe(cancel);
    cancel.click();
    expect(host.stopped).toBe(1);
    host.set({ busy: "" });
    expect(root.querySelector("[data-action=cancel]")).toBeNull();
  });

  test("without a threshold the frame's own choice holds", () => {
    const { host, root } = show(selfAxes(WORDS), { threshold: null });
    expect(status(root)).toContain("below 0.70 hidden");
    host.set({ threshold: 0 });
    expect(root.dataset.lines).toBe("6");
  });

  test("what the kernel cut is said, with the share that it carries", () => {
    const axes = selfAxes(WORDS);
    const whole = linesFrame(axes);
    const mass = pack([2.5, 2.5], "float32");
    const { host, root } = show(axes, { frame: { ...whole, n_total: 900, per_row: 3, mass } });
    expect(status(root)).toContain(
      "beyond the 3 strongest of each token and head is left out (50.0 % of the mass)",
    );
    // So long that not even one line of every row has room.
    host.set({ frame: { ...whole, n_total: 900, per_row: 0, mass } });
    expect(status(root)).toContain("what lies beyond the 6 strongest is left out");
  });

  test("a fully masked row is called undefined, not zero", async () => {
    const axes = selfAxes(WORDS);
    const { root } = show(axes, { frame: linesFrame(axes, [0, 0, 1, 0]), hovered: 2 });
    await settle();
    expect(token(root, "query", 2).classList).toContain("is-undefined");
    expect(status(root)).toContain("is fully masked: its attention is undefined");
  });

  test("an error leaves the picture and says what happened; no kernel is said as well", () => {
    const { host, root } = show();
    host.set({ error: "Layer 12 is out of range: this model has layers 0-2." });
    expect(find(root, '[role="alert"]').textContent).toContain("Layer 12 is out of range");
    expect(root.dataset.lines).toBe("5");
    host.status = "no kernel";
    host.view?.update({});
    expect(find(root, ".is-kernel").textContent).toContain("No kernel.");
  });
});

describe("hover and pin", () => {
  test("a token hovered elsewhere is lit on both sides", async () => {
    const { host, root } = show();
    await settle();
    host.set({ hovered: 2 });
    expect(token(root, "query", 2).classList).toContain("is-hovered");
    expect(token(root, "key", 2).classList).toContain("is-hovered");
    expect(token(root, "key", 1).classList).not.toContain("is-hovered");
    host.set({ hovered: null, selected: [1] });
    expect(token(root, "query", 2).classList).not.toContain("is-hovered");
    expect(token(root, "query", 1).classList).toContain("is-selected");
  });

  test("a token hovered elsewhere leaves every element standing", async () => {
    const { host, root } = show(selfAxes(WORDS), {}, exactFan);
    await settle();
    expect(lostBy(find(root, ".gh-body"), () => host.set({ hovered: 2 }))).toEqual([]);
    expect(lostBy(find(root, ".gh-legend"), () => host.set({ hovered: 1 }))).toEqual([]);
  });

  test("hovering asks for all weights; until they come the frame's lines are shown", async () => {
    const { host, root } = show(selfAxes(WORDS), {}, exactFan);
    await settle();
    over(token(root, "query", 3));
    expect(host.state.hovered).toBe(3);
    expect(host.asked).toEqual([{ question: "fan", args: { position: 3, side: "query" } }]);
    expect(status(root)).toContain("looks most at ‘\u2068animal\u2069’ 0.25");
    await settle();
    expect(status(root)).toBe(
      "token 3 ‘\u2068tired\u2069’ looks most at ‘\u2068animal\u2069’ 0.66, " +
        "‘\u2068The\u2069’ 0.16, ‘\u2068was\u2069’ 0.10, mean of 2 heads",
    );
    expect(find(root, '[aria-live="polite"]').textContent).toContain("layer 1: token 3");
  });

  test("without a kernel the frame's own lines do; where these are not all, it is said", async () => {
    const { host, root } = show(selfAxes(WORDS), { hovered: 3 });
    await settle();
    const least = "looks most at ‘\u2068animal\u2069’ 0.25, ‘\u2068tired\u2069’ 0.10";
    expect(status(root)).toContain(`${least}, mean of 2 heads`);
    host.set({ frame: { ...linesFrame(selfAxes(WORDS)), n_total: 900 } });
    expect(status(root)).toContain(
      `${least}, or more (weaker lines are not in this picture), mean of 2 heads`,
    );
  });

  test("a column with an undefined row keeps its numbers and its hints", async () => {
    const undefinedRow = (asked: Asked): Answer | null => {
      if (asked.question !== "fan") return null;
      const weights = floats([1, 0.5, Number.NaN, 0.25, 0, 0, Number.NaN, 0], [2, 4]);
      const result = { layer: 1, kind: "self", unit: "token", ...asked.args };
      return { result, arrays: { weights, heads: integers([0, 1]) } };
    };
    const axes = selfAxes(WORDS);
    const more = { frame: linesFrame(axes, [0, 0, 1, 0]) };
    const { root } = show(axes, more, undefinedRow);
    await settle();
    over(token(root, "key", 0));
    await settle();
    expect(status(root)).toContain(
      "is looked at most by ‘\u2068The\u2069’ 0.50, ‘\u2068animal\u2069’ 0.25",
    );
    expect(find(root, ".gh-scale").textContent).toBe("weight 01");
    // NaN in the largest weight would leave no token quiet.
    expect(token(root, "query", 2).classList).toContain("is-quiet");
  });

  test("a line under the pointer has its exact weight", async () => {
    const axes = selfAxes(WORDS);
    const lines = unpackLines(linesFrame(axes));
    expect(lineWords(axes, lines, 3)[0]).toBe("Head 1: 0.250");
  });

  test("a click pins a token, a second click lets go, Escape clears all", async () => {
    const { host, root } = show();
    await settle();
    token(root, "key", 1).click();
    token(root, "query", 3).click();
    expect(host.state.selected).toEqual([1, 3]);
    token(root, "query", 1).click();
    expect(host.state.selected).toEqual([3]);
    press(root, "Escape");
    expect(host.state.selected).toEqual([]);
  });

  test("in words, a word stands for its first token", async () => {
    const of = { unit_of_token: pack([0, 1, 1, 2], "uint32") };
    const axes: Axes = {
      kind: "self",
      unit: "word",
      query: axis(["The", "animal", "slept"], of),
      key: axis(["The", "animal", "slept"], of),
    };
    const { host, root } = show(axes, { hovered: 2 });
    await settle();
    expect(token(root, "query", 1).classList).toContain("is-hovered");
    token(root, "query", 2).click();
    expect(host.state.selected).toEqual([3]);
  });
});

describe("controls and keys", () => {
  test("digits turn heads on and off; all heads are written as none chosen", () => {
    const { host, root } = show();
    press(root, "1");
    expect(host.state.heads).toEqual([0]);
    expect(find(root, '[data-head="1"]').getAttribute("aria-pressed")).toBe("false");
    press(root, "1");
    expect(host.state.heads).toEqual([]);
    press(root, "7");
    expect(host.state.heads).toEqual([]);
  });

  test("a click on a tile shows one head alone, and then all again; ctrl and shift add", () => {
    const { host, root } = show();
    const tile = find(root, '[data-head="0"]');
    const click = (how: MouseEventInit = {}) =>
      tile.dispatchEvent(new MouseEvent("click", { bubbles: true, ...how }));
    click();
    expect(host.state.heads).toEqual([0]);
    expect(root.dataset.lines).toBe("3");
    click();
    expect(host.state.heads).toEqual([]);
    for (const how of [{ ctrlKey: true }, { metaKey: true }, { shiftKey: true }]) {
      click(how);
      expect(host.state.heads).toEqual([1]);
      click(how);
      expect(host.state.heads).toEqual([]);
    }
  });

  test("on a tile the space bar adds or takes away, arrows go on, and Tab stops once", () => {
    const { host, root } = show();
    const [first, second] = [find(root, '[data-head="0"]'), find(root, '[data-head="1"]')];
    const stops = () => [first, second].filter((tile) => tile.tabIndex === 0);
    expect(stops()).toHaveLength(1);
    first.focus();
    press(first, "ArrowRight");
    expect(document.activeElement).toBe(second);
    expect(stops()).toEqual([second]);
    press(second, " ");
    expect(host.state.heads).toEqual([0]);
    press(second, "Home");
    expect(document.activeElement).toBe(first);
    expect(host.state.hovered).toBeNull();
  });

  test("brackets and buttons step through the model's own layer numbers", () => {
    const { host, root } = show();
    press(root, "]");
    expect(host.state.layer).toBe(2);
    const next = find(root, '[data-action="layer-next"]');
    next.focus();
    expect(next.getAttribute("aria-disabled")).toBe("true");
    expect(document.activeElement).toBe(next);
    next.click();
    expect(host.state.layer).toBe(2);
    find(root, '[data-action="layer-previous"]').click();
    expect(host.state.layer).toBe(1);
  });

  test("arrows move through the tokens", async () => {
    const { host, root } = show();
    await settle();
    press(root, "ArrowDown");
    press(root, "ArrowDown");
    expect(host.state.hovered).toBe(1);
    press(root, "Enter");
    expect(host.state.selected).toEqual([1]);
  });
});

test("when the host turns dark, the head tiles take the dark palette", async () => {
  const { root } = show(selfAxes(WORDS), { theme: "auto" });
  const colour = (): string => find(root, '[data-head="0"]').style.getPropertyValue("--head");
  const light = colour();
  document.body.setAttribute("data-jp-theme-light", "false");
  await settle();
  expect(root.dataset.theme).toBe("dark");
  expect(colour()).not.toBe(light);
  document.body.removeAttribute("data-jp-theme-light");
});
