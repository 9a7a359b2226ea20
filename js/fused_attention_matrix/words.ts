/** What the picture shows, in sentences: caption, status line and live region. */

import { type Child, h } from "../shared/dom";
import { formatWeight } from "../shared/numbers";
import type { Axes } from "../shared/state";
import type { Matrix } from "./grid";
import { type Cell, type CellValue, noValue, pairWords, valueWords } from "./readout";

export function captionWords({ unit }: Axes, matrix: Matrix | null): Child[] {
  const shown = matrix ? `, ${matrix.frame.title}, layer ${matrix.frame.key.layer}` : "";
  return [h("b", {}, "row looks at column"), ` · ${unit}s${shown}`];
}

/** The picture as a whole: its size, its largest weight, and what it leaves out. */
export function wholeWords({ frame, causal, largest }: Matrix): string {
  const { rows, cols, max, pooled, key } = frame;
  const [below] = causal ? largest : [];
  const most = below
    ? `${formatWeight(below.weight)} below the first row, which sees only itself`
    : formatWeight(max);
  const cut =
    pooled === "exact" ? "" : "; beyond the screen's resolution, the largest of several cells";
  return `${rows} × ${cols} ${key.unit}s; largest weight ${most}${cut}`;
}

export function cellWords(axes: Axes, matrix: Matrix, cell: Cell, value: CellValue | null): string {
  const known = value ? `${valueWords(value)} (${matrix.frame.title})` : "…";
  return noValue(matrix, axes, cell) ?? `${pairWords(axes, cell)}: ${known}`;
}
