/** What is drawn: the axes with the lines between them. */

import { type MapPicture, readPicture } from "../shared/map/picture";
import { type Lines, unpackLines } from "./lines";
import type { LinesState } from "./state";

export type LinesPicture = MapPicture<Lines>;

export function linesPicture(
  state: Readonly<LinesState>,
  old: LinesPicture | null,
): LinesPicture | null {
  const same = old?.content && old.axes === state.axes && old.content.frame === state.frame;
  return same ? old : readPicture(state, old, unpackLines);
}
