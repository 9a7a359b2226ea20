/** What a picture of heads is to whoever points at it, whichever way it is drawn. */

import type { Head } from "./data";

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Whether a head is a dot; else it is a tile. */
  readonly round: boolean;
  /** Where a head is; null where it is not shown. */
  boxOf(head: Head): Box | null;
  at(x: number, y: number): Head | null;
  /** The head that a key leads to; null = not a key of the picture. */
  step(from: Head, key: string, ctrl: boolean): Head | null;
  /** Row and column of a head, from 1. */
  cellOf(head: Head): readonly [row: number, column: number];
  readonly rows: number;
  readonly columns: number;
  /** Where keys begin. */
  readonly first: Head | null;
}
