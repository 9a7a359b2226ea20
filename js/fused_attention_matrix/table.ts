/** The strongest cells as a table, for those who do not see the picture. */

import { fill, h } from "../shared/dom";
import { rowName, unitName } from "../shared/map/axis";
import type { Axes } from "../shared/state";
import type { Matrix } from "./grid";
import { formatNumber } from "./numbers";

export function strongestTable(): {
  readonly element: HTMLElement;
  fill(axes: Axes, matrix: Matrix): void;
} {
  const element = h("table", { class: "fm-table" });
  return {
    element,
    fill({ query, key }, matrix) {
      const { signed, scores } = matrix;
      const one = scores ? "score" : signed ? "difference" : "weight";
      const row = (cell: Matrix["largest"][number]): HTMLElement =>
        h(
          "tr",
          {},
          h("td", {}, rowName(query, cell.query)),
          h("td", {}, unitName(key, cell.key)),
          h("td", {}, formatNumber(cell.weight, signed, 3)),
        );
      const heading = (words: string): HTMLElement => h("th", { attrs: { scope: "col" } }, words);
      fill(
        element,
        h("caption", {}, `Largest ${one}s`),
        h("thead", {}, h("tr", {}, heading("row"), heading("looks at"), heading(one))),
        h("tbody", {}, ...matrix.largest.map(row)),
      );
    },
  };
}
