import { beforeEach, describe, expect, test, vi } from "vitest";
import { fanValues } from "../../js/attention_lines/fan";
import { linesBetween, unpackLines } from "../../js/attention_lines/lines";
import type { LinesFrame, LinesState } from "../../js/attention_lines/state";
import { AttentionLinesView } from "../../js/attention_lines/view";
import { lineWords } from "../../js/attention_lines/words";
import { unpack } from "../../js/shared/arrays";
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
import { chunkArrays, type Line, linesFrame } from "./lines_frames";

const WORDS = ["The", " animal", " was", " tired"];
// [query, key, head, weight], strongest first: six lines of two heads, 2.5 in all.
const LINES = [
  [0, 0, 0, 1],
  [1, 0, 0, 0.5],
  [3, 1, 1, 0.5],
  [2, 1, 1, 0.25],
  [3, 3, 0, 0.2],
  [2, 2, 0, 0.05],
] as const satisfies readonly Line[];

test("the mean of heads that all look at one token only is 1", () => {
  const lines = unpackLines(linesFrame(selfAxes(WORDS), { lines: LINES, nMaps: 1 }));
  const heads = Array.from({ length: 12 }, (_, head) => head);
  const weights = heads.map(() => 1);
  const at = { side: "query", unit: 0 } as const;
  const values = fanValues({ ...at, heads, weights, drawn: [1], n: 1, exact: true }, lines);
  expect([...values]).toEqual([1]);
});

function framed(axes: Axes, more: Partial<LinesFrame> = {}, undefinedRows = [0, 0, 0, 0]) {
  return linesFrame(axes, { lines: LINES, more, undefinedRows });
}

/** What two heads give: exact where a frame only has its strongest lines. */
function exactFan({ question, args }: Asked): Answer | null {
  if (question !== "fan") return null;
  const weights = floats([0.11, 0.71, 0.1, 0.08, 0.21, 0.61, 0.1, 0.08], [1, 2, 4]);
  return {
    result: { key: framed(selfAxes(WORDS)).key, ...args },
    arrays: { weights, drawn: weights, heads: integers([0, 1]) },
  };
}

