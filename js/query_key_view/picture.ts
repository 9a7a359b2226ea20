/** What is drawn: the frame, the tokens on both sides, and the order of rows and columns. */

import { type Column, column, rowName, unitName } from "../shared/map/axis";
import { type Axes, hasAxes, hasFrame } from "../shared/state";
import { type Order, type QueryKeyData, queryKeyData } from "./data";
import type { QueryKeyState, Rows, Sort } from "./state";

export interface QueryKeyPicture {
  readonly data: QueryKeyData;
  readonly axes: Axes;
  readonly query: Column;
  readonly key: Column;
  readonly sort: Sort;
  readonly rows: Rows;
  readonly order: Order;
  /** The dimension in each column. */
  readonly columns: readonly number[];
  /** The token that looks, in a sentence. */
  readonly queryName: string;
  keyName(key: number): string;
}

/** Reads the state; null until a frame has come that fits the labels. */
export function readPicture(
  state: Readonly<QueryKeyState>,
  old: QueryKeyPicture | null,
): QueryKeyPicture | null {
  const { axes, frame, sort, rows } = state;
  if (!hasAxes(axes) || !hasFrame(frame) || frame.key.kind !== axes.kind) return null;
  if (old && old.data.frame === frame && old.axes === axes && same(old, state)) return old;
  const data = old?.data.frame === frame ? old.data : queryKeyData(frame);
  const kept = old?.axes === axes ? old : null;
  return {
    ...{ data, axes, sort, rows },
    query: kept?.query ?? column(axes.query),
    key: kept?.key ?? column(axes.key),
    order: data.order(rows),
    columns: data.columns(sort),
    queryName: rowName(axes.query, frame.key.query),
    keyName: (key) => unitName(axes.key, key),
  };
}

function same(old: QueryKeyPicture, { sort, rows }: Readonly<QueryKeyState>): boolean {
  return old.sort === sort && old.rows === rows;
}
