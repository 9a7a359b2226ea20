import { beforeEach, expect, test, vi } from "vitest";
import { entryOf, shade, topIn } from "../../js/fused_attention_matrix/colour";
import { fitPlot } from "../../js/fused_attention_matrix/geometry";
import { numberAt, readMatrix } from "../../js/fused_attention_matrix/grid";
import { scoreInCell } from "../../js/fused_attention_matrix/numbers";
import type { MatrixFrame, MatrixState } from "../../js/fused_attention_matrix/state";
import { FusedAttentionMatrixView } from "../../js/fused_attention_matrix/view";
import type { NdArray } from "../../js/shared/arrays";
import type { Answer } from "../../js/shared/host/host";
import { labelledUnits, thinned } from "../../js/shared/map/labels";
import { type Plot, WHOLE, xOf, zoomAt } from "../../js/shared/map/plot";
import type { Axes } from "../../js/shared/state";
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

const WORDS = ["The", "animal", "slept"];
const AXES = selfAxes(WORDS, "word");
const FRAME: MatrixFrame = {
  kind: "matrix",
  key: {
    ...{ kind: "self", layer: 1, heads: [], unit: "word", aggregate: "mean" },
    ...{ sinks: "auto", normalise: false, hide_special: false, scores: false, compare: null },
  },
  rows: 3,
  cols: 3,
  pooled: "exact",
  cells_per_pixel: 1,
  values: pack([255, 0, 0, 255, 85, 0, 51, 255, 204], "uint8", [3, 3]),
  row_scale: pack([1 / 255, 0.75 / 255, 0.5 / 255], "float32"),
  max: 1,
  causal: true,
  largest: {
    query: pack([1, 2], "uint32"),
    key: pack([0, 1], "uint32"),
    weight: pack([0.7449, 0.4987], "float32"),
  },
  row_entropy: pack([0, 0.811, 1.361], "float32"),
  column_mass: pack([0.62, 0.25, 0.13], "float32"),
  undefined_rows: pack([0, 0, 0]),
  title: "mean of 2 heads",
  zero: 0,
  exact: null,
  compare: null,
  sinks: {
    ...{ mode: "shown", words: "a column that takes much", share: 0 },
    units: pack([], "uint32"),
    of_map: pack([], "uint8", [1, 0]),
    to: pack([0, 0, 0], "float32", [1, 3]),
  },
  hidden: { rows: 0, cols: 0 },
  together: { query: 1, key: 1 },
  scores: false,
};

/** The arrays of an answer about one cell. */
function oneCell(
  numbers: Record<string, number>,
  weights: readonly number[],
): Record<string, NdArray> {
  const cell = Object.entries(numbers).map(([name, value]) => [name, floats([value], [1, 1])]);
  return {
    ...Object.fromEntries(cell),
    weights: floats(weights, [1, 1, weights.length]),
    heads: integers(weights.map((_, head) => head)),
  };
}

function exactCell({ question, args }: Asked): Answer | null {
  if (question !== "cell") return null;
  return {
    result: { ...args, about: FRAME.key },
    arrays: oneCell({ weight: 0.4987, share: 0.4987, row_sum: 1, rank: 1, n: 3 }, [0.9, 0.0974]),
  };
}

function show(
  more: Partial<MatrixState> = {},
  answer?: (asked: Asked) => Answer | null,
): { host: FakeHost<MatrixState>; root: HTMLElement } {
  const state: MatrixState = {
    ...common((more.axes as Axes) ?? AXES),
    aggregate: "mean",
    sinks: "auto",
    scale: "linear",
    value_range: "data",
    normalise: false,
    hide_special: false,
    scores: false,
    compare: null,
    pinned: [],
    frame: FRAME,
    ...more,
  };
  const host = new FakeHost<MatrixState>(state, answer);
  host.view = new FusedAttentionMatrixView(document.body, host);
  return { host, root: find(document.body, ".gh") };
}

beforeEach(() => document.body.replaceChildren());

const label = (root: HTMLElement, side: string, unit: number): HTMLElement =>
  find(root, `[data-side="${side}"][data-unit="${unit}"]`);

