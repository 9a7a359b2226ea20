import { beforeEach, describe, expect, test, vi } from "vitest";
import { finderData, shownHeads } from "../../js/head_finder/data";
import { gridLayout, listLayout } from "../../js/head_finder/layout";
import { numbersText, readNumbers } from "../../js/head_finder/number_list";
import type { FinderState, HeadsFrame } from "../../js/head_finder/state";
import { HeadFinderView } from "../../js/head_finder/view";
import { shortValue } from "../../js/head_finder/words";
import type { Answer } from "../../js/shared/host/host";
import type { Kind } from "../../js/shared/state";
import { common, FakeHost, find, floats, lostBy, pack, press, selfAxes, settle } from "./fake_host";

const NONE = Number.NaN;
/** Layers 0, 2 and 5; layer 2 has one head fewer. */
const LAYERS = [0, 2, 5];
const N_HEADS = [3, 2, 3];
const PREVIOUS = [0.1, 0.9, 0.2, 0.3, 0.4, NONE, 0.05, 0.6, 0.5];
const ENTROPY = [4, 1, 3, 2.5, 2, NONE, 3.5, 0.5, 1.5];
const INDUCTION = [0.2, 0.1, 0.3, NONE, NONE, NONE, 0.7, 0.4, 0.9];

function metric(name: string, label: string, unit: string, values: number[], note = "") {
  return {
    name,
    label,
    unit,
    max: unit === "bits" ? null : 1,
    values: pack(values, "float32"),
    note,
  };
}

function heads(more: Partial<HeadsFrame> = {}): HeadsFrame {
  const [n, most] = [LAYERS.length, 3];
  return {
    kind: "heads",
    key: { kind: "self", unit: "token" },
    layers: pack(LAYERS, "int32"),
    n_heads: pack(N_HEADS, "uint16"),
    ...{ rows: 4, columns: 8, per_pixel: 2 },
    patterns: pack(Array(n * most * 8).fill(128), "uint8", [n, most, 2, 4]),
    sinks: pack(Array(n * most * 4).fill(0), "uint8", [n, most, 4]),
    scale: pack(Array(n * most).fill(0.25), "float32", [n, most]),
    to_sinks: pack(Array(n * most).fill(0.5), "float32", [n, most]),
    ...{ scale_words: "each on its own scale", sinks_words: "a column that …" },
    metrics: [
      metric("entropy", "Head entropy", "bits", ENTROPY),
      metric("previous_token", "Previous token", "weight on the token before", PREVIOUS),
      metric("induction", "Induction", "weight on what followed last time", INDUCTION),
    ],
    note: "Layers 1, 3–4: no self attention that can be read.",
    ...more,
  };
}

const OWN: Omit<FinderState, keyof ReturnType<typeof common>> & { layer: number } = {
  ...{ mode: "patterns", metric: "previous_token", second_metric: "induction", sort: "layer" },
  more_metrics: [],
  ...{ by: "mean", typical: {} },
  ...{ at_least: null, at_most: null, only_layers: [], only_heads: [] },
  layer: 0,
  frame: heads(),
};

function mount(more: Partial<FinderState> = {}, answer: () => Answer | null = () => null) {
  const state: FinderState = {
    ...common(selfAxes(["a", "b"]), 3),
    ...OWN,
    ...more,
  };
  state.scene.kinds = [{ ...(state.scene.kinds[0] as (typeof state.scene.kinds)[0]) }];
  const [kind] = state.scene.kinds;
  if (kind) kind.layers = LAYERS.map((number, i) => ({ number, heads: N_HEADS[i] ?? 0 }));
  const host = new FakeHost<FinderState>(state, answer);
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  // jsdom lays nothing out: the page is this wide.
  vi.spyOn(HTMLElement.prototype, "clientWidth", "get").mockReturnValue(900);
  host.view = new HeadFinderView(el, host);
  const grid = find(el, ".hf-grid");
  const places = () => {
    const data = finderData(heads());
    const box = { width: 652, height: 0, narrow: false, aspect: 0.5 };
    return gridLayout(data, state.only_layers.length ? state.only_layers : LAYERS, box).places;
  };
  const send = (type: string, layer: number, head: number, init: MouseEventInit = {}): void => {
    const at = places().find((one) => one.head.layer === layer && one.head.head === head);
    if (!at) throw new Error(`no tile for ${layer}:${head}`);
    const [clientX, clientY] = [at.x + 2, at.y + 2];
    grid.dispatchEvent(new MouseEvent(type, { bubbles: true, clientX, clientY, ...init }));
  };
  return { host, el, grid, send, cell: find(el, ".hf-cell"), status: find(el, ".gh-status") };
}

