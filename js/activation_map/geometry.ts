/** How large the cells of the map are, and what stands around it. */

import { inside, type Plot, sizeAt, type Viewport } from "../shared/map/plot";

/** Above the map: marks of outliers, bars of the dimensions, numbers of the dimensions. */
export const MARK_LINE = 15;
export const RMS_HEIGHT = 52;
export const TICKS = 20;
/** Beside it: bars of the tokens. */
export const NORMS = 52;
export const GAP = 8;
const BELOW = 10;
/** Pixels across a cell from which on its number is written in it. */
export const NUMBERED_ACROSS = 44;
const TALLEST = 20;
const WIDEST = 40;
const ZOOMED = { across: 52, down: 24 };

export interface ActivationPlot extends Plot {
  /** Lines of marks above the bars. */
  markLines: number;
}

export interface Space {
  width: number;
  maxHeight: number;
  /** What the longest label needs. */
  labels: number;
  markLines: number;
}

/** Rows high enough for their names where there is room for that; columns as wide as there is room. */
export function fitPlot(
  tokens: number,
  dimensions: number,
  { width: room, maxHeight, labels, markLines }: Space,
  viewport: Viewport,
): ActivationPlot {
  const left = Math.round(Math.min(Math.max(64, labels), room * 0.24, 200));
  const right = NORMS + GAP + 4;
  const across = Math.min(WIDEST, Math.max(80, room - left - right) / dimensions);
  const down = Math.min(TALLEST, Math.max(60, maxHeight) / tokens);
  const whole = { across, down };
  const most = {
    across: Math.max(across, ZOOMED.across),
    down: Math.max(down, ZOOMED.down),
  };
  const plot = {
    ...{ rows: tokens, cols: dimensions, left, right, markLines },
    top: headHeight(markLines),
    width: Math.round(across * dimensions),
    height: Math.round(down * tokens),
    ...{ whole, most, largestZoom: Math.max(most.across / across, most.down / down) },
  };
  const cells = sizeAt(plot, viewport.zoom);
  return { ...plot, ...cells, ...inside({ ...plot, ...cells }, viewport) };
}

/** What stands above the map. */
export function headHeight(markLines: number): number {
  return markLines * MARK_LINE + RMS_HEIGHT + TICKS + (markLines ? 6 : 2);
}

/** Where the bars of the dimensions stand. */
export function rmsBox(plot: ActivationPlot): { top: number; bottom: number } {
  const bottom = plot.top - TICKS;
  return { top: bottom - RMS_HEIGHT, bottom };
}

export function sizeOf(plot: ActivationPlot): { width: number; height: number } {
  return { width: plot.left + plot.width + plot.right, height: plot.top + plot.height + BELOW };
}

/** The column under a point above the map. */
export function columnAt(plot: ActivationPlot, x: number): number | null {
  if (x < plot.left || x >= plot.left + plot.width) return null;
  const column = Math.floor(plot.key + (x - plot.left) / plot.across);
  return Math.max(0, Math.min(plot.cols - 1, column));
}
