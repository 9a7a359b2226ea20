/**
 * Where things are: the two sides, their units, the curve of a line, what is under the pointer.
 *
 * Written for columns: `y` runs along the units, `x` from the side that looks to the side that is
 * looked at. Rows of a text that is laid out horizontally are the same with x and y changed round.
 */

import type { Side } from "../shared/map/axis";

/** Where the units of a side are along it, in pixels of the scrolled plane. */
export interface Track {
  readonly length: number;
  readonly total: number;
  start(unit: number): number;
  size(unit: number): number;
  /** The unit at a place; may be none (-1, or `length`). */
  unitAt(place: number): number;
}

export function evenTrack(length: number, size: number): Track {
  return {
    length,
    total: length * size,
    start: (unit) => unit * size,
    size: () => size,
    unitAt: (place) => Math.min(length, Math.max(-1, Math.floor(place / size))),
  };
}

/** Units of their own sizes, the first one from `from` on. */
export function measuredTrack(sizes: readonly number[], from = 0): Track {
  const starts = [from];
  for (const size of sizes) starts.push((starts.at(-1) ?? 0) + size);
  return {
    length: sizes.length,
    total: starts.at(-1) ?? 0,
    start: (unit) => starts[unit] ?? 0,
    size: (unit) => sizes[unit] ?? 0,
    unitAt(place) {
      const after = starts.findIndex((start) => start > place);
      return place < from ? -1 : after < 0 ? sizes.length : after - 1;
    },
  };
}

/** Where the parts are across, in pixels from the left. */
export interface Parts {
  width: number;
  /** Room for values outside the two sides. */
  queryLane: number;
  keyLane: number;
  queryX: number;
  queryWidth: number;
  keyX: number;
  keyWidth: number;
  /** Bars of what goes to sinks begin here; their room may be 0. */
  gutterX: number;
  gutter: number;
  /** Lines run from x0 to x1. */
  x0: number;
  x1: number;
  /** The small picture of a text that scrolls; its width may be 0. */
  minimapX: number;
  minimap: number;
}

export interface Geometry extends Parts {
  readonly horizontal: boolean;
  /** Of the part in view, along the units. */
  height: number;
  scroll: number;
  query: Track;
  key: Track;
  /** Each map's own track within a unit: pixels beside its middle. */
  tracks: readonly number[];
}

export function rowHeightFor(units: number): number {
  if (units <= 40) return 22;
  return units <= 160 ? 18 : 16;
}

const WIDEST_COLUMN = 260;
const NARROWEST_COLUMN = 48;
const GAP = 6;
const NARROW = 560;
/** Below this the small picture of the text has no room. */
const NARROWEST = 340;
const GUTTER = 34;
const MINIMAP = 48;
/** A value's number without a bar. */
const NUMBER = 34;
/** A value: its bar and its number. */
export const VALUE_ROOM = 62;
/** Of one head's column of cells: at most, and least. */
export const CELL_ROOM = { most: 12, least: 4 } as const;

/** Widths of two columns in the room they have: a short one leaves what it can to a long one. */
function columnWidths(room: number, query: number, key: number): [query: number, key: number] {
  const [wantQuery, wantKey] = [query, key].map((width) =>
    Math.round(Math.min(WIDEST_COLUMN, Math.max(32, width))),
  ) as [number, number];
  const half = Math.max(NARROWEST_COLUMN, Math.floor(room / 2));
  return [
    Math.min(wantQuery, Math.max(half, Math.floor(room) - wantKey)),
    Math.min(wantKey, Math.max(half, Math.floor(room) - wantQuery)),
  ];
}

export interface Wishes {
  labels: Record<Side, number>;
  /** Heads that may have cells beside the side that is looked at. */
  heads: number;
  gutter: boolean;
  minimap: boolean;
}

/** Columns as wide as their labels need, room for values outside; the lines get all that is left. */
export function layout(width: number, { labels, heads, gutter, minimap }: Wishes): Parts {
  const narrow = width < NARROW;
  const map = !minimap || width < NARROWEST ? 0 : narrow ? MINIMAP / 2 : MINIMAP;
  const bars = gutter ? (narrow ? GUTTER / 2 : GUTTER) : 0;
  const cells = heads > 1 && !narrow ? CELL_ROOM.most * heads + GAP : 0;
  const keyLane = Math.round(
    Math.max(VALUE_ROOM, Math.min(VALUE_ROOM + cells + GAP, 0.22 * width)),
  );
  const queryLane = narrow ? NUMBER : VALUE_ROOM - GAP;
  // A name that is cut says less than a line that is short.
  const leastBetween = Math.max(80, 0.22 * width);
  const room = width - queryLane - keyLane - map - bars - leastBetween;
  const [queryWidth, keyWidth] = columnWidths(room, labels.query, labels.key);
  const minimapX = width - map;
  const keyX = minimapX - (map && GAP) - keyLane - keyWidth;
  const gutterX = queryLane + queryWidth;
  return {
    ...{ width, queryLane, keyLane, queryX: queryLane, queryWidth, keyX, keyWidth },
    ...{ gutterX, gutter: bars, minimapX, minimap: map },
    x0: gutterX + bars + GAP,
    x1: keyX - GAP,
  };
}

