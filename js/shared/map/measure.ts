/** How much room the labels of a map need. */

import { labelText, type Side } from "./axis";
import type { MapPicture } from "./picture";

/** Widths of the two sides in pixels, in the font that they are shown in. */
export function labelWidths(
  picture: MapPicture<unknown>,
  context: CanvasRenderingContext2D | null,
  font: string,
): Record<Side, number> {
  const need = (side: Side): number => {
    const { axis, length } = picture[side];
    const labels = Array.from({ length }, (_, unit) => labelText(axis, unit));
    return widest(context, labels, font);
  };
  return { query: need("query"), key: need("key") };
}

function widest(
  context: CanvasRenderingContext2D | null,
  labels: readonly string[],
  font: string,
): number {
  if (!context) return 80;
  context.font = font;
  // Long inputs: the longest strings are the widest, near enough to skip measuring thousands.
  const candidates = [...labels].sort((a, b) => b.length - a.length).slice(0, 400);
  return Math.max(0, ...candidates.map((label) => context.measureText(label).width)) + 14;
}
