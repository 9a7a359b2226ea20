/** What is said of the grid. */

import { type Child, h } from "../shared/dom";
import type { Cell } from "../shared/map/plot";
import { formatCount } from "../shared/numbers";
import { plain } from "../shared/signed_numbers";
import { type PatchData, placeName } from "./data";
import { formatShare, TOLD_FROM } from "./numbers";
import type { PatchFrame, What } from "./state";

export const WHATS: Readonly<Record<What, { label: string; title: string }>> = {
  residual: { label: "Residual", title: "The residual stream behind a layer, at a token" },
  attention: { label: "Attention", title: "What the attention block of a layer adds, at a token" },
  mlp: { label: "MLP", title: "What the MLP of a layer adds, at a token" },
  head: { label: "Heads", title: "What a head puts out, at all tokens" },
};

/** Over the grid: what is patched, and what is asked. */
export function captionWords({ what_words: words, target }: PatchFrame): Child[] {
  return ["Patched: ", h("b", {}, words), ` · asked: ${target}`];
}

/** "−2.70 nats". */
export function valueWords({ unit }: PatchFrame, value: number): string {
  return `${plain(value)} ${unit}`;
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
    `(corrupted ${plain(corrupted)}, clean ${plain(clean)} ${unit}).`
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
  const { frame, layers, places } = data;
  const column = frame.columns === "head" ? "head" : "token";
  const size = `${count(layers.length, "layer")} × ${count(places.length, column)}`;
  const named = best(data).map((cell) => {
    const name = cellName(data, cell);
    return `${name.charAt(0).toLowerCase()}${name.slice(1)} ${formatShare(data.recovered(cell))}`;
  });
  const most = named.length
    ? `recovered most: ${named.join("; ")}`
    : `no cell recovers ${TOLD_FROM} or more`;
  const far = frame.partial && `So far: ${frame.partial}.`;
  return [far, `${size}; ${most}.`, frame.note].filter(Boolean).join(" ");
}

/** The cells that recover most; of a token only one, since it recovers about as much layer after layer. */
function best({ frame, strongest, recovered }: PatchData): Cell[] {
  const found: Cell[] = [];
  for (const cell of strongest) {
    if (found.length === NAMED || !(recovered(cell) >= TOLD_FROM)) break;
    const isOther = found.every(({ key }) => key !== cell.key);
    if (frame.columns === "head" || isOther) found.push(cell);
  }
  return found;
}

function count(n: number, what: string): string {
  return `${formatCount(n)} ${n === 1 ? what : `${what}s`}`;
}
