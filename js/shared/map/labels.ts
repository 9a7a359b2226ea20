/** Labels of rows and columns: as many as there is room for, and always those that are lit. */

import { h } from "../dom";
import { type Column, labelText, type Side, startsSentence } from "./axis";
import { unitLabel } from "./label";
import type { LitUnits } from "./pin";
import { LINE, type Plot, xOf, yOf } from "./plot";

export interface AxisLabels {
  readonly element: HTMLElement;
  fill(column: Column, undefinedRows: ArrayLike<number> | null, apart: readonly number[]): void;
  /** Puts labels where the plot has their rows or columns. */
  place(plot: Plot, lit: LitUnits, flat: boolean): void;
  /** Shows others as lit; the plot is the one of the last `place`. */
  light(lit: LitUnits): void;
}

/** Height of a line of labels; the small ones are used where cells are smaller than a line. */
const LARGE_LINE = 15;
/** A lit label has a ground of its own, which must not cover its neighbours. */
const LIT_LINE: Record<Side, number> = { query: 16, key: 20 };

/** How much a unit's name says: its letters and digits. A comma says nothing. */
export type Telling = (unit: number) => number;

/**
 * The units to label among all, at least `step` apart: of each stretch the one that says most;
 * counted from the first of all, so that a moving picture keeps its labels.
 */
export function thinned(n: number, step: number, telling: Telling): number[] {
  const kept: number[] = [];
  for (let next = 0; next < n; ) {
    let best = next;
    // Further on only where nothing was found: commas in a row have no label.
    for (let unit = next; unit < n && (unit <= next + step / 2 || !telling(best)); unit++) {
      if (telling(unit) > telling(best)) best = unit;
    }
    // Where there are no words at all, commas are what there is.
    if (!telling(best)) best = next;
    kept.push(best);
    next = best + step;
  }
  return kept;
}

/** The units to label in view: the lit ones, and of the others those that keep clear of them. */
export function labelledUnits(
  units: readonly number[],
  { hovered, selected }: LitUnits,
  clear: number,
): number[] {
  // Crowded pins would cover each other as well: the hovered one wins, then the last ones.
  const lit: number[] = [];
  const isFree = (unit: number): boolean => lit.every((one) => Math.abs(one - unit) >= clear);
  for (const unit of [...(hovered === null ? [] : [hovered]), ...[...selected].reverse()]) {
    if (isFree(unit)) lit.push(unit);
  }
  const isLit = new Set(lit);
  return [...lit, ...units.filter((unit) => !isLit.has(unit) && isFree(unit))];
}

function lettersOf(text: string): number {
  return text.match(/[\p{L}\p{N}]/gu)?.length ?? 0;
}

export function axisLabels(side: Side): AxisLabels {
  const element = h("div", { class: `gh-map-labels is-${side}` });
  const labels = new Map<number, HTMLElement>();
  let column: Column | null = null;
  let undefinedRows: ArrayLike<number> | null = null;
  let apart = new Set<number>();
  let plot: Plot | null = null;
  /** The labels that thinning leaves, for one distance between them. */
  let thin: { step: number; units: number[] } = { step: 0, units: [] };

  const build = (unit: number): HTMLElement | null => {
    if (!column) return null;
    const label = unitLabel(column, side, unit, Boolean(undefinedRows?.[unit]));
    label.classList.add("gh-map-label");
    label.classList.toggle("starts-sentence", startsSentence(column.axis, unit));
    label.classList.toggle("is-apart", apart.has(unit));
    labels.set(unit, label);
    element.append(label);
    if (plot) put(label, unit, plot);
    return label;
  };

  const put = (label: HTMLElement, unit: number, on: Plot): void => {
    if (side === "query") label.style.top = `${yOf(on, unit) + on.down / 2}px`;
    else label.style.left = `${xOf(on, unit) + on.across / 2}px`;
  };

  const inView = (first: number, last: number, size: number): number[] => {
    const step = Math.max(1, Math.ceil((LINE - 0.01) / size));
    if (thin.step !== step) {
      const axis = column?.axis;
      const telling: Telling = (unit) => (axis ? lettersOf(labelText(axis, unit)) : 0);
      const units = thinned(column?.length ?? 0, step, step > 1 ? telling : () => 1);
      // Sinks have their labels, the first of them first.
      const first = { hovered: null, selected: new Set([...apart].reverse()) };
      thin = { step, units: labelledUnits(units, first, step) };
    }
    // A cell of which half is seen has its label in view.
    return thin.units.filter((unit) => unit >= first - 0.51 && unit <= last - 0.49);
  };

  const light = (lit: LitUnits): void => {
    if (!plot) return;
    const [size, first, pixels] =
      side === "query" ? [plot.down, plot.query, plot.height] : [plot.across, plot.key, plot.width];
    const last = first + pixels / size;
    const seen = (unit: number | null): unit is number =>
      unit !== null && unit > first - 0.99 && unit < last - 0.01;
    const litInView = {
      hovered: seen(lit.hovered) ? lit.hovered : null,
      selected: new Set([...lit.selected].filter(seen)),
    };
    const clear = (LIT_LINE[side] - 0.5) / size;
    const units = new Set(labelledUnits(inView(first, last, size), litInView, clear));
    for (const [unit, label] of labels) {
      if (units.has(unit)) continue;
      label.remove();
      labels.delete(unit);
    }
    for (const unit of units) {
      const label = labels.get(unit) ?? build(unit);
      label?.classList.toggle("is-hovered", unit === lit.hovered);
      label?.classList.toggle("is-selected", lit.selected.has(unit));
    }
  };

  return {
    element,
    fill(next, undefinedNext, apartNext) {
      column = next;
      undefinedRows = undefinedNext;
      apart = new Set(apartNext);
      thin = { step: 0, units: [] };
      labels.clear();
      element.replaceChildren();
    },
    place(next, lit, flat) {
      plot = next;
      const size = side === "query" ? next.down : next.across;
      element.classList.toggle("is-flat", flat);
      element.classList.toggle("is-small", size < LARGE_LINE);
      if (side === "query") element.style.width = `${next.left - 2}px`;
      else element.style.height = `${next.top - 4}px`;
      light(lit);
      for (const [unit, label] of labels) put(label, unit, next);
    },
    light,
  };
}
