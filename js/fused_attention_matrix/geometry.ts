/** Where cells are: the plot, its margins, and the part of the matrix that is in view. */

/** The visible part; zoom 1 shows the whole matrix. */
export interface Viewport {
  zoom: number;
  /** First unit in view, as a fraction of units. */
  query: number;
  key: number;
}

export const WHOLE: Viewport = { zoom: 1, query: 0, key: 0 };

/** All in CSS pixels of the figure. */
export interface Plot {
  rows: number;
  cols: number;
  /** Space for row labels (left) and column labels (above). */
  left: number;
  top: number;
  /** The matrix itself. */
  width: number;
  height: number;
  /** Side of a cell in the current zoom. */
  cell: number;
  query: number;
  key: number;
}

/** Margins for the bars: row entropy to the right, column mass below. */
export const LANE = 44;
export const GAP = 6;
const LARGEST_CELL = 30;
const LARGEST_ZOOMED_CELL = 48;

export interface Space {
  width: number;
  maxHeight: number;
  labels: { query: number; key: number };
}

/** Height of the labels above the columns, which stand at an angle unless cells are wide. */
export function labelHeight(width: number): number {
  return Math.round(Math.min(120, width) * 0.87 + 14);
}

/** Square cells, as large as the width, the height and good measure allow. */
export function fitPlot(rows: number, cols: number, space: Space, viewport: Viewport): Plot {
  const left = Math.round(Math.min(space.width * 0.32, 190, Math.max(40, space.labels.query)));
  const roomX = Math.max(80, space.width - left - LANE - GAP - 8);
  const roomY = Math.max(80, space.maxHeight);
  const base = Math.min(LARGEST_CELL, roomX / cols, roomY / rows);
  const flat = space.labels.key <= base - 4;
  const top = flat ? 24 : labelHeight(space.labels.key);
  const width = Math.round(base * cols);
  const height = Math.round(base * rows);
  const cell = base * viewport.zoom;
  return {
    rows,
    cols,
    left,
    top,
    width,
    height,
    cell,
    query: clamp(viewport.query, 0, rows - height / cell),
    key: clamp(viewport.key, 0, cols - width / cell),
  };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

export function xOf(plot: Plot, key: number): number {
  return plot.left + (key - plot.key) * plot.cell;
}

export function yOf(plot: Plot, query: number): number {
  return plot.top + (query - plot.query) * plot.cell;
}

/** The cell under a point of the figure, or null outside the matrix. */
export function cellAt(plot: Plot, x: number, y: number): { query: number; key: number } | null {
  const inside =
    x >= plot.left && y >= plot.top && x < plot.left + plot.width && y < plot.top + plot.height;
  if (!inside) return null;
  return {
    query: clamp(Math.floor(plot.query + (y - plot.top) / plot.cell), 0, plot.rows - 1),
    key: clamp(Math.floor(plot.key + (x - plot.left) / plot.cell), 0, plot.cols - 1),
  };
}

/** Zooms by a factor so that the unit under (x, y) stays where it is. */
export function zoomAt(plot: Plot, old: Viewport, factor: number, x: number, y: number): Viewport {
  const base = plot.cell / old.zoom;
  const zoom = clamp(old.zoom * factor, 1, Math.max(1, LARGEST_ZOOMED_CELL / base));
  if (zoom === 1) return WHOLE;
  const cell = base * zoom;
  const atQuery = plot.query + (y - plot.top) / plot.cell;
  const atKey = plot.key + (x - plot.left) / plot.cell;
  return {
    zoom,
    query: clamp(atQuery - (y - plot.top) / cell, 0, plot.rows - plot.height / cell),
    key: clamp(atKey - (x - plot.left) / cell, 0, plot.cols - plot.width / cell),
  };
}

/** Moves the picture by pixels. */
export function pan(plot: Plot, old: Viewport, dx: number, dy: number): Viewport {
  return {
    zoom: old.zoom,
    query: clamp(plot.query - dy / plot.cell, 0, plot.rows - plot.height / plot.cell),
    key: clamp(plot.key - dx / plot.cell, 0, plot.cols - plot.width / plot.cell),
  };
}

/** Moves the viewport so that a cell is inside it. */
export function reveal(plot: Plot, old: Viewport, query: number, key: number): Viewport {
  const into = (at: number, first: number, count: number): number =>
    at < first ? at : at + 1 > first + count ? at + 1 - count : first;
  return {
    zoom: old.zoom,
    query: into(query, plot.query, plot.height / plot.cell),
    key: into(key, plot.key, plot.width / plot.cell),
  };
}
