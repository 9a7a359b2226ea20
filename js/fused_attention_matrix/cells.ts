/** The cell under the crosshair: its rounded value at once, its exact value from the kernel. */

import type { Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import { isMasked, type Matrix, weightAt } from "./grid";
import type { Cell, CellValue } from "./readout";
import type { MatrixState } from "./state";

export interface Cells {
  readonly at: Cell | null;
  /** Null where the cell has no weight. */
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
  let matrix: Matrix | null = null;
  // Where no answer comes the rounded value stays, and says how rounded it is.
  const exact = createQuestion(host, signal, {
    name: "cell",
    read: ({ result, arrays }, { query, key }: { query: number; key: number }): CellValue | null =>
      typeof result.weight === "number"
        ? {
            ...{ query, key, weight: result.weight, error: 0, pooled: false },
            rowSum: typeof result.row_sum === "number" ? result.row_sum : null,
            heads: arrays.heads?.values ?? [],
            weights: arrays.weights?.values ?? [],
          }
        : null,
    onReply: onArrival,
  });
  const rounded = (of: Matrix, cell: Cell): CellValue | null => {
    const known = weightAt(of.grid, cell.query, cell.key);
    if (!known || of.undefinedRows[cell.query] || isMasked(of, cell.query, cell.key)) return null;
    const pooled = of.grid.factor > 1;
    return { ...cell, ...known, pooled, rowSum: null, heads: [], weights: [] };
  };
  const move = (cell: Cell | null): void => {
    at = cell;
    if (cell && matrix && rounded(matrix, cell)) exact.ask({ ...cell });
  };
  return {
    get at() {
      return at;
    },
    get value() {
      return at && matrix && (exact.value({ ...at }) ?? rounded(matrix, at));
    },
    move,
    reset(next, keepPlace) {
      matrix = next;
      exact.forget();
      move(keepPlace ? at : null);
    },
  };
}
