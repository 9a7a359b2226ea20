/** Labels of rows and columns: as many as there is room for, and always those that are lit. */

import { h } from "../shared/dom";
import { type Column, type Side, startsSentence } from "../shared/map/axis";
import { unitLabel } from "../shared/map/label";
import type { LitUnits } from "../shared/map/pin";
import { type Plot, xOf, yOf } from "./geometry";

export interface AxisLabels {
  readonly element: HTMLElement;
  fill(column: Column, undefinedRows: ArrayLike<number> | null): void;
  place(plot: Plot, lit: LitUnits, flat: boolean): void;
}

// Height of a line of labels; the small ones are used where cells are smaller than a line.
const LINE = 15;
const SMALL_LINE = 12;

/** The units to label: every step-th, and the lit ones, which push their neighbours out. */
export function labelledUnits(first: number, last: number, cell: number, lit: LitUnits): number[] {
  const step = Math.max(1, Math.ceil(SMALL_LINE / cell));
  const always = [...lit.selected, ...(lit.hovered === null ? [] : [lit.hovered])].filter(
    (unit) => unit >= first && unit < last,
  );
  // Crowded pins would cover each other as well: the hovered one wins, then the first ones.
  const kept: number[] = [];
  const free = (unit: number): boolean =>
    kept.every((other) => Math.abs(other - unit) * cell >= SMALL_LINE - 0.5);
  for (const unit of always.reverse()) if (free(unit)) kept.push(unit);
  for (let unit = Math.ceil(first / step) * step; unit < last; unit += step) {
    if (free(unit)) kept.push(unit);
  }
  return kept;
}

export function axisLabels(side: Side): AxisLabels {
  const element = h("div", { class: `fm-labels is-${side}` });
  const labels = new Map<number, HTMLElement>();
  let column: Column | null = null;
  let undefinedRows: ArrayLike<number> | null = null;

  const build = (unit: number): HTMLElement | null => {
    if (!column) return null;
    const label = unitLabel(column, side, unit, Boolean(undefinedRows?.[unit]));
    label.classList.add("fm-label");
    label.classList.toggle("starts-sentence", startsSentence(column.axis, unit));
    labels.set(unit, label);
    element.append(label);
    return label;
  };

  return {
    element,
    fill(next, undefinedNext) {
      column = next;
      undefinedRows = undefinedNext;
      labels.clear();
      element.replaceChildren();
    },
    place(plot, lit, flat) {
      const [start, count] =
        side === "query"
          ? [plot.query, plot.height / plot.cell]
          : [plot.key, plot.width / plot.cell];
      const first = Math.max(0, Math.floor(start + 0.3));
      const last = Math.min(column?.length ?? 0, Math.ceil(start + count - 0.3));
      const units = new Set(labelledUnits(first, last, plot.cell, lit));
      for (const [unit, label] of labels) {
        if (units.has(unit)) continue;
        label.remove();
        labels.delete(unit);
      }
      element.classList.toggle("is-flat", flat);
      element.classList.toggle("is-small", plot.cell < LINE);
      for (const unit of units) {
        const label = labels.get(unit) ?? build(unit);
        if (!label) continue;
        if (side === "query") {
          label.style.top = `${yOf(plot, unit) + plot.cell / 2}px`;
          label.style.maxWidth = `${plot.left - 10}px`;
          label.style.right = `calc(100% - ${plot.left - 4}px)`;
        } else {
          label.style.left = `${xOf(plot, unit) + plot.cell / 2}px`;
          label.style.top = `${plot.top - 6}px`;
        }
        label.classList.toggle("is-hovered", unit === lit.hovered);
        label.classList.toggle("is-selected", lit.selected.has(unit));
      }
    },
  };
}