beforeEach(() => {
  document.body.replaceChildren();
  vi.restoreAllMocks();
  HTMLCanvasElement.prototype.getContext = () => null;
});

describe("a click", () => {
  test("sets layer and head at once, by the model's own numbers", () => {
    const { host, send } = mount();
    const changes: object[] = [];
    const set = host.set.bind(host);
    host.set = (partial) => {
      changes.push(partial);
      set(partial);
    };
    send("click", 5, 2);
    expect(changes).toEqual([{ layer: 5, heads: [2] }]);
    send("click", 5, 2);
    expect(host.state.heads).toEqual([]);
  });

  test("with ctrl or shift adds a head of the same layer, or takes it away", () => {
    const { host, send } = mount({ layer: 5, heads: [2] });
    send("click", 5, 0, { ctrlKey: true });
    expect(host.state.heads).toEqual([0, 2]);
    send("click", 5, 2, { shiftKey: true });
    expect(host.state.heads).toEqual([0]);
    send("click", 2, 1, { shiftKey: true });
    expect(host.state).toMatchObject({ layer: 2, heads: [1] });
  });

  test("outlines what is selected and emphasises the number of its layer", () => {
    const { el, host } = mount({ layer: 5, heads: [0, 2] });
    expect(el.querySelectorAll(".hf-pick")).toHaveLength(2);
    expect(find(el, ".hf-label.is-current").textContent).toBe("5");
    const lost = lostBy(find(el, ".hf-grid canvas").parentElement as Element, () =>
      host.set({ layer: 2, heads: [] }),
    );
    expect(lost.every((one) => one.className === "hf-pick")).toBe(true);
    expect(find(el, ".hf-label.is-current").textContent).toBe("2");
  });
});

describe("pointing at a head", () => {
  test("says its numbers, with its place among all that have one", () => {
    const { send, status, el } = mount();
    send("pointermove", 0, 1);
    expect(status.textContent).toBe(
      "Layer 0, head 1: previous token 0.90 (1st of 8), head entropy 1.00 bits (7th of 8), " +
        "induction 0.10 (6th of 6); 0.50 of its attention goes to sinks.",
    );
    expect(find(el, ".hf-card-title").textContent).toBe("Layer 0, head 1");
    expect(find(el, '[data-metric="previous_token"]').textContent).toBe("0.90");
    send("pointermove", 2, 1);
    expect(status.textContent).toContain("induction none;");
  });

  test("and away from it goes back to what is selected, or to what stands out", () => {
    const { send, grid, el, host, status } = mount();
    expect(find(el, ".hf-card").dataset.head).toBe("0:1");
    expect(find(el, ".hf-card-why").textContent).toBe("highest previous token");
    send("pointermove", 5, 0);
    expect(find(el, ".hf-card").dataset.head).toBe("5:0");
    host.set({ layer: 2, heads: [1] });
    grid.dispatchEvent(new MouseEvent("pointerleave"));
    expect(find(el, ".hf-card").dataset.head).toBe("2:1");
    expect(find(el, ".hf-card-why").textContent).toBe("selected");
    expect(status.textContent).toContain("8 heads. Highest previous token: layer 0, head 1 (0.90)");
  });

  test("asks the kernel for a larger picture of it, once", async () => {
    const arrays = { values: floats(Array(16).fill(9), [4, 4]), sinks: floats([0, 0, 0, 0]) };
    const result = { layer: 0, head: 1, kind: "self" as Kind, unit: "token" };
    const { host, send, grid } = mount({}, () => ({ result, arrays }));
    send("pointermove", 0, 1);
    await new Promise((resolve) => setTimeout(resolve, 200));
    grid.dispatchEvent(new MouseEvent("pointerleave"));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(host.asked).toEqual([{ question: "pattern", args: { layer: 0, head: 1 } }]);
  });
});

