/** The second column: one layer in detail. */

import { fill, h } from "../shared/dom";
import type { Theme } from "../shared/palette";
import { drawPanel } from "./panels";
import type { Detail } from "./state";

const WIDTH = 280;

export interface DetailProps {
  /** Of the current layer; null = there is none, or it is on its way. */
  detail: Detail | null;
  /** Whether the current layer's detail is on its way. */
  coming: boolean;
  theme: Theme;
  /** Selected heads; empty = all. */
  heads: readonly number[];
}

export interface DetailColumn {
  readonly element: HTMLElement;
  update(props: DetailProps): void;
}

export function detailColumn(onHead: (head: number) => void): DetailColumn {
  const element = h("div", { class: "gh-panels" });
  let drawn: unknown[] = [];
  return {
    element,
    update({ detail, coming, theme, heads }) {
      // The room of panels that are on their way is kept: nothing jumps.
      const room = coming ? element.offsetHeight : 0;
      element.style.minHeight = room > 0 ? `${room}px` : "";
      element.classList.toggle("is-coming", room > 0);
      const first = element.querySelector(".gh-panel");
      const figure = first ?? element.appendChild(h("div", { class: "gh-panel" }));
      const width = figure.clientWidth || WIDTH;
      const now = [detail, width, theme, heads.join()];
      // Drawn anew only if it is another picture: a table stays where it is scrolled to.
      if (first && now.every((one, i) => one === drawn[i])) return;
      drawn = now;
      const panels = detail?.panels ?? [];
      fill(element, ...panels.map((one) => drawPanel(one, { width, theme, heads, onHead })));
    },
  };
}
