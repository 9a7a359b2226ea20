/** The rows of the keys: of a long text those that are in view. */

import { h, sizeCanvas, style } from "../shared/dom";
import { unitLabel } from "../shared/map/label";
import { formatWeight } from "../shared/numbers";
import { drawnAs } from "../shared/save/recorder";
import { signed } from "../shared/signed_numbers";
import type { Parts, QueryKeyData } from "./data";
import { HEADING_ROWS, type Look, marks } from "./heading";
import type { NumberColumn } from "./layout";
import { paintKey } from "./painting";
import type { QueryKeyPicture } from "./picture";
import type { Cells } from "./products";

/** Rows above and below what is in view. */
const BEYOND = 6;

export interface LitRows {
  readonly hovered: number | null;
  readonly selected: ReadonlySet<number>;
  /** The key that is looked at. */
  readonly near: number | null;
}

export interface RowList {
  readonly element: HTMLElement;
  /** Draws all anew. */
  update(picture: QueryKeyPicture, look: Look): void;
  /** Makes the rows between two heights, and returns the places of the first and last of them. */
  show(top: number, bottom: number, cellsAt: (place: number) => Cells | null): [number, number];
  /** Draws again those whose products had not come. */
  come(cellsAt: (place: number) => Cells | null): void;
  light(lit: LitRows): void;
  row(key: number): HTMLElement | null;
}

let lists = 0;

export function rowList(): RowList {
  const element = h("div", { class: "qk-rows", attrs: { role: "rowgroup" } });
  const name = `qk-${++lists}`;
  const rows = new Map<number, HTMLElement>();
  const waiting = new Set<number>();
  let shown: { picture: QueryKeyPicture; look: Look } | null = null;
  let lit: LitRows = { hovered: null, selected: new Set(), near: null };
  const light = (row: HTMLElement): void => {
    const key = Number(row.dataset.key);
    const label = row.querySelector(".gh-token");
    label?.classList.toggle("is-hovered", key === lit.hovered);
    label?.classList.toggle("is-selected", lit.selected.has(key));
    row.classList.toggle("is-near", key === lit.near);
  };
  const make = (place: number, cells: Cells | null): void => {
    if (!shown) return;
    const row = keyRow(shown.picture, shown.look, place, cells);
    row.id = `${name}-${row.dataset.key}`;
    const old = rows.get(place);
    // Rows are read in their order, whichever way they were scrolled to.
    if (old) old.replaceWith(row);
    else element.insertBefore(row, rowBehind(place));
    rows.set(place, row);
    if (cells) waiting.delete(place);
    else waiting.add(place);
    light(row);
  };
  const rowBehind = (place: number): HTMLElement | null => {
    const behind = [...rows.keys()].filter((other) => other > place);
    return rows.get(Math.min(...behind)) ?? null;
  };
  const clear = (): void => {
    element.replaceChildren();
    rows.clear();
    waiting.clear();
  };
  return {
    element,
    update(picture, look) {
      shown = { picture, look };
      clear();
      style(element, "height", `${picture.data.nKeys * look.layout.row}px`);
    },
    show(top, bottom, cellsAt) {
      if (!shown) return [0, -1];
      const { row } = shown.look.layout;
      const last = shown.picture.data.nKeys - 1;
      const from = Math.max(0, Math.floor(top / row) - BEYOND);
      const to = Math.min(last, Math.ceil(bottom / row) + BEYOND);
      for (const [place, old] of rows) {
        if (place >= from && place <= to) continue;
        old.remove();
        rows.delete(place);
        waiting.delete(place);
      }
      for (let place = from; place <= to; place++)
        if (!rows.has(place)) make(place, cellsAt(place));
      return [from, to];
    },
    come(cellsAt) {
      for (const place of [...waiting]) {
        const cells = cellsAt(place);
        if (cells) make(place, cells);
      }
    },
    light(next) {
      lit = next;
      for (const row of rows.values()) light(row);
    },
    row(key) {
      return shown ? (rows.get(shown.picture.order.placeOf(key)) ?? null) : null;
    },
  };
}

