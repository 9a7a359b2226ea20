/** What the current axes and frame make, unpacked once. */

import {
  type Axes,
  type Frame,
  hasAxes,
  hasFrame,
  type MaybeAxes,
  type MaybeFrame,
} from "../state";
import { type Column, column, type Side } from "./axis";

export interface MapPicture<C> {
  readonly axes: Axes;
  readonly query: Column;
  readonly key: Column;
  /** What is drawn between the axes; null until a frame comes that fits them. */
  readonly content: C | null;
  /** Widest label of each side in pixels, once measured. */
  widths: Record<Side, number> | null;
}

/** A frame of a map says which labels it is for. */
interface MapFrame extends Frame {
  key: Pick<Axes, "unit" | "kind">;
}

/** Reads the state; what belongs to the axes is kept from `old` while they are the same. */
export function readPicture<F extends MapFrame, C>(
  { axes, frame }: { readonly axes: MaybeAxes; readonly frame: MaybeFrame<F> },
  old: MapPicture<C> | null,
  read: (frame: F) => C,
): MapPicture<C> | null {
  if (!hasAxes(axes)) return null;
  const kept = old?.axes === axes ? old : null;
  // Axes and frame change together, but a frame of the other unit would point at wrong rows.
  const fits = hasFrame(frame) && frame.key.unit === axes.unit && frame.key.kind === axes.kind;
  return {
    axes,
    query: kept?.query ?? column(axes.query),
    key: kept?.key ?? column(axes.key),
    content: fits ? read(frame) : null,
    widths: kept?.widths ?? null,
  };
}
