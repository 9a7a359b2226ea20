/** The table: a row for every token, of which only those near the screen are in the page. */

import { fill, h, watchSize } from "../shared/dom";
import { formatCount } from "../shared/numbers";
import { show } from "../shared/token_text";
import { LOOKS, type Split } from "./data";
import { range } from "./words";

export interface Rows {
  readonly element: HTMLElement;
  fill(split: Split): void;
  mark(hovered: number | null, selected: readonly number[]): void;
  /** Scrolls until a row shows. */
  reveal(position: number): void;
}

/** Pixels; the style sheet has it too. */
const ROW = 26;
const MARGIN = 12;
const COLUMNS = ["#", "Token", "Id", "Own string", "Span", "Kind", "Word"] as const;

export function createRows(signal: AbortSignal): Rows {
  const head = h(
    "div",
    { class: "tt-row-line tt-head", attrs: { role: "row" } },
    ...COLUMNS.map((name) => h("span", { attrs: { role: "columnheader" } }, name)),
  );
  const body = h("div", { class: "tt-lines", attrs: { role: "rowgroup" } });
  const element = h(
    "div",
    { class: "tt-table", attrs: { role: "table", tabindex: 0 }, aria: { label: "Tokens" } },
    head,
    body,
  );
  const shown = new Map<number, HTMLElement>();
  let split: Split | null = null;
  let lit: { hovered: number | null; selected: readonly number[] } = {
    hovered: null,
    selected: [],
  };
  const markRow = (row: HTMLElement, position: number): void => {
    row.classList.toggle("is-hovered", position === lit.hovered);
    row.classList.toggle("is-selected", lit.selected.includes(position));
  };
  const draw = (): void => {
    if (!split) return;
    const height = element.clientHeight || 16 * ROW;
    const first = Math.max(0, Math.floor(element.scrollTop / ROW) - MARGIN);
    const end = Math.min(split.n, Math.ceil((element.scrollTop + height) / ROW) + MARGIN);
    for (const [position, row] of shown) {
      if (position >= first && position < end) continue;
      row.remove();
      shown.delete(position);
    }
    for (let position = first; position < end; position++) {
      if (shown.has(position)) continue;
      const row = rowOf(split, position);
      markRow(row, position);
      shown.set(position, row);
      body.append(row);
    }
  };
  element.addEventListener("scroll", draw, { signal, passive: true });
  watchSize(element, draw, signal);
  return {
    element,
    fill(next) {
      split = next;
      shown.clear();
      fill(body);
      body.style.height = `${ROW * next.n}px`;
      element.setAttribute("aria-rowcount", String(next.n + 1));
      draw();
    },
    mark(hovered, selected) {
      lit = { hovered, selected };
      for (const [position, row] of shown) markRow(row, position);
    },
    reveal(position) {
      const room = element.clientHeight - head.offsetHeight;
      const top = ROW * position;
      if (room <= 0) return;
      if (top < element.scrollTop) element.scrollTop = top;
      else if (top + ROW > element.scrollTop + room) element.scrollTop = top + ROW - room;
      draw();
    },
  };
}

function rowOf(split: Split, position: number): HTMLElement {
  const { frame, looks, ids } = split;
  const look = looks[position] ?? "whole";
  const word = split.word(position);
  const chip = h("bdi", { class: `tt-chip is-${look}` }, show(frame.texts[position] ?? ""));
  const own = frame.own[position] ?? "";
  const place = word.of > 1 && h("span", { class: "tt-place" }, ` ${word.place}/${word.of}`);
  const cells = [
    formatCount(position),
    chip,
    ids[position] ?? 0,
    own && h("bdi", {}, show(own)),
    range(...split.span(position)),
    LOOKS[look][0],
    look !== "special" && h("span", {}, h("bdi", {}, show(word.text)), place),
  ];
  const odd = position % 2 === 1 ? " is-odd" : "";
  return h(
    "div",
    {
      class: `tt-row-line${odd}`,
      attrs: { role: "row" },
      aria: { rowindex: position + 2 },
      data: { row: position },
      style: { top: `${ROW * position}px` },
    },
    ...cells.map((cell) => h("span", { attrs: { role: "cell" } }, cell)),
  );
}
