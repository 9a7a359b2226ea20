/** How large the cells of the matrix are, and what stands around it. */

import { inside, LINE, type Plot, sizeAt, type Viewport } from "../shared/map/plot";

export interface Space {
  readonly width: number;
  readonly maxHeight: number;
  /** What the longest labels need. */
  readonly labels: { readonly query: number; readonly key: number };
}

const LARGEST_CELL = 48;
const LARGEST_ZOOMED = 64;
const LONGEST_LABEL = 150;
const BELOW = 6;

/** Square cells, as large as there is room; of few rows none is lower than its name. */
export function fitMatrix(rows: number, cols: number, space: Space, viewport: Viewport): Plot {
  const { labels, width: room } = space;
  const left = Math.round(Math.min(Math.max(48, labels.query), room * 0.24));
  const names = Math.min(LONGEST_LABEL, labels.key);
  const top = heightAround(labels.key) - BELOW;
  // The last names of the columns lean over what is to the right.
  const right = Math.round(names * 0.5);
  const across = Math.min(LARGEST_CELL, Math.max(80, room - left - right) / cols);
  const few = LINE * rows <= space.maxHeight ? LINE : 0;
  const down = Math.max(few, Math.min(across, space.maxHeight / rows));
  const plot = {
    ...{ rows, cols, left, right, top },
    ...{ width: Math.round(across * cols), height: Math.round(down * rows) },
    whole: { across, down },
    most: { across: Math.max(across, LARGEST_ZOOMED), down: Math.max(down, LARGEST_ZOOMED) },
    largestZoom: Math.max(1, LARGEST_ZOOMED / Math.min(across, down)),
  };
  const cells = sizeAt(plot, viewport.zoom);
  return { ...plot, ...cells, ...inside({ ...plot, ...cells }, viewport) };
}

/** What stands above and below the cells: names at an angle. */
export function heightAround(label: number): number {
  return Math.round(Math.min(LONGEST_LABEL, label) * 0.87 + 14) + BELOW;
}

export function sizeOf(plot: Plot): { width: number; height: number } {
  return { width: plot.left + plot.width + plot.right, height: plot.top + plot.height + BELOW };
}
