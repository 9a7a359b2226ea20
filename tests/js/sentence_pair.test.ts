import { expect, test } from "vitest";
import { tokenColumn } from "../../js/attention_lines/columns";
import { evenTrack, layout } from "../../js/attention_lines/geometry";
import { type Column, column } from "../../js/shared/map/axis";
import { axisLabels } from "../../js/shared/map/labels";
import type { Axis } from "../../js/shared/state";
import { axis } from "./fake_host";

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