/** Of a row of tokens, across. */
const ROW = 26;
/** Left of the units of a row: names of what stands below them. */
export const MARGIN = 44;

/**
 * The same for a text in two rows, one above the other; `width` is then what there is from top to
 * bottom, all that is needed where it is 0.
 */
export function layoutRows(width: number, { heads, gutter }: Wishes): Parts {
  const cells = heads > 1 ? CELL_ROOM.most * Math.min(heads, 16) + GAP : 0;
  const bars = gutter ? GUTTER : 0;
  const [queryLane, keyLane] = [ROW, ROW + GAP + cells];
  const rest = queryLane + keyLane + 2 * ROW + bars + 2 * GAP;
  const between = Math.max(120, width > 0 ? width - rest : 200);
  const gutterX = queryLane + ROW;
  const x0 = gutterX + bars + GAP;
  const x1 = x0 + between;
  const keyX = x1 + GAP;
  const end = keyX + ROW + keyLane;
  return {
    ...{ width: end, queryLane, keyLane, queryX: queryLane, queryWidth: ROW, keyX, keyWidth: ROW },
    ...{ gutterX, gutter: bars, minimapX: end, minimap: 0, x0, x1 },
  };
}

/**
 * Tracks for the maps that are drawn: two with the same line would otherwise hide each other. They
 * share six tenths of the row.
 */
export function mapTracks(nMaps: number, rowHeight: number): number[] {
  const apart = Math.min(2.5, (0.6 * rowHeight) / Math.max(1, nMaps));
  return Array.from({ length: nMaps }, (_, map) => (map - (nMaps - 1) / 2) * apart);
}

/** The middle of a unit, in pixels of the part in view. */
export function middle(geometry: Geometry, side: Side, unit: number): number {
  const track = geometry[side];
  return track.start(unit) + track.size(unit) / 2 - geometry.scroll;
}

/** Where a map's lines meet a unit. */
export function trackY(geometry: Geometry, side: Side, unit: number, map: number): number {
  return middle(geometry, side, unit) + (geometry.tracks[map] ?? 0);
}

/** Whether a unit's middle is in view. */
export function inView(geometry: Geometry, side: Side, unit: number): boolean {
  const y = middle(geometry, side, unit);
  return y >= 0 && y <= geometry.height;
}

/** The units of a side that are in view, at least in part: from, and up to but without. */
export function unitsInView(geometry: Geometry, side: Side): [from: number, to: number] {
  const track = geometry[side];
  const from = Math.max(0, track.unitAt(geometry.scroll));
  const to = Math.min(track.length, track.unitAt(geometry.scroll + geometry.height) + 1);
  return [Math.min(from, track.length), Math.max(from, to)];
}

// How far down its way a curve is at its control points, a third of the width from either end:
// 0 would be level there, 1/3 a straight line. Lines to one token part early, and still arrive
// softly.
const TILT = 0.1;

/** The cubic every line is drawn as. */
export function addCurve(path: Path2D, { x0, x1 }: Geometry, y0: number, y1: number): void {
  const third = (x1 - x0) / 3;
  const tilt = TILT * (y1 - y0);
  path.moveTo(x0, y0);
  path.bezierCurveTo(x0 + third, y0 + tilt, x1 - third, y1 - tilt, x1, y1);
}

/**
 * How far down its way from y0 to y1 the curve is at `x`, 0…1.
 *
 * With control points at the thirds x grows evenly along the curve, so y is a cubic in x. It is
 * the same for all lines: each costs one product.
 */
export function descent(geometry: Geometry, x: number): number {
  const s = (x - geometry.x0) / (geometry.x1 - geometry.x0);
  const rest = 1 - s;
  return 3 * TILT * s * rest * rest + 3 * (1 - TILT) * s * s * rest + s * s * s;
}

/** A line as it is drawn, for the pointer to find. */
export interface Curve {
  readonly query: number;
  readonly key: number;
  readonly map: number;
  readonly weight: number;
}

/** The drawn line nearest to a point, within `reach` pixels; the strongest of equals. */
export function hitLine(
  geometry: Geometry,
  curves: readonly Curve[],
  x: number,
  y: number,
  reach = 5,
): Curve | null {
  if (x <= geometry.x0 || x >= geometry.x1) return null;
  const share = descent(geometry, x);
  let nearest = reach;
  let hit: Curve | null = null;
  for (const curve of curves) {
    const y0 = trackY(geometry, "query", curve.query, curve.map);
    const y1 = trackY(geometry, "key", curve.key, curve.map);
    const away = Math.abs(y0 + (y1 - y0) * share - y);
    if (away < nearest - 0.25) {
      nearest = away;
      hit = curve;
    }
  }
  return hit;
}
