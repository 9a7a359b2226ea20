import { beforeEach, expect, test, vi } from "vitest";
import { fitPlot, WHOLE, xOf, zoomAt } from "../../js/fused_attention_matrix/geometry";
import { readMatrix, shade, weightAt } from "../../js/fused_attention_matrix/grid";
import { labelledUnits } from "../../js/fused_attention_matrix/labels";
import type { MatrixFrame, MatrixState } from "../../js/fused_attention_matrix/state";
import { FusedAttentionMatrixView } from "../../js/fused_attention_matrix/view";
import type { Answer } from "../../js/shared/host/host";
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
  key: { kind: "self", layer: 1, heads: [], unit: "word", aggregate: "mean" },
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
};

function exactCell({ question, args }: Asked): Answer | null {
  if (question !== "cell") return null;
  return {
    result: { ...args, weight: 0.4987, row_sum: 1 },
    arrays: { weights: floats([0.9, 0.0974]), heads: integers([0, 1]) },
  };
}

function show(
  more: Partial<MatrixState> = {},
  answer?: (asked: Asked) => Answer | null,
): { host: FakeHost<MatrixState>; root: HTMLElement } {
  const state: MatrixState = {
    ...common((more.axes as Axes) ?? AXES),
    aggregate: "mean",
    scale: "linear",
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
  expect(items[0]).toContain("0.74‘\u2068animal\u2069’ looks at ‘\u2068The\u2069’");
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

test("Enter selects the words of row and column, again lets go", async () => {
  const { host, root } = show();
  await settle();
  for (const key of ["ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight", "Enter"])
    press(root, key);
  expect(host.state.selected).toEqual([1, 2]);
  press(root, "Enter");
  expect(host.state.selected).toEqual([]);
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
  const matrix = readMatrix(FRAME);
  expect(weightAt(matrix.grid, 1, 1)?.weight).toBeCloseTo(0.25, 6);
  expect(weightAt(matrix.grid, 1, 1)?.error).toBeCloseTo(0.75 / 510, 6);
  expect(weightAt(matrix.grid, 3, 0)).toBeNull();
});

test("the colour range leaves out the first causal row, whose weight is 1 by construction", () => {
  expect(readMatrix(FRAME).top).toBeCloseTo(0.75, 6);
  expect(readMatrix({ ...FRAME, causal: false }).top).toBeCloseTo(1, 6);
});

test("zero is paper on both scales, and the log scale spans three decades", () => {
  expect(shade(0, 0.5, "linear")).toBe(0);
  expect(shade(0, 0.5, "log")).toBe(0);
  expect(shade(0.5, 0.5, "log")).toBe(1);
  expect(shade(0.05, 0.5, "log")).toBeCloseTo(2 / 3);
  expect(shade(0.0001, 0.5, "log")).toBe(0);
});

test("zooming keeps the cell under the pointer where it is", () => {
  const space = { width: 600, maxHeight: 500, labels: { query: 80, key: 60 } };
  const plot = fitPlot(100, 100, space, WHOLE);
  const x = xOf(plot, 30);
  const zoomed = fitPlot(100, 100, space, zoomAt(plot, WHOLE, 2, x, plot.top));
  expect(xOf(zoomed, 30)).toBeCloseTo(x);
  expect(zoomed.cell).toBeCloseTo(2 * plot.cell);
});

test("labels thin out, and the lit ones are always there", () => {
  const units = labelledUnits(0, 100, 5, { hovered: 50, selected: new Set([17]) });
  expect(units).toContain(50);
  expect(units).toContain(17);
  const places = [...units].sort((a, b) => a - b);
  const gaps = places.slice(1).map((unit, i) => (unit - (places[i] ?? 0)) * 5);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(11.5);
});
