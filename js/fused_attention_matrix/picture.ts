/** What is drawn: the axes, and the matrix between them. */

import { type MapPicture, readPicture } from "../shared/map/picture";
import { type Matrix, readMatrix } from "./grid";
import type { MatrixState } from "./state";

export type MatrixPicture = MapPicture<Matrix>;

export function matrixPicture(
  state: Readonly<MatrixState>,
  old: MatrixPicture | null,
): MatrixPicture | null {
  return readPicture(state, old, readMatrix);
}
