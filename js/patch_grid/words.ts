/** What is said of the grid. */

import { type Child, h } from "../shared/dom";
import type { Cell } from "../shared/map/plot";
import { formatCount } from "../shared/numbers";
import { type PatchData, placeName } from "./data";
import { formatShare, formatValue } from "./numbers";
import type { PatchFrame, What } from "./state";

export const WHATS: Readonly<Record<What, { label: string; title: string }>> = {
  residual: { label: "Residual stream", title: "The residual stream as it enters a layer" },
  attention: { label: "Attention", title: "What the attention block of a layer adds" },
  mlp: { label: "MLP", title: "What the MLP of a layer adds" },
  head: { label: "Heads", title: "What a head puts out, at all positions" },
};

const SENTENCE: Readonly<Record<What, string>> = {
  residual: "Residual stream",
  attention: "Attention output",
  mlp: "MLP output",
  head: "Output of heads",
};

/** Over the grid: what is patched, and what is asked. */
export function captionWords({ what, target }: PatchFrame): Child[] {
  return [h("b", {}, `${SENTENCE[what]} patched`), " · ", target];
}

/** The same in a saved picture, whose controls are not there. */
export function pictureWords({ frame }: PatchData): string {
  return `${SENTENCE[frame.what]} patched, ${frame.target}`;
}

/** "−2.70 nats". */
export function valueWords({ unit }: PatchFrame, value: number): string {
  return `${formatValue(value)} ${unit}`;
}

/** "Layer 5, ‘Paris’ for ‘Rome’". */
export function cellName(data: PatchData, cell: Cell): string {
  return `Layer ${data.layers[cell.query]}, ${placeName(data, cell.key)}`;
}

/** Why a cell has no number. */
function emptyWords({ frame }: PatchData): string {
  return frame.partial ? "not computed yet" : "there is none";
}

/** A cell in a sentence. */
export function cellWords(data: PatchData, cell: Cell): string {
  const share = data.recovered(cell);
  const name = cellName(data, cell);
  if (Number.isNaN(share)) return `${name}: ${emptyWords(data)}.`;
  const { frame } = data;
  const { f_clean: clean, f_corrupted: corrupted, unit } = frame;
  return (
    `${name}: ${formatShare(share)} recovered, ${valueWords(frame, data.patched(cell))} ` +
    `(corrupted ${formatValue(corrupted)}, clean ${formatValue(clean)} ${unit}).`
  );
}

/** The same on a card beside the cell. */
export function cardWords(data: PatchData, cell: Cell): Child[] {
  const share = data.recovered(cell);
  const name = h("div", { class: "pg-card-name" }, cellName(data, cell));
  if (Number.isNaN(share)) return [name, h("div", {}, emptyWords(data))];
  const { frame } = data;
  const row = (what: string, value: number, own = ""): HTMLElement =>
    h(
      "div",
      { class: `pg-card-row ${own}` },
      h("span", {}, what),
      h("span", {}, valueWords(frame, value)),
    );
  return [
    name,
    h("div", { class: "pg-card-share" }, h("b", {}, formatShare(share)), " recovered"),
    row("clean", frame.f_clean),
    row("patched", data.patched(cell), "is-own"),
    row("corrupted", frame.f_corrupted),
  ];
}

/** How many cells are named of those that recover most. */
const NAMED = 3;

/** All of it in a sentence. */
export function wholeWords(data: PatchData): string {
  const { frame, layers, places, strongest } = data;
  const column = frame.columns === "head" ? "head" : "token";
  const size = `${count(layers.length, "layer")} × ${count(places.length, column)}`;
  const named = strongest
    .filter((cell) => data.recovered(cell) > 0)
    .slice(0, NAMED)
    .map((cell) => {
      const name = cellName(data, cell);
      return `${name.charAt(0).toLowerCase()}${name.slice(1)} ${formatShare(data.recovered(cell))}`;
    });
  const most = named.length ? `recovered most: ${named.join("; ")}` : "no cell recovers anything";
  const far = frame.partial && `So far: ${frame.partial}.`;
  return [far, `${size}; ${most}.`, frame.note].filter(Boolean).join(" ");
}

function count(n: number, what: string): string {
  return `${formatCount(n)} ${n === 1 ? what : `${what}s`}`;
}
