/** The cell under the crosshair and the pinned one: what is known at once, and the kernel's word. */

import type { Answer, Host } from "../shared/host/host";
import { blockOf, createQuestion, isAbout } from "../shared/host/question";
import { isMasked, type Matrix, numberAt } from "./grid";
import type { Cell, CellValue } from "./readout";
import type { MatrixState } from "./state";

/** Answers that are kept, each of a cell and its neighbours: at most about 4 MB. */
const MOST = 32;

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
    read: ({ result, arrays }, first: { query: number; key: number }) =>
      isAbout(result.about, matrix?.frame.key) ? readCells(arrays, first) : null,
    onReply: onArrival,
    most: MOST,
  });
  const first = ({ query, key }: Cell): { query: number; key: number } => {
    const { query: rows = 1, key: cols = 1 } = matrix?.frame.together ?? {};
    return { query: blockOf(query, rows).first, key: blockOf(key, cols).first };
  };
  const told = (cell: Cell): CellValue | undefined => exact.value(first(cell))?.(cell);
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
    if (matrix && hasNumber(matrix, cell)) exact.ask(first(cell));
  };
  const move = (cell: Cell | null): void => {
    at = cell;
    if (cell) ask(cell);
  };
  return {
    get at() {
      return at;
    },
    isKnown: (cell) => told(cell) !== undefined,
    value: (cell) => told(cell) ?? known(cell),
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

/** The cells of an answer; null where it is none. */
function readCells(
  { weight, share, rank, n, row_sum, first, second, weights, heads }: Answer["arrays"],
  from: Cell,
): ((cell: Cell) => CellValue | undefined) | null {
  if (!weight || !weights || !heads) return null;
  const [rows = 0, cols = 0] = weight.shape;
  const count = heads.values.length;
  return ({ query, key }) => {
    const [row, col] = [query - from.query, key - from.key];
    if (row < 0 || row >= rows || col < 0 || col >= cols) return undefined;
    const at = row * cols + col;
    return {
      ...{ query, key, weight: weight.values[at] ?? 0, error: 0, pooled: false },
      ...{ share: share?.values[at], rank: rank?.values[at] },
      ...{ rowSum: row_sum?.values[row], n: n?.values[row] },
      ...{ first: first?.values[at], second: second?.values[at] },
      heads: heads.values,
      weights: weights.values.subarray(at * count, (at + 1) * count),
    };
  };
}
