/** The frame and its tiles as numbers that can be looked up. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { Answer } from "../shared/host/host";
import type { SinksPart } from "../shared/state";
import type { ComparePart, MatrixFrame } from "./state";

/** A rectangle of the matrix, exact or pooled. */
export interface Grid {
  readonly values: ArrayLike<number>;
  readonly rowScale: ArrayLike<number>;
  /** The byte that stands for zero. */
  readonly zero: number;
  readonly height: number;
  readonly width: number;
  /** Units that one value stands for, along each axis. */
  readonly factor: number;
  /** First unit of the rectangle. */
  readonly query: number;
  readonly key: number;
}

export interface Matrix {
  readonly frame: MatrixFrame;
  readonly grid: Grid;
  /** All numbers, where there are few. */
  readonly exact: Grid | null;
  readonly entropy: NumberArray;
  readonly mass: NumberArray;
  readonly undefinedRows: NumberArray;
  readonly causal: boolean;
  /** The strongest cells, exact, strongest first; without the first row of a causal map. */
  readonly largest: readonly { query: number; key: number; weight: number }[];
  readonly compare: Compared | null;
  /** Scores are drawn, what enters the softmax; -∞ where they are masked. */
  readonly scores: boolean;
  /** Numbers have either sign: differences and scores. */
  readonly signed: boolean;
  readonly sinks: Sunk;
}

/** What is taken away from what is shown. */
export interface Compared extends Pick<ComparePart, "layer" | "title" | "trace"> {
  readonly rowDistance: NumberArray;
  readonly columnChange: NumberArray;
}

/** The sinks of what is drawn. */
export interface Sunk extends Pick<SinksPart, "mode" | "words" | "share"> {
  /** Columns, ascending; none where they are drawn as any other. */
  readonly apart: readonly number[];
  /** What each row gives to them; NaN = it looks nowhere. */
  readonly to: NumberArray;
  isApart(key: number): boolean;
}

export function readMatrix(frame: MatrixFrame): Matrix {
  const { compare } = frame;
  return {
    frame,
    grid: gridOf(frame),
    exact: frame.exact && exactly(unpack(frame.exact), frame.rows, frame.cols, 0, 0),
    entropy: unpack(frame.row_entropy),
    mass: unpack(frame.column_mass),
    undefinedRows: unpack(frame.undefined_rows),
    causal: frame.causal,
    largest: largestCells(frame),
    compare: compare && {
      ...compare,
      rowDistance: unpack(compare.row_distance),
      columnChange: unpack(compare.column_change),
    },
    scores: frame.scores ?? false,
    signed: compare !== null || frame.scores === true,
    sinks: sunk(frame.sinks),
  };
}

function sunk(part: SinksPart): Sunk {
  const apart = part.mode === "shown" ? [] : Array.from(unpack(part.units));
  const places = new Set(apart);
  return { ...part, apart, to: unpack(part.to), isApart: (key) => places.has(key) };
}

function largestCells({ largest }: MatrixFrame): Matrix["largest"] {
  const [queries, keys] = [unpack(largest.query), unpack(largest.key)];
  return Array.from(unpack(largest.weight), (weight, i) => {
    return { query: queries[i] ?? 0, key: keys[i] ?? 0, weight };
  });
}

function gridOf(frame: MatrixFrame): Grid {
  const [height = 0, width = 0] = frame.values.shape;
  return {
    values: unpack(frame.values),
    rowScale: unpack(frame.row_scale),
    zero: frame.zero,
    height,
    width,
    factor: frame.pooled === "exact" ? 1 : frame.cells_per_pixel,
    query: 0,
    key: 0,
  };
}

/** The answer to "tile" as a grid; null when it is not one. */
export function readTile(answer: Answer): Grid | null {
  const { values, row_scale: rowScale } = answer.arrays;
  const { query0, key0, cells_per_pixel: factor, zero } = answer.result;
  if (!values || !rowScale || typeof query0 !== "number" || typeof key0 !== "number") return null;
  const [height = 0, width = 0] = values.shape;
  return {
    values: values.values,
    rowScale: rowScale.values,
    zero: typeof zero === "number" ? zero : 0,
    height,
    width,
    factor: typeof factor === "number" ? Math.max(1, factor) : 1,
    query: query0,
    key: key0,
  };
}

/** The answer to "cells"; null when it is not one. */
export function readExact({ arrays, result }: Answer): Grid | null {
  const { query0, key0 } = result;
  if (!arrays.values || typeof query0 !== "number" || typeof key0 !== "number") return null;
  const [height = 0, width = 0] = arrays.values.shape;
  return exactly(arrays.values.values, height, width, query0, key0);
}

/** Numbers that are no steps of anything. */
function exactly(
  values: ArrayLike<number>,
  height: number,
  width: number,
  query: number,
  key: number,
): Grid {
  const rowScale = new Uint8Array(height).fill(1);
  return { values, rowScale, zero: 0, height, width, factor: 1, query, key };
}

/** The number of a cell with its error bound; null outside the grid. */
export function numberAt(
  grid: Grid,
  query: number,
  key: number,
): { weight: number; error: number } | null {
  const row = Math.floor((query - grid.query) / grid.factor);
  const column = Math.floor((key - grid.key) / grid.factor);
  if (row < 0 || column < 0 || row >= grid.height || column >= grid.width) return null;
  const scale = grid.rowScale[row] ?? 0;
  const value = grid.values[row * grid.width + column] ?? grid.zero;
  if (isHidden(grid, value)) return { weight: -Infinity, error: 0 };
  return { weight: (value - grid.zero) * scale, error: scale / 2 };
}

/** Whether a value of a grid says that its cell is masked: no number of either sign is byte 0. */
export function isHidden(grid: Grid, value: number): boolean {
  return grid.zero > 0 ? value === 0 : value === -Infinity;
}

/** Whether the causal mask hides this cell from its row. */
export function isMasked(matrix: Matrix, query: number, key: number): boolean {
  return matrix.causal && key > query;
}