describe("keys", () => {
  const at = (cell: HTMLElement) => cell.dataset.head;

  test("move over the grid, through layers with fewer heads", () => {
    const { grid, cell } = mount({ layer: 0, heads: [2] });
    press(grid, "ArrowDown");
    expect(at(cell)).toBe("2:1");
    press(grid, "ArrowDown");
    expect(at(cell)).toBe("5:1");
    press(grid, "Home");
    expect(at(cell)).toBe("5:0");
    press(grid, "End");
    expect(at(cell)).toBe("5:2");
    press(grid, "PageUp");
    expect(at(cell)).toBe("0:2");
    press(grid, "ArrowRight");
    expect(at(cell)).toBe("0:2");
    press(grid, "ArrowLeft");
    expect(at(cell)).toBe("0:1");
  });

  test("Enter picks, Escape leaves, and screen readers hear where they are", () => {
    const { grid, cell, host, el } = mount();
    press(grid, "ArrowDown");
    press(grid, "ArrowRight");
    expect(find(el, ".gh-live").textContent).toContain("Layer 0, head 1: previous token 0.90");
    press(grid, "Enter");
    expect(host.state).toMatchObject({ layer: 0, heads: [1] });
    expect(cell.getAttribute("aria-selected")).toBe("true");
    expect(find(el, ".gh-live").textContent).toContain("Selected: Layer 0, head 1");
    press(grid, "Escape");
    expect(cell.classList).not.toContain("is-shown");
  });

  test("the layer keys of all views work here, too", () => {
    const { grid, host } = mount();
    press(grid, "]");
    expect(host.state.layer).toBe(2);
  });

  test("there is one tab stop, and it says what is at it", () => {
    const { el, grid, cell } = mount();
    expect(el.querySelectorAll(".hf-heads [tabindex], .hf-heads button")).toHaveLength(1);
    expect(grid.getAttribute("role")).toBe("grid");
    expect(grid.getAttribute("aria-activedescendant")).toBe(cell.id);
    expect([grid.getAttribute("aria-rowcount"), grid.getAttribute("aria-colcount")]).toEqual([
      "3",
      "3",
    ]);
    press(grid, "ArrowRight");
    press(grid, "ArrowRight");
    expect(cell.getAttribute("aria-colindex")).toBe("2");
    expect(cell.parentElement?.getAttribute("aria-rowindex")).toBe("1");
    expect(cell.getAttribute("aria-label")).toContain("Layer 0, head 1");
  });
});

describe("which heads are shown", () => {
  const names = (state: Partial<FinderState>) =>
    shownHeads(finderData(heads()), {
      ...{ metric: "previous_token", sort: "layer", at_least: null, at_most: null },
      by: "mean",
      only_layers: [],
      only_heads: [],
      ...state,
    }).map(({ layer, head }) => `${layer}.${head}`);

  test("are all by layer, or the highest or lowest first, those without a number last", () => {
    expect(names({})).toEqual(["0.0", "0.1", "0.2", "2.0", "2.1", "5.0", "5.1", "5.2"]);
    expect(names({ sort: "highest" }).slice(0, 3)).toEqual(["0.1", "5.1", "5.2"]);
    expect(names({ sort: "lowest" })[0]).toBe("5.0");
    expect(names({ sort: "lowest", metric: "induction" }).slice(-2)).toEqual(["2.0", "2.1"]);
  });

  test("are those within limits, of some layers", () => {
    expect(names({ at_least: 0.4, at_most: 0.6 })).toEqual(["2.1", "5.1", "5.2"].slice(0, 3));
    expect(names({ metric: "induction", at_least: 0 })).not.toContain("2.0");
    expect(names({ only_layers: [5] })).toEqual(["5.0", "5.1", "5.2"]);
    expect(names({ only_layers: [5], only_heads: [0, 2] })).toEqual(["5.0", "5.2"]);
  });

  test("is said, with the way out where there are none", () => {
    const { status, host } = mount({ at_least: 0.45 });
    expect(status.textContent).toContain("3 of 8 heads shown, previous token at least 0.45.");
    host.set({ at_least: 0.95 });
    expect(status.textContent).toContain("0 of 8 heads shown");
    expect(status.textContent).toContain("Widen the limits to see some.");
  });

  test("a slider at its end sets no limit, and another metric has limits of its own", () => {
    const { el, host } = mount();
    const slide = (action: string, value: string): void => {
      const input = find(el, `[data-action="${action}"]`) as HTMLInputElement;
      input.value = value;
      input.dispatchEvent(new Event("input"));
    };
    slide("at-least", "50");
    expect(host.state.at_least).toBeCloseTo(0.475, 3);
    slide("at-most", "100");
    expect(host.state.at_most).toBeNull();
    slide("at-least", "0");
    expect(host.state.at_least).toBeNull();
    slide("at-most", "10");
    const select = find(el, '[data-action="metric"]') as HTMLSelectElement;
    select.value = "entropy";
    select.dispatchEvent(new Event("change"));
    expect(host.state).toMatchObject({ metric: "entropy", at_least: null, at_most: null });
  });

  test("layers are written as people write them", () => {
    expect(readNumbers("0-2, 5", LAYERS)).toEqual([]);
    expect(readNumbers("2–5", LAYERS)).toEqual([2, 5]);
    expect(readNumbers("", LAYERS)).toEqual([]);
    expect(readNumbers("7", LAYERS)).toBeNull();
    expect(readNumbers("five", LAYERS)).toBeNull();
    expect(numbersText([0, 1, 2, 5, 7, 8])).toBe("0-2, 5, 7-8");
    const { el, host } = mount();
    const input = find(el, '[data-action="only-layers"]') as HTMLInputElement;
    input.value = "nine";
    input.dispatchEvent(new Event("change"));
    expect(input.getAttribute("aria-invalid")).toBe("true");
    expect(host.state.only_layers).toEqual([]);
    input.value = "2-5";
    input.dispatchEvent(new Event("change"));
    expect(host.state.only_layers).toEqual([2, 5]);
    const labels = [...el.querySelectorAll(".hf-label.is-layer")];
    expect(labels.map((label) => label.textContent)).toEqual(["2", "5"]);
    const heads = find(el, '[data-action="only-heads"]') as HTMLInputElement;
    heads.value = "0, 2";
    heads.dispatchEvent(new Event("change"));
    expect(host.state.only_heads).toEqual([0, 2]);
    const columns = [...el.querySelectorAll(".hf-label:not(.is-layer)")];
    expect(columns.map((label) => label.textContent)).toEqual(["0", "2"]);
  });
});

