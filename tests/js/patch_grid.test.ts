import { beforeEach, expect, test } from "vitest";
import { patchData } from "../../js/patch_grid/data";
import { fitPlot, isNumbered, sizeOf } from "../../js/patch_grid/geometry";
import { formatShare, shortShare } from "../../js/patch_grid/numbers";
import type { PatchFrame, PatchState } from "../../js/patch_grid/state";
import { PatchGridView } from "../../js/patch_grid/view";
import { labelText } from "../../js/shared/map/axis";
import { WHOLE } from "../../js/shared/map/plot";
import { entryOf } from "../../js/shared/map/signed";
import {
  type Asked,
  common,
  FakeHost,
  find,
  lostBy,
  pack,
  press,
  selfAxes,
  settle,
} from "./fake_host";

const CLEAN = ["The", " capital", " of", " France", " is"];
const CORRUPTED = ["The", " capital", " of", " Italy", " is"];
/** Layers 0, 2 and 5; the values of the target run from −2 (corrupted) to 3 (clean). */
const LAYERS = [0, 2, 5];
const SHARES = [
  [0, 0.01, -0.04, 0.98, 0],
  [0, 0.02, 0.1, 0.6, 0.35],
  [0, -0.2, 0, 0.1, 1],
];
const [F_CLEAN, F_CORRUPTED] = [3, -2];
const patchedOf = (share: number): number => F_CORRUPTED + share * (F_CLEAN - F_CORRUPTED);

function frameOf(shares: number[][] = SHARES, more: Partial<PatchFrame> = {}): PatchFrame {
  const shape = [shares.length, shares[0]?.length ?? 0];
  const text = (texts: string[]) => ({
    ...{ texts, gaps: texts.map(() => "").concat("") },
    special: pack(texts.map(() => 0)),
  });
  const asked = { position: null, token: null, against: null, quantity: "logit" as const };
  return {
    kind: "patches",
    key: { ...asked, what: "residual", kind: "self", positions: [], only_layers: [] },
    ...{ what: "residual", what_words: "residual stream behind the layer" },
    layers: pack(LAYERS, "int32"),
    columns: "position",
    places: pack([0, 1, 2, 3, 4], "int32"),
    recovered: pack(shares.flat(), "float32", shape),
    patched: pack(shares.flat().map(patchedOf), "float32", shape),
    ...{ f_clean: F_CLEAN, f_corrupted: F_CORRUPTED, unit: "logits" },
    target: "logit of ‘Paris’ less that of ‘Rome’ behind the last token",
    about: {
      ...{ position: 5, quantity: "logit" },
      ...{ token: { id: 11, text: " Paris" }, against: { id: 12, text: " Rome" } },
    },
    ...{ side: "text", clean: text(CLEAN), corrupted: text(CORRUPTED) },
    differs: pack([0, 0, 0, 1, 0]),
    whats: [
      { name: "residual", reason: "" },
      { name: "attention", reason: "" },
      { name: "mlp", reason: "its MLP is not a module of its own" },
      { name: "head", reason: "" },
    ],
    ...{ partial: "", note: "" },
    ...more,
  };
}

/** The same with heads as columns: layer 2 has no second head. */
const HEADS = frameOf(
  [
    [0.2, 0.5],
    [-0.1, Number.NaN],
    [0.9, 0],
  ],
  { what: "head", columns: "head", places: pack([0, 1], "int32") },
);

const OWN = {
  ...{ what: "residual" as const, cell: [], positions: [], only_layers: [] },
  ...{ position: null, token: null, against: null, quantity: "log_probability" as const },
};

const EXPECTED = (asked: Asked) =>
  asked.question === "expected"
    ? {
        result: {
          clean: { ids: [11, 13], tokens: [" Paris", " the"] },
          corrupted: { ids: [12, 13], tokens: [" Rome", " the"] },
        },
        arrays: {},
      }
    : null;

function show(more: Partial<PatchState> = {}): { host: FakeHost<PatchState>; root: HTMLElement } {
  const state = { ...common(selfAxes(CLEAN)), ...OWN, frame: frameOf(), layer: 0, ...more };
  const host = new FakeHost<PatchState>(state, EXPECTED);
  host.view = new PatchGridView(document.body, host);
  return { host, root: find(document.body, ".gh") };
}

