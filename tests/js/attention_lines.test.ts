import { beforeEach, describe, expect, test, vi } from "vitest";
import type { LinesState } from "../../js/attention_lines/state";
import { AttentionLinesView } from "../../js/attention_lines/view";
import type { Axes, LinesFrame } from "../../js/shared/state";
import type { Answer } from "../../js/shared/view";
import {
  type Asked,
  axis,
  common,
  FakeHost,
  find,
  floats,
  integers,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const WORDS = ["The", " animal", " was", " tired"];
// [query, key, head, weight byte], strongest first: six lines of two heads.
const LINES = [
  [0, 0, 0, 255],
  [1, 0, 0, 230],
  [3, 1, 1, 204],
  [2, 1, 1, 102],
  [3, 3, 0, 51],
  [2, 2, 0, 20],
] as const;

/** Half of each head's mass in its strong lines (byte ≥ 100), the other half in the weak ones. */
function massTable(): number[] {
  return [0, 1].flatMap(() => Array.from({ length: 256 }, (_, byte) => (byte > 100 ? 0.5 : 1)));
}

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
      weight: pack(at(3)),
    },
    weight_scale: 1 / 255,
    weight_error: 1 / 510,
    per_row: 4,
    n_total: 6,
    n: 6,
    automatic_threshold: 0.7,
    mass: pack(massTable(), "float32", [2, 256]),
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
      "5 lines shown, 100 % of the attention mass; 1 below 0.10 hidden",
    );
    host.set({ threshold: 0.5 });
    expect(root.dataset.lines).toBe("3");
    expect(status(root)).toContain(
      "3 lines shown, 50.0 % of the attention mass; 3 below 0.50 hidden",
    );
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
    const mass = pack(new Array(512).fill(0.75), "float32", [2, 256]);
    const { root } = show(axes, { frame: { ...whole, n_total: 900, per_row: 3, mass } });
    expect(status(root)).toContain(
      "beyond the 3 strongest of each token and head is left out (25.0 % of the mass)",
    );
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

  test("hovering asks for exact weights; until they come the frame's are shown with their error", async () => {
    const { host, root } = show(selfAxes(WORDS), {}, exactFan);
    await settle();
    over(token(root, "query", 3));
    expect(host.state.hovered).toBe(3);
    expect(host.asked).toEqual([{ question: "fan", args: { position: 3, side: "query" } }]);
    expect(status(root)).toContain("(± 0.002)");
    await settle();
    expect(status(root)).toBe(
      "token 3 ‘\u2068tired\u2069’ looks most at ‘\u2068animal\u2069’ 0.66, " +
        "‘\u2068The\u2069’ 0.16, ‘\u2068was\u2069’ 0.10, mean of 2 heads",
    );
    expect(find(root, '[aria-live="polite"]').textContent).toContain("layer 1: token 3");
  });

  test("without a kernel the frame's own weights do", async () => {
    const { root } = show(selfAxes(WORDS), { hovered: 3 });
    await settle();
    expect(status(root)).toContain("looks most at ‘\u2068animal\u2069’ 0.40");
    expect(status(root)).toContain("(± 0.002)");
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

  test("a click on a tile toggles, a double click shows one head alone", () => {
    const { host, root } = show();
    const tile = find(root, '[data-head="0"]');
    tile.dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 1 }));
    expect(host.state.heads).toEqual([1]);
    tile.dispatchEvent(new MouseEvent("click", { bubbles: true, detail: 2 }));
    expect(host.state.heads).toEqual([0]);
    expect(root.dataset.lines).toBe("3");
  });

  test("brackets and buttons step through the model's own layer numbers", () => {
    const { host, root } = show();
    press(root, "]");
    expect(host.state.layer).toBe(2);
    expect(find(root, '[data-action="layer-next"]').hasAttribute("disabled")).toBe(true);
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
