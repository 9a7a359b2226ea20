/** How much room the labels of a map need. */

import { type Column, labelText, type Side } from "./axis";
import type { MapPicture } from "./picture";

/** Widths of the two sides in pixels, in the font that they are shown in. */
export function labelWidths(
  picture: MapPicture<unknown>,
  context: CanvasRenderingContext2D | null,
  font: string,
): Record<Side, number> {
  const need = (side: Side): number => labelWidth(picture[side], context, font);
  return { query: need("query"), key: need("key") };
}

/** Width of the labels of one side. */
export function labelWidth(
  { axis, length }: Column,
  context: CanvasRenderingContext2D | null,
  font: string,
): number {
  if (!context) return 80;
  const labels = Array.from({ length }, (_, unit) => labelText(axis, unit));
  context.font = font;
  // Long inputs: the longest strings are the widest, near enough to skip measuring thousands.
  const candidates = labels.sort((a, b) => b.length - a.length).slice(0, 400);
  return Math.max(0, ...candidates.map((label) => context.measureText(label).width)) + 14;
}

/** Pixels after which a column's label is cut. */
export const LONGEST_LABEL = 190;

/** Height of the labels above the columns, which stand at an angle unless cells are wide. */
export function labelHeight(width: number): number {
  return Math.round(Math.min(LONGEST_LABEL, width) * 0.87 + 14);
}