test("a token hovered elsewhere leaves every element standing, the list of cells as well", async () => {
  const { host, root } = show();
  await settle();
  expect(root.querySelectorAll(".fm-largest li")).toHaveLength(2);
  expect(lostBy(find(root, ".gh-body"), () => host.set({ hovered: 2 }))).toEqual([]);
  expect(lostBy(find(root, ".gh-legend"), () => host.set({ hovered: 1 }))).toEqual([]);
});

test("the crosshair asks for the exact cell and shows it, head by head", async () => {
  const { host, root } = show({}, exactCell);
  await settle();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"]) press(root, key);
  expect(host.asked.at(-1)).toEqual({ question: "cell", args: { query: 2, key: 1 } });
  expect(find(root, ".fm-value").textContent).toBe("≈ 0.500 ± 0.001");
  await settle();
  const readout = find(root, ".fm-readout").textContent ?? "";
  expect(readout).toContain("‘\u2068slept\u2069’ looks at ‘\u2068animal\u2069’");
  expect(find(root, ".fm-value").textContent).toBe("0.4987");
  expect(readout).toContain("row sums to 1");
  expect(readout).toContain("row entropy 1.36 bits");
  expect(root.querySelectorAll(".fm-bars rect")).toHaveLength(2);
  expect(label(root, "query", 2).classList).toContain("is-hovered");
  expect(label(root, "key", 1).classList).toContain("is-hovered");
});

test("an answer about another layer is not taken for the cell that is shown", async () => {
  // The kernel is a layer ahead: its picture is still being drawn.
  const ahead = { ...FRAME.key, layer: 2 };
  const { host, root } = show({}, (asked) => {
    const answer = exactCell(asked);
    return answer && { ...answer, result: { ...answer.result, about: ahead } };
  });
  await settle();
  for (const key of TO_2_1) press(root, key);
  await settle();
  expect(find(root, ".fm-value").textContent).toBe("≈ 0.500 ± 0.001");
  host.set({ frame: { ...FRAME, key: ahead } });
  await settle();
  expect(find(root, ".fm-value").textContent).toBe("0.4987");
});

test("neighbouring cells come in one answer, and each says its own numbers", async () => {
  // Rows 0 and 1, all columns: told apart by their numbers.
  const cells = [0.11, 0.12, 0.13, 0.21, 0.22, 0.23];
  const heads = cells.flatMap((weight) => [weight + 0.01, weight - 0.01]);
  const both = ({ question, args }: Asked): Answer | null => {
    if (question !== "cell" || args.query !== 0 || args.key !== 0) return null;
    const numbers = {
      ...{ weight: floats(cells, [2, 3]), share: floats(cells, [2, 3]) },
      ...{ rank: integers([1, 2, 3, 3, 2, 1]), n: integers([3, 2]), row_sum: floats([1, 0.66]) },
    };
    const weights = floats(heads, [2, 3, 2]);
    return {
      result: { ...args, about: FRAME.key },
      arrays: { ...numbers, weights, heads: integers([0, 1]) },
    };
  };
  const frame = { ...FRAME, together: { query: 2, key: 3 } };
  const { host, root } = show({ frame }, both);
  await settle();
  press(root, "ArrowDown");
  await settle();
  expect(find(root, ".fm-value").textContent).toBe("0.1100");
  for (const key of ["ArrowDown", "ArrowRight"]) press(root, key);
  expect(find(root, ".fm-value").textContent).toBe("0.2200");
  const facts = find(root, ".fm-readout").textContent ?? "";
  expect(facts).toContain("rank 2 of 2");
  expect(facts).toContain("row sums to 0.66");
  expect(root.querySelector(".fm-bars")?.getAttribute("aria-label")).toContain("head 0: 0.230");
  const asked = host.asked.filter(({ question }) => question === "cell");
  expect(asked).toEqual([{ question: "cell", args: { query: 0, key: 0 } }]);
});

test("without a kernel the rounded value stays, and says so", async () => {
  const { root } = show();
  await settle();
  press(root, "ArrowDown");
  press(root, "ArrowDown");
  await settle();
  expect(find(root, ".fm-value").textContent).toBe("≈ 0.750 ± 0.002");
});

