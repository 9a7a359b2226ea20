/** The panel by the matrix: the cell under the crosshair, the pinned one, and the largest cells. */

import { button, type Child, fill, h, svg } from "../shared/dom";
import { rowName, unitName } from "../shared/map/axis";
import { formatAmount, formatSum, formatWeight } from "../shared/numbers";
import { css, headColours, type Theme } from "../shared/palette";
import { roving } from "../shared/roving";
import type { Axes } from "../shared/state";
import { isMasked, type Matrix, numberAt } from "./grid";
import { atMost, formatNumber, withError } from "./numbers";

export interface Cell {
  query: number;
  key: number;
}

/** What is known about a cell: rounded from the frame, or exact from the kernel. */
export interface CellValue extends Cell {
  /** As drawn: of a comparison the difference. */
  weight: number;
  /** 0 = exact. */
  error: number;
  /** The value is the largest of several cells. */
  pooled: boolean;
  /** Of all attention of the row; of a comparison of the first map. */
  share?: number | undefined;
  rowSum?: number | undefined;
  /** Place of the cell in its row, by size, and how many cells there are not zero. */
  rank?: number | undefined;
  n?: number | undefined;
  /** What is compared. */
  first?: number | undefined;
  second?: number | undefined;
  heads: ArrayLike<number>;
  weights: ArrayLike<number>;
}

export function pairWords(axes: Axes, cell: Cell): string {
  return `${rowName(axes.query, cell.query)} looks at ${unitName(axes.key, cell.key)}`;
}

/** "0.4123", or "≈ 0.412 ± 0.002" while the exact value is on its way or cannot be had. */
export function valueWords(value: CellValue, { signed, scores }: Matrix): string {
  const { weight, error, pooled } = value;
  if (error === 0 && !pooled) return formatNumber(weight, signed, 4);
  if (!pooled) return withError(weight, error, signed);
  return atMost((scores ? weight : Math.abs(weight)) + error);
}

/** Why a cell has no number, as a sentence; null when it has one. */
export function noValue(matrix: Matrix, axes: Axes, cell: Cell): string | null {
  const row = rowName(axes.query, cell.query);
  if (matrix.undefinedRows[cell.query]) {
    return `${row} is fully masked: its attention is undefined`;
  }
  if (isMasked(matrix, cell.query, cell.key)) {
    return `${row} cannot look at ${unitName(axes.key, cell.key)}: it comes later (causal mask)`;
  }
  if (matrix.scores) {
    const known = numberAt(matrix.exact ?? matrix.grid, cell.query, cell.key);
    if (known?.weight === -Infinity) {
      return `${row} cannot look at ${unitName(axes.key, cell.key)}: it is masked (score −∞)`;
    }
  }
  return null;
}

/** "rank 2 of 57": the place of a cell in its row. */
export function rankWords({ rank, n, weight }: CellValue): string {
  return rank === undefined || n === undefined || weight === 0 ? "" : `rank ${rank} of ${n}`;
}

export interface Readout {
  readonly element: HTMLElement;
  /** A cell, and whether it is the pinned one; null = nothing is pointed at or pinned. */
  showCell(shown: Shown | null): void;
  /** The pinned cell in a line, while another one is looked at; null = none. */
  showPinned(pinned: Shown | null): void;
  showLargest(axes: Axes, matrix: Matrix): void;
}

export interface Shown {
  readonly axes: Axes;
  readonly matrix: Matrix;
  readonly cell: Cell;
  readonly value: CellValue | null;
  readonly theme: Theme;
  readonly isPinned: boolean;
}

export function readout(goTo: (cell: Cell) => void, letGo: () => void): Readout {
  const cellPart = h("div", { class: "fm-cell" });
  const pinnedPart = h("div", { class: "fm-pinned" });
  const list = h("ol", { class: "fm-largest" });
  const bar = h("div", { attrs: { role: "toolbar" }, aria: { label: "Largest cells" } }, list);
  const heading = h("div", { class: "gh-caption" });
  const hint = h("div", { class: "gh-caption", data: { "in-picture": "no" } });
  const element = h(
    "aside",
    { class: "fm-readout", aria: { label: "Numbers" } },
    h("div", { class: "fm-list" }, heading, bar),
    h("div", { class: "fm-cells" }, cellPart, pinnedPart),
  );
  const stops = roving(bar);
  /** Whose largest cells are shown now. */
  let listed: Matrix | null = null;
  const unpin = (): HTMLElement =>
    button("gh-button fm-unpin", letGo, { aria: { label: "Let the pinned cell go" } }, "×");
  return {
    element,
    showCell(shown) {
      element.classList.toggle("has-cell", shown !== null);
      if (!shown) {
        if (hint.parentNode !== cellPart) fill(cellPart, hint);
        return;
      }
      const { axes, matrix, cell, value } = shown;
      const none = noValue(matrix, axes, cell);
      const title = h("div", { class: "fm-pair" }, none ?? pairWords(axes, cell));
      const pin = shown.isPinned && h("div", { class: "fm-pin" }, "pinned ", unpin());
      fill(cellPart, title, pin, ...(value && !none ? valueParts(shown, value) : []));
    },
    showPinned(pinned) {
      if (!pinned) {
        pinnedPart.replaceChildren();
        return;
      }
      const { axes, matrix, cell, value } = pinned;
      const words = value ? valueWords(value, matrix) : "…";
      fill(
        pinnedPart,
        h("span", { class: "gh-caption" }, "pinned "),
        `${pairWords(axes, cell)} `,
        h("span", { class: "gh-number" }, words),
        unpin(),
      );
    },
    showLargest(axes, matrix) {
      if (listed === matrix) return;
      listed = matrix;
      const { largest, causal, compare, scores } = matrix;
      const number = scores ? "score" : "weight";
      hint.textContent = `Point at a cell for its exact ${number}; a click pins it.`;
      const what = scores ? "Largest scores" : compare ? "Largest differences" : "";
      const kind = what || (causal ? "Largest below the first row" : "Largest weights");
      const apart = matrix.sinks.apart.length ? ", without sinks" : "";
      fill(heading, largest.length ? kind + apart : "");
      fill(list, ...largest.slice(0, LISTED).map((cell) => listItem(axes, cell, matrix, goTo)));
      stops.refresh();
    },
  };
}

