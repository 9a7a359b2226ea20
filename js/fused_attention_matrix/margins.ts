/** What the bars beside and below the matrix are, and what they are called. */

import { fill, h } from "../shared/dom";
import { endOf } from "../shared/numbers";
import { largest } from "./drawing";
import { GAP, LANE, type MatrixPlot } from "./geometry";
import type { Matrix } from "./grid";

/** A lane of bars with its name, and the unit of its numbers. */
export interface Lane {
  readonly name: "entropy" | "sinks" | "distance" | "mass" | "change";
  readonly words: readonly [string, string];
  readonly values: ArrayLike<number>;
}

export interface Margins {
  /** Of every row, from the matrix outwards. */
  readonly rows: readonly Lane[];
  /** Of every column. */
  readonly columns: Lane;
}

export function marginsOf(matrix: Matrix): Margins {
  const { compare, sinks, entropy, mass, undefinedRows } = matrix;
  if (compare) {
    return {
      rows: [{ name: "distance", words: ["apart", "share"], values: compare.rowDistance }],
      columns: {
        name: "change",
        words: ["mean", "difference"],
        values: withoutSinks(compare.columnChange, matrix),
      },
    };
  }
  const defined = Float32Array.from(entropy, (bits, row) => (undefinedRows[row] ? NaN : bits));
  const aside = sinks.mode === "aside" && sinks.apart.length > 0;
  return {
    rows: [
      ...(aside
        ? [{ name: "sinks", words: ["to sinks", "share"], values: sinks.to } as const]
        : []),
      { name: "entropy", words: ["entropy", "in bits"], values: defined },
    ],
    columns: {
      name: "mass",
      words: ["mean", "received"],
      values: withoutSinks(mass, matrix),
    },
  };
}

/** What stands apart would leave the others no room. */
function withoutSinks(values: ArrayLike<number>, { sinks }: Matrix): ArrayLike<number> {
  return Float32Array.from(values, (value, key) => (sinks.isApart(key) ? 0 : value));
}

/** What the bars are, and what the longest one stands for; where they are, by the lane's number. */
export function marginWords(
  element: HTMLElement,
  lane: Lane,
  plot: MatrixPlot,
  place: number,
): void {
  const { name, words, values } = lane;
  const end = `≤ ${endOf(largest(values))}`;
  const below = place < 0;
  element.className = `fm-margin is-${name} ${below ? "is-below" : "is-lane"}`;
  element.style.top = `${plot.top + plot.height + GAP}px`;
  if (below) {
    element.style.width = `${plot.left - 6}px`;
    fill(element, words.join(" "), h("span", {}, end));
  } else {
    element.style.left = `${plot.left + plot.width + GAP + place * (LANE + GAP)}px`;
    fill(element, words[0], h("span", {}, words[1]), h("span", {}, end));
  }
}
