import { beforeEach, expect, test } from "vitest";
import { tokenColumn } from "../../js/attention_lines/columns";
import { evenTrack, layout } from "../../js/attention_lines/geometry";
import type { LinesState } from "../../js/attention_lines/state";
import { AttentionLinesView } from "../../js/attention_lines/view";
import { type Column, column } from "../../js/shared/map/axis";
import { axisLabels } from "../../js/shared/map/labels";
import type { Axis } from "../../js/shared/state";
import { axis, common, FakeHost, find, pack, selfAxes, settle } from "./fake_host";
import { linesFrame } from "./lines_frames";

const LABELS = ["[CLS]", "a", "[SEP]", "b", "[SEP]"];

function labelsOf(segments: number[] | null): Column {
  const plain: Axis = axis(LABELS);
  return column({ ...plain, segments });
}

function rowsOfLines(of: Column): HTMLElement[] {
  const tokens = tokenColumn("key");
  tokens.fill(of, null);
  const track = evenTrack(of.length, 20);
  const wishes = { labels: { query: 60, key: 60 }, heads: 2, gutter: false, minimap: false };
  const place = { ...layout(600, wishes), horizontal: false, height: 100, scroll: 0, tracks: [0] };
  tokens.window({ ...place, query: track, key: track });
  return [...tokens.element.children] as HTMLElement[];
}

function labelsOfMatrix(of: Column): HTMLElement[] {
  const labels = axisLabels("query");
  labels.fill(of, null, []);
  const place = { query: 0, key: 0, left: 0, top: 0, width: 100, height: 100 };
  const cell = { across: 20, down: 20 };
  const zoom = { whole: cell, most: cell, largestZoom: 1 };
  const plot = { ...place, ...cell, ...zoom, rows: 5, cols: 5, right: 0 };
  labels.place(plot, { hovered: null, selected: new Set() }, false);
  return [...labels.element.children] as HTMLElement[];
}

const PLACES: [string, (of: Column) => HTMLElement[]][] = [
  ["AttentionLines", rowsOfLines],
  ["FusedAttentionMatrix", labelsOfMatrix],
];

test.each(PLACES)("%s marks where the second sentence of a pair begins", (_, elements) => {
  const marked = elements(labelsOf([0, 0, 0, 1, 1])).map((element) =>
    element.classList.contains("starts-sentence"),
  );
  expect(marked).toEqual([false, false, false, true, false]);
});

test.each(PLACES)("%s says which sentence a token is of", (_, elements) => {
  const titles = (of: Column): (string | null | undefined)[] =>
    elements(of).map((e) => (e.title ? e.title : e.querySelector<HTMLElement>(".gh-token")?.title));
  expect(titles(labelsOf([0, 0, 0, 1, 1]))).toEqual([
    "[CLS] (sentence A)",
    "a (sentence A)",
    "[SEP]₂ (sentence A)",
    "b (sentence B)",
    "[SEP]₄ (sentence B)",
  ]);
  expect(titles(labelsOf(null))).toEqual(["[CLS]", "a", "[SEP]₂", "b", "[SEP]₄"]);
});

// ── Lines from one sentence to one ──────────────────────────────────────────────────────────────

const LINES = [[0, 3, 0, 0.25] as const, [1, 4, 0, 0.5] as const];
/** Heads are one map, and three quarters of 3 are not between the sentences. */
const ONE_MAP = { lines: LINES, nMaps: 1, perRow: 4 };

function show(segments: number[] | null, more: Partial<LinesState> = {}) {
  const axes = selfAxes(LABELS);
  for (const side of [axes.query, axes.key]) side.segments = segments;
  const key = { aggregate: "mean", sentences: more.sentences ?? "all" } as const;
  const kept = more.sentences ? { elsewhere: 0.75, shown: { n: 2, mass: 0.25 } } : {};
  const state: LinesState = {
    ...common(axes),
    ...{ aggregate: "mean", sinks: "shown", sentences: "all", blank: false },
    ...{ top_k: 99, threshold: null, orientation: "vertical" },
    frame: linesFrame(axes, { ...ONE_MAP, key, more: { ...kept, mass: pack([3], "float32") } }),
    ...more,
  };
  const host = new FakeHost<LinesState>(state);
  host.view = new AttentionLinesView(document.body, host);
  return { host, root: find(document.body, ".gh") };
}

const chooser = (): HTMLSelectElement =>
  find(document.body, '[data-action="sentences"]') as HTMLSelectElement;

beforeEach(() => document.body.replaceChildren());

test("a pair has a list of whose attention is drawn, and no other text has", () => {
  show(null);
  expect(chooser().closest("label")?.hidden).toBe(true);
  document.body.replaceChildren();
  const { host } = show([0, 0, 0, 1, 1]);
  expect(chooser().closest("label")?.hidden).toBe(false);
  const labels = [...chooser().options].map((option) => option.textContent);
  expect(labels).toEqual(["all", "A → A", "B → B", "A → B", "B → A"]);
  expect(chooser().labels[0]?.textContent).toContain("Sentences");
  chooser().value = "AB";
  chooser().dispatchEvent(new Event("change"));
  expect(host.state.sentences).toBe("AB");
});

test("how much attention goes elsewhere stands below the lines", async () => {
  const { root } = show([0, 0, 0, 1, 1], { sentences: "AB" });
  await settle();
  const said = find(root, ".gh-status").textContent ?? "";
  expect(said).toContain("2 lines shown, 25.0 % of the attention mass");
  expect(said).toContain("75.0 % is not from sentence A to sentence B");
});

test("lines that are all there are of two sentences are not all of the attention", async () => {
  const { host, root } = show([0, 0, 0, 1, 1], { sentences: "AB" });
  host.set({ top_k: null });
  await settle();
  expect(find(root, ".gh-status").textContent).toContain("2 lines shown, 25.0 % of");
});

test("a token of the other sentence says why it has no line", async () => {
  const { root } = show([0, 0, 0, 1, 1], { sentences: "AB", hovered: 3 });
  await settle();
  expect(find(root, ".gh-status").textContent).toMatch(
    /no (weight|line in this picture) from sentence A to sentence B/,
  );
});
