/** How large the cells of the matrix are, and what stands around it. */

import { LONGEST_LABEL, labelHeight } from "../shared/map/measure";
import { inside, LINE, type Plot, sizeAt, type Viewport } from "../shared/map/plot";

export interface MatrixPlot extends Plot {
  /** Bars of rows, one lane for each kind of them. */
  lanes: number;
}

/** Margins for bars. */
export const LANE = 40;
export const GAP = 6;
/** Maps with fewer units on both sides have every unit labelled. */
export const ALL_LABELLED = 40;
const LARGEST_CELL = 64;
const LARGEST_ZOOMED_CELL = 72;
/** What is this much longer than wide is stretched for its labels. */
const LONG = 2;
const STRETCHED = 16;

export interface Space {
  width: number;
  maxHeight: number;
  labels: { query: number; key: number };
  /** Bars of rows, one lane for each kind of them. */
  lanes: number;
}

/** Cells as large as the width, the height and good measure allow; square, if they can be. */
export function fitPlot(rows: number, cols: number, space: Space, viewport: Viewport): MatrixPlot {
  const wish = Math.max(40, Math.min(space.labels.query, 260));
  let left = Math.round(Math.min(wish, space.width * 0.24));
  // The last labels of the columns lean over what is to the right.
  const lean = Math.min(LONGEST_LABEL, space.labels.key) * 0.5;
  const right = Math.round(Math.max(space.lanes * (LANE + GAP) + 6, lean));
  const roomX = Math.max(80, space.width - left - right);
  const roomY = Math.max(80, space.maxHeight);
  const square = Math.min(LARGEST_CELL, roomX / cols, roomY / rows);
  const few = rows < ALL_LABELLED && cols < ALL_LABELLED;
  // Rows have their names; columns are as narrow as the width demands, so that nothing scrolls.
  const least = few ? LINE : 0;
  const stretch = (room: number, n: number, others: number): number =>
    others > LONG * n ? Math.min(STRETCHED, room / n) : 0;
  const across = Math.max(square, Math.min(least, roomX / cols), stretch(roomX, cols, rows));
  const down = Math.max(square, least, stretch(roomY, rows, cols));
  const width = Math.round(across * cols);
  const height = Math.round(down * rows);
  // Where the height is what limits the cells, long names get the width that is left.
  left = Math.max(left, Math.min(wish, space.width - width - right));
  const flat = space.labels.key <= across - 4;
  const plot = {
    ...{ rows, cols, left, right, width, height, lanes: space.lanes },
    top: flat ? 24 : labelHeight(space.labels.key),
    whole: { across, down },
    most: { across: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY },
    largestZoom: Math.max(1, LARGEST_ZOOMED_CELL / Math.min(across, down)),
  };
  const cells = sizeAt(plot, viewport.zoom);
  return { ...plot, ...cells, ...inside({ ...plot, ...cells }, viewport) };
}

/** The figure in pixels: the plot, labels before it, margins behind it. */
export function sizeOf(plot: MatrixPlot): { width: number; height: number } {
  return {
    width: plot.left + plot.width + plot.right,
    height: plot.top + plot.height + GAP + LANE + 4,
  };
}
