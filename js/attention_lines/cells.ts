/** Values beside the tokens that lit ones look at: a bar and number each, and a column per head. */

import { formatWeight } from "../shared/numbers";
import { css, type Rgb } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { write } from "./drawing";
import { type Fan, fanValues } from "./fan";
import { CELL_ROOM, type Geometry, MARGIN, middle, unitsInView, VALUE_ROOM } from "./geometry";
import type { Lines } from "./lines";

/** What stands over a column of values. */
export interface ColumnHead {
  readonly x: number;
  readonly width: number;
  readonly words: string;
  readonly colour: string | null;
  readonly kind: "value" | "head";
}

interface Plan {
  /** Fans with a value column, and where each begins. */
  readonly values: readonly { fan: Fan; at: number; width: number }[];
  /** Cells of the last fan: where they begin, and how wide each is. */
  readonly cells: { readonly fan: Fan; readonly at: number; readonly width: number } | null;
}

const GAP = 4;
const NUMBER_ROOM = 9;
/** A value below its token: a bar, and its number under it. */
const VALUE_ROW = 22;

/** What there is room for, from the tokens outwards: values of every pin, then one column a head. */
export function plan(
  lane: number,
  fans: readonly Fan[],
  side: Fan["side"],
  valueRoom = VALUE_ROOM,
): Plan {
  const own = fans.filter((fan) => fan.side === side);
  const last = own.at(-1);
  if (!last) return { values: [], cells: null };
  const heads = last.heads.length;
  const most = Math.max(1, Math.floor((lane - GAP) / valueRoom));
  const shown = own.slice(-most);
  const width = Math.min(valueRoom, lane - GAP);
  const values = shown.map((fan, place) => ({ fan, at: GAP + place * width, width }));
  const at = GAP + shown.length * width + GAP;
  const cell = Math.min(CELL_ROOM.most, (lane - at) / Math.max(1, heads));
  const fits = heads > 1 && cell >= CELL_ROOM.least;
  return { values, cells: fits ? { fan: last, at, width: cell } : null };
}

export interface CellPaint {
  inks: Inks;
  ofHead(head: number): Rgb;
  nameOf(fan: Fan): string;
  /** What the value of combined heads is: "mean", "max", or of one head its number. */
  combined: string;
}

/** Draws values and cells of the fans that reach a side; returns what stands over their columns. */
export function drawValues(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  fans: readonly Fan[],
  lines: Lines,
  paint: CellPaint,
): ColumnHead[] {
  const heads: ColumnHead[] = [];
  for (const side of ["query", "key"] as const) {
    // A fan of a row reaches the columns.
    const reached = side === "query" ? "key" : "query";
    const lane = reached === "key" ? geometry.keyLane : geometry.queryLane;
    const { values, cells } = plan(lane, fans, side, geometry.horizontal ? VALUE_ROW : VALUE_ROOM);
    const outwards = place(geometry, reached);
    for (const { fan, at, width } of values) {
      drawColumn(context, geometry, fanValues(fan, lines), lines, { reached, at, width }, paint);
      const words = values.length > 1 ? paint.nameOf(fan) : paint.combined;
      heads.push({ ...outwards(at, width), words, colour: null, kind: "value" });
    }
    if (!cells) continue;
    drawCells(context, geometry, cells, lines, reached, paint);
    for (const [row, head] of Array.from(cells.fan.heads).entries()) {
      const colour = css(paint.ofHead(head));
      const { x, width } = outwards(cells.at + row * cells.width, cells.width);
      // Numbers that have no room for all are there for some.
      const said = row % Math.ceil(NUMBER_ROOM / cells.width) === 0;
      heads.push({ x, width, words: said ? String(head) : "", colour, kind: "head" });
    }
  }
  return heads;
}

/** From a distance to the tokens to a place in the picture. */
function place(geometry: Geometry, side: Fan["side"]) {
  return (at: number, width: number): { x: number; width: number } =>
    side === "key"
      ? { x: geometry.keyX + geometry.keyWidth + at, width }
      : { x: geometry.queryX - at - width, width };
}

