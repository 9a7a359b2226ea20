/**
 * Where the cells of a map are: the plot, and the part of the map that is in view. Rows are called
 * "query" and columns "key", as the sides of axes are.
 */

/** The visible part; zoom 1 shows the whole map. */
export interface Viewport {
  zoom: number;
  /** First unit in view, as a fraction of units. */
  query: number;
  key: number;
}

export const WHOLE: Viewport = { zoom: 1, query: 0, key: 0 };

export interface Cell {
  readonly query: number;
  readonly key: number;
}

export function sameCell(a: Cell | null, b: Cell | null): boolean {
  return a?.query === b?.query && a?.key === b?.key;
}

/** The sides of a cell in pixels. */
export interface CellSize {
  across: number;
  down: number;
}

/** All in CSS pixels of the figure. */
export interface Plot extends CellSize {
  rows: number;
  cols: number;
  /** Space for row labels (left), column labels (above), bars of the rows (right). */
  left: number;
  top: number;
  right: number;
  /** The map itself. */
  width: number;
  height: number;
  /** First unit in view. */
  query: number;
  key: number;
  /** The sides of a cell at zoom 1, and what they do not grow beyond. */
  whole: CellSize;
  most: CellSize;
  largestZoom: number;
}

/** Labels stand this close at the closest. */
export const LINE = 12;
/** Pixels of a cell in which a number stands. */
export const NUMBERED = 28;

/** The sides of a cell at a zoom. */
export function sizeAt({ whole, most }: Pick<Plot, "whole" | "most">, zoom: number): CellSize {
  const side = (name: keyof CellSize): number =>
    Math.max(whole[name], Math.min(whole[name] * zoom, most[name]));
  return { across: side("across"), down: side("down") };
}

type Cells = Pick<Plot, "rows" | "cols" | "width" | "height" | "across" | "down">;

/** A place of the viewport that shows nothing beyond the map. */
export function inside(plot: Cells, { query, key }: { query: number; key: number }) {
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

/** The cell under a point of the figure, or null outside the map. */
export function cellAt(plot: Plot, x: number, y: number): Cell | null {
  const isInside =
    x >= plot.left && y >= plot.top && x < plot.left + plot.width && y < plot.top + plot.height;
  if (!isInside) return null;
  return {
    query: clamp(Math.floor(plot.query + (y - plot.top) / plot.down), 0, plot.rows - 1),
    key: clamp(Math.floor(plot.key + (x - plot.left) / plot.across), 0, plot.cols - 1),
  };
}

/** The plot at another zoom. */
function zoomed(plot: Plot, zoom: number): Plot {
  return { ...plot, ...sizeAt(plot, zoom) };
}

/** Zooms by a factor so that the unit under (x, y) stays where it is. */
export function zoomAt(plot: Plot, old: Viewport, factor: number, x: number, y: number): Viewport {
  const zoom = clamp(old.zoom * factor, 1, plot.largestZoom);
  if (zoom === 1) return WHOLE;
  const next = zoomed(plot, zoom);
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
  const zoom = Math.min(wanted, plot.largestZoom);
  const next = zoomed(plot, zoom);
  const [h, w] = [plot.height / next.down, plot.width / next.across];
  return { zoom, ...inside(next, { query: query + 0.5 - h / 2, key: key + 0.5 - w / 2 }) };
}

const CLOSE = 8;
const NEAR = 30;
