import { beforeEach, expect, test } from "vitest";
import { massiveIn } from "../../js/activation_map/drawing";
import { columnAt, fitPlot } from "../../js/activation_map/geometry";
import { readActivations } from "../../js/activation_map/grid";
import { bars, markOutliers, ticksOf } from "../../js/activation_map/margins";
import { formatActivation, shortly } from "../../js/activation_map/numbers";
import { barScale } from "../../js/activation_map/scale";
import type { ActivationState, ActivationsFrame } from "../../js/activation_map/state";
import { ActivationMapView } from "../../js/activation_map/view";
import type { Answer } from "../../js/shared/host/host";
import { type Grid, numberAt } from "../../js/shared/map/grid";
import { WHOLE } from "../../js/shared/map/plot";
import { colours, entryOf, pooled } from "../../js/shared/map/signed";
import {
  type Asked,
  axis,
  common,
  FakeHost,
  find,
  floats,
  lostBy,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const WORDS = ["The", "animal", "<img src=x>"];
const AXES = selfAxes(WORDS);
/** By dimension: the third is an outlier, and its first token massive. */
const VALUES = [
  [0.5, -1, 300, 0],
  [1, 0.25, -8, 2],
  [-2, 1.5, 9, -0.125],
];

/** A frame as the kernel makes it, of dimensions in some order. */
function frameOf(order = [0, 1, 2, 3], more: Partial<ActivationsFrame> = {}): ActivationsFrame {
  const sorted = VALUES.map((row) => order.map((dimension) => row[dimension] ?? 0));
  return {
    kind: "activations",
    key: { kind: "self", layer: 1, block: "residual", sort: "dimension" },
    block: "residual",
    blocks: ["residual", "mlp", "embedding"],
    layers: [1, 3],
    side: "text",
    tokens: 3,
    dimensions: 4,
    order: pack(order, "uint16"),
    rms: pack([1.32, 1.05, 173.3, 1.16], "float32"),
    norms: pack([300, 8.31, 9.35], "float32"),
    outliers: pack([2], "uint32"),
    outliers_words: "six times the median",
    ...{ bound: 5, beyond: 0.25, largest: 300 },
    ...{ row0: 0, row1: 3, column0: 0, column1: 4, per_row: 1, per_column: 1 },
    values: pack(sorted.flat(), "float32", [3, 4]),
    note: "Massive.",
    ...more,
  };
}

function show(
  more: Partial<ActivationState> = {},
  answer?: (asked: Asked) => Answer | null,
): { host: FakeHost<ActivationState>; root: HTMLElement } {
  const own = { block: "residual", sort: "dimension" as const, dimensions: [], frame: frameOf() };
  const host = new FakeHost<ActivationState>({ ...common(AXES), ...own, ...more }, answer);
  host.view = new ActivationMapView(document.body, host);
  return { host, root: find(document.body, ".gh") };
}

beforeEach(() => document.body.replaceChildren());

/** Words without the marks that keep writing directions apart. */
const words = (element: Element): string =>
  (element.textContent ?? "").replace(/[\u2068\u2069]/g, "");
const status = (root: HTMLElement): string => words(find(root, ".gh-status"));
const said = (root: HTMLElement): string => words(find(root, ".am-profile-value"));

// ── Numbers ─────────────────────────────────────────────────────────────────────────────────────

test("a number stands where its token and its dimension meet, whatever the order", () => {
  const map = readActivations(frameOf([2, 0, 3, 1]));
  for (const [token, row] of VALUES.entries()) {
    for (const [dimension, value] of row.entries()) {
      const column = map.columnOf[dimension] ?? -1;
      expect(numberAt(map.grid, token, column)).toEqual({ value, isExact: true });
    }
  }
  expect(numberAt(map.grid, 3, 0)).toBeNull();
});

test("a pixel of the screen is the value with the largest size, with its sign", () => {
  const { grid } = readActivations(frameOf());
  const small = pooled(grid, 2, 3);
  expect([small.height, small.width, small.perRow, small.perColumn]).toEqual([2, 2, 2, 3]);
  expect(Array.from(small.values)).toEqual([300, 2, 9, -0.125]);
  expect(numberAt(small, 1, 1)).toEqual({ value: 300, isExact: false });
});

test("zero is paper, equal sizes are equally strong, and beyond the bound nothing is stronger", () => {
  expect(entryOf(0, 5)).toBe(128);
  expect(entryOf(2.5, 5) - 128).toBe(128 - entryOf(-2.5, 5));
  expect([entryOf(5, 5), entryOf(300, 5), entryOf(-300, 5)]).toEqual([255, 255, 1]);
  expect(entryOf(Number.NaN, 5)).toBe(128);
});

test("what is no number is see-through", () => {
  const grid = readActivations(frameOf()).grid;
  const broken: Grid = { ...grid, values: [Number.NaN, 1, ...Array(10).fill(0)] };
  const pixels = colours(broken, { table: new Uint8ClampedArray(768), bound: 5 });
  expect([pixels[3], pixels[7]]).toEqual([0, 255]);
});

test("massive activations are found, largest first, and no others", () => {
  const { grid } = readActivations(frameOf());
  expect(massiveIn(grid, 5).map(({ query, key, value }) => [query, key, value])).toEqual([
    [0, 2, 300],
  ]);
  expect(massiveIn(grid, 0.8).map(({ value }) => value)).toEqual([300, 9, -8]);
});

test.each([
  [22538.3, "22,538"],
  [-724.96, "−725.0"],
  [0.03125, "0.03125"],
  [-0.00001234, "−1.23e−5"],
  [0, "0"],
  [-0, "0"],
  [Number.POSITIVE_INFINITY, "∞"],
  [Number.NaN, "–"],
])("%d is written %s", (value, words) => {
  expect(formatActivation(value)).toBe(words);
});

test("in a cell a number is as short as it goes", () => {
  const numbers = [22538, -450.1, 33.94, 0.031, 0];
  expect(numbers.map(shortly)).toEqual(["23k", "−450", "34", "0.031", "0"]);
});

test("bars of sizes far apart are by powers of ten, of others in proportion", () => {
  expect(barScale([1, 2, 3]).isLog).toBe(false);
  expect(barScale([1, 2, 4]).share(2)).toBe(0.5);
  const log = barScale([1, 1, 1, 1000]);
  expect(log.isLog).toBe(true);
  expect([log.share(1000), log.share(0)]).toEqual([1, 0]);
  expect(log.share(1)).toBeCloseTo(0.25);
  expect(barScale([]).share(1)).toBe(0);
});

test("of several bars in a pixel the longest is drawn", () => {
  expect(bars([1, 5, 2, 3], 0, 0.5, 2).map(({ of, value }) => [of, value])).toEqual([
    [1, 5],
    [3, 3],
  ]);
});

// ── Where things are ────────────────────────────────────────────────────────────────────────────

const SPACE = { width: 700, maxHeight: 460, labels: 80, markLines: 1 };

test("zooming widens columns until their numbers can be read, and rows no more than that needs", () => {
  const whole = fitPlot(50, 576, SPACE, WHOLE);
  const near = fitPlot(50, 576, SPACE, { zoom: whole.largestZoom, query: 0, key: 0 });
  expect(whole.across).toBeLessThan(2);
  expect(near.across).toBeCloseTo(52);
  expect(near.down).toBe(24);
  expect(near.width).toBe(whole.width);
});

test("all tokens and dimensions fit the room, however many", () => {
  const plot = fitPlot(5000, 4096, { ...SPACE, width: 420 }, WHOLE);
  expect(plot.left + plot.width + plot.right).toBeLessThanOrEqual(421);
  expect(plot.height).toBe(460);
  expect(columnAt(plot, plot.left)).toBe(0);
  expect(columnAt(plot, plot.left + plot.width - 0.01)).toBe(4095);
  expect(columnAt(plot, plot.left - 1)).toBeNull();
});

test("numbers of outliers never cover each other; a triangle is drawn for each", () => {
  const dims = 600;
  const outliers = [300, 301, 302, 303, 20];
  const numbers = Array.from({ length: dims }, (_, i) => i);
  const rms = numbers.map((i) => (outliers.includes(i) ? 100 + i : 1));
  const map = readActivations(
    frameOf([0], {
      dimensions: dims,
      order: pack(numbers, "uint16"),
      rms: pack(rms, "float32"),
      outliers: pack(outliers, "uint32"),
    }),
  );
  const plot = fitPlot(3, dims, { ...SPACE, markLines: 2 }, WHOLE);
  const marks = markOutliers(plot, map, (words) => 7 * words.length);
  expect(marks.map(({ dimension }) => dimension)).toEqual([303, 302, 301, 300, 20]);
  expect(marks.map(({ name }) => name?.line)).toEqual([0, 1, undefined, undefined, 0]);
  const zoomed = fitPlot(3, dims, { ...SPACE, markLines: 2 }, { zoom: 40, query: 0, key: 295 });
  const near = markOutliers(zoomed, map, (words) => 7 * words.length);
  expect(near.map(({ dimension, name }) => [dimension, name?.line])).toEqual([
    [303, 0],
    [302, 0],
    [301, 0],
    [300, 0],
  ]);
});

test("round numbers stand above ordered dimensions, and dimensions themselves above others", () => {
  const dims = 200;
  const falling = Array.from({ length: dims }, (_, i) => dims - 1 - i);
  const more = { dimensions: dims, order: pack(falling, "uint16") };
  const plot = fitPlot(3, dims, SPACE, WHOLE);
  const ordered = readActivations(frameOf([0], more));
  const ticks = ticksOf(plot, ordered).map((column) => ordered.order[column]);
  expect(ticks).toContain(100);
  expect(ticks.every((dimension) => (dimension ?? 1) % 20 === 0)).toBe(true);
  const key = { ...ordered.frame.key, sort: "largest" };
  expect(ticksOf(plot, readActivations(frameOf([0], { ...more, key })))).toContain(0);
});

// ── The view ────────────────────────────────────────────────────────────────────────────────────

test("it says what it shows, with what must be said of it", async () => {
  const { root } = show();
  await settle();
  expect(root.dataset.view).toBe("activation-map");
  expect(find(root, ".am-caption").textContent).toBe(
    "Residual stream, layer 1 · 3 tokens × 4 dimensions, by number",
  );
  expect(status(root)).toContain("1 outlier dimension; largest size 300.0. Massive.");
});

test("arrow keys move over cells, and each says its token, dimension and number", async () => {
  const { host, root } = show();
  await settle();
  press(root, "ArrowRight");
  expect(status(root)).toContain("‘The’, dimension 0: 0.5000 ");
  press(root, "ArrowRight");
  press(root, "ArrowDown");
  expect(status(root)).toContain("‘animal’, dimension 1: 0.2500 ");
  expect(host.state.hovered).toBe(1);
  press(root, "End");
  expect(status(root)).toContain("dimension 3: 2.000 ");
  press(root, "Home");
  press(root, "ArrowUp");
  expect(status(root)).toContain("‘The’, dimension 0");
  press(root, "Escape");
  expect(host.state.hovered).toBeNull();
  expect(status(root)).toContain("3 tokens × 4 dimensions");
});

test("Enter pins a token and a dimension, and lets go of both", async () => {
  const { host, root } = show();
  await settle();
  for (const key of ["ArrowRight", "ArrowDown", "ArrowRight", "Enter"]) press(root, key);
  expect([host.state.selected, host.state.dimensions]).toEqual([[1], [1]]);
  await settle();
  expect(find(root, ".am-profile").dataset.dimension).toBe("1");
  press(root, "ArrowDown");
  expect(said(root)).toContain("1.500");
  press(root, "Enter");
  expect([host.state.selected, host.state.dimensions]).toEqual([[1, 2], [1]]);
  press(root, "Enter");
  expect([host.state.selected, host.state.dimensions]).toEqual([[1], []]);
  await settle();
  expect(root.querySelector(".am-profile")).toBeNull();
});

test("rows of an encoder are tokens of the source, in linked views too", async () => {
  const side = axis(["le", "chat", "dort"], { sequence: "source" });
  const axes = { ...AXES, kind: "encoder" as const, query: side, key: side };
  const { host, root } = show({ axes, frame: frameOf(undefined, { side: "source" }) });
  await settle();
  press(root, "ArrowDown");
  press(root, "Enter");
  expect([host.state.hovered, host.state.hovered_source]).toEqual([null, 0]);
  expect([host.state.selected, host.state.selected_source]).toEqual([[], [0]]);
});

test("what a decoder's tokens predict is no part of their names", async () => {
  const query = axis(["a", "b", "c"], {
    ...{ sequence: "target", predicted: ["x", "y", "z"], emphasis: "predicted" },
  });
  const { root } = show({
    axes: { ...AXES, query },
    frame: frameOf(undefined, { side: "target" }),
  });
  await settle();
  const labels = [...root.querySelectorAll(".gh-map-label")].map(({ textContent }) => textContent);
  expect(labels).toEqual(["a", "b", "c"]);
});

test("an outlier is pinned by its name, drawn along the text, and let go", async () => {
  const { host, root } = show();
  await settle();
  const chip = find(root, '.am-chip[data-dimension="2"]');
  expect(chip.getAttribute("aria-pressed")).toBe("false");
  chip.click();
  expect(host.state.dimensions).toEqual([2]);
  expect(chip.getAttribute("aria-pressed")).toBe("true");
  await settle();
  expect(find(root, ".am-profile-head").textContent).toContain("Dimension 2 (outlier): RMS 173.3");
  expect(root.querySelectorAll(".am-bars path")).toHaveLength(2);
  host.set({ hovered: 1 });
  expect(said(root)).toBe("‘animal’: −8.000");
  find(root, '[data-action="unpin"]').click();
  expect(host.state.dimensions).toEqual([]);
});

test("a token pointed at elsewhere leaves every element standing", async () => {
  const { host, root } = show({ dimensions: [1] });
  await settle();
  const value = find(root, ".am-profile-value");
  expect(lostBy(find(root, ".am-figure"), () => host.set({ hovered: 2 }))).toEqual([]);
  expect(lostBy(find(root, ".gh-legend"), () => host.set({ hovered: 1 }))).toEqual([]);
  expect(value.isConnected).toBe(true);
});

test("token text is never markup", async () => {
  const { root } = show({ dimensions: [0], hovered: 2 });
  await settle();
  expect(root.querySelector("img")).toBeNull();
  expect(said(root)).toContain("‘<img·src=x>’");
});

test("a frame of other tokens is not drawn beside these", async () => {
  const { root } = show({ frame: frameOf(undefined, { tokens: 2 }) });
  await settle();
  expect(status(root)).toBe("Nothing to show yet.");
});

test("keys step through the layers that have the block; there is one embedding", async () => {
  const { host, root } = show();
  await settle();
  press(root, "]");
  expect(host.state.layer).toBe(3);
  press(root, "]");
  expect(host.state.layer).toBe(3);
  host.set({ layer: 1, block: "embedding" });
  press(root, "]");
  expect(host.state.layer).toBe(1);
  expect(find(root, '[data-action="layer-next"]').getAttribute("aria-disabled")).toBe("true");
});

test("digits, which choose heads elsewhere, change nothing here", async () => {
  const { host, root } = show();
  await settle();
  press(root, "1");
  expect(host.state.heads).toEqual([]);
});

test("where there is this one map no other order is offered", async () => {
  const own = { block: "residual", sort: "dimension" as const, dimensions: [], frame: frameOf() };
  const host = new FakeHost<ActivationState>({ ...common(AXES), ...own });
  Object.assign(host, { can: (question: string) => question !== "map" });
  host.view = new ActivationMapView(document.body, host);
  await settle();
  const buttons = [...document.querySelectorAll('[data-action="sort"] button')];
  expect(buttons.map((one) => one.getAttribute("aria-disabled"))).toEqual(["true", "true", "true"]);
});

// ── Pooled maps ─────────────────────────────────────────────────────────────────────────────────

const POOLED = frameOf(undefined, {
  ...{ per_row: 1, per_column: 2 },
  values: pack([-1, 300, 1, -8, -2, 9], "float32", [3, 2]),
});

function exactTile({ question, args }: Asked, key: object = POOLED.key): Answer | null {
  if (question !== "tile") return null;
  const { row0, row1, column0, column1 } = args as Record<string, number>;
  const rows = VALUES.slice(row0, row1).map((row) => row.slice(column0, column1));
  const shape = [rows.length, rows[0]?.length ?? 0];
  const result = { ...args, per_row: 1, per_column: 1, key };
  return { result, arrays: { values: floats(rows.flat(), shape) } };
}

test("of a pooled map a cell's own number is asked for, and until then only its pixel's is known", async () => {
  const { root } = show({ frame: POOLED }, (asked) => exactTile(asked));
  await settle();
  press(root, "ArrowRight");
  press(root, "ArrowRight");
  press(root, "ArrowRight");
  expect(status(root)).toMatch(/dimension 2 \(outlier\): (at most 300.0 in size|300.0)/);
  await settle();
  expect(status(root)).toContain("dimension 2 (outlier): 300.0 (");
});

test("where no answer comes the pixel's number stays, and says what it is", async () => {
  const { root } = show({ frame: POOLED });
  await settle();
  press(root, "ArrowRight");
  press(root, "ArrowDown");
  await settle();
  expect(status(root)).toContain("‘animal’, dimension 0: at most 1.000 in size");
});

test("an answer about another layer is not believed", async () => {
  const other = { ...POOLED.key, layer: 0 };
  const { root } = show({ frame: POOLED }, (asked) => exactTile(asked, other));
  await settle();
  press(root, "ArrowRight");
  await settle();
  expect(status(root)).toContain("dimension 0: at most 1.000 in size");
});

test("a pinned dimension of a pooled map is asked for as a column", async () => {
  const { host, root } = show({ frame: POOLED, dimensions: [2], hovered: 2 }, (asked) =>
    exactTile(asked),
  );
  await settle();
  expect(host.asked.map(({ args }) => args)).toContainEqual({
    ...{ row0: 0, row1: 3, column0: 2, column1: 3 },
  });
  await settle();
  expect(said(root)).toContain("9.000");
});
