/** The second column: one layer in detail. */

import { fill, h } from "../shared/dom";
import type { Theme } from "../shared/palette";
import { drawPanel, type PanelRoom } from "./panels";
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
  /** Selected tokens. */
  selected: readonly number[];
}

export interface DetailColumn {
  readonly element: HTMLElement;
  update(props: DetailProps): void;
}

export function detailColumn(
  on: Pick<PanelRoom, "canChoosePairs" | "onHead" | "onTokens">,
): DetailColumn {
  const element = h("div", { class: "gh-panels" });
  let drawn: unknown[] = [];
  let room = 0;
  return {
    element,
    update({ detail, coming, theme, heads, selected }) {
      // The height of panels that are on their way is kept: nothing jumps.
      const height = coming ? element.offsetHeight : 0;
      const panels = detail?.panels ?? [];
      element.style.minHeight = height > 0 ? `${height}px` : "";
      element.hidden = panels.length === 0 && height === 0;
      // Taken out of the page (a notebook does so with cells that are far away): its last width.
      room = roomIn(element) || room;
      const width = widthOf(panels, room);
      const now = [detail, width, theme, heads.join(), ofTokens(panels) ? selected.join() : ""];
      // Drawn anew only if it is another picture: a table stays where it is scrolled to.
      if (now.every((one, i) => one === drawn[i])) return;
      drawn = now;
      const stop = focused(element);
      const all = { width, theme, heads, selected, ...on };
      fill(element, ...panels.map((one) => drawPanel(one, all)));
      stop?.();
    },
  };
}

function ofTokens(panels: readonly Panel[]): boolean {
  return panels.some((one) => "positions" in one && one.positions.length > 0);
}

/** What gives the focus back to the place that has it now, when it is drawn anew. */
function focused(element: HTMLElement): (() => void) | null {
  const { activeElement } = element.getRootNode() as Document | ShadowRoot;
  const figures = [...element.children];
  const figure = figures.findIndex((one) => one.contains(activeElement));
  const stop = activeElement?.getAttribute("data-stop");
  if (figure < 0 || !stop) return null;
  return () => {
    const stops = element.children[figure]?.querySelectorAll<SVGElement>("[data-stop]") ?? [];
    [...stops].find((one) => one.getAttribute("data-stop") === stop)?.focus();
  };
}

function roomIn(element: HTMLElement): number {
  const { paddingInlineStart } = getComputedStyle(element);
  return element.clientWidth - (Number.parseFloat(paddingInlineStart) || 0);
}

/** The same for every panel, however often they are drawn; a table has all the room there is. */
function widthOf(panels: readonly Panel[], room: number): number {
  if (panels.some(({ type }) => type === "table")) return room;
  const most = Math.max(1, Math.min(panels.length, Math.floor((room + GAP) / (LEAST + GAP))));
  // Rows of equal length: two and two, not three and one.
  const across = Math.ceil(panels.length / Math.ceil(panels.length / most)) || 1;
  return Math.min(MOST, Math.floor((room - GAP * (across - 1)) / across));
}