function keyRow(
  picture: QueryKeyPicture,
  look: Look,
  place: number,
  cells: Cells | null,
): HTMLElement {
  const { data, order } = picture;
  const { layout } = look;
  const key = order.keyAt(place);
  const hidden = data.heads.every((_, lane) => data.isHidden(lane, key));
  const label = h(
    "div",
    { class: "qk-label", attrs: { role: "rowheader" } },
    unitLabel(picture.key, "key", key, false),
  );
  const row = h(
    "div",
    {
      class: "qk-row",
      attrs: { role: "row" },
      aria: { rowindex: place + 1 + HEADING_ROWS },
      data: { key },
      style: { top: `${place * layout.row}px` },
    },
    label,
    ...marks(picture, look),
    productCells(picture, look, key, cells),
    ...data.heads.flatMap((_, lane) => laneNumbers(picture, look, lane, key)),
  );
  row.classList.toggle("is-hidden", hidden);
  row.classList.toggle("is-waiting", !hidden && cells === null);
  return row;
}

function productCells(
  { data, columns }: QueryKeyPicture,
  { layout, paint }: Look,
  key: number,
  cells: Cells | null,
): HTMLElement {
  const canvas = h("canvas", { aria: { hidden: true } });
  const draw = (context: CanvasRenderingContext2D): void => {
    if (cells) paintKey(context, { data, key, cells, columns }, layout, paint);
  };
  const context = sizeCanvas(canvas, layout.cells, layout.row);
  if (context) draw(context);
  drawnAs(canvas, draw);
  return h(
    "div",
    { class: "qk-cells", attrs: { role: "gridcell" }, aria: { label: "Products" } },
    canvas,
  );
}

function laneNumbers(
  { data }: QueryKeyPicture,
  { layout }: Look,
  lane: number,
  key: number,
): HTMLElement[] {
  const at = { "grid-row": String(lane + 1) };
  if (data.isHidden(lane, key)) {
    return [
      h("div", { class: "qk-never", style: at, attrs: { role: "gridcell" } }, "may not look"),
    ];
  }
  const parts = data.parts(lane, key);
  return layout.numbers.map((column, i) => {
    const text =
      column.part === "weight" ? formatWeight(parts.weight) : signed(value(parts, column));
    const cell = h(
      "div",
      {
        class: `qk-number is-${column.part}`,
        attrs: { role: "gridcell" },
        data: { part: column.part },
        style: { ...at, "grid-column": String(layout.firstNumber + i) },
      },
      h("span", {}, text),
    );
    if (column.hasBar) cell.append(bar(parts, column, data.ends));
    return cell;
  });
}

function value(parts: Parts, { part }: NumberColumn): number {
  return parts[part] ?? Number.NaN;
}

function bar(parts: Parts, { part }: NumberColumn, ends: QueryKeyData["ends"]): HTMLElement {
  const number = parts[part] ?? Number.NaN;
  const isWeight = part === "weight";
  const [low, high] = isWeight ? [0, ends.weight] : [ends.low, ends.high];
  const place = (value: number): number =>
    Number.isFinite(value) ? (100 * (Math.min(high, value) - low)) / (high - low || 1) : place(0);
  const [from, to] = [Math.min(0, number), Math.max(0, number)].map(place);
  const name = isWeight ? "is-weight" : number < 0 ? "is-down" : "is-up";
  const style = { left: `${from}%`, width: `${(to ?? 0) - (from ?? 0)}%` };
  return h(
    "span",
    { class: "qk-bar", aria: { hidden: true } },
    !isWeight && h("b", { class: "qk-zero", style: { left: `${place(0)}%` } }),
    h("i", { class: name, style }),
  );
}
