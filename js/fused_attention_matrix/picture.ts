/** What is drawn: the axes, and the matrix between them. */

import { type MapPicture, readPicture } from "../shared/map/picture";
import { type Matrix, readMatrix } from "./grid";
import type { MatrixState } from "./state";

export type MatrixPicture = MapPicture<Matrix>;

export function matrixPicture(
  state: Readonly<MatrixState>,
  old: MatrixPicture | null,
): MatrixPicture | null {
  const picture = readPicture(state, old, readMatrix);
  const matrix = picture?.content;
  // Axes and frame change together; a frame of other rows would point at wrong ones.
  const fits =
    matrix?.frame.rows === picture?.query.length && matrix?.frame.cols === picture?.key.length;
  return picture && !fits ? { ...picture, content: null } : picture;
}
