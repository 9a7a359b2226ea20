/** What is said of the matrix. */

import { type Child, h } from "../shared/dom";
import { unitName as axisName } from "../shared/map/axis";
import type { Cell } from "../shared/map/plot";
import { threeDigits } from "../shared/signed_numbers";
import type { AttributionData } from "./data";
import type { Matrix } from "./matrix";
import type { Reading } from "./parts";
import type { MatrixPart } from "./state";
import { amount, capital, unitName } from "./words";

export function matrixCaption({ words }: MatrixPart): string {
  return `Rows: tokens as they were predicted, by their ${words}. Columns: tokens that were read.`;
}

function isLater(matrix: Matrix, { query, key }: Cell): boolean {
  return key >= matrix.laterFrom(query);
}

function knownWords(known: Reading | null, unit: string): string {
  if (!known) return "…";
  if (known.how === "exact") return amount(known.value, unit);
  if (known.how === "rounded") return `≈ ${amount(known.value, unit)}`;
  return `at most ${amount(Math.abs(known.value), unit).replace("+", "")} in size`;
}

/** Beside the crosshair. */
export function tagWords(
  data: AttributionData,
  matrix: Matrix,
  cell: Cell,
  known: Reading | null,
): Child[] {
  const read = unitName(data, matrix.textOf(cell.key));
  const names = h("span", {}, read, " → ", axisName(matrix.rows.axis, cell.query), " ");
  if (isLater(matrix, cell)) return [names, "comes later"];
  return [names, h("b", {}, knownWords(known, matrix.part.unit))];
}

/** A cell in a sentence. */
export function cellSentence(
  data: AttributionData,
  matrix: Matrix,
  cell: Cell,
  known: Reading | null,
): string {
  const read = unitName(data, matrix.textOf(cell.key));
  const row = axisName(matrix.rows.axis, cell.query);
  if (isLater(matrix, cell)) return `${read} comes later than ${row}: it could not matter.`;
  return `${read}, to ${row}: attribution ${knownWords(known, matrix.part.unit)}. ${rowSentence(matrix, cell.query)}`;
}

export function rowSentence({ rows, part, values }: Matrix, row: number): string {
  const value = threeDigits(values[row] ?? Number.NaN);
  return `${capital(part.words)} of ${axisName(rows.axis, row)}: ${value} ${part.unit}.`;
}
