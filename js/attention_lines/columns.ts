/** The two columns of tokens: real text in the DOM, only what is near the viewport. */

import { h } from "../shared/dom";
import { type Column, type Side, startsSentence } from "../shared/map/axis";
import { unitLabel } from "../shared/map/label";
import type { LitUnits } from "../shared/map/pin";
import { type Geometry, type Track, unitsInView } from "./geometry";

// Up to here all rows are in the DOM, so that find-in-page and screen readers have the whole text.
const ALL_ROWS = 160;
const MARGIN_ROWS = 12;

export interface LitColumn extends LitUnits {
  /** Units that the current fan hardly touches: shown faint. */
  quiet: ((unit: number) => boolean) | null;
}

export interface TokenColumn {
  readonly element: HTMLElement;
  /** New labels. */
  fill(column: Column, undefinedRows: ArrayLike<number> | null): void;
  /** Puts the units in view into the DOM. */
  window(geometry: Geometry): void;
  light(lit: LitColumn): void;
}

export function tokenColumn(side: Side): TokenColumn {
  const element = h("div", {
    class: `al-column is-${side}`,
    attrs: { role: "list" },
    aria: { label: side === "query" ? "Tokens that look" : "Tokens that are looked at" },
  });
  const rows = new Map<number, HTMLElement>();
  let isRow = false;
  let column: Column | null = null;
  let undefinedRows: ArrayLike<number> | null = null;
  let lit: LitColumn = { hovered: null, selected: new Set(), quiet: null };

  const build = (unit: number, track: Track, horizontal: boolean): HTMLElement | null => {
    if (!column) return null;
    const token = unitLabel(column, side, unit, Boolean(undefinedRows?.[unit]));
    paintLit(token, unit, lit);
    const row = h("div", { class: "al-row", attrs: { role: "listitem" } }, token);
    row.classList.toggle("starts-sentence", startsSentence(column.axis, unit));
    const [start, size] = horizontal ? (["left", "width"] as const) : (["top", "height"] as const);
    row.style[start] = `${track.start(unit)}px`;
    row.style[size] = `${track.size(unit)}px`;
    rows.set(unit, token);
    return row;
  };

  return {
    element,
    fill(next, undefinedNext) {
      column = next;
      undefinedRows = undefinedNext;
      rows.clear();
      element.replaceChildren();
    },
    window(geometry) {
      if (geometry.horizontal !== isRow) {
        isRow = geometry.horizontal;
        rows.clear();
        element.replaceChildren();
      }
      const n = column?.length ?? 0;
      const [from, to] = unitsInView(geometry, side);
      const [first, last] =
        n <= ALL_ROWS ? [0, n] : [Math.max(0, from - MARGIN_ROWS), Math.min(n, to + MARGIN_ROWS)];
      for (const [unit, token] of rows) {
        if (unit >= first && unit < last) continue;
        token.parentElement?.remove();
        rows.delete(unit);
      }
      const added: HTMLElement[] = [];
      for (let unit = first; unit < last; unit++) {
        const row = rows.has(unit) ? null : build(unit, geometry[side], geometry.horizontal);
        if (row) added.push(row);
      }
      element.append(...added);
    },
    light(next) {
      lit = next;
      for (const [unit, token] of rows) paintLit(token, unit, lit);
    },
  };
}

/** How each token is lit: a hover step changes few of them, and asking a class list is slow. */
const painted = new WeakMap<HTMLElement, string>();

function paintLit(token: HTMLElement, unit: number, lit: LitColumn): void {
  const isHovered = unit === lit.hovered;
  const isSelected = lit.selected.has(unit);
  const isQuiet = !isHovered && !isSelected && (lit.quiet?.(unit) ?? false);
  const now = `${isHovered} ${isSelected} ${isQuiet}`;
  if (painted.get(token) === now) return;
  painted.set(token, now);
  token.classList.toggle("is-hovered", isHovered);
  token.classList.toggle("is-selected", isSelected);
  token.classList.toggle("is-quiet", isQuiet);
}
