/** What the current axes and frame make, unpacked once. */

import { type Column, column } from "../shared/axis_text";
import { type Axes, hasAxes, hasFrame } from "../shared/state";
import { type Lines, unpackLines } from "./lines";
import type { LinesState } from "./state";

export interface Picture {
  axes: Axes;
  query: Column;
  key: Column;
  /** Null until a frame comes that fits the axes. */
  lines: Lines | null;
}

/** Reads the state; columns of `old` are kept while the axes are the same. */
export function readPicture(state: Readonly<LinesState>, old: Picture | null): Picture | null {
  const { axes, frame } = state;
  if (!hasAxes(axes)) return null;
  const kept = old?.axes === axes ? old : null;
  // Axes and frame change together, but a frame of the other unit would point at wrong rows.
  const fits = hasFrame(frame) && frame.key.unit === axes.unit && frame.key.kind === axes.kind;
  return {
    axes,
    query: kept?.query ?? column(axes.query),
    key: kept?.key ?? column(axes.key),
    lines: fits ? unpackLines(frame) : null,
  };
}
