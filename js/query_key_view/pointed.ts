/** Marks over the picture: the row that keys are at, and a dimension through all rows. */

import { h, hide, mark, say, style } from "../shared/dom";

export interface Marks {
  /** The row that keys are at. */
  focus(grid: HTMLElement, row: HTMLElement | null): void;
  /** A column, from the left end of the products. */
  column(box: { x: number; width: number; dim: number } | null): void;
}

export function createMarks(heading: HTMLElement, rows: HTMLElement): Marks {
  const line = h("div", {
    class: "qk-column",
    attrs: { hidden: true, role: "presentation" },
    data: { "in-picture": "no" },
  });
  const number = h("span", { class: "qk-dim-now", data: { "in-picture": "no" } });
  let at: HTMLElement | null = null;
  return {
    focus(grid, row) {
      if (at !== row) at?.classList.remove("is-at");
      at = row;
      row?.classList.add("is-at");
      mark(grid, "aria-activedescendant", row?.id ?? null);
    },
    column(box) {
      hide(line, box === null);
      hide(number, box === null);
      if (!box) return;
      // Both may have gone with what they stood in.
      const dims = heading.querySelector(".qk-dims");
      if (number.parentNode !== dims) dims?.append(number);
      if (line.parentNode !== rows) rows.append(line);
      style(line, "--x", `${box.x}px`);
      style(line, "width", `${Math.max(2, box.width)}px`);
      style(number, "left", `${box.x + box.width / 2}px`);
      say(number, String(box.dim));
    },
  };
}