const LISTED = 8;

function listItem(
  axes: Axes,
  cell: Matrix["largest"][number],
  matrix: Matrix,
  goTo: (cell: Cell) => void,
): HTMLElement {
  const words = `${unitName(axes.query, cell.query)} looks at ${unitName(axes.key, cell.key)}`;
  return h(
    "li",
    {},
    button(
      "fm-go",
      () => goTo(cell),
      {
        attrs: { title: "Go there and pin it" },
        data: { query: cell.query, key: cell.key, "in-picture": "yes" },
      },
      h("span", { class: "gh-number" }, formatNumber(cell.weight, matrix.signed, 3)),
      h("span", { class: "fm-item" }, words),
    ),
  );
}

function valueParts({ matrix, theme }: Shown, value: CellValue): Child[] {
  const { compare } = matrix;
  const facts = compare ? differenceFacts(matrix, value) : weightFacts(matrix, value);
  return [
    h("div", { class: "fm-value" }, valueWords(value, matrix)),
    ...facts.map((fact) => h("div", { class: "gh-caption" }, fact)),
    value.heads.length > 1 && !compare ? headBars(value, theme) : null,
  ];
}

function weightFacts(matrix: Matrix, value: CellValue): string[] {
  const { share, rowSum } = value;
  const entropy = matrix.entropy[value.query];
  const given = matrix.sinks.to[value.query];
  const rank = rankWords(value);
  const changed = share !== undefined && Math.abs(share - value.weight) > 1e-6;
  return [
    titleOf(matrix),
    matrix.scores ? becomesWords(matrix, share) : "",
    changed && !matrix.scores ? `${formatWeight(share, 4)} of all its attention` : "",
    rank ? `${rank} in its row` : "",
    rowSum === undefined ? "" : `row sums to ${formatSum(rowSum)}`,
    matrix.sinks.apart.length && given !== undefined && !Number.isNaN(given)
      ? `${formatWeight(given, 2)} of the row goes to sinks`
      : "",
    entropy === undefined || Number.isNaN(entropy)
      ? ""
      : `row entropy ${formatAmount(entropy)} bits`,
  ].filter(Boolean);
}

/** What is drawn, in words: "head 3", "scores before the softmax, head 3". */
export function titleOf({ frame, scores }: Matrix): string {
  return scores ? `scores before the softmax, ${frame.title}` : frame.title;
}

/** The weight that a score becomes; of several heads their weights, as the scores are combined. */
function becomesWords({ frame }: Matrix, weight: number | undefined): string {
  if (weight === undefined) return "";
  const [how] = frame.title.split(" ");
  const what = how === "head" ? "becomes a weight of" : `${how} of the weights that they become:`;
  return `${what} ${formatWeight(weight, 4)}`;
}

function differenceFacts(matrix: Matrix, value: CellValue): string[] {
  const { first, second } = value;
  const apart = matrix.compare?.rowDistance[value.query];
  const rank = rankWords(value);
  const [one, other] = sideTitles(matrix);
  return [
    first === undefined ? "" : `${formatWeight(first, 4)} ${one}`,
    second === undefined ? "" : `${formatWeight(second, 4)} ${other}`,
    rank ? `${rank} differences in its row` : "",
    apart === undefined ? "" : `rows are ${formatAmount(apart)} apart (share that lies elsewhere)`,
  ].filter(Boolean);
}

/** What the two compared maps are called; the layer where it differs, the trace where it does. */
export function sideTitles(matrix: Matrix): [string, string] {
  const { frame, compare } = matrix;
  if (!compare) return [titleOf(matrix), ""];
  const layers = compare.layer !== frame.key.layer;
  const trace = compare.trace ? ` of ${compare.trace}` : "";
  return [
    frame.title + (layers ? `, layer ${frame.key.layer}` : ""),
    compare.title + (layers ? `, layer ${compare.layer}` : "") + trace,
  ];
}

const BAR_WIDTH = 168;
const BAR_HEIGHT = 36;

/** One bar a head for this cell, on one scale, with the largest value written at the top. */
function headBars(value: CellValue, theme: Theme): Element {
  const n = value.heads.length;
  const step = Math.min(18, BAR_WIDTH / n);
  const max = Math.max(...Array.from(value.weights));
  const scale = BAR_HEIGHT / Math.max(max, 1e-9);
  const colours = headColours(Array.from(value.heads), theme);
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
    svg("text", { x: 0, y: 9 }, `largest weight: ${label}`),
    ...bars,
  );
}
