/** The cell under the crosshair: its rounded value at once, its exact value from the kernel. */

import type { Host } from "../shared/view";
import { isMasked, type Matrix, weightAt } from "./grid";
import type { Cell, CellValue } from "./readout";
import type { MatrixState } from "./state";

export interface Cells {
  readonly at: Cell | null;
  readonly value: CellValue | null;
  move(cell: Cell | null): void;
  /** A new frame: values are asked for again, and the crosshair stays where it can. */
  reset(matrix: Matrix | null, keepPlace: boolean): void;
}

export function createCells(
  host: Host<MatrixState>,
  signal: AbortSignal,
  onArrival: () => void,
): Cells {
  let at: Cell | null = null;
  let value: CellValue | null = null;
  let matrix: Matrix | null = null;

  const ask = async (cell: Cell, of: Matrix): Promise<void> => {
    try {
      const { result, arrays } = await host.ask("cell", { ...cell }, signal);
      const stale = signal.aborted || at !== cell || matrix !== of;
      if (stale || typeof result.weight !== "number") return;
      value = {
        ...cell,
        weight: result.weight,
        error: 0,
        pooled: false,
        rowSum: typeof result.row_sum === "number" ? result.row_sum : null,
        heads: arrays.heads?.values ?? [],
        weights: arrays.weights?.values ?? [],
      };
      onArrival();
    } catch {
      // No kernel, or the pointer moved on: the rounded value stays and says how rounded it is.
    }
  };

  const move = (cell: Cell | null): void => {
    at = cell;
    value = null;
    if (!cell || !matrix) return;
    const known = weightAt(matrix.grid, cell.query, cell.key);
    if (!known || matrix.undefinedRows[cell.query] || isMasked(matrix, cell.query, cell.key))
      return;
    const pooled = matrix.grid.factor > 1;
    value = { ...cell, ...known, pooled, rowSum: null, heads: [], weights: [] };
    if (host.status !== "no kernel") void ask(cell, matrix);
  };

  return {
    get at() {
      return at;
    },
    get value() {
      return value;
    },
    move,
    reset(next, keepPlace) {
      matrix = next;
      move(keepPlace && at ? { ...at } : null);
    },
  };
}
