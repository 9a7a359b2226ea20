/** Exact cells for the part in view, asked for when the frame's picture is coarser than the screen. */

import type { Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import type { Plot } from "./geometry";
import { type Grid, readTile } from "./grid";
import type { MatrixState } from "./state";

export interface Tiles {
  /** The best tile for what is in view, or null. */
  readonly current: Grid | null;
  want(plot: Plot, base: Grid): void;
  clear(): void;
}

// The kernel pools tiles larger than this.
const LARGEST = 512;
// Of up to a third of a megabyte each.
const MOST = 6;

type Range = Record<"query0" | "query1" | "key0" | "key1", number>;

export function createTiles(
  host: Host<MatrixState>,
  signal: AbortSignal,
  onArrival: () => void,
): Tiles {
  let current: Grid | null = null;
  let wanted: Range | null = null;
  // Where no answer comes the pooled picture stays, and the legend says that it is pooled.
  const tile = createQuestion(host, signal, {
    name: "tile",
    read: (answer, _: Range) => readTile(answer),
    onReply() {
      const next = wanted && tile.value(wanted);
      if (!next) return;
      current = next;
      onArrival();
    },
    most: MOST,
  });
  return {
    get current() {
      return current;
    },
    want(plot, base) {
      if (base.factor === 1 || plot.cell * base.factor <= 2) return;
      if (current && covers(current, plot)) {
        if (current.factor === 1 || plot.cell * current.factor <= 2) return;
      }
      wanted = rangeOf(plot);
      current = tile.value(wanted) ?? current;
      tile.ask(wanted);
    },
    clear() {
      current = null;
      wanted = null;
      tile.forget();
    },
  };
}

function rangeOf(plot: Plot): Range {
  const range = (first: number, count: number, all: number): [number, number] => {
    // A margin around the view, so that small moves need no new tile.
    const margin = Math.max(0, Math.min(count / 4, (LARGEST - 2 - count) / 2));
    const from = Math.max(0, Math.floor(first - margin));
    return [from, Math.min(all, Math.ceil(first + count + margin))];
  };
  const [query0, query1] = range(plot.query, plot.height / plot.cell, plot.rows);
  const [key0, key1] = range(plot.key, plot.width / plot.cell, plot.cols);
  return { query0, query1, key0, key1 };
}

function covers(tile: Grid, plot: Plot): boolean {
  return (
    tile.query <= plot.query &&
    tile.key <= plot.key &&
    tile.query + tile.height * tile.factor >= plot.query + plot.height / plot.cell - 0.01 &&
    tile.key + tile.width * tile.factor >= plot.key + plot.width / plot.cell - 0.01
  );
}
