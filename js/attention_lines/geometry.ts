/** Where things are: columns, rows, the curve of a line, and which line is under the pointer. */

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

/** Columns as wide as their labels need, lines in the middle, lanes for bars outside. */
export function layout(
  width: number,
  labels: { query: number; key: number },
): Omit<Geometry, "height" | "rowHeight" | "scroll" | "tracks"> {
  const lane = Math.round(Math.min(120, Math.max(64, width * 0.12)));
  const cap = Math.max(48, Math.min(240, (width - 2 * lane - Math.max(96, width * 0.22)) / 2));
  const queryWidth = Math.round(Math.min(cap, Math.max(32, labels.query)));
  const keyWidth = Math.round(Math.min(cap, Math.max(32, labels.key)));
  const between = Math.min(440, width - 2 * lane - queryWidth - keyWidth);
  const start = (width - between - queryWidth - keyWidth) / 2;
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
  const shown = heads.length ? heads : Array.from({ length: nHeads }, (_, head) => head);
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

/** The cubic every line is drawn as: level at both ends. */
export function addCurve(path: Path2D, geometry: Geometry, y0: number, y1: number): void {
  const middle = (geometry.x0 + geometry.x1) / 2;
  path.moveTo(geometry.x0, y0);
  path.bezierCurveTo(middle, y0, middle, y1, geometry.x1, y1);
}

/**
 * How far down its way from y0 to y1 the curve is at `x`, 0…1.
 *
 * With both control points in the middle, x(s) = 1.5 s − 1.5 s² + s³ and y(s) = 3 s² − 2 s³:
 * x is the same for all lines, so it is inverted once (bisection) and each line costs one product.
 */
export function descent(geometry: Geometry, x: number): number {
  const target = (x - geometry.x0) / (geometry.x1 - geometry.x0);
  let [low, high] = [0, 1];
  for (let i = 0; i < 20; i++) {
    const s = (low + high) / 2;
    if (1.5 * s - 1.5 * s * s + s * s * s < target) low = s;
    else high = s;
  }
  return 3 * low * low - 2 * low * low * low;
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
