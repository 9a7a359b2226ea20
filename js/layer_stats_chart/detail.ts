/** The second column: one layer in detail. */

import { fill, h } from "../shared/dom";
import type { Theme } from "../shared/palette";
import { drawPanel } from "./panels";
import type { Detail, Panel } from "./state";

/** Of a panel, in pixels; as many stand side by side as have the least. */
const LEAST = 260;
const MOST = 420;
const GAP = 16;

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
  let room = 0;
  return {
    element,
    update({ detail, coming, theme, heads }) {
      // The height of panels that are on their way is kept: nothing jumps.
      const height = coming ? element.offsetHeight : 0;
      const panels = detail?.panels ?? [];
      element.style.minHeight = height > 0 ? `${height}px` : "";
      element.hidden = panels.length === 0 && height === 0;
      // Taken out of the page (a notebook does so with cells that are far away): its last width.
      room = roomIn(element) || room;
      const width = widthOf(panels, room);
      const now = [detail, width, theme, heads.join()];
      // Drawn anew only if it is another picture: a table stays where it is scrolled to.
      if (now.every((one, i) => one === drawn[i])) return;
      drawn = now;
      fill(element, ...panels.map((one) => drawPanel(one, { width, theme, heads, onHead })));
    },
  };
}

function roomIn(element: HTMLElement): number {
  const { paddingInlineStart } = getComputedStyle(element);
  return element.clientWidth - (Number.parseFloat(paddingInlineStart) || 0);
}

/** The same for every panel, however often they are drawn; a table has all the room there is. */
function widthOf(panels: readonly Panel[], room: number): number {
  if (panels.some(({ type }) => type === "table")) return room;
  const across = Math.max(1, Math.min(panels.length, Math.floor((room + GAP) / (LEAST + GAP))));
  return Math.min(MOST, Math.floor((room - GAP * (across - 1)) / across));
}