beforeEach(() => document.body.replaceChildren());

const words = (element: Element): string =>
  (element.textContent ?? "").replace(/[\u2068\u2069]/g, "");
const status = (root: HTMLElement): string => words(find(root, ".gh-status"));
const card = (root: HTMLElement): string => words(find(root, ".gh-tooltip:not(.gh-map-tag)"));

// ── Numbers ─────────────────────────────────────────────────────────────────────────────────────

test.each([
  [0.62, "0.62", ".62"],
  [-0.31, "−0.31", "−.31"],
  [1, "1", "1"],
  [1 - 1e-7, "1", "1"],
  [0.9991, "> 0.99", ">.99"],
  [1.2, "1.20", "1.2"],
  [-1e-3, "> −0.01", "−.00"],
  [1e-7, "0", ".00"],
  [Number.NaN, "–", "–"],
])(
  "a share of %d is written %s, and nothing is called 0 or 1 that is not",
  (share, long, short) => {
    expect(formatShare(share)).toBe(long);
    if (!Number.isNaN(share)) expect(shortShare(share)).toBe(short);
  },
);

test("a share stands where its layer and its token meet", () => {
  const data = patchData(frameOf());
  for (const [query, layer] of LAYERS.entries()) {
    for (const key of CLEAN.keys()) {
      const cell = data.cellOf([layer, key]);
      expect(cell).toEqual({ query, key });
      if (!cell) continue;
      expect(data.numbersOf(cell)).toEqual([layer, key]);
      const share = SHARES[query]?.[key] ?? 0;
      expect(data.recovered(cell)).toBeCloseTo(share);
      expect(data.patched(cell)).toBeCloseTo(patchedOf(share));
    }
  }
  expect([data.cellOf([1, 0]), data.cellOf([0, 5]), data.cellOf([])]).toEqual([null, null, null]);
});

test("columns may be some of the tokens", () => {
  const some = frameOf(
    SHARES.map((row) => [row[1] ?? 0, row[3] ?? 0]),
    { places: pack([1, 3], "int32") },
  );
  const data = patchData(some);
  expect(data.cellOf([2, 3])).toEqual({ query: 1, key: 1 });
  expect(data.columns.unitOf(3)).toBe(1);
  expect(data.columns.unitOf(2)).toBeNull();
  expect(labelText(data.columns.axis, 1)).toBe("·France → ·Italy");
  expect(labelText(data.columns.axis, 0)).toBe("·capital");
});

test("nothing recovered is paper, all of it is the last colour unless more is recovered", () => {
  const data = patchData(frameOf());
  expect([data.bound, data.isClipped]).toEqual([1, false]);
  expect([entryOf(0, data.bound), entryOf(1, data.bound)]).toEqual([128, 255]);
  const more = patchData(frameOf([[1.5, -0.5]], { layers: pack([0], "int32") }));
  expect([more.bound, more.isClipped]).toEqual([1.5, false]);
  const most = patchData(frameOf([[-7, 0.5]], { layers: pack([0], "int32") }));
  expect([most.bound, most.isClipped]).toEqual([2, true]);
});

test("a grid fits its page, however many tokens and layers there are", () => {
  const space = { maxHeight: 620, isFixed: false, isTitled: false, labels: 120 };
  const small = fitPlot(30, 8, { ...space, width: 420 }, WHOLE);
  expect(sizeOf(small).width).toBeLessThanOrEqual(420);
  const wide = fitPlot(30, 400, { ...space, width: 800 }, WHOLE);
  expect(sizeOf(wide).width).toBeLessThanOrEqual(801);
  expect(isNumbered(wide)).toBe(false);
  const near = fitPlot(30, 400, { ...space, width: 800 }, { zoom: 99, query: 0, key: 390 });
  expect(isNumbered(near)).toBe(true);
  expect(near.key + near.width / near.across).toBeLessThanOrEqual(400.01);
  const low = fitPlot(30, 8, { ...space, width: 420, isFixed: true, maxHeight: 300 }, WHOLE);
  expect(sizeOf(low).height).toBeLessThanOrEqual(301);
});