function show(
  axes: Axes = selfAxes(WORDS),
  more: Partial<LinesState> = {},
  answer?: (asked: Asked) => Answer | null,
): { host: FakeHost<LinesState>; root: HTMLElement } {
  const state: LinesState = {
    ...common(axes),
    ...{ aggregate: "separate", sinks: "auto", sentences: "all", blank: false },
    ...{ top_k: null, threshold: 0.1 },
    orientation: "vertical",
    frame: framed(axes),
    ...more,
  };
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
    expect(status(root)).toBe("5 lines shown, 98.0 % of the attention mass: from 0.10 on");
    host.set({ threshold: 0.5 });
    expect(root.dataset.lines).toBe("3");
    expect(status(root)).toBe("3 lines shown, 80.0 % of the attention mass: from 0.50 on");
    host.set({ threshold: null });
    expect(status(root)).toBe("6 lines shown, 100 % of the attention mass");
  });

  test("so many of each token and head are drawn, and both rules say the mass that is shown", () => {
    const { host, root } = show(selfAxes(WORDS), { threshold: null, top_k: 1 });
    expect(root.dataset.lines).toBe("6");
    const lines: readonly Line[] = [...LINES, [3, 2, 1, 0.125], [3, 0, 1, 0.0625]];
    host.set({ frame: linesFrame(selfAxes(WORDS), { lines }) });
    expect(root.dataset.lines).toBe("6");
    const shows = () => find(root, ".al-shows").textContent;
    // 2.5 of 2.6875.
    expect(shows()).toBe("shows 93.0 %");
    expect(status(root)).toContain("93.0 % of the attention mass: the strongest of each token and");
    host.set({ top_k: 2 });
    expect(root.dataset.lines).toBe("7");
    expect(shows()).toBe("shows 97.7 %");
    host.set({ threshold: 0.1 });
    expect(root.dataset.lines).toBe("6");
    expect(status(root)).toContain("the 2 strongest of each token and head, from 0.10 on");
    host.set({ threshold: null, top_k: null });
    expect(root.dataset.lines).toBe("8");
  });

  test("one button goes back to the default rule, which no head, layer or text moves", () => {
    const { host, root } = show(selfAxes(WORDS), { threshold: 0.3, top_k: 5 });
    const auto = find(root, '[data-action="auto"]');
    expect(auto.getAttribute("aria-pressed")).toBe("false");
    auto.click();
    expect([host.state.top_k, host.state.threshold]).toEqual([2, null]);
    expect(auto.getAttribute("aria-pressed")).toBe("true");
    find(root, '[data-head="1"]').click();
    const alone = linesFrame(selfAxes(WORDS), { lines: LINES.filter((line) => line[2] === 0) });
    host.set({ frame: { ...alone, key: { ...alone.key, heads: [1] } } });
    expect([host.state.top_k, host.state.threshold]).toEqual([2, null]);
    expect(auto.getAttribute("aria-pressed")).toBe("true");
  });

  test("all off draws nothing but the lines of lit tokens, and says so", async () => {
    const { host, root } = show(selfAxes(WORDS), {}, exactFan);
    find(root, '[data-action="blank"]').click();
    expect(host.state.blank).toBe(true);
    expect(root.dataset.lines).toBe("0");
    expect(status(root)).toContain("All lines off");
    host.set({ selected: [3] });
    await settle();
    expect(status(root)).toContain("looks most at ‘\u2068animal\u2069’ 0.66");
  });

  test("lines are counted from exact weights, at any threshold", () => {
    // A hair below and at 0.05, which one byte would not tell apart.
    const axes = selfAxes(WORDS);
    const weights = [1, 0.5, 0.5, 0.25, Math.fround(0.05), 0.0499];
    const lines = LINES.map((line, i): Line => [line[0], line[1], line[2], weights[i] ?? 0]);
    const { host, root } = show(axes, { frame: linesFrame(axes, { lines }), threshold: 0.05 });
    expect(root.dataset.lines).toBe("5");
    host.set({ threshold: 0.0499 });
    expect(root.dataset.lines).toBe("6");
    host.set({ threshold: 0.0502 });
    expect(root.dataset.lines).toBe("4");
    expect(status(root)).toContain("from 0.0502 on");
  });

  test("nearly all of the mass is not all of it", () => {
    const axes = selfAxes(WORDS);
    const weights = [1, 1, 1, 1, 1, 0.0001];
    const lines = LINES.map((line, i): Line => [line[0], line[1], line[2], weights[i] ?? 0]);
    const frame = linesFrame(axes, { lines });
    const { host, root } = show(axes, { frame, threshold: 0.01 });
    expect(status(root)).toContain("5 lines shown, > 99.9 % of the attention mass");
    host.set({ threshold: null });
    expect(status(root)).toBe("6 lines shown, 100 % of the attention mass");
    host.set({ frame: { ...frame, n_total: 7 } });
    expect(status(root)).toContain("6 lines shown, > 99.9 % of the attention mass");
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
      const whole = framed(axes);
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

  test("what the kernel cut is said", () => {
    const axes = selfAxes(WORDS);
    const more = { n_total: 900, per_row: 3 };
    const frame = linesFrame(axes, { lines: LINES, perRow: 3, more });
    const { host, root } = show(axes, { frame, threshold: null });
    const cut = "beyond the 3 strongest of each token and head is left out";
    expect(status(root)).toContain(cut);
    host.set({ top_k: 2 });
    expect(status(root)).not.toContain(cut);
  });

  test("what goes to sinks is said and drawn aside; hidden, that the rest is renormalised", () => {
    const axes = selfAxes(WORDS);
    const whole = framed(axes);
    const sinks: LinesFrame["sinks"] = {
      ...whole.sinks,
      ...{ mode: "aside", share: 0.41, units: pack([0], "uint32") },
    };
    const { host, root } = show(axes, { frame: { ...whole, sinks } });
    expect(status(root)).toContain("41.0 % goes to the sink ‘\u2068The\u2069’, set aside");
    expect(find(root, ".gh-legend").textContent).toContain("to sinks, 0 … 1");
    host.set({ frame: { ...whole, sinks: { ...sinks, mode: "hidden" } } });
    expect(status(root)).toContain("of the attention mass that is left");
    expect(status(root)).toContain("without the sink ‘\u2068The\u2069’ (41.0 %)");
    expect(status(root)).toContain("the rest renormalised");
  });

  test("a fully masked row is called undefined, not zero", async () => {
    const axes = selfAxes(WORDS);
    const { root } = show(axes, { frame: framed(axes, {}, [0, 0, 1, 0]), hovered: 2 });
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

  test("without a kernel controls that go on alone are told from the picture", () => {
    vi.useFakeTimers();
    const { host, root } = show();
    host.status = "no kernel";
    host.set({ layer: 2 });
    vi.advanceTimersByTime(1000);
    expect(find(root, ".is-kernel").textContent).toContain(
      "this one is still of layer 1, all heads",
    );
    vi.useRealTimers();
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
    host.set({ frame: { ...framed(selfAxes(WORDS)), n_total: 900 } });
    expect(status(root)).toContain(
      `${least}, or more (weaker lines are not in this picture), mean of 2 heads`,
    );
  });

  test("neighbours come in one answer, and each says its own weights", async () => {
    // Rows 2 and 3 of two heads: the third word looks at the second, the fourth at the first.
    const rows = [0.1, 0.8, 0.1, 0, 0.1, 0.6, 0.3, 0, 0.7, 0.1, 0.1, 0.1, 0.5, 0.1, 0.2, 0.2];
    const both = ({ question, args }: Asked): Answer | null => {
      if (question !== "fan" || args.position !== 2) return null;
      const weights = floats(rows, [2, 2, 4]);
      const result = { key: framed(selfAxes(WORDS)).key, ...args };
      return { result, arrays: { weights, drawn: weights, heads: integers([0, 1]) } };
    };
    const frame = framed(selfAxes(WORDS), { n_total: 900, together: { query: 2, key: 2 } });
    const { host, root } = show(selfAxes(WORDS), { frame }, both);
    await settle();
    over(token(root, "query", 3));
    await settle();
    expect(status(root)).toContain("looks most at ‘\u2068The\u2069’ 0.60");
    over(token(root, "query", 2));
    expect(status(root)).toContain("looks most at ‘\u2068animal\u2069’ 0.70");
    over(token(root, "query", 3));
    expect(status(root)).toContain("looks most at ‘\u2068The\u2069’ 0.60");
    await settle();
    expect(host.asked).toEqual([{ question: "fan", args: { position: 2, side: "query" } }]);
  });

  test("a column with an undefined row keeps its numbers and its hints", async () => {
    const undefinedRow = (asked: Asked): Answer | null => {
      if (asked.question !== "fan") return null;
      const weights = floats([1, 0.5, Number.NaN, 0.25, 0, 0, Number.NaN, 0], [1, 2, 4]);
      const result = { key: framed(selfAxes(WORDS)).key, ...asked.args };
      return { result, arrays: { weights, drawn: weights, heads: integers([0, 1]) } };
    };
    const axes = selfAxes(WORDS);
    const more = { frame: framed(axes, {}, [0, 0, 1, 0]) };
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
    const lines = unpackLines(framed(axes));
    const line = { query: 2, key: 1, map: 1, weight: 0.25 };
    expect(lineWords(axes, lines, line)[0]).toBe("Head 1: 0.250");
    const mean = linesFrame(axes, { lines: LINES, nMaps: 1, key: { aggregate: "mean" } });
    expect(lineWords(axes, unpackLines(mean), { ...line, map: 0 })[0]).toBe(
      "Mean of 2 heads: 0.250",
    );
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
    press(root, "End");
    expect(host.state.hovered).toBe(3);
    press(root, "Home");
    expect(host.state.hovered).toBe(0);
    press(root, "PageDown");
    expect(host.state.hovered).toBeGreaterThan(1);
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

test("names in the status line lead to their tokens", async () => {
  const { host, root } = show(selfAxes(WORDS), { selected: [3] }, exactFan);
  await settle();
  const links = [...root.querySelectorAll<HTMLElement>('.gh-status [data-action="go"]')];
  expect(links.map((link) => link.textContent)).toEqual(
    ["animal", "The", "was"].map((word) => `‘\u2068${word}\u2069’`),
  );
  links[0]?.click();
  expect(host.state.selected).toEqual([1, 3]);
});

test("the picture has a role, a name, and a table of its strongest lines", async () => {
  const { host, root } = show(selfAxes(WORDS), { threshold: null, top_k: 1 });
  await settle();
  expect(find(root, "canvas[role=img]").getAttribute("aria-label")).toContain("6 lines shown");
  const rows = () => [...root.querySelectorAll(".al-table tbody tr")].map((row) => row.textContent);
  expect(rows()).toHaveLength(6);
  expect(rows()[1]).toBe("‘\u2068animal\u2069’‘\u2068The\u2069’head 00.500");
  host.set({ blank: true });
  expect(rows()).toEqual([]);
});

/** The classes of the canvases that an action paints, each as often as it is painted. */
async function paintedBy(action: () => void): Promise<string[]> {
  const painted: string[] = [];
  const spy = vi.spyOn(HTMLCanvasElement.prototype, "getContext").mockImplementation(function (
    this: HTMLCanvasElement,
  ) {
    painted.push(this.className);
    return null;
  });
  action();
  await settle();
  spy.mockRestore();
  return painted.filter((name) => name.startsWith("al-")).sort();
}

function ofLayer(layer: number, more: Partial<LinesFrame> = {}): LinesFrame {
  const whole = framed(selfAxes(WORDS), more);
  return { ...whole, key: { ...whole.key, layer } };
}

test("a change of layer paints the lines once, and what lies above them once", async () => {
  const { host } = show();
  await settle();
  const painted = await paintedBy(() => host.set({ layer: 2, frame: ofLayer(2) }));
  expect(painted).toEqual(["al-base", "al-fan"]);
});

test("with a token pointed at it does so as well, and asks for nothing that the frame brings", async () => {
  const { host, root } = show(selfAxes(WORDS), {}, exactFan);
  await settle();
  over(token(root, "query", 1));
  await settle();
  expect(host.asked.map(({ question }) => question)).toEqual(["fan"]);
  // The control is a change of its own: the picture is still the last one.
  expect(await paintedBy(() => host.set({ layer: 2 }))).toEqual([]);
  const weights = pack([0.9, 0.1, 0, 0, 0.3, 0.7, 0, 0], "float32", [1, 2, 4]);
  const heads = pack([0, 1], "uint16", [2]);
  const fan = { side: "query", position: 1, weights, drawn: weights, heads } as const;
  const painted = await paintedBy(() => host.set({ frame: ofLayer(2, { fans: [fan] }) }));
  expect(painted).toEqual(["al-base", "al-fan"]);
  expect(host.asked).toHaveLength(1);
  expect(status(root)).toContain("0.60"); // (0.9 + 0.3) / 2
});

test("pointing at a token leaves the lines below as they are; another theme paints both once", async () => {
  const { host, root } = show();
  await settle();
  expect(await paintedBy(() => over(token(root, "query", 1)))).not.toContain("al-base");
  over(root);
  await settle();
  const painted = await paintedBy(() => host.set({ theme: "dark" }));
  expect(painted).toEqual(["al-base", "al-fan"]);
});

test("in two rows the arrow keys run along the text, and every token keeps its own width", async () => {
  const { host, root } = show(selfAxes(WORDS), { orientation: "horizontal" });
  await settle();
  press(root, "ArrowRight");
  press(root, "ArrowRight");
  expect(host.state.hovered).toBe(1);
  const row = token(root, "query", 1).parentElement;
  expect(row?.style.top).toBe("");
  expect(Number.parseInt(row?.style.left ?? "", 10)).toBeGreaterThan(40);
  find(root, '[data-action="orientation"]').click();
  expect(host.state.orientation).toBe("vertical");
  await settle();
  expect(token(root, "query", 1).parentElement?.style.top).not.toBe("");
});

describe("a long text", () => {
  const N = 600;
  const axes = selfAxes(Array.from({ length: N }, (_, i) => `w${i}`));
  const size = { rows: 128, nMaps: 1, perRow: 2 };
  // Every row looks at the one before, and one far away at row 5.
  const lines: Line[] = Array.from({ length: N }, (_, i) => [i, Math.max(0, i - 1), 0, 0.5]);
  lines.push([590, 5, 0, 0.75]);
  const frame = (more: Partial<LinesFrame> = {}): LinesFrame =>
    linesFrame(axes, {
      ...{ lines, rows: 128, nMaps: 1, perRow: 2 },
      key: { aggregate: "mean" },
      more: { shown: { n: 601, mass: 0.5 }, rule: { top_k: 2, threshold: null }, ...more },
    });
  const answer = ({ question, args }: Asked): Answer | null => {
    const { key } = frame();
    if (question === "shown") return { result: { key, n: 7, mass: 0.25 }, arrays: {} };
    if (question !== "lines") return null;
    const chunk = Number(args.chunk);
    const packed = chunkArrays(lines, { first: chunk * 128, ...size });
    const arrays = Object.fromEntries(
      Object.entries(packed).map(([name, one]) => [
        name,
        { values: unpack(one), shape: one.shape },
      ]),
    );
    return { result: { key, chunk, first: chunk * 128 }, arrays };
  };
  const rule = { threshold: null, top_k: 2, aggregate: "mean" as const };

  test("has only the rows near the view in the page, and asks for lines as they come into view", async () => {
    const { host, root } = show(axes, { frame: frame(), ...rule }, answer);
    await settle();
    expect(root.querySelectorAll("*").length).toBeLessThan(800);
    expect(root.querySelector('[data-side="query"][data-unit="400"]')).toBeNull();
    const scroller = find(root, ".al-scroll");
    scroller.scrollTop = 400 * 16;
    scroller.dispatchEvent(new Event("scroll"));
    await settle();
    expect(token(root, "query", 400).textContent).toBe("w400");
    expect(host.asked.filter(({ question }) => question === "lines")).toEqual([
      { question: "lines", args: { chunk: 3 } },
    ]);
  });

  test("another rule is counted by the kernel: the page has not all rows", async () => {
    const { host, root } = show(axes, { frame: frame(), ...rule }, answer);
    expect(status(root)).toContain("601 lines shown, 50.0 %");
    host.set({ top_k: 1 });
    expect(host.asked.at(-1)).toEqual({ question: "shown", args: { top_k: 1, threshold: 0 } });
    await settle();
    expect(status(root)).toContain("7 lines shown, 25.0 % of the attention mass");
  });

  test("a line to a unit in view is known though its row is far away, once", () => {
    const drawn = linesBetween(unpackLines(frame()), { top_k: 2, threshold: null }, 0, 40);
    const arriving = drawn.query.map((query, i) => [query, drawn.key[i]]);
    expect(arriving.filter(([query]) => query === 590)).toEqual([[590, 5]]);
    expect(arriving.filter(([query]) => query === 20)).toEqual([[20, 19]]);
    const strongest = linesBetween(unpackLines(frame()), { top_k: 2, threshold: 0.6 }, 0, 40);
    expect(strongest.query).toEqual([590]);
  });
});
