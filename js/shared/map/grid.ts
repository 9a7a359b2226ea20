/** The numbers of a part of a map of cells, exact or pooled. Rows are what labels stand beside. */

/** A rectangle of the map, exact or pooled. */
export interface Grid {
  readonly values: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
  /** First row and column. */
  readonly row: number;
  readonly column: number;
  /** Where it ends. */
  readonly row1: number;
  readonly column1: number;
  /** Rows and columns in a pixel. */
  readonly perRow: number;
  readonly perColumn: number;
}

export function isExact({ perRow, perColumn }: Grid): boolean {
  return perRow === 1 && perColumn === 1;
}

/** What is known of a cell: its value, or of a pixel the value with the largest size. */
export interface Known {
  readonly value: number;
  readonly isExact: boolean;
}

/** The number of a cell; null outside the grid. */
export function numberAt(grid: Grid, at: number, column: number): Known | null {
  const inside = at >= grid.row && at < grid.row1 && column >= grid.column && column < grid.column1;
  if (!inside) return null;
  const row = Math.floor((at - grid.row) / grid.perRow);
  const place = row * grid.width + Math.floor((column - grid.column) / grid.perColumn);
  return { value: grid.values[place] ?? Number.NaN, isExact: isExact(grid) };
}
