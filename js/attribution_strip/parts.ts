/** What the matrix needs beyond its frame: a sharper part of it, and cells by themselves. */

import type { Answer, Host } from "../shared/host/host";
import { createQuestion } from "../shared/host/question";
import { type Grid, numberAt } from "../shared/map/grid";
import { createPart } from "../shared/map/part";
import { type Cell, type Plot, unitsInView } from "../shared/map/plot";
import { decoded, type Matrix, type Range } from "./matrix";
import type { AttributionState } from "./state";

/** What is known of a cell: itself, itself but for rounding, or the largest near it. */
export interface Reading {
  readonly value: number;
  readonly how: "exact" | "rounded" | "largest";
}

export interface Parts {
  /** The grids that there are for what is in view; the finest come last. */
  readonly grids: readonly Grid[];
  want(plot: Plot): void;
  value(cell: Cell): Reading | null;
  /** Has the exact value of a cell, sooner or later. */
  ask(cell: Cell): void;
  reset(matrix: Matrix | null): void;
}

/** Cells that are asked for together. */
const BLOCK = 64;
/** The kernel pools parts larger than this. */
const MOST = 512;
/** Texts that there are at most: a source, and what the decoder reads. */
const TEXTS = [0, 1];

type Asked = Range & { sequence: string };

export function createParts(
  host: Host<AttributionState>,
  signal: AbortSignal,
  onCell: () => void,
  onTile: () => void,
): Parts {
  let matrix: Matrix | null = null;
  const sequenceOf = (text: number): string => matrix?.part.maps[text]?.sequence ?? "text";
  const tiles = TEXTS.map((text) =>
    createPart<Range, Grid>(
      {
        ask: (question, args, ending) =>
          host.ask(question, { ...args, sequence: sequenceOf(text) }, ending),
        onStatus: (callback, ending) => host.onStatus(callback, ending),
      },
      signal,
      {
        ...{ name: "tile", most: 8, onArrival: onTile },
        read: (answer, range) => readTile(answer, range, matrix?.starts[text] ?? 0),
      },
    ),
  );
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
      sequence: sequenceOf(text),
      ...{ row0, row1: Math.min(of.part.rows, row0 + BLOCK) },
      ...{ column0, column1: Math.min(cols, column0 + BLOCK) },
    };
    return { asked, start: of.starts[text] ?? 0 };
  };
  const gridAt = (of: Matrix, key: number): Grid | undefined =>
    of.grids.find(({ column, column1 }) => key >= column && key < column1);
  const value = (cell: Cell): Reading | null => {
    if (!matrix) return null;
    const { asked, start } = blockOf(matrix, cell);
    const exact = cells.value(asked);
    if (exact) {
      const at = (cell.query - asked.row0) * (asked.column1 - asked.column0);
      const place = at + cell.key - start - asked.column0;
      return { value: exact[place] ?? Number.NaN, how: "exact" };
    }
    const grid = gridAt(matrix, cell.key);
    const own = grid && numberAt(grid, cell.query, cell.key);
    if (!own) return null;
    const { text } = matrix.textOf(cell.key);
    const whole = matrix.part.maps[text]?.exact ? "exact" : "rounded";
    return { value: own.value, how: own.isExact ? whole : "largest" };
  };
  return {
    get grids() {
      const sharp = tiles.flatMap(({ current }) => (current ? [current] : []));
      return [...(matrix?.grids ?? []), ...sharp];
    },
    want(plot) {
      if (!matrix || host.can?.("tile") === false) return;
      const { query0, query1, key0, key1 } = unitsInView(plot);
      for (const [text, { column, column1, perRow }] of matrix.grids.entries()) {
        const [from, to] = [Math.max(key0, column) - column, Math.min(key1, column1) - column];
        if (perRow === 1 || from >= to || plot.down * perRow <= 1) continue;
        // More than that would be pooled as well.
        if (query1 - query0 > MOST || to - from > MOST) continue;
        tiles[text]?.want({ row0: query0, row1: query1, column0: from, column1: to });
      }
    },
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
      for (const tile of tiles) tile.clear();
    },
  };
}

function readTile({ result, arrays }: Answer, range: Range, start: number): Grid | null {
  const { values, row_scale: scales } = arrays;
  const { cells_per_pixel, zero } = result;
  if (!values || !scales || typeof cells_per_pixel !== "number") return null;
  const coded = { cells_per_pixel, zero: Number(zero), shape: values.shape };
  return decoded({ ...coded, values: values.values, scales: scales.values }, range, start);
}
