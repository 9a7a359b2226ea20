/** Where everything of a row stands: label, products, and the numbers that they come to. */

import type { QueryKeyData } from "./data";

export type PartName = "dot" | "capped" | "bias" | "score" | "weight";

export interface NumberColumn {
  readonly part: PartName;
  readonly caption: string;
  readonly title: string;
  readonly width: number;
  readonly hasBar: boolean;
}

export interface Layout {
  readonly label: number;
  /** Room for a head's number, where there are several. */
  readonly mark: number;
  /** Column of the grid that the first number is in. */
  readonly firstNumber: number;
  /** Width of the products. */
  readonly cells: number;
  /** Dimensions in a column of the picture: of several the largest product is drawn. */
  readonly perColumn: number;
  readonly nColumns: number;
  readonly columnWidth: number;
  readonly numbers: readonly NumberColumn[];
  readonly lane: number;
  readonly row: number;
  readonly isNarrow: boolean;
}

export const NARROW = 560;
const WIDEST_CELL = 48;
/** Thinner columns cannot be told apart. */
const THINNEST = 2;
const NUMBER = 58;
/** "< 0.001" in bold. */
const WEIGHT = 60;
const BAR = 46;

/** How much a row of one head, or of several, takes. */
const LANES: readonly (readonly [upTo: number, height: number])[] = [
  [1, 26],
  [4, 21],
  [Infinity, 17],
];
/** Above and below the lanes of a row. */
export const AROUND = 3;

export function layoutOf(data: QueryKeyData, width: number, widestLabel: number): Layout {
  const { dims, heads } = data;
  const isNarrow = width < NARROW;
  const numbers = numberColumns(data, isNarrow);
  const label = Math.round(Math.min(Math.max(56, widestLabel), isNarrow ? 88 : 150));
  const mark = heads.length > 1 ? 26 : 0;
  const taken = numbers.reduce((sum, one) => sum + one.width, 0);
  const room = Math.max(40, width - label - mark - taken);
  const perColumn = Math.max(1, Math.ceil((dims * THINNEST) / room));
  const nColumns = Math.ceil(dims / perColumn);
  const columnWidth = Math.min(WIDEST_CELL, room / nColumns);
  const [, lane = 17] = LANES.find(([upTo]) => heads.length <= upTo) ?? [];
  const around = heads.length > 1 ? 2 * AROUND : 0;
  return {
    firstNumber: heads.length > 1 ? 4 : 3,
    ...{ label, mark, perColumn, nColumns, columnWidth, numbers, lane, isNarrow },
    cells: nColumns * columnWidth,
    row: lane * heads.length + around,
  };
}

function numberColumns({ frame }: QueryKeyData, isNarrow: boolean): NumberColumn[] {
  const { capped, bias, bias_words: words, softcap } = frame;
  const steps = capped !== null || bias !== null;
  const one = (part: PartName, caption: string, title: string, bar = false): NumberColumn => ({
    ...{ part, caption, title, hasBar: bar && !isNarrow },
    width: (part === "weight" ? WEIGHT : NUMBER) + (bar && !isNarrow ? BAR : 0),
  });
  const columns = [
    one(
      "score",
      steps || isNarrow ? "= score" : "Σ = score",
      "What the softmax makes a weight of",
      true,
    ),
    one("weight", "weight", "Share of the attention", true),
  ];
  // A narrow picture says them of the key that is looked at.
  if (!steps || isNarrow) return columns;
  return [
    one("dot", "Σ", "Sum of the products"),
    ...(capped ? [one("capped", "capped", `After the soft-cap of ${softcap}`)] : []),
    ...(bias ? [one("bias", "+ bias", `Added: ${words || "position bias"}`)] : []),
    ...columns,
  ];
}

/** The column of the picture at a distance from the left end of the products. */
export function columnAt(layout: Layout, x: number): number | null {
  const at = Math.floor(x / layout.columnWidth);
  return at >= 0 && at < layout.nColumns ? at : null;
}
