/** Bytes with a scale per row → weights, colours and images. */

import { type NumberArray, unpack } from "../shared/arrays";
import type { Answer } from "../shared/host/host";
import type { MatrixFrame } from "./state";

/** A rectangle of the matrix, exact or pooled. */
export interface Grid {
  readonly values: ArrayLike<number>;
  readonly rowScale: ArrayLike<number>;
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
  readonly entropy: NumberArray;
  readonly mass: NumberArray;
  readonly undefinedRows: NumberArray;
  readonly causal: boolean;
  /** The strongest cells, exact, strongest first; without the first row of a causal map. */
  readonly largest: readonly { query: number; key: number; weight: number }[];
  /** The weight at the strong end of the colour table; larger ones are clipped to it. */
  readonly top: number;
}

// Early rows have few columns to share among and would take the whole colour table.
const ROWS_BELOW_TOP = 0.95;

/** The largest weight that all but the strongest 5 % of rows stay below. */
function topWeight(frame: MatrixFrame, undefinedRows: NumberArray): number {
  const { height, width, values, rowScale } = gridOf(frame);
  const maxima: number[] = [];
  // The first row of a causal map has one column: its 1 says nothing.
  for (let row = frame.causal && height > 1 ? 1 : 0; row < height; row++) {
    if (frame.pooled === "exact" && undefinedRows[row]) continue;
    let largest = 0;
    for (let i = row * width; i < (row + 1) * width; i++) {
      largest = Math.max(largest, values[i] ?? 0);
    }
    maxima.push(largest * (rowScale[row] ?? 0));
  }
  maxima.sort((a, b) => a - b);
  return maxima[Math.round(ROWS_BELOW_TOP * (maxima.length - 1))] || frame.max;
}

export function readMatrix(frame: MatrixFrame): Matrix {
  const undefinedRows = unpack(frame.undefined_rows);
  return {
    frame,
    grid: gridOf(frame),
    entropy: unpack(frame.row_entropy),
    mass: unpack(frame.column_mass),
    undefinedRows,
    causal: frame.causal,
    largest: largestCells(frame),
    top: topWeight(frame, undefinedRows),
  };
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
  const { query0, key0, cells_per_pixel: factor } = answer.result;
  if (!values || !rowScale || typeof query0 !== "number" || typeof key0 !== "number") return null;
  const [height = 0, width = 0] = values.shape;
  return {
    values: values.values,
    rowScale: rowScale.values,
    height,
    width,
    factor: typeof factor === "number" ? Math.max(1, factor) : 1,
    query: query0,
    key: key0,
  };
}

/** The weight of a cell with its error bound; null outside the grid. */
export function weightAt(
  grid: Grid,
  query: number,
  key: number,
): { weight: number; error: number } | null {
  const row = Math.floor((query - grid.query) / grid.factor);
  const column = Math.floor((key - grid.key) / grid.factor);
  if (row < 0 || column < 0 || row >= grid.height || column >= grid.width) return null;
  const scale = grid.rowScale[row] ?? 0;
  return { weight: (grid.values[row * grid.width + column] ?? 0) * scale, error: scale / 2 };
}

export type Scale = "linear" | "log";

/** The log scale shows this many powers of ten below the strong end. */
export const DECADES = 3;

/** Where a weight lies on the colour table, 0…1. */
export function shade(weight: number, top: number, scale: Scale): number {
  if (weight <= 0 || top <= 0) return 0;
  const share = Math.min(1, weight / top);
  return scale === "linear" ? share : Math.max(0, 1 + Math.log10(share) / DECADES);
}

/** Whether the causal mask hides this cell from its row. */
export function isMasked(matrix: Matrix, query: number, key: number): boolean {
  return matrix.causal && key > query;
}

/** RGBA bytes of a grid; masked cells and undefined rows stay see-through. */
export function colours(
  matrix: Matrix,
  grid: Grid,
  table: Uint8ClampedArray,
  scale: Scale,
): Uint8ClampedArray<ArrayBuffer> {
  const pixels = new Uint8ClampedArray(4 * grid.width * grid.height);
  const { top } = matrix;
  for (let row = 0; row < grid.height; row++) {
    const query = grid.query + row * grid.factor;
    const lastQuery = query + grid.factor - 1;
    if (grid.factor === 1 && matrix.undefinedRows[query]) continue;
    const unit = grid.rowScale[row] ?? 0;
    for (let column = 0; column < grid.width; column++) {
      const at = row * grid.width + column;
      if (isMasked(matrix, lastQuery, grid.key + column * grid.factor)) continue;
      const from = 3 * Math.round(255 * shade((grid.values[at] ?? 0) * unit, top, scale));
      pixels[4 * at] = table[from] ?? 0;
      pixels[4 * at + 1] = table[from + 1] ?? 0;
      pixels[4 * at + 2] = table[from + 2] ?? 0;
      pixels[4 * at + 3] = 255;
    }
  }
  return pixels;
}