/** The largest value that is no sink's: what sinks get would leave the rest flat. */
function largest(values: ArrayLike<number>, n: number, lines: Lines, side: Fan["side"]): number {
  const { frame, sinks } = lines;
  const aside = new Uint8Array(n);
  if (frame.sinks.mode !== "shown" && side === "key")
    for (const unit of sinks.units) aside[unit] = 1;
  let most = 0;
  for (let start = 0; start < values.length; start += n) {
    for (let i = 0; i < n; i++) {
      const value = values[start + i] ?? 0;
      if (value > most && !aside[i]) most = value;
    }
  }
  return most || 1;
}

function drawColumn(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  values: Float32Array,
  lines: Lines,
  { reached, at, width }: { reached: Fan["side"]; at: number; width: number },
  { inks }: CellPaint,
): void {
  const scale = largest(values, values.length, lines, reached);
  const bar = Math.max(0, width - (geometry.horizontal ? 13 : 36));
  const [from, to] = unitsInView(geometry, reached);
  const { x } = place(geometry, reached)(at, width);
  for (let unit = from; unit < to; unit++) {
    const value = values[unit] ?? 0;
    const share = Math.min(1, value / scale);
    if (share < 0.02) continue;
    const y = middle(geometry, reached, unit);
    const thickness = Math.min(9, geometry[reached].size(unit) - 6);
    const length = Math.max(1, bar * share);
    const start = reached === "key" ? x : x + width - length;
    context.fillStyle = inks.soft;
    context.fillRect(start, y - thickness / 2, length, thickness);
    if (share < 0.08) continue;
    const text = reached === "key" ? start + length + 3 : start - 3;
    const align = reached === "key" ? "left" : "right";
    write(context, geometry, formatWeight(value), text, y + 0.5, align, inks.ink, inks);
  }
}

/** A column for each head, all on one scale: the fuller a cell, the more that head gives. */
function drawCells(
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  { fan, at, width }: NonNullable<Plan["cells"]>,
  lines: Lines,
  reached: Fan["side"],
  { inks, ofHead }: CellPaint,
): void {
  const scale = largest(fan.weights, fan.n, lines, reached);
  const [from, to] = unitsInView(geometry, reached);
  const outwards = place(geometry, reached);
  for (let row = 0; row < fan.heads.length; row++) {
    const colour = css(ofHead(fan.heads[row] ?? 0));
    const { x } = outwards(at + row * width, width);
    const inner = Math.max(2, width - 2);
    for (let unit = from; unit < to; unit++) {
      const share = Math.min(1, (fan.weights[row * fan.n + unit] ?? 0) / scale);
      const room = geometry[reached].size(unit) - 3;
      const bottom = middle(geometry, reached, unit) + room / 2;
      context.fillStyle = inks.hairline;
      context.globalAlpha = 0.45;
      context.fillRect(x + 1, bottom - room, inner, room);
      context.globalAlpha = 1;
      if (share < 0.01) continue;
      context.fillStyle = colour;
      const height = Math.max(1, room * share);
      const start = geometry.horizontal ? bottom - room : bottom - height;
      context.fillRect(x + 1, start, inner, height);
    }
  }
}

/** Names what stands below the tokens of a row, at its left end: over what is scrolled there. */
export function nameRows(
  context: CanvasRenderingContext2D,
  heads: readonly ColumnHead[],
  { inks }: Pick<CellPaint, "inks">,
): void {
  context.save();
  context.transform(0, 1, 1, 0, 0, 0);
  context.font = `10px ${inks.font}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const { x, width, words, colour } of heads) {
    context.fillStyle = css(inks.paper);
    context.fillRect(0, x, MARGIN - 4, width);
    context.fillStyle = inks.soft;
    context.fillText(words, MARGIN - 10, x + width / 2, MARGIN - 12);
    if (!colour) continue;
    context.fillStyle = colour;
    context.fillRect(MARGIN - 8, x + 1, 3, width - 2);
  }
  context.restore();
}