// ── The view ────────────────────────────────────────────────────────────────────────────────────

test("it says what is patched, what is asked, and which cells recover most", async () => {
  const { root } = show({ frame: frameOf(SHARES, { note: "Against ‘Rome’." }) });
  await settle();
  expect(root.dataset).toMatchObject({ view: "patch-grid", ready: "true" });
  expect(find(root, ".pg-caption").textContent).toBe(
    "Patched: residual stream behind the layer · asked: logit of ‘Paris’ less that of ‘Rome’ behind the last token",
  );
  // Of each token only the layer where it recovers most.
  expect(status(root)).toBe(
    "3 layers × 5 tokens; recovered most: layer 5, ‘is’ 1; layer 0, ‘France’ for ‘Italy’ 0.98; " +
      "layer 2, ‘of’ 0.10. Against ‘Rome’.",
  );
});

test("both texts are there, and what differs in them is marked", async () => {
  const { root } = show();
  await settle();
  const [clean, corrupted] = [...root.querySelectorAll(".pg-texts .gh-text")].map(words);
  expect([clean, corrupted]).toEqual([CLEAN.join(""), CORRUPTED.join("")]);
  const marked = [...root.querySelectorAll(".pg-texts .is-different")].map(words);
  expect(marked).toEqual(["France", "Italy"]);
});

test("the legend has an end for each run, in its unit, and marks the cell that is looked at", async () => {
  const { root } = show();
  await settle();
  expect(words(find(root, ".pg-ticks"))).toBe("−10corrupted −2.00 logits1clean 3.00 logits");
  const marker = find(root, ".pg-marker");
  expect(marker.hidden).toBe(true);
  press(root, "ArrowRight");
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight"]) press(root, key);
  expect(marker.hidden).toBe(false);
  expect(Number.parseFloat(marker.style.left)).toBeCloseTo(99);
});

test("arrow keys move over cells, and each says what its run puts out", async () => {
  const { host, root } = show();
  await settle();
  for (const key of ["ArrowRight", "ArrowDown", "End"]) press(root, key);
  expect(status(root)).toBe(
    "Layer 2, ‘is’: 0.35 recovered, −0.25 logits (corrupted −2.00, clean 3.00 logits).",
  );
  expect(host.state.hovered).toBe(4);
  press(root, "ArrowLeft");
  expect(status(root)).toContain("Layer 2, ‘France’ for ‘Italy’: 0.60 recovered, 1.00 logits");
  expect(card(root)).toBe(
    "Layer 2, ‘France’ for ‘Italy’0.60 recoveredclean3.00 logitspatched1.00 logitscorrupted−2.00 logits",
  );
  expect(host.state.cell).toEqual([]);
});

test("Enter chooses a cell: layer and token of linked views, and once more lets go", async () => {
  const { host, root } = show();
  await settle();
  for (const key of ["ArrowRight", "ArrowDown", "End", "Enter"]) press(root, key);
  expect(host.state).toMatchObject({ cell: [2, 4], layer: 2, selected: [4], heads: [] });
  press(root, "Enter");
  expect(host.state.cell).toEqual([]);
});

test("a cell chosen in Python is where keys begin, and is said", async () => {
  const { host, root } = show({ cell: [5, 4] });
  await settle();
  expect(status(root)).toMatch(/^Chosen: Layer 5, ‘is’: 1 recovered/);
  press(root, "ArrowLeft");
  expect(status(root)).toContain("Layer 5, ‘France’ for ‘Italy’: 0.10");
  press(root, "Escape");
  expect([host.state.cell, host.state.selected]).toEqual([[], []]);
});

test("brackets take the chosen cell to other layers of the grid", async () => {
  const { host, root } = show({ cell: [2, 3], layer: 2 });
  await settle();
  press(root, "]");
  expect(host.state).toMatchObject({ cell: [5, 3], layer: 5, selected: [3] });
  press(root, "]");
  expect(host.state.cell).toEqual([5, 3]);
  host.set({ cell: [], layer: 0 });
  press(root, "]");
  expect(host.state).toMatchObject({ cell: [], layer: 2 });
});

