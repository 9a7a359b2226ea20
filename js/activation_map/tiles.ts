/** What the part in view needs beyond the frame: a sharper tile, cells and columns by themselves. */

import type { Answer, Host } from "../shared/host/host";
import { createQuestion, isAbout } from "../shared/host/question";
import { type Grid, isExact, type Known, numberAt } from "../shared/map/grid";
import { createPart } from "../shared/map/part";
import { type Cell, type Plot, unitsInView } from "../shared/map/plot";
import { type Activations, readTile } from "./grid";
import type { ActivationState } from "./state";

export interface Tiles {
  /** The grids that there are for what is in view; the finest comes last. */
  readonly grids: readonly Grid[];
  want(plot: Plot): void;
  /** What is known of a cell: exact, or the largest of its pixel. */
  value(cell: Cell): Known | null;
  /** Has the exact value of a cell, sooner or later. */
  ask(cell: Cell): void;
  /** A column over all tokens; asks for it where it is not known. Null = not yet, or never. */
  column(column: number): Grid | null;
  reset(map: Activations | null): void;
}

type Range = Record<"row0" | "row1" | "column0" | "column1", number>;

/** Ranges begin and end at multiples of this, so that small moves ask for nothing new. */
const STEP = 64;
/** The kernel pools tiles larger than this. */
const MOST_ROWS = 512;
const MOST_COLUMNS = 1024;
/** Cells that are asked for together. */
const BLOCK = { rows: 64, columns: 128 };
/** Answers that are kept. */
const MOST_TILES = 8;
const MOST_BLOCKS = 32;

export function createTiles(
  host: Host<ActivationState>,
  signal: AbortSignal,
  onArrival: () => void,
  onCell: () => void,
): Tiles {
  let map: Activations | null = null;
  const read = (answer: Answer): Grid | null =>
    isAbout(answer.result.key, map?.frame.key) ? readTile(answer) : null;
  const tile = createPart<Range, Grid>(host, signal, {
    ...{ name: "tile", read, onArrival, most: MOST_TILES },
  });
  const asked = { name: "tile", read, onReply: onCell, most: MOST_BLOCKS };
  const blocks = createQuestion<Range, Grid>(host, signal, asked);
  const columns = createQuestion<Range, Grid>(host, signal, { ...asked, onReply: onArrival });
  const blockOf = ({ query, key }: Cell): Range => {
    const { tokens = 0, dimensions = 0 } = map?.frame ?? {};
    const row0 = query - (query % BLOCK.rows);
    const column0 = key - (key % BLOCK.columns);
    return {
      ...{ row0, row1: Math.min(tokens, row0 + BLOCK.rows) },
      ...{ column0, column1: Math.min(dimensions, column0 + BLOCK.columns) },
    };
  };
  const value = (cell: Cell): Known | null => {
    if (!map) return null;
    const own = numberAt(map.grid, cell.query, cell.key);
    if (own?.isExact) return own;
    const block = blocks.value(blockOf(cell));
    return block ? numberAt(block, cell.query, cell.key) : own;
  };
  return {
    get grids() {
      if (!map) return [];
      return tile.current ? [map.grid, tile.current] : [map.grid];
    },
    want(plot) {
      if (!map) return;
      const view = unitsInView(plot);
      const sharp = ({ perRow, perColumn }: Grid): boolean =>
        (perRow === 1 || plot.down * perRow <= 1) &&
        (perColumn === 1 || plot.across * perColumn <= 1);
      const known = tile.current;
      if (sharp(map.grid) || (known && sharp(known) && covers(known, view))) return;
      const [row0, row1] = around(view.query0, view.query1, plot.rows, MOST_ROWS);
      const [column0, column1] = around(view.key0, view.key1, plot.cols, MOST_COLUMNS);
      tile.want({ row0, row1, column0, column1 });
    },
    value,
    ask(cell) {
      if (map && !value(cell)?.isExact) blocks.ask(blockOf(cell));
    },
    column(at) {
      if (!map) return null;
      const { grid, frame } = map;
      if (isExact(grid)) return columnOf(grid, at);
      const range = { row0: 0, row1: frame.tokens, column0: at, column1: at + 1 };
      columns.ask(range);
      return columns.value(range) ?? null;
    },
    reset(next) {
      map = next;
      tile.clear();
      blocks.forget();
      columns.forget();
    },
  };
}

function columnOf(grid: Grid, column: number): Grid {
  const values = Float32Array.from(
    { length: grid.height },
    (_, row) => grid.values[row * grid.width + column - grid.column] ?? Number.NaN,
  );
  return { ...grid, values, width: 1, column, column1: column + 1 };
}

/** A range with what is around it, as long as it fits; of more than that the range itself. */
function around(first: number, last: number, all: number, most: number): [number, number] {
  const start = Math.floor(first / STEP) * STEP;
  const end = Math.min(all, Math.ceil(last / STEP) * STEP);
  return end - start <= most ? [start, end] : [first, last];
}

function covers(one: Grid, view: ReturnType<typeof unitsInView>): boolean {
  return (
    one.row <= view.query0 &&
    one.column <= view.key0 &&
    one.row1 >= view.query1 &&
    one.column1 >= view.key1
  );
}
