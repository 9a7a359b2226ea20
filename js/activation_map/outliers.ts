/** The outlier dimensions by name: a click, or Enter, pins one. */

import { button, fill, h, hide, mark } from "../shared/dom";
import { formatCount } from "../shared/numbers";
import { toolbar } from "../shared/roving";
import type { Activations } from "./grid";
import { shortly } from "./numbers";

export interface Outliers {
  readonly element: HTMLElement;
  show(map: Activations, pinned: readonly number[]): void;
}

const MOST = 16;

export function outlierList(toggle: (dimension: number) => void): Outliers {
  const list = h("div", { class: "am-chips" });
  const stops = toolbar(list, "Outlier dimensions");
  const heading = h("span", { class: "gh-caption" });
  const element = h("div", { class: "am-outliers" }, heading, list);
  let of: Activations | null = null;
  const chip = (dimension: number, rms: number): HTMLButtonElement =>
    button(
      "gh-button am-chip",
      () => toggle(dimension),
      {
        attrs: { title: `Dimension ${dimension}: RMS ${shortly(rms)}. Draws it along the text` },
        aria: { pressed: false },
        data: { dimension, "in-picture": "yes" },
      },
      h("b", {}, dimension),
      ` ${shortly(rms)}`,
    );
  return {
    element,
    show(map, pinned) {
      const { outliers, rms } = map;
      if (of !== map) {
        of = map;
        const more = outliers.length - MOST;
        fill(
          list,
          ...outliers.slice(0, MOST).map((dimension) => chip(dimension, rms[dimension] ?? 0)),
          more > 0 && h("span", { class: "gh-caption" }, `and ${formatCount(more)} more`),
        );
        fill(heading, "Outlier dimensions, with their RMS");
        mark(heading, "title", map.frame.outliers_words);
        hide(element, outliers.length === 0);
      }
      for (const one of list.querySelectorAll("button")) {
        mark(one, "aria-pressed", String(pinned.includes(Number(one.dataset.dimension))));
      }
      stops.refresh();
    },
  };
}