test("of heads a cell is a head of a layer, and one that is not there cannot be chosen", async () => {
  const { host, root } = show({ what: "head", frame: HEADS });
  await settle();
  expect(status(root)).toContain("3 layers × 2 heads; recovered most: layer 5, head 0 0.90");
  for (const key of ["ArrowRight", "ArrowRight", "Enter"]) press(root, key);
  expect(host.state).toMatchObject({ cell: [0, 1], layer: 0, heads: [1], hovered: null });
  expect(host.state.selected).toEqual([]);
  press(root, "ArrowDown");
  expect(status(root)).toBe("Layer 2, head 1: there is none.");
  press(root, "Enter");
  expect(host.state.cell).toEqual([0, 1]);
});

test("brackets do not take it to a head that is not there", async () => {
  const { host, root } = show({ what: "head", frame: HEADS, cell: [0, 1], heads: [1] });
  await settle();
  press(root, "]");
  expect(host.state).toMatchObject({ cell: [0, 1], layer: 2 });
});

test("a layer's number goes there, a token's name pins the token", async () => {
  const { host, root } = show();
  await settle();
  find(root, '.gh-map-label[data-side="query"][data-unit="1"]').click();
  expect(host.state).toMatchObject({ layer: 2, cell: [] });
  find(root, '.gh-map-label[data-side="key"][data-unit="3"]').click();
  expect(host.state.selected).toEqual([3]);
  const pinned = [...root.querySelectorAll(".pg-texts .is-selected")].map(words);
  expect(pinned).toEqual(["France", "Italy"]);
  (root.querySelector('[data-corrupted-position="3"]') as HTMLElement).click();
  expect(host.state.selected).toEqual([]);
});

test("a token of a source is one in linked views, too", async () => {
  const { host, root } = show({ frame: frameOf(SHARES, { side: "source" }) });
  await settle();
  for (const key of ["ArrowRight", "Enter"]) press(root, key);
  expect(host.state).toMatchObject({ hovered: null, hovered_source: 0, selected_source: [0] });
  expect(host.state.selected).toEqual([]);
});

test("a token pointed at elsewhere leaves every element standing", async () => {
  const { host, root } = show();
  await settle();
  expect(lostBy(find(root, ".pg-figure"), () => host.set({ hovered: 2 }))).toEqual([]);
  expect(lostBy(find(root, ".gh-legend"), () => host.set({ hovered: 1 }))).toEqual([]);
  expect([...root.querySelectorAll(".pg-texts .is-hovered")].map(words)).toEqual([
    "capital",
    "capital",
  ]);
});

test("digits, which choose heads elsewhere, change nothing here", async () => {
  const { host, root } = show();
  await settle();
  press(root, "1");
  expect(host.state.heads).toEqual([]);
});

test("token text is never markup", async () => {
  const hostile = frameOf();
  hostile.clean.texts = ["The", " capital", " of", " <img src=x>", " is"];
  const { root } = show({ frame: hostile, cell: [2, 3], hovered: 3 });
  await settle();
  expect(root.querySelector("img")).toBeNull();
  expect(status(root)).toContain("‘<img·src=x>’ for ‘Italy’");
});

// ── While it is computed ────────────────────────────────────────────────────────────────────────

const NONE = Number.NaN;
const PARTIAL = frameOf([SHARES[0] ?? [], [NONE, NONE, NONE, NONE, NONE], [0, 0, 0, 0, NONE]], {
  partial: "layer 1 of 3",
});

test("what has come so far is shown, and what is looked at stays", async () => {
  const { host, root } = show({ frame: PARTIAL, busy: "patching: layer 1 of 3" });
  await settle();
  expect(root.hasAttribute("data-partial")).toBe(true);
  expect(status(root)).toMatch(/^So far: layer 1 of 3\./);
  press(root, "ArrowRight");
  press(root, "ArrowDown");
  expect(status(root)).toBe("Layer 2, ‘The’: not computed yet.");
  press(root, "Enter");
  expect(host.state.cell).toEqual([]);
  const lost = lostBy(find(root, ".pg-texts"), () => host.set({ frame: frameOf(), busy: "" }));
  expect(lost).toEqual([]);
  await settle();
  expect(root.hasAttribute("data-partial")).toBe(false);
  expect(status(root)).toContain("Layer 2, ‘The’: 0 recovered");
});

