/** The pinned cell: a row and a column that belong together, kept as two tokens. */

import { type Lit, litTokens } from "../shared/lit";
import type { Column } from "../shared/map/axis";
import type { MatrixPicture } from "./picture";
import type { Cell } from "./readout";
import type { MatrixState } from "./state";

/** The pinned cell; null where there is none, or other tokens were selected since. */
export function pinnedCell(
  state: Pick<MatrixState, "pinned"> & Lit,
  { query, key }: MatrixPicture,
): Cell | null {
  const [row, col] = state.pinned;
  if (row === undefined || col === undefined) return null;
  const isSelected = (of: Column, token: number): boolean =>
    litTokens(state, of.axis.sequence).selected.includes(token);
  const one = query.axis.sequence === key.axis.sequence;
  const n = litTokens(state, query.axis.sequence).selected.length;
  const others = one ? n !== new Set([row, col]).size : false;
  if (others || !isSelected(query, row) || !isSelected(key, col)) return null;
  const cell = { query: query.unitOf(row), key: key.unitOf(col) };
  return cell.query === null || cell.key === null ? null : { query: cell.query, key: cell.key };
}
