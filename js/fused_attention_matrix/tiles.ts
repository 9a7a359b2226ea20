/** Exact cells for the part in view, asked for when the frame's picture is coarser than the screen. */

import type { Host } from "../shared/view";
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

export function createTiles(
  host: Host<MatrixState>,
  signal: AbortSignal,
  onArrival: () => void,
): Tiles {
  let current: Grid | null = null;
  let generation = 0;
  let asked = "";
  const ask = async (args: Record<string, number>): Promise<void> => {
    const mine = generation;
    try {
      const tile = readTile(await host.ask("tile", args, signal));
      if (signal.aborted || mine !== generation || !tile) return;
      current = tile;
      onArrival();
    } catch {
      // No kernel, or a newer view: the pooled picture stays, and the legend says that it is pooled.
      asked = "";
    }
  };
  return {
    get current() {
      return current;
    },
    want(plot, base) {
      if (base.factor === 1 || plot.cell * base.factor <= 2 || host.status === "no kernel") return;
      const range = (first: number, count: number, all: number): [number, number] => {
        // A margin around the view, so that small moves need no new tile.
        const margin = Math.max(0, Math.min(count / 4, (LARGEST - 2 - count) / 2));
        const from = Math.max(0, Math.floor(first - margin));
        return [from, Math.min(all, Math.ceil(first + count + margin))];
      };
      const [query0, query1] = range(plot.query, plot.height / plot.cell, plot.rows);
      const [key0, key1] = range(plot.key, plot.width / plot.cell, plot.cols);
      if (current && covers(current, plot) && plot.cell * current.factor <= 2) return;
      if (current?.factor === 1 && covers(current, plot)) return;
      const name = [query0, query1, key0, key1].join();
      if (name === asked) return;
      asked = name;
      void ask({ query0, query1, key0, key1 });
    },
    clear() {
      generation++;
      current = null;
      asked = "";
    },
  };
}

function covers(tile: Grid, plot: Plot): boolean {
  return (
    tile.query <= plot.query &&
    tile.key <= plot.key &&
    tile.query + tile.height * tile.factor >= plot.query + plot.height / plot.cell - 0.01 &&
    tile.key + tile.width * tile.factor >= plot.key + plot.width / plot.cell - 0.01
  );
}
