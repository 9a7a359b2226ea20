/** Where things are: columns, rows, the curve of a line, and which line is under the pointer. */

import { shownHeads } from "../shared/scene";
import type { Lines, Shown } from "./lines";

/** All in CSS pixels of the visible part (the viewport) of the scrolled plane. */
export interface Geometry {
  width: number;
  height: number;
  rowHeight: number;
  scroll: number;
  /** Outer edges and width of the two token columns. */
  queryX: number;
  queryWidth: number;
  keyX: number;
  keyWidth: number;
  /** Lines run from x0 to x1. */
  x0: number;
  x1: number;
  /** Width of the lanes for bars outside the columns. */
  lane: number;
  /** Each head's own track within a row: pixels above or below its middle, by head number. */
  tracks: ArrayLike<number>;
}

const GUTTER = 6;

export function rowHeightFor(units: number): number {
  if (units <= 40) return 22;
  return units <= 160 ? 18 : 16;
}

const WIDEST_COLUMN = 260;
const NARROWEST_COLUMN = 48;

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

/**
 * Columns as wide as their labels need, lines in the middle, lanes for bars outside.
 *
 * Lines get half as much width as height: crossings are read best at such angles. What is left
 * makes the bars longer.
 */
export function layout(
  width: number,
  height: number,
  labels: { query: number; key: number },
): Omit<Geometry, "height" | "rowHeight" | "scroll" | "tracks"> {
  const leastLane = Math.round(Math.min(96, Math.max(56, width * 0.12)));
  const leastBetween = Math.max(96, width * 0.18);
  const room = width - 2 * leastLane - leastBetween;
  const [queryWidth, keyWidth] = columnWidths(room, labels.query, labels.key);
  const free = width - queryWidth - keyWidth;
  const between = Math.min(free - 2 * leastLane, Math.min(340, Math.max(180, height / 2)));
  const lane = Math.round(Math.min(160, (free - between) / 2));
  const start = (free - between) / 2;
  const x0 = Math.round(start + queryWidth);
  const x1 = Math.round(x0 + between);
  return {
    width,
    lane,
    queryWidth,
    keyWidth,
    queryX: x0 - queryWidth,
    keyX: x1,
    x0: x0 + GUTTER,
    x1: x1 - GUTTER,
  };
}

/**
 * Tracks for the heads that are shown: two heads with the same line would otherwise hide each
 * other. They share six tenths of the row.
 */
export function headTracks(heads: readonly number[], nHeads: number, rowHeight: number): number[] {
  const shown = shownHeads(heads, nHeads);
  const apart = Math.min(2.5, (0.6 * rowHeight) / Math.max(1, shown.length));
  const tracks: number[] = [];
  for (const [place, head] of shown.entries()) {
    tracks[head] = (place - (shown.length - 1) / 2) * apart;
  }
  return tracks;
}

export function rowMiddle(geometry: Geometry, unit: number): number {
  return (unit + 0.5) * geometry.rowHeight - geometry.scroll;
}

/** Where a head's lines meet a row. */
export function trackY(geometry: Geometry, unit: number, head: number): number {
  return rowMiddle(geometry, unit) + (geometry.tracks[head] ?? 0);
}

/** Whether a line between two heights can touch the viewport. */
export function isVisible(geometry: Geometry, y0: number, y1: number): boolean {
  return Math.max(y0, y1) > -20 && Math.min(y0, y1) < geometry.height + 20;
}

// How far down its way a curve is at its control points, a third of the width from either end:
// 0 would be level there, 1/3 a straight line. Lines to one token part early, and still arrive
// softly.
const TILT = 0.1;

/** The cubic every line is drawn as. */
export function addCurve(path: Path2D, geometry: Geometry, y0: number, y1: number): void {
  const { x0, x1 } = geometry;
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

/** The shown line nearest to a point, within `reach` pixels; the strongest of equals. */
export function hitLine(
  geometry: Geometry,
  lines: Lines,
  shown: Shown,
  x: number,
  y: number,
  reach = 5,
): number | null {
  if (x <= geometry.x0 || x >= geometry.x1) return null;
  const share = descent(geometry, x);
  let nearest = reach;
  let hit: number | null = null;
  for (const i of shown.indices) {
    const head = lines.head[i] ?? 0;
    const y0 = trackY(geometry, lines.query[i] ?? 0, head);
    const y1 = trackY(geometry, lines.key[i] ?? 0, head);
    const away = Math.abs(y0 + (y1 - y0) * share - y);
    if (away < nearest - 0.25) {
      nearest = away;
      hit = i;
    }
  }
  return hit;
}
