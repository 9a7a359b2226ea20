/** The two columns of tokens: real text in the DOM, only what is near the viewport. */

import { type Column, labelNodes, type Side, startsSentence, unitTitle } from "../shared/axis_text";
import { h } from "../shared/dom";

// Up to here all rows are in the DOM, so that find-in-page and screen readers have the whole text.
const ALL_ROWS = 400;
const MARGIN_ROWS = 12;

export interface Lit {
  hovered: number | null;
  selected: ReadonlySet<number>;
  /** Units that the current fan hardly touches: shown faint. */
  quiet: ((unit: number) => boolean) | null;
}

export interface TokenColumn {
  readonly element: HTMLElement;
  /** New labels. */
  fill(column: Column, undefinedRows: ArrayLike<number> | null): void;
  /** Puts the rows between two heights (px) into the DOM. */
  window(top: number, bottom: number, rowHeight: number): void;
  light(lit: Lit): void;
}

export function tokenColumn(side: Side): TokenColumn {
  const element = h("div", {
    class: `al-column is-${side}`,
    attrs: { role: "list" },
    aria: { label: side === "query" ? "Tokens that look" : "Tokens that are looked at" },
  });
  const rows = new Map<number, HTMLElement>();
  let column: Column | null = null;
  let undefinedRows: ArrayLike<number> | null = null;
  let lit: Lit = { hovered: null, selected: new Set(), quiet: null };

  const build = (unit: number, rowHeight: number): HTMLElement | null => {
    if (!column) return null;
    const token = tokenElement(column, side, unit);
    if (undefinedRows?.[unit]) {
      token.classList.add("is-undefined");
      token.title = "Fully masked row: its weights are undefined";
    }
    paintLit(token, unit, lit);
    const row = h("div", { class: "al-row", attrs: { role: "listitem" } }, token);
    row.classList.toggle("starts-sentence", startsSentence(column.axis, unit));
    row.style.top = `${unit * rowHeight}px`;
    row.style.height = `${rowHeight}px`;
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
    window(top, bottom, rowHeight) {
      const n = column?.length ?? 0;
      const all = n <= ALL_ROWS;
      const first = all ? 0 : Math.max(0, Math.floor(top / rowHeight) - MARGIN_ROWS);
      const last = all ? n : Math.min(n, Math.ceil(bottom / rowHeight) + MARGIN_ROWS);
      for (const [unit, token] of rows) {
        if (unit >= first && unit < last) continue;
        token.parentElement?.remove();
        rows.delete(unit);
      }
      const added: HTMLElement[] = [];
      for (let unit = first; unit < last; unit++) {
        const row = rows.has(unit) ? null : build(unit, rowHeight);
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

function tokenElement(column: Column, side: Side, unit: number): HTMLElement {
  const token = h(
    "span",
    {
      class: "gh-token",
      attrs: { dir: "auto", title: unitTitle(column.axis, unit) },
      data: { side, unit },
    },
    ...labelNodes(column.axis, unit),
  );
  token.classList.toggle("is-special", Boolean(column.special[unit]));
  if (column.generated[unit]) {
    token.classList.add("is-generated");
    token.title += " (generated)";
  }
  return token;
}

function paintLit(token: HTMLElement, unit: number, lit: Lit): void {
  const lighted = unit === lit.hovered || lit.selected.has(unit);
  token.classList.toggle("is-hovered", unit === lit.hovered);
  token.classList.toggle("is-selected", lit.selected.has(unit));
  token.classList.toggle("is-quiet", !lighted && (lit.quiet?.(unit) ?? false));
}