test("the largest weights are the kernel's exact ones, not those of the picture's bytes", async () => {
  const { root } = show();
  await settle();
  const items = [...root.querySelectorAll(".fm-largest li")].map((item) => item.textContent);
  expect(items[0]).toContain("0.745‘\u2068animal\u2069’ looks at ‘\u2068The\u2069’");
  expect(items).toHaveLength(2);
  expect(find(root, ".gh-status").textContent).toContain("largest weight 0.74 below the first row");
});

test("margins with an undefined row say the largest of the others, rounded up", async () => {
  const row_entropy = pack([0, Number.NaN, 1.361], "float32");
  const frame = { ...FRAME, row_entropy, undefined_rows: pack([0, 1, 0]) };
  const { root } = show({ frame });
  await settle();
  expect(find(root, ".fm-margin.is-entropy").textContent).toBe("entropyin bits≤ 1.4");
  expect(find(root, ".fm-margin.is-mass").textContent).toBe("mean received≤ 0.62");
});

test("a picture of other heads, or of another aggregate, is called late", () => {
  vi.useFakeTimers();
  try {
    const { host, root } = show();
    const late = (): boolean => {
      vi.advanceTimersByTime(1000);
      return find(root, ".gh-banners").textContent?.includes("still the last one") ?? false;
    };
    expect(late()).toBe(false);
    host.set({ heads: [1] });
    expect(late()).toBe(true);
    host.set({ heads: [], aggregate: "max" });
    expect(late()).toBe(true);
    host.set({ aggregate: "mean", compare: { heads: [1] } });
    expect(late()).toBe(true);
    const key = { ...FRAME.key, compare: { heads: [1] } };
    host.set({ frame: { ...FRAME, key } });
    expect(late()).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

test("cells behind the causal mask have no weight, in words", async () => {
  const { host, root } = show({}, exactCell);
  await settle();
  press(root, "ArrowRight");
  press(root, "ArrowRight");
  expect(host.asked.filter(({ args }) => args.key === 1)).toHaveLength(0);
  expect(find(root, ".gh-status").textContent).toContain("cannot look at");
  expect(find(root, ".gh-legend").textContent).toContain("masked: comes later");
});

const TO_2_1 = ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"];

/** Which rows and columns are marked as selected. */
function marked(root: HTMLElement): string[] {
  const labels = [...root.querySelectorAll<HTMLElement>(".gh-map-label.is-selected")];
  return labels.map(({ dataset }) => `${dataset.side} ${dataset.unit}`).sort();
}

test("Enter pins the pair, not a row and a column of each word, and again lets go", async () => {
  const { host, root } = show({}, exactCell);
  await settle();
  for (const key of [...TO_2_1, "Enter"]) press(root, key);
  expect(host.state.selected).toEqual([1, 2]);
  expect(host.state.pinned).toEqual([2, 1]);
  expect(marked(root)).toEqual(["key 1", "query 2"]);
  press(root, "Enter");
  expect(host.state.selected).toEqual([]);
  expect(host.state.pinned).toEqual([]);
});

test("a pin keeps its value while another cell is looked at, and when nothing is", async () => {
  const { root } = show({}, exactCell);
  await settle();
  for (const key of [...TO_2_1, "Enter", "ArrowUp", "ArrowLeft"]) press(root, key);
  await settle();
  expect(find(root, ".fm-pinned").textContent).toContain("0.4987");
  expect(find(root, ".fm-pair").textContent).toContain("‘\u2068animal\u2069’ looks at");
  find(root, ".gh-map-figure").dispatchEvent(new Event("pointerleave"));
  expect(find(root, ".fm-value").textContent).toBe("0.4987");
  expect(find(root, ".fm-pinned").textContent).toBe("");
  expect(find(root, ".fm-pin").textContent).toContain("pinned");
});

test("two tokens that were selected elsewhere are no pair", async () => {
  const { host, root } = show({ selected: [1, 2], pinned: [2, 1] });
  await settle();
  expect(marked(root)).toHaveLength(2);
  host.set({ selected: [0, 1, 2] });
  expect(marked(root)).toHaveLength(6);
});

test("a click on one of the largest goes there and pins it", async () => {
  const { host, root } = show({}, exactCell);
  await settle();
  const second = root.querySelectorAll<HTMLElement>(".fm-largest button")[1];
  second?.click();
  await settle();
  expect(host.state.pinned).toEqual([2, 1]);
  expect(find(root, ".fm-value").textContent).toBe("0.4987");
  second?.click();
  expect(host.state.pinned).toEqual([2, 1]);
});

test("Home, End and the Page keys move along the row and through the rows", async () => {
  const { host, root } = show({}, exactCell);
  await settle();
  const at = (): unknown => host.asked.at(-1)?.args;
  for (const key of ["ArrowDown", "PageDown"]) press(root, key);
  expect(at()).toEqual({ query: 2, key: 0 });
  press(root, "End");
  expect(at()).toEqual({ query: 2, key: 2 });
  press(root, "Home");
  press(root, "PageUp");
  expect(find(root, ".fm-pair").textContent).toContain("‘\u2068The\u2069’ looks at ‘\u2068The");
});

test("the readout says the rank of a cell in its row", async () => {
  const { root } = show({}, exactCell);
  await settle();
  for (const key of TO_2_1) press(root, key);
  await settle();
  expect(find(root, ".fm-readout").textContent).toContain("rank 1 of 3 in its row");
});

test("a small map's numbers are exact without a kernel", async () => {
  const exact = pack([1, 0, 0, 0.7449, 0.2551, 0, 0.1, 0.4987, 0.4013], "float32", [3, 3]);
  const { root } = show({ frame: { ...FRAME, exact } });
  await settle();
  for (const key of TO_2_1) press(root, key);
  await settle();
  expect(find(root, ".fm-value").textContent).toBe("0.4987");
});

test("a share of the largest weights of several heads is said to be one", async () => {
  const sinks = {
    ...FRAME.sinks,
    mode: "aside" as const,
    share: 0.616,
    units: pack([0], "uint32"),
  };
  const { root } = show({ frame: { ...FRAME, sinks, title: "maximum of 2 heads" } }, exactCell);
  await settle();
  for (const place of [".gh-legend", ".gh-status"]) {
    expect(find(root, place).textContent).toContain("61.6 % of the mass of the largest weights");
  }
});

test("sinks set aside are said with their share, and their columns named apart", async () => {
  const sinks = {
    ...{ ...FRAME.sinks, mode: "aside" as const, share: 0.616 },
    units: pack([0], "uint32"),
    of_map: pack([1], "uint8", [1, 1]),
    to: pack([1, 0.7449, 0.1], "float32", [1, 3]),
  };
  const { root } = show({ frame: { ...FRAME, sinks } }, exactCell);
  await settle();
  expect(find(root, ".gh-legend").textContent).toContain("sinks set aside: 61.6 %");
  expect(find(root, ".gh-status").textContent).toContain("1 sink column set aside: 61.6 %");
  expect(find(root, ".fm-margin.is-sinks").textContent).toContain("to sinks");
  expect(label(root, "key", 0).classList).toContain("is-apart");
  expect(label(root, "key", 1).classList).not.toContain("is-apart");
  for (const key of TO_2_1) press(root, key);
  await settle();
  expect(find(root, ".fm-readout").textContent).toContain("0.10 of the row goes to sinks");
});

test("one head leaves the choice of mean or maximum where it is, switched off", async () => {
  const { host, root } = show();
  await settle();
  const buttons = (): HTMLElement[] => [
    ...find(root, '[data-action="aggregate"]').querySelectorAll<HTMLElement>("button"),
  ];
  const before = buttons();
  host.set({ heads: [1] });
  expect(buttons()).toEqual(before);
  expect(find(root, '[data-action="aggregate"]').hidden).toBe(false);
  expect(buttons().every((one) => one.matches(":disabled, [aria-disabled=true]"))).toBe(true);
});

const COMPARED: MatrixFrame = {
  ...FRAME,
  values: pack([128, 128, 128, 255, 43, 128, 128, 1, 255], "uint8", [3, 3]),
  row_scale: pack([0, 0.3 / 127, 0.2 / 127], "float32"),
  ...{ zero: 128, max: 0.3, title: "head 0" },
  largest: {
    query: pack([1, 2], "uint32"),
    key: pack([0, 1], "uint32"),
    weight: pack([0.3, -0.2], "float32"),
  },
  compare: {
    ...{ layer: 1, title: "head 1", trace: "" },
    row_distance: pack([0, 0.25, 0.2], "float32"),
    column_change: pack([0.1, -0.13, 0.07], "float32"),
  },
};

test("a comparison says both values and their difference, and what its colours mean", async () => {
  const { root } = show({ frame: COMPARED, compare: { heads: [1] }, heads: [0] }, () => ({
    result: { about: COMPARED.key },
    arrays: oneCell(
      { weight: -0.2, share: 0.3, first: 0.3, second: 0.5, row_sum: 1, rank: 2, n: 3 },
      [],
    ),
  }));
  await settle();
  expect(find(root, ".fm-caption").textContent).toContain("head 0 − head 1, layer 1");
  const legend = find(root, ".gh-legend").textContent ?? "";
  expect(legend).toContain("more in head 1");
  expect(legend).toContain("more in head 0");
  expect(find(root, ".fm-largest").textContent).toContain("−0.200");
  for (const key of TO_2_1) press(root, key);
  expect(find(root, ".fm-value").textContent).toContain("− ≈ 0.200");
  await settle();
  const readout = find(root, ".fm-readout").textContent ?? "";
  expect(find(root, ".fm-value").textContent).toBe("−0.2000");
  expect(readout).toContain("0.3000 head 0");
  expect(readout).toContain("0.5000 head 1");
});

test("what it is compared with can be chosen, and follows the view where it is not", async () => {
  const { host, root } = show({ heads: [0] });
  await settle();
  find(root, '[data-action="compare"]').click();
  expect(host.state.compare).toEqual({ heads: [1] });
  const layer = find(root, '[data-action="compare-layer"]') as HTMLSelectElement;
  layer.value = "2";
  layer.dispatchEvent(new Event("change"));
  expect(host.state.compare).toEqual({ heads: [1], layer: 2 });
  find(root, '[data-action="compare"]').click();
  expect(host.state.compare).toBeNull();
});

test("the strongest cells stand in a table for those who do not see the picture", async () => {
  const { root } = show();
  await settle();
  const rows = [...root.querySelectorAll(".fm-table tbody tr")].map((row) =>
    [...row.children].map((cell) => cell.textContent),
  );
  expect(rows[0]).toEqual(["‘\u2068animal\u2069’", "‘\u2068The\u2069’", "0.745"]);
});

test("heads that other views draw apart are said to be their mean here", async () => {
  const key = { ...FRAME.key, aggregate: "separate" as const };
  const { root } = show({ aggregate: "separate", frame: { ...FRAME, key } });
  await settle();
  expect(find(root, ".fm-caption").textContent).toContain("a matrix shows the mean");
});

test("a word hovered elsewhere lights its row and column", async () => {
  const { host, root } = show();
  await settle();
  host.set({ hovered: 1 });
  expect(label(root, "query", 1).classList).toContain("is-hovered");
  expect(label(root, "key", 1).classList).toContain("is-hovered");
});

test("untrusted word text stays text", async () => {
  const evil = "</script><img src=x onerror=alert(1)>";
  const { root } = show({ axes: selfAxes([evil, "animal", "slept"], "word") });
  await settle();
  expect(label(root, "query", 0).textContent).toContain("<img·src=x");
  expect(root.querySelector("img")).toBeNull();
});

test("weights come back from bytes within half a step", () => {
  const { grid } = readMatrix(FRAME);
  expect(numberAt(grid, 1, 1)?.weight).toBeCloseTo(0.25, 6);
  expect(numberAt(grid, 1, 1)?.error).toBeCloseTo(0.75 / 510, 6);
  expect(numberAt(grid, 3, 0)).toBeNull();
});

const ALL = { query0: 0, query1: 3, key0: 0, key1: 3 };

test("the colour range leaves out the first causal row, whose weight is 1 by construction", () => {
  const matrix = readMatrix(FRAME);
  expect(topIn(matrix, matrix.grid, ALL)).toEqual({ top: 0.75, clipped: false });
  const ahead = readMatrix({ ...FRAME, causal: false });
  expect(topIn(ahead, ahead.grid, ALL).top).toBe(1);
});

test("colours end at the largest of what is in view", () => {
  const matrix = readMatrix(FRAME);
  // 0.5 * 204 / 255 = 0.4, the only cell of this part.
  const corner = { query0: 2, query1: 3, key0: 2, key1: 3 };
  expect(topIn(matrix, matrix.grid, corner)).toEqual({ top: 0.4, clipped: false });
});

test("zero is paper on every scale, and the log scale spans three decades", () => {
  for (const scale of ["sqrt", "linear", "log"] as const) {
    expect(shade(0, 0.5, scale)).toBe(0);
    expect(shade(0.5, 0.5, scale)).toBe(1);
  }
  expect(shade(0.05, 0.5, "log")).toBeCloseTo(2 / 3);
  expect(shade(0.0001, 0.5, "log")).toBe(0);
  expect(shade(0.05, 0.5, "sqrt")).toBeCloseTo(Math.sqrt(0.1));
});

test("a difference and its opposite lie equally far from the middle of the table", () => {
  const paint = {
    ...{ table: new Uint8ClampedArray(768), top: 0.5, signed: true },
    scale: "sqrt" as const,
  };
  expect(entryOf(0, paint)).toBe(128);
  expect(entryOf(0.125, paint) - 128).toBe(128 - entryOf(-0.125, paint));
  expect([entryOf(0.5, paint), entryOf(-0.5, paint)]).toEqual([255, 1]);
});

test("zooming keeps the cell under the pointer where it is", () => {
  const space = { width: 600, maxHeight: 500, labels: { query: 80, key: 60 }, lanes: 1 };
  const plot = fitPlot(100, 100, space, WHOLE);
  const x = xOf(plot, 30);
  const zoomed = fitPlot(100, 100, space, zoomAt(plot, WHOLE, 2, x, plot.top));
  expect(xOf(zoomed, 30)).toBeCloseTo(x);
  expect(zoomed.across).toBeCloseTo(2 * plot.across);
});

function plotOf(n: number, width: number): Plot {
  const space = { width, maxHeight: 640, labels: { query: 90, key: 90 }, lanes: 1 };
  return fitPlot(n, n, space, WHOLE);
}

test("the plot takes the width that there is", () => {
  // Beside it: labels as wide as they are, and one lane of bars.
  expect(plotOf(100, 628).width).toBe(628 - 90 - 52);
  expect(plotOf(12, 628).width).toBe(628 - 90 - 52);
});

test("a short text fits a narrow cell, and every row has room for its name", () => {
  const plot = plotOf(39, 400);
  expect(plot.left + plot.width + plot.right).toBeLessThanOrEqual(400);
  expect(plot.down).toBeGreaterThanOrEqual(12);
});

test("long names get the width that the matrix leaves", () => {
  const space = { width: 900, maxHeight: 200, labels: { query: 240, key: 90 }, lanes: 1 };
  expect(fitPlot(60, 60, space, WHOLE).left).toBe(240);
});

test("a few rows over many columns are high enough for their names", () => {
  const space = { width: 600, maxHeight: 500, labels: { query: 80, key: 60 }, lanes: 1 };
  const plot = fitPlot(10, 400, space, WHOLE);
  expect(plot.down).toBeGreaterThanOrEqual(12);
  expect(plot.across).toBeLessThan(2);
});

test("where labels are thinned, commas are never among them", () => {
  const words = ["the", ",", "old", ",", "a", ",", ",", "light", ",", "of", ",", "it"];
  const letters = (unit: number): number => words[unit]?.match(/[a-z]/g)?.length ?? 0;
  for (let step = 2; step < 7; step++) {
    const units = thinned(words.length, step, letters);
    expect(units.map((unit) => words[unit])).not.toContain(",");
    const gaps = units.slice(1).map((unit, i) => unit - (units[i] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(step);
  }
});

test("where there are only commas, some of them are labels", () => {
  expect(thinned(6, 2, () => 0)).toEqual([0, 2, 4]);
});

test("lit labels are always there, and keep others clear of their ground", () => {
  const every = Array.from({ length: 34 }, (_, i) => 3 * i);
  const units = labelledUnits(every, { hovered: 50, selected: new Set([17]) }, 4);
  expect(units).toContain(50);
  expect(units).toContain(17);
  const near = units.filter((unit) => unit !== 50 && Math.abs(unit - 50) < 4);
  expect(near).toEqual([]);
});

// ── Scores ──────────────────────────────────────────────────────────────────────────────────────

const SCORE_STATE: Partial<MatrixState> = {
  axes: selfAxes(WORDS, "token"),
  unit: "token",
  scores: true,
  frame: {
    ...FRAME,
    key: { ...FRAME.key, unit: "token", scores: true },
    scores: true,
    // Row 2 does not see column 0: a window, no causal mask.
    values: pack([255, 0, 0, 255, 1, 0, 0, 255, 65], "uint8", [3, 3]),
    row_scale: pack([2 / 127, 8 / 127, 4 / 127], "float32"),
    zero: 128,
    max: 8,
    largest: {
      query: pack([1, 2], "uint32"),
      key: pack([0, 1], "uint32"),
      weight: pack([8, 4], "float32"),
    },
  },
};

test("scores are named as such, with their sign, and with the weight that they become", async () => {
  const { root } = show(SCORE_STATE, ({ question }) =>
    question === "cell"
      ? {
          result: { about: (SCORE_STATE.frame as MatrixFrame).key as never },
          arrays: oneCell({ weight: -7.9876, share: 0.0021, rank: 2, n: 2 }, [0.0001, 0.0041]),
        }
      : null,
  );
  await settle();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowRight"]) press(root, key);
  expect(find(root, ".fm-value").textContent).toMatch(/^− ≈ 8\.000/);
  await settle();
  const readout = find(root, ".fm-readout").textContent ?? "";
  expect(find(root, ".fm-value").textContent).toBe("−7.9876");
  expect(readout).toContain("scores before the softmax, mean of 2 heads");
  expect(readout).toContain("mean of the weights that they become: 0.002");
  expect(readout).toContain("rank 2 of 2 in its row");
  expect(readout).not.toContain("row sums");
  expect(readout).toContain("Largest scores");
  expect(find(root, ".gh-legend").textContent).toContain("score before the softmax");
  expect(find(root, ".fm-caption").textContent).toContain("scores before the softmax");
});

test("a cell that a window masks has no score, and says so", async () => {
  const { root } = show(SCORE_STATE);
  await settle();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft"]) press(root, key);
  expect(find(root, ".fm-cell").textContent).toContain("it is masked (score −∞)");
});

test("what does not go with scores is switched off, and says why", () => {
  const { host, root } = show(SCORE_STATE);
  for (const action of ["normalise", "compare"]) {
    const control = find(root, `[data-action="${action}"]`);
    expect(control.getAttribute("aria-disabled")).toBe("true");
    expect(control.title).toContain("turn Scores off first");
    control.click();
  }
  expect(host.state.normalise).toBe(false);
  expect(host.state.compare).toBeNull();
  find(root, '[data-action="scores"]').click();
  expect(host.state.scores).toBe(false);
});

test("scores are of tokens: by words they are switched off", () => {
  const { host, root } = show();
  const control = find(root, '[data-action="scores"]');
  expect(control.title).toContain("choose Token first");
  control.click();
  expect(host.state.scores).toBe(false);
  host.set({ unit: "token" });
  control.click();
  expect(host.state.scores).toBe(true);
});

test("a score in a cell has a sign and as many places as there is room for", () => {
  const said = [-0.043, 0.004, 0.5, -1.46, 9.96, -123.4].map(scoreInCell);
  expect(said).toEqual(["−0.04", "", "+0.50", "−1.5", "+10", "−123"]);
});
