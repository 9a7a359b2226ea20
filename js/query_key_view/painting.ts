/** Products as colours: blue lowers the score, orange raises it, in proportion to their size. */

import { css, divergingTable, inkOn, type Rgb, type Theme } from "../shared/palette";
import { short } from "../shared/signed_numbers";
import type { Inks } from "../shared/theme";
import type { QueryKeyData } from "./data";
import { AROUND, type Layout } from "./layout";
import type { Cells } from "./products";

export interface Paint {
  readonly table: Uint8ClampedArray;
  readonly inks: Inks;
}

export function createPaint(theme: Theme, inks: Inks): Paint {
  return { table: divergingTable(theme, inks.paper), inks };
}

/** A colour for a number between −1 and 1. */
export function colourOf({ table }: Paint, share: number): Rgb {
  const size = Math.min(1, Math.abs(share));
  const i = 3 * (128 + Math.sign(share) * Math.round(127 * size));
  return [table[i] ?? 0, table[i + 1] ?? 0, table[i + 2] ?? 0];
}

/** The colours of the scale as a CSS gradient, in proportion to the numbers. */
export function rampOf(paint: Paint): string {
  const stops = Array.from({ length: 33 }, (_, i) => css(colourOf(paint, (i - 16) / 16)));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

/** The colours that bars and words have for what raises and what lowers. */
export function armsOf(paint: Paint): { up: string; down: string } {
  return { up: css(colourOf(paint, 0.65)), down: css(colourOf(paint, -0.65)) };
}

/** Dimensions of a column of the picture; of several the one with the largest number is drawn. */
export function drawnDim(
  columns: readonly number[],
  at: number,
  { perColumn }: Layout,
  value: (dim: number) => number,
): number {
  let best = columns[at * perColumn] ?? 0;
  for (let i = at * perColumn + 1; i < Math.min(columns.length, (at + 1) * perColumn); i++) {
    const dim = columns[i] ?? 0;
    if (Math.abs(value(dim)) > Math.abs(value(best))) best = dim;
  }
  return best;
}

export interface Strip {
  readonly columns: readonly number[];
  readonly layout: Layout;
  readonly paint: Paint;
  readonly value: (dim: number) => number;
  /** Where the colours end. */
  readonly bound: number;
  readonly y: number;
  readonly height: number;
}

/** From this width on a cell has its number in it. */
const NUMBERED = 27;
/** From this width on there is paper between cells. */
const APART = 6;

/** One row of cells, in the order of the columns. */
export function paintStrip(context: CanvasRenderingContext2D, strip: Strip): void {
  const { columns, layout, paint, value, bound, y, height } = strip;
  const { columnWidth, nColumns } = layout;
  const gap = columnWidth >= APART ? 1 : 0;
  const numbered = columnWidth >= NUMBERED && height >= 14;
  context.font = `10.5px ${paint.inks.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  for (let at = 0; at < nColumns; at++) {
    const number = value(drawnDim(columns, at, layout, value));
    if (!Number.isFinite(number)) continue;
    const colour = colourOf(paint, bound > 0 ? number / bound : 0);
    const left = Math.round(at * columnWidth);
    const right = Math.round((at + 1) * columnWidth) - gap;
    context.fillStyle = css(colour);
    context.fillRect(left, y, Math.max(1, right - left), height);
    if (!numbered) continue;
    context.fillStyle = inkOn(colour);
    context.fillText(short(number), (left + right) / 2, y + height / 2 + 0.5);
  }
}

/** All lanes of a key. */
export function paintKey(
  context: CanvasRenderingContext2D,
  of: { data: QueryKeyData; key: number; cells: Cells; columns: readonly number[] },
  layout: Layout,
  paint: Paint,
): void {
  const { data, key, cells, columns } = of;
  for (const lane of data.heads.keys()) {
    if (data.isHidden(lane, key)) continue;
    paintStrip(context, {
      ...{ columns, layout, paint, bound: data.bound(lane) },
      value: (dim) => cells.product(lane, dim),
      ...{ y: laneTop(data, layout, lane) + 1, height: layout.lane - 2 },
    });
  }
}

export function laneTop({ heads }: QueryKeyData, layout: Layout, lane: number): number {
  return lane * layout.lane + (heads.length > 1 ? AROUND : 0);
}