describe("the layout", () => {
  const many = (nLayers: number, nHeads: number) =>
    finderData(
      heads({
        layers: pack(
          Array.from({ length: nLayers }, (_, i) => i),
          "int32",
        ),
        n_heads: pack(Array(nLayers).fill(nHeads), "uint16"),
        patterns: pack([], "uint8", [nLayers, nHeads, 50, 50]),
        metrics: [],
      }),
    );
  const box = { height: 0, narrow: false, aspect: 1 };

  test("stands in columns of layers where that makes tiles larger", () => {
    const data = many(30, 9);
    const wide = gridLayout(data, data.layers, { ...box, width: 650 });
    expect(wide.width).toBeLessThanOrEqual(650);
    expect(wide.height).toBeLessThanOrEqual(680);
    expect(new Set(wide.places.filter(({ head }) => head.head === 0).map(({ x }) => x)).size).toBe(
      2,
    );
    const narrow = gridLayout(data, data.layers, { ...box, width: 388, narrow: true });
    expect(narrow.width).toBeLessThanOrEqual(388);
    expect(narrow.tileWidth).toBeGreaterThan(26);
  });

  test("finds a tile by any of its pixels, and none beyond the last", () => {
    const data = many(48, 25);
    const layout = gridLayout(data, data.layers, { ...box, width: 1152 });
    expect(layout.places).toHaveLength(1200);
    for (const place of layout.places) {
      expect(layout.at(place.x, place.y)).toBe(place);
      expect(layout.at(place.x + layout.tileWidth - 1, place.y + layout.tileHeight - 1)).toBe(
        place,
      );
    }
    expect(layout.at(layout.width + 40, 3)).toBeNull();
  });

  test("of a list names every tile, within its width", () => {
    const data = many(30, 9);
    const layout = listLayout(data.heads, { ...box, width: 650 }, () => ".41");
    expect(layout.labels[12]).toMatchObject({ text: "1·3", value: ".41" });
    expect(Math.max(...layout.places.map(({ x }) => x + layout.tileWidth))).toBeLessThanOrEqual(
      650,
    );
  });
});

describe("numbers on tiles", () => {
  test("call nothing 0 or 1 that is not", () => {
    const data = finderData(heads());
    const [bits, weight] = data.metrics;
    if (!bits || !weight) throw new Error("no metrics");
    const of = (value: number) => shortValue(weight, value);
    expect([0, 0.001, 0.412, 0.9999, 1].map(of)).toEqual([".00", "<.01", ".41", ">.99", "1.00"]);
    expect([0.01, 3.14, 12.3].map((value) => shortValue(bits, value))).toEqual([
      "<.1",
      "3.1",
      "12",
    ]);
  });
});