test("long work has a button that ends it", async () => {
  const { host, root } = show({ frame: {}, busy: "patching: layer 1 of 3" });
  await settle();
  expect(words(find(root, ".pg-nothing"))).toContain("on their way");
  expect(find(root, ".pg-main").hidden).toBe(true);
  find(root, '[data-action="cancel"]').click();
  expect(host.stopped).toBe(1);
});

// ── What is asked for ───────────────────────────────────────────────────────────────────────────

const select = (root: HTMLElement, action: string): HTMLSelectElement =>
  find(root, `select[data-action="${action}"]`) as HTMLSelectElement;
const options = (root: HTMLElement, action: string): string[] =>
  [...select(root, action).options].map(words);
const pick = (root: HTMLElement, action: string, value: string): void => {
  const control = select(root, action);
  control.value = value;
  control.dispatchEvent(new Event("change"));
};

test("what can be patched in this model is offered", async () => {
  const { host, root } = show();
  await settle();
  const offered = [...root.querySelectorAll('[data-action="what"] button')];
  expect(offered.map(words)).toEqual(["Residual", "Attention", "Heads"]);
  (offered[2] as HTMLElement).click();
  expect(host.state.what).toBe("head");
});

test("the tokens that both runs expect can be asked for, each once", async () => {
  const { host, root } = show();
  await settle();
  expect(host.asked).toContainEqual({ question: "expected", args: { position: 5, k: 5 } });
  expect(options(root, "token")).toEqual(["auto: ‘Paris’", "‘Paris’", "‘the’", "‘Rome’"]);
  expect(options(root, "against")).toEqual(["auto: ‘Rome’", "nothing", "‘the’", "‘Rome’"]);
  expect(select(root, "quantity").disabled).toBe(true);
  pick(root, "against", "13");
  expect(host.state).toMatchObject({ token: 11, against: 13 });
  pick(root, "against", "nothing");
  expect(host.state).toMatchObject({ token: 11, against: null });
  pick(root, "token", "12");
  // Not a token against itself.
  expect(host.state).toMatchObject({ token: 12, against: null });
  pick(root, "token", "auto");
  expect(host.state).toMatchObject({ token: null, against: null });
});

test("of other texts it is asked anew what the runs expect", async () => {
  const { host } = show();
  await settle();
  const other = frameOf();
  host.set({ frame: { ...other, note: "the same texts" } });
  await settle();
  expect(host.asked).toHaveLength(1);
  host.set({ frame: { ...other, clean: { ...other.clean, texts: [...CORRUPTED] } } });
  await settle();
  expect(host.asked).toHaveLength(2);
});

test("of a token by itself logit and log-probability can be asked", async () => {
  const { about } = frameOf();
  const alone = { ...about, against: null, quantity: "log_probability" as const };
  const { host, root } = show({ token: 11, frame: frameOf(SHARES, { about: alone }) });
  await settle();
  expect(select(root, "token").value).toBe("11");
  expect(select(root, "against").value).toBe("nothing");
  expect(select(root, "quantity").disabled).toBe(false);
  pick(root, "quantity", "logit");
  expect(host.state.quantity).toBe("logit");
});

test("on a page that has this grid only nothing else is offered", async () => {
  const state = { ...common(selfAxes(CLEAN)), ...OWN, frame: frameOf(), layer: 0 };
  const host = new FakeHost<PatchState>(state);
  Object.assign(host, { can: (question: string) => !/^(grid|expected)/.test(question) });
  host.view = new PatchGridView(document.body, host);
  const root = find(document.body, ".gh");
  await settle();
  expect(find(root, '[data-action="what"]').hidden).toBe(true);
  expect(select(root, "token").disabled).toBe(true);
  expect(host.asked).toEqual([]);
  press(root, "ArrowRight");
  press(root, "Enter");
  expect(host.state.cell).toEqual([0, 0]);
});
