/** The cell under the crosshair and the pinned one: what is known at once, and the kernel's word. */

import type { Host } from "../shared/host/host";
import { createQuestion, isAbout } from "../shared/host/question";
import { isMasked, type Matrix, numberAt } from "./grid";
import type { Cell, CellValue } from "./readout";
import type { MatrixState } from "./state";

export interface Cells {
  /** The cell under the crosshair. */
  readonly at: Cell | null;
  /** Whether the kernel's word on a cell is there. */
  isKnown(cell: Cell): boolean;
  /** What is known of a cell; null where it has no weight. */
  value(cell: Cell): CellValue | null;
  move(cell: Cell | null): void;
  /** Has the kernel's word on a cell, sooner or later. */
  ask(cell: Cell): void;
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
    read: (
      { result, arrays },
      { query, key }: { query: number; key: number },
    ): CellValue | null => {
      const { weight, share, row_sum, rank, n, first, second } = result as Partial<
        Record<string, number>
      >;
      if (typeof weight !== "number" || !isAbout(result.about, matrix?.frame.key)) return null;
      return {
        ...{ query, key, weight, error: 0, pooled: false },
        ...{ share, rowSum: row_sum, rank, n, first, second },
        heads: arrays.heads?.values ?? [],
        weights: arrays.weights?.values ?? [],
      };
    },
    onReply: onArrival,
  });
  const known = (cell: Cell): CellValue | null => {
    if (!matrix || !hasNumber(matrix, cell)) return null;
    const { exact, grid, sinks } = matrix;
    const number = numberAt(exact ?? grid, cell.query, cell.key);
    // What stands apart is not in the picture's bytes.
    if (!number || (!exact && sinks.isApart(cell.key))) return null;
    const error = exact ? 0 : number.error;
    const pooled = !exact && grid.factor > 1;
    return { ...cell, ...number, error, pooled, heads: [], weights: [] };
  };
  const ask = (cell: Cell): void => {
    if (matrix && hasNumber(matrix, cell)) exact.ask({ query: cell.query, key: cell.key });
  };
  const move = (cell: Cell | null): void => {
    at = cell;
    if (cell) ask(cell);
  };
  return {
    get at() {
      return at;
    },
    isKnown: (cell) => exact.value({ query: cell.query, key: cell.key }) !== undefined,
    value: (cell) => exact.value({ query: cell.query, key: cell.key }) ?? known(cell),
    move,
    ask,
    reset(next, keepPlace) {
      matrix = next;
      exact.forget();
      move(keepPlace ? at : null);
    },
  };
}

function hasNumber(matrix: Matrix, { query, key }: Cell): boolean {
  return !matrix.undefinedRows[query] && !isMasked(matrix, query, key);
}