describe("other pictures", () => {
  test("a scatter has a dot for every head with both numbers, and says who is left out", () => {
    const { el, status, grid } = mount({ mode: "scatter" });
    const dots = [...el.querySelectorAll(".hf-dots")].map((path) => path.getAttribute("d") ?? "");
    expect(dots.map((d) => d.split("M").length - 1)).toEqual([3, 0, 3]);
    expect(status.textContent).toContain("2 heads lack one of the two numbers and are left out.");
    const axes = [...el.querySelectorAll(".hf-axis")].map((axis) => axis.textContent);
    expect(axes).toEqual([
      "Previous token (weight on the token before)",
      "Induction (weight on what followed last time)",
    ]);
    press(grid, "Home");
    press(grid, "Home");
    expect(find(el, ".hf-cell").dataset.head).toBe("5:0");
    press(grid, "ArrowRight");
    expect(find(el, ".hf-cell").dataset.head).toBe("0:0");
  });

  test("a legend gives the scale in units", () => {
    const { el, host } = mount({ mode: "metric", metric: "entropy" });
    expect(find(el, ".gh-legend").textContent).toBe("04.00bits");
    host.set({ mode: "patterns" });
    expect(find(el, ".gh-legend").textContent).toContain(
      "4 × 8 tokens; a pixel is the largest weight of 2 × 2",
    );
    host.set({ mode: "scatter" });
    expect(find(el, ".gh-legend").textContent).toContain("layer 0");
  });

  test("layers without attention are named, and so is why no head has a number", () => {
    const { status, host } = mount();
    expect(status.textContent).toContain("Layers 1, 3–4: no self attention that can be read.");
    const none = metric("previous_token", "Previous token", "weight", Array(9).fill(NONE), "None.");
    host.set({ frame: heads({ metrics: [none] }) });
    expect(status.textContent).toContain("8 heads. None.");
  });

  test("before the first frame it says so, and then comes", async () => {
    const { el, host } = mount({ frame: {}, busy: "computing all heads: 10%" });
    expect(find(el, ".hf-nothing").hidden).toBe(false);
    expect(find(el, ".hf-grid").hidden).toBe(true);
    expect(find(el, ".gh").dataset.ready).toBe("true");
    host.set({ frame: heads(), busy: "" });
    await settle();
    expect(find(el, ".hf-nothing").hidden).toBe(true);
    expect(el.querySelectorAll(".hf-label.is-layer")).toHaveLength(3);
  });

  test("in a pane of an explorer leave out what its header has", () => {
    const { el } = mount();
    expect(el.querySelector('[data-action="unit"]')).not.toBeNull();
    const host = new FakeHost<FinderState>({ ...common(selfAxes(["a"]), 3), ...OWN });
    const pane = document.createElement("div");
    new HeadFinderView(pane, Object.assign(host, { pane: true }));
    expect(pane.querySelector('[data-action="mode"]')).not.toBeNull();
    expect(pane.querySelector('[data-action="unit"], [data-action="kind"]')).toBeNull();
  });

  test("a table of the strongest is there for those who do not see the picture", () => {
    const { el } = mount();
    expect(find(el, ".hf-strongest caption").textContent).toContain("highest previous token");
    expect(find(el, ".hf-strongest tbody tr").textContent).toBe("010.90");
  });
});

describe("numbers with a sign", () => {
  const added = [0.5, -0.25, 0, 0.001, 0.1, NONE, -1.5, 0.2, 0.3];
  const metrics = [metric("logit_contribution", "Logit part", "logits", added)];
  const of = () => finderData(heads({ metrics })).metrics[0];

  test("have a scale as far below zero as above", () => {
    expect([of()?.signed, of()?.top, of()?.low]).toEqual([true, 1.5, -1.5]);
    const { el } = mount({
      frame: heads({ metrics }),
      mode: "metric",
      metric: "logit_contribution",
    });
    expect(find(el, ".gh-legend").textContent).toContain("−1.50");
    expect(find(el, ".gh-legend").textContent).toContain("+1.50");
  });

  test("are written with it, in tiles and in words", () => {
    const own = of();
    if (!own) throw new Error("no metric");
    expect([0.5, -0.25, 0.001].map((value) => shortValue(own, value))).toEqual([
      ...["+.50", "−.25", "≈0"],
    ]);
    const { status } = mount({ frame: heads({ metrics }), metric: "logit_contribution" });
    expect(status.textContent).toContain("layer 0, head 0 (+0.50)");
  });
});
