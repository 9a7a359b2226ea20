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
  /** Space for row labels (left), column labels (above), bars of the rows (right). */
  left: number;
  top: number;
  right: number;
  lanes: number;
  /** The matrix itself. */
  width: number;
  height: number;
  /** Sides of a cell in the current zoom. */
  across: number;
  down: number;
  query: number;
  key: number;
}

/** Margins for bars. */
export const LANE = 40;
export const GAP = 6;
/** Labels stand this close at the closest. */
export const LINE = 12;
/** Maps with fewer units on both sides have every unit labelled. */
export const ALL_LABELLED = 40;
/** Pixels of a cell in which a number stands. */
export const NUMBERED = 28;
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

/** Height of the labels above the columns, which stand at an angle unless cells are wide. */
export function labelHeight(width: number): number {
  return Math.round(Math.min(LONGEST_LABEL, width) * 0.87 + 14);
}

/** Pixels after which a column's label is cut. */
export const LONGEST_LABEL = 190;

/** Cells as large as the width, the height and good measure allow; square, if they can be. */
export function fitPlot(rows: number, cols: number, space: Space, viewport: Viewport): Plot {
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
    across: across * viewport.zoom,
    down: down * viewport.zoom,
  };
  return { ...plot, ...inside(plot, viewport) };
}

/** The figure in pixels: the plot, labels before it, margins behind it. */
export function sizeOf(plot: Plot): { width: number; height: number } {
  return {
    width: plot.left + plot.width + plot.right,
    height: plot.top + plot.height + GAP + LANE + 4,
  };
}

type Cells = Pick<Plot, "rows" | "cols" | "width" | "height" | "across" | "down">;

/** A place of the viewport that shows nothing beyond the matrix. */
function inside(plot: Cells, { query, key }: { query: number; key: number }) {
  return {
    query: clamp(query, 0, plot.rows - plot.height / plot.down),
    key: clamp(key, 0, plot.cols - plot.width / plot.across),
  };
}

export function clamp(value: number, low: number, high: number): number {
  return Math.max(low, Math.min(high, value));
}

export function xOf(plot: Plot, key: number): number {
  return plot.left + (key - plot.key) * plot.across;
}

export function yOf(plot: Plot, query: number): number {
  return plot.top + (query - plot.query) * plot.down;
}

/** The units in view: whole and cut ones. */
export function unitsInView(plot: Plot): Record<"query0" | "query1" | "key0" | "key1", number> {
  return {
    query0: Math.max(0, Math.floor(plot.query + 0.01)),
    query1: Math.min(plot.rows, Math.ceil(plot.query + plot.height / plot.down - 0.01)),
    key0: Math.max(0, Math.floor(plot.key + 0.01)),
    key1: Math.min(plot.cols, Math.ceil(plot.key + plot.width / plot.across - 0.01)),
  };
}

/** The cell under a point of the figure, or null outside the matrix. */
export function cellAt(plot: Plot, x: number, y: number): { query: number; key: number } | null {
  const isInside =
    x >= plot.left && y >= plot.top && x < plot.left + plot.width && y < plot.top + plot.height;
  if (!isInside) return null;
  return {
    query: clamp(Math.floor(plot.query + (y - plot.top) / plot.down), 0, plot.rows - 1),
    key: clamp(Math.floor(plot.key + (x - plot.left) / plot.across), 0, plot.cols - 1),
  };
}

/** The plot at another zoom. */
function zoomed(plot: Plot, old: Viewport, zoom: number): Plot {
  const by = zoom / old.zoom;
  return { ...plot, across: plot.across * by, down: plot.down * by };
}

function largestZoom(plot: Plot, { zoom }: Viewport): number {
  return Math.max(1, (LARGEST_ZOOMED_CELL * zoom) / Math.min(plot.across, plot.down));
}

/** Zooms by a factor so that the unit under (x, y) stays where it is. */
export function zoomAt(plot: Plot, old: Viewport, factor: number, x: number, y: number): Viewport {
  const zoom = clamp(old.zoom * factor, 1, largestZoom(plot, old));
  if (zoom === 1) return WHOLE;
  const next = zoomed(plot, old, zoom);
  const atQuery = plot.query + (y - plot.top) / plot.down;
  const atKey = plot.key + (x - plot.left) / plot.across;
  const query = atQuery - (y - plot.top) / next.down;
  return { zoom, ...inside(next, { query, key: atKey - (x - plot.left) / next.across }) };
}

/** Moves the picture by pixels. */
export function pan(plot: Plot, old: Viewport, dx: number, dy: number): Viewport {
  const moved = { query: plot.query - dy / plot.down, key: plot.key - dx / plot.across };
  return { zoom: old.zoom, ...inside(plot, moved) };
}

/** Moves the viewport so that a cell is inside it. */
export function reveal(plot: Plot, old: Viewport, query: number, key: number): Viewport {
  const into = (at: number, first: number, count: number): number =>
    at < first ? at : at + 1 > first + count ? at + 1 - count : first;
  return {
    zoom: old.zoom,
    query: into(query, plot.query, plot.height / plot.down),
    key: into(key, plot.key, plot.width / plot.across),
  };
}

/** Goes to a cell: close enough to see it by itself, with what is around it. */
export function closeTo(plot: Plot, old: Viewport, query: number, key: number): Viewport {
  if (Math.min(plot.across, plot.down) >= CLOSE) return reveal(plot, old, query, key);
  const wanted = (old.zoom * NEAR) / Math.min(plot.across, plot.down);
  const zoom = Math.min(wanted, largestZoom(plot, old));
  const next = zoomed(plot, old, zoom);
  const [h, w] = [plot.height / next.down, plot.width / next.across];
  return { zoom, ...inside(next, { query: query + 0.5 - h / 2, key: key + 0.5 - w / 2 }) };
}

const CLOSE = 8;
const NEAR = 30;
