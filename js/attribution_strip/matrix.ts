/** The matrix unpacked: rows are predicted tokens, columns what was read, one text behind another. */

import { type NumberArray, unpack } from "../shared/arrays";
import { type Column, column } from "../shared/map/axis";
import type { Grid } from "../shared/map/grid";
import type { Axis, Packed } from "../shared/state";
import type { AttributionData, UnitAt } from "./data";
import type { MatrixMap, MatrixPart } from "./state";

/** Numbers of one text's part of the matrix as they travel: bytes with a scale for each row. */
export type Coded = Pick<MatrixMap, "cells_per_pixel" | "zero"> & {
  readonly values: NumberArray;
  readonly scales: NumberArray;
  readonly shape: readonly number[];
};

export interface Matrix {
  readonly part: MatrixPart;
  /** Names of the rows, and of each text's columns. */
  readonly rows: Column;
  readonly texts: readonly Column[];
  /** The column that each text begins with, and where the last ends. */
  readonly starts: readonly number[];
  /** One for each text. */
  readonly grids: readonly Grid[];
  /** Where colours end, and whether there is more beyond. */
  readonly bound: number;
  readonly beyond: boolean;
  /** f of each row. */
  readonly values: NumberArray;
  positionOf(row: number): number;
  rowOf(position: number): number | null;
  /** The first column that comes later than what a row predicts. */
  laterFrom(row: number): number;
  textOf(column: number): UnitAt;
}

export function readMatrix(data: AttributionData, part: MatrixPart): Matrix {
  const positions = unpack(part.positions);
  const places = unpack(part.places);
  const texts = data.frame.inputs.map(({ labels, special, generated, unit_of_token, sequence }) =>
    column({
      ...{ sequence, labels, unit_of_token, predicted: null, emphasis: "label" },
      // Of tokens: a unit that is a word is none.
      special: labels.length === special.shape[0] ? special : flags(labels.length),
      generated: labels.length === generated.shape[0] ? generated : flags(labels.length),
    }),
  );
  const starts = [0];
  for (const { length } of texts) starts.push((starts.at(-1) ?? 0) + length);
  const last = texts.length - 1;
  const grids = part.maps.map((map, i) => gridOf(map, part.rows, starts[i] ?? 0));
  const strongest = unpack(part.largest.value);
  const largest = Math.max(0, ...part.maps.map(({ max }) => max));
  const bound = Math.abs(strongest.at(Math.min(TOP, strongest.length) - 1) ?? 0) || largest;
  return {
    ...{ part, texts, starts, grids, bound, beyond: largest > bound },
    rows: column(rowAxis(part, positions)),
    values: unpack(part.value),
    positionOf: (row) => positions[row] ?? 0,
    rowOf(position) {
      // What comes behind the text was not predicted by it.
      if (position >= data.asked.input.texts.length) return null;
      // A word's row has the position of its first token.
      let found: number | null = null;
      positions.forEach((first, row) => {
        if (first <= position) found = row;
      });
      return found;
    },
    laterFrom: (row) => (starts[last] ?? 0) + (places[row] ?? 0),
    textOf(at) {
      let text = last;
      while (text > 0 && at < (starts[text] ?? 0)) text--;
      return { text, unit: at - (starts[text] ?? 0) };
    },
  };
}

/** Few cells are often far above all others: colours end with the last of these. */
const TOP = 5;

function rowAxis({ labels, rows }: MatrixPart, positions: NumberArray): Axis {
  const unitOfToken = new Uint32Array((positions.at(-1) ?? 0) + 1).fill(rows);
  positions.forEach((position, row) => {
    unitOfToken[position] = row;
  });
  const unit_of_token: Packed = {
    ...{ dtype: "uint32", shape: [unitOfToken.length], data: unitOfToken },
  };
  const none = flags(labels.length);
  return {
    ...{ sequence: "target", labels, predicted: null, emphasis: "label", unit_of_token },
    ...{ special: none, generated: none },
  };
}

function flags(n: number): Packed {
  return { dtype: "uint8", shape: [n], data: new Uint8Array(n) };
}

function gridOf(map: MatrixMap, rows: number, start: number): Grid {
  if (map.exact) {
    const place = { row: 0, row1: rows, column: start, column1: start + map.cols };
    const size = { height: rows, width: map.cols, perRow: 1, perColumn: 1 };
    return { ...{ values: unpack(map.exact) }, ...place, ...size };
  }
  const coded = { ...map, values: unpack(map.values), scales: unpack(map.row_scale) };
  const { shape } = map.values;
  const range = { row0: 0, row1: rows, column0: 0, column1: map.cols };
  return decoded({ ...coded, shape }, range, start);
}

export type Range = Record<"row0" | "row1" | "column0" | "column1", number>;

/** Bytes as numbers; columns are those of a text that begins with `start`. */
export function decoded(coded: Coded, range: Range, start: number): Grid {
  const [height = 0, width = 0] = coded.shape;
  const { values, scales, zero, cells_per_pixel: per } = coded;
  const numbers = Float32Array.from(
    { length: height * width },
    (_, i) => ((values[i] ?? zero) - zero) * (scales[Math.floor(i / width)] ?? 0),
  );
  return {
    ...{ values: numbers, height, width, perRow: per, perColumn: per },
    ...{ row: range.row0, row1: range.row1 },
    ...{ column: start + range.column0, column1: start + range.column1 },
  };
}
