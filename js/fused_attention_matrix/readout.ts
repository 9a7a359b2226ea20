/** The panel beside the matrix: the exact cell under the crosshair, or the largest cells. */

import { type Child, fill, h, svg } from "../shared/dom";
import { rowName, unitName } from "../shared/map/axis";
import { approximately, formatAmount, formatSum, formatWeight, roundUp } from "../shared/numbers";
import { css, headColours, type Theme } from "../shared/palette";
import type { Axes } from "../shared/state";
import { isMasked, type Matrix } from "./grid";

/** What the colour of a head depends on. */
export interface HeadPaint {
  theme: Theme;
}

export interface Cell {
  query: number;
  key: number;
}

/** What is known about a cell: rounded from the frame, or exact from the kernel. */
export interface CellValue extends Cell {
  weight: number;
  /** 0 = exact. */
  error: number;
  /** The value is the largest of several cells. */
  pooled: boolean;
  rowSum: number | null;
  heads: ArrayLike<number>;
  weights: ArrayLike<number>;
}

export function pairWords(axes: Axes, cell: Cell): string {
  return `${rowName(axes.query, cell.query)} looks at ${unitName(axes.key, cell.key)}`;
}

/** "0.4123", or "≈ 0.412 ± 0.002" while the exact value is on its way or cannot be had. */
export function valueWords({ weight, error, pooled }: CellValue): string {
  if (error === 0) return formatWeight(weight, 4);
  if (pooled) return `≤ ${roundUp(weight + error, 3)} (largest nearby)`;
  return approximately(weight, error);
}

/** Why a cell has no weight, as a sentence; null when it has one. */
export function noValue(matrix: Matrix, axes: Axes, cell: Cell): string | null {
  const row = rowName(axes.query, cell.query);
  if (matrix.undefinedRows[cell.query]) {
    return `${row} is fully masked: its attention is undefined`;
  }
  if (isMasked(matrix, cell.query, cell.key)) {
    return `${row} cannot look at ${unitName(axes.key, cell.key)}: it comes later (causal mask)`;
  }
  return null;
}

export function readout(): {
  readonly element: HTMLElement;
  showCell(axes: Axes, matrix: Matrix, cell: Cell, value: CellValue | null, paint: HeadPaint): void;
  showLargest(axes: Axes, matrix: Matrix): void;
} {
  const element = h("aside", { class: "fm-readout" });
  /** Whose largest cells are shown now. */
  let shown: Matrix | null = null;
  return {
    element,
    showCell(axes, matrix, cell, value, paint) {
      shown = null;
      const none = noValue(matrix, axes, cell);
      const title = h("div", { class: "fm-pair" }, none ?? pairWords(axes, cell));
      if (none) fill(element, title);
      else if (value) fill(element, title, ...valueParts(matrix, value, paint));
      else fill(element, title);
    },
    showLargest(axes, matrix) {
      if (shown === matrix) return;
      shown = matrix;
      const cells = matrix.largest;
      if (!cells.length) {
        fill(element, h("div", { class: "gh-caption" }, "Hover a cell for its exact weight."));
        return;
      }
      const items = cells.map((cell) =>
        h(
          "li",
          {},
          h("span", { class: "gh-number" }, formatWeight(cell.weight)),
          h(
            "span",
            { class: "fm-item" },
            `${unitName(axes.query, cell.query)} looks at ${unitName(axes.key, cell.key)}`,
          ),
        ),
      );
      const heading = matrix.causal ? "Largest below the first row" : "Largest weights";
      fill(
        element,
        h("div", { class: "gh-caption" }, heading),
        h("ol", { class: "fm-largest" }, ...items),
        h("div", { class: "gh-caption" }, "Hover a cell for its exact weight."),
      );
    },
  };
}

function valueParts(matrix: Matrix, value: CellValue, paint: HeadPaint): Child[] {
  const entropy = matrix.entropy[value.query];
  const facts = [
    value.rowSum === null ? "" : `row sums to ${formatSum(value.rowSum)}`,
    entropy === undefined || Number.isNaN(entropy)
      ? ""
      : `row entropy ${formatAmount(entropy)} bits`,
  ].filter(Boolean);
  return [
    h("div", { class: "fm-value" }, valueWords(value)),
    h("div", { class: "gh-caption" }, matrix.frame.title),
    ...facts.map((fact) => h("div", { class: "gh-caption" }, fact)),
    value.heads.length > 1 ? headBars(value, paint) : null,
  ];
}

const BAR_WIDTH = 168;
const BAR_HEIGHT = 56;

/** One bar a head for this cell, on one scale, with the largest value written at the top. */
function headBars(value: CellValue, paint: HeadPaint): Element {
  const n = value.heads.length;
  const step = Math.min(18, BAR_WIDTH / n);
  const max = Math.max(...Array.from(value.weights));
  const scale = BAR_HEIGHT / Math.max(max, 1e-9);
  const colours = headColours(Array.from(value.heads), paint.theme);
  const bars: Child[] = [];
  for (let i = 0; i < n; i++) {
    const weight = value.weights[i] ?? 0;
    const head = value.heads[i] ?? 0;
    const height = Math.max(0.5, weight * scale);
    bars.push(
      svg("rect", {
        x: i * step,
        y: 14 + BAR_HEIGHT - height,
        width: Math.max(1, step - 2),
        height,
        fill: css(colours[i] ?? [0, 0, 0]),
      }),
    );
    if (step >= 12) {
      const x = i * step + (step - 2) / 2;
      bars.push(svg("text", { x, y: BAR_HEIGHT + 26, "text-anchor": "middle" }, head));
    }
  }
  const top = Array.from(value.weights).indexOf(max);
  const label = `head ${value.heads[top] ?? 0}: ${formatWeight(max, 3)}`;
  const attrs = { class: "fm-bars", width: BAR_WIDTH, height: BAR_HEIGHT + 32, role: "img" };
  return svg(
    "svg",
    { ...attrs, "aria-label": `Weight of this cell in each head; largest ${label}` },
    svg("text", { x: 0, y: 9 }, `largest: ${label}`),
    ...bars,
  );
}
