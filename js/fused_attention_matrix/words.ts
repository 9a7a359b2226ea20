/** What the picture shows, in sentences: caption, status line and live region. */

import { type Child, h } from "../shared/dom";
import { percent } from "../shared/numbers";
import type { Axes } from "../shared/state";
import type { Matrix } from "./grid";
import { formatNumber } from "./numbers";
import {
  type Cell,
  type CellValue,
  noValue,
  pairWords,
  rankWords,
  sideTitles,
  valueWords,
} from "./readout";
import type { MatrixFrame } from "./state";

export function captionWords({ unit }: Axes, matrix: Matrix | null): Child[] {
  const head = h("b", {}, "row looks at column");
  if (!matrix) return [head, ` · ${unit}s`];
  const { frame, compare } = matrix;
  const same = compare && compare.layer === frame.key.layer;
  const layer = !compare || same ? `, layer ${frame.key.layer}` : "";
  const [one, other] = sideTitles(matrix);
  const shown = compare ? `${one} − ${other}` : one;
  return [head, ` · ${unit}s, ${shown}${layer}${separateWords(matrix)}`];
}

/** A matrix has one number for all heads, whatever other views do with them. */
function separateWords({ frame }: Matrix): string {
  const many = frame.title.startsWith("mean");
  return many && frame.key.aggregate === "separate" ? " (a matrix shows the mean)" : "";
}

/** The picture as a whole: its size, its largest weight, and what it leaves out. */
export function wholeWords(matrix: Matrix): string {
  return [sizeWords(matrix), ...leftOutWords(matrix)].filter(Boolean).join("; ");
}

function sizeWords({ frame, causal, largest, compare, sinks, scores, signed }: Matrix): string {
  const { rows, cols, max, key } = frame;
  const size = `${rows} × ${cols} ${key.unit}s`;
  if (compare && max === 0) return `${size}; no difference: both sides are the same`;
  const [first] = signed || causal ? largest : [];
  const below = causal && !compare ? " below the first row, which sees only itself" : "";
  const what = scores ? "largest score" : compare ? "largest difference" : "largest weight";
  const apart = sinks.apart.length ? " beside sinks" : "";
  const largestWords = formatNumber(first?.weight ?? max, signed);
  return `${size}; ${what}${apart} ${largestWords}${first ? below : ""}`;
}

/** What shares are of: the largest weights of several heads add up to more than attention does. */
export function massName({ title }: MatrixFrame): string {
  return title.startsWith("maximum") ? "the mass of the largest weights" : "the attention";
}

function leftOutWords({ frame, sinks, compare, scores }: Matrix): string[] {
  const { hidden, key, pooled } = frame;
  const n = sinks.apart.length;
  const columns = n === 1 ? "1 sink column" : `${n} sink columns`;
  const of = compare ? " of what is compared first" : "";
  const all = massName(frame);
  return [
    n && sinks.mode === "aside"
      ? `${columns} set aside: ${percent(sinks.share)} of ${all}${of}`
      : "",
    n && sinks.mode === "hidden"
      ? `${columns} hidden (${percent(sinks.share)} of ${all}${of}), rows renormalised`
      : "",
    hidden.rows || hidden.cols
      ? `special tokens hidden (rows: ${hidden.rows}, columns: ${hidden.cols})`
      : "",
    scores && ["aside", "hidden"].includes(key.sinks) ? "sinks are drawn as any column" : "",
    key.normalise ? "rows divided by their sum" : "",
    pooled === "exact" ? "" : "beyond the screen's resolution, the largest of several cells",
  ];
}

export function cellWords(axes: Axes, matrix: Matrix, cell: Cell, value: CellValue | null): string {
  const none = noValue(matrix, axes, cell);
  if (none) return none;
  const pair = pairWords(axes, cell);
  if (!value) return `${pair}: …`;
  const [one, other] = sideTitles(matrix);
  const what = matrix.compare ? `${one} − ${other}` : one;
  const rank = rankWords(value);
  const place = rank ? `, ${rank} in its row` : "";
  return `${pair}: ${valueWords(value, matrix)}${place} (${what})`;
}

/** The same beside the crosshair, as short as it goes; null where there is no number. */
export function tagWords(axes: Axes, matrix: Matrix, cell: Cell, value: CellValue | null): Child[] {
  const none = noValue(matrix, axes, cell);
  if (none) return [none];
  const number = h("b", {}, value ? valueWords(value, matrix) : "…");
  const rank = value ? rankWords(value) : "";
  return [`${pairWords(axes, cell)} `, number, rank && ` · ${rank}`];
}
