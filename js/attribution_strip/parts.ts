/** What the matrix needs beyond its frame: a sharper part of it, and cells by themselves. */

import type { Answer, Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import { type Grid, type Known, numberAt } from "../shared/map/grid";
import type { Cell } from "../shared/map/plot";
import type { Matrix, Range } from "./matrix";
import type { AttributionState } from "./state";

export interface Parts {
  /** What is known of a cell: exact, or the largest of its pixel. */
  value(cell: Cell): Known | null;
  /** Has the exact value of a cell, sooner or later. */
  ask(cell: Cell): void;
  reset(matrix: Matrix | null): void;
}

/** Cells that are asked for together. */
const BLOCK = 64;

type Asked = Range & { sequence: string };

export function createParts(
  host: Host<AttributionState>,
  signal: AbortSignal,
  onCell: () => void,
): Parts {
  let matrix: Matrix | null = null;
  const cells = createQuestion<Asked, ArrayLike<number>>(host, signal, {
    name: "cells",
    read: ({ arrays }: Answer) => arrays.values?.values ?? null,
    onReply: onCell,
    most: 32,
  });
  const blockOf = (of: Matrix, { query, key }: Cell): { asked: Asked; start: number } => {
    const { text, unit } = of.textOf(key);
    const [row0, column0] = [query - (query % BLOCK), unit - (unit % BLOCK)];
    const cols = of.texts[text]?.length ?? 0;
    const asked = {
      sequence: of.part.maps[text]?.sequence ?? "text",
      ...{ row0, row1: Math.min(of.part.rows, row0 + BLOCK) },
      ...{ column0, column1: Math.min(cols, column0 + BLOCK) },
    };
    return { asked, start: of.starts[text] ?? 0 };
  };
  const gridAt = (of: Matrix, key: number): Grid | undefined =>
    of.grids.find(({ column, column1 }) => key >= column && key < column1);
  const value = (cell: Cell): Known | null => {
    if (!matrix) return null;
    const grid = gridAt(matrix, cell.key);
    const own = grid ? numberAt(grid, cell.query, cell.key) : null;
    const { asked, start } = blockOf(matrix, cell);
    const exact = cells.value(asked);
    if (!exact) return own;
    const at = (cell.query - asked.row0) * (asked.column1 - asked.column0);
    return { value: exact[at + cell.key - start - asked.column0] ?? Number.NaN, isExact: true };
  };
  return {
    value,
    ask(cell) {
      if (!matrix) return;
      const { text } = matrix.textOf(cell.key);
      if (matrix.part.maps[text]?.exact || host.can?.("cells") === false) return;
      cells.ask(blockOf(matrix, cell).asked);
    },
    reset(next) {
      matrix = next;
      cells.forget();
    },
  };
}
