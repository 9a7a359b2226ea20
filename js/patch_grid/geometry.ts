/** How large the cells of the grid are, and what stands around it. */

import { LONGEST_LABEL, labelHeight } from "../shared/map/measure";
import { inside, LINE, type Plot, sizeAt, type Viewport } from "../shared/map/plot";

/** Room for the numbers of the layers, and for the word above them. */
const LEFT = 46;
/** Labels above the columns that need no angle, and the word above them. */
const FLAT = 22;
const TITLE = 15;
const BELOW = 6;
/** Cells no larger than this; of few columns wider ones would be bars. */
const LARGEST = { across: 80, down: 26 };
const ZOOMED = { across: 56, down: 26 };
/** Rows of a given height may be lower than their numbers, of which some are left out then. */
const LOWEST = 5;
/** However many layers there are. */
const MOST_HEIGHT = 900;
/** Pixels of a cell that a number has room in. */
const NUMBERED = { across: 30, down: 14 };

export interface PatchPlot extends Plot {
  /** Whether the labels of the columns stand straight. */
  isFlat: boolean;
}

export interface Space {
  width: number;
  maxHeight: number;
  /** Whether nothing may be higher than that. */
  isFixed: boolean;
  /** Whether a word stands above the labels of the columns. */
  isTitled: boolean;
  /** What the longest label of the columns needs. */
  labels: number;
}

/** Every layer has its number where there is room for that; columns are as wide as there is room. */
export function fitPlot(
  rows: number,
  cols: number,
  { width, maxHeight, isFixed, isTitled, labels }: Space,
  viewport: Viewport,
): PatchPlot {
  const widthOf = (right: number): number =>
    Math.min(LARGEST.across, Math.max(80, width - LEFT - right) / cols);
  const flat = labels <= widthOf(2) - 4;
  // The last labels lean over what is to the right.
  const lean = flat ? 2 : Math.round(Math.min(LONGEST_LABEL, labels) * 0.5);
  const across = widthOf(lean);
  const top = (flat ? FLAT : labelHeight(labels)) + (isTitled ? TITLE : 0);
  const room = maxHeight - top - BELOW;
  const least = isFixed ? LOWEST : Math.min(LINE, MOST_HEIGHT / rows);
  const down = Math.min(LARGEST.down, Math.max(room / rows, least));
  const most = {
    across: Math.max(across, ZOOMED.across),
    down: Math.max(down, ZOOMED.down),
  };
  const whole = { across, down };
  const plot = {
    ...{ rows, cols, left: LEFT, right: lean, top, whole, most, isFlat: flat },
    width: Math.round(across * cols),
    height: Math.round(down * rows),
    largestZoom: Math.max(1, most.across / across, most.down / down),
  };
  const cells = sizeAt(plot, viewport.zoom);
  return { ...plot, ...cells, ...inside({ ...plot, ...cells }, viewport) };
}

export function sizeOf(plot: Plot): { width: number; height: number } {
  return { width: plot.left + plot.width + plot.right, height: plot.top + plot.height + BELOW };
}

/** Whether each cell has room for its number. */
export function isNumbered({ across, down }: Plot): boolean {
  return across >= NUMBERED.across && down >= NUMBERED.down;
}
