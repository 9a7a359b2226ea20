/** What the part in view needs beyond the frame: sharper tiles, and exact numbers for its cells. */

import type { Host } from "../shared/host/host";
import { isAbout } from "../shared/host/question";
import { createPart } from "../shared/map/part";
import { type Plot, unitsInView } from "../shared/map/plot";
import type { Part } from "./colour";
import { type Grid, type Matrix, readExact, readTile } from "./grid";
import { roomForNumber } from "./numbers";
import type { MatrixState } from "./state";

export interface Tiles {
  /** The best tile for what is in view, or null. */
  readonly tile: Grid | null;
  /** The numbers of the cells in view, or null. */
  readonly exact: Grid | null;
  want(plot: Plot, matrix: Matrix): void;
  clear(): void;
}

// The kernel pools tiles larger than this.
const LARGEST = 512;
// Of up to a third of a megabyte each.
const MOST = 8;
/** Ranges begin and end at multiples of this, so that small moves ask for nothing new. */
const STEP = 64;
const EXACT_STEP = 16;
/** The kernel hands out no more exact numbers at once. */
const MOST_EXACT = 128;

type Range = Record<"query0" | "query1" | "key0" | "key1", number>;

export function createTiles(
  host: Host<MatrixState>,
  signal: AbortSignal,
  onArrival: () => void,
): Tiles {
  // Where no answer comes the pooled picture stays, and the legend says that it is pooled.
  const ofPicture =
    (read: typeof readTile): typeof readTile =>
    (answer) =>
      isAbout(answer.result.about, shown) ? read(answer) : null;
  const part = (name: string, read: typeof readTile) =>
    createPart<Range, Grid>(host, signal, { name, read: ofPicture(read), onArrival, most: MOST });
  const tiles = part("tile", readTile);
  const cells = part("cells", readExact);
  let all: Grid | null = null;
  let shown: Matrix["frame"]["key"] | null = null;
  return {
    get tile() {
      return tiles.current;
    },
    get exact() {
      return all ?? cells.current;
    },
    want(plot, { grid, exact, frame, signed }) {
      [all, shown] = [exact, frame.key];
      const view = unitsInView(plot);
      const smallest = Math.min(plot.across, plot.down);
      const sharp = (one: Grid): boolean => one.factor === 1 || smallest * one.factor <= 2;
      const known = tiles.current;
      if (!sharp(grid) && !(known && covers(known, view) && sharp(known))) {
        tiles.want(around(view, plot, STEP, LARGEST));
      }
      if (exact || smallest < roomForNumber(signed)) return;
      if (!cells.current || !covers(cells.current, view)) {
        cells.want(around(view, plot, EXACT_STEP, MOST_EXACT));
      }
    },
    clear() {
      all = null;
      tiles.clear();
      cells.clear();
    },
  };
}

/** The range in view with a margin; of more than fits in `most`, at steps as much coarser. */
function around(view: Part, plot: Plot, step: number, most: number): Range {
  const count = Math.max(view.query1 - view.query0, view.key1 - view.key0);
  const by = step * Math.max(1, Math.ceil(count / (most - 2 * step)));
  const range = (first: number, last: number, all: number): [number, number] => [
    Math.floor(first / by) * by,
    Math.min(all, Math.ceil(last / by) * by),
  ];
  const [query0, query1] = range(view.query0, view.query1, plot.rows);
  const [key0, key1] = range(view.key0, view.key1, plot.cols);
  return { query0, query1, key0, key1 };
}

function covers(one: Grid, view: Part): boolean {
  return (
    one.query <= view.query0 &&
    one.key <= view.key0 &&
    one.query + one.height * one.factor >= view.query1 &&
    one.key + one.width * one.factor >= view.key1
  );
}
