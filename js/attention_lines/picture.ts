/** What is drawn: the axes with the lines between them, and which lines of the frame these are. */

import { type MapPicture, readPicture } from "../shared/map/picture";
import { effectiveThreshold, type Lines, type Shown, select, unpackLines } from "./lines";
import type { LinesState } from "./state";

export type LinesPicture = MapPicture<Lines>;

export function linesPicture(
  state: Readonly<LinesState>,
  old: LinesPicture | null,
): LinesPicture | null {
  return readPicture(state, old, unpackLines);
}

/** The lines that the state lets through. */
export function shownLines(state: Readonly<LinesState>, lines: Lines | null): Shown | null {
  return lines && select(lines, state.heads, effectiveThreshold(lines, state.threshold));
}
