/**
 * What follows the pointer: the cell's frame, lines from its labels, and its number in a tag.
 *
 * Elements of their own, placed without measuring anything: the canvases stay as they are while the
 * pointer moves.
 */

import { type Child, fill, h } from "../dom";
import { type Cell, NUMBERED, type Plot, xOf, yOf } from "./plot";

export interface Crosshair {
  readonly elements: readonly HTMLElement[];
  /** Frames a cell; `words` stand beside it. */
  show(plot: Plot, cell: Cell, words: readonly Child[] | null): void;
  hide(): void;
}

/** Pixels around the plot that a frame of its outermost cells may take. */
const AROUND = 3;
/** Pixels above a cell that its tag needs. */
const TAG = 64;

/** Whether cells have room for a number each: lines then run along their edges. */
type Numbered = (plot: Plot) => boolean;

export function crosshair(
  isNumbered: Numbered = ({ across, down }) => Math.min(across, down) >= NUMBERED,
): Crosshair {
  const [row, column, frame] = ["row", "column", "frame"].map((name) =>
    h("i", { class: `gh-cross-${name}` }),
  ) as [HTMLElement, HTMLElement, HTMLElement];
  const attrs = { hidden: true };
  const lines = h("div", { class: "gh-cross", attrs, aria: { hidden: true } }, row, column, frame);
  const tag = h("div", { class: "gh-tooltip gh-map-tag", attrs: { ...attrs, role: "tooltip" } });
  let of: Plot | null = null;
  const span = (plot: Plot): void => {
    of = plot;
    place(lines, {
      left: plot.left - AROUND,
      top: plot.top - AROUND,
      width: plot.width + 2 * AROUND,
      height: plot.height + 2 * AROUND,
    });
    lines.classList.toggle("is-numbered", isNumbered(plot));
  };
  return {
    elements: [lines, tag],
    show(plot, { query, key }, words) {
      if (of !== plot) span(plot);
      const [width, height] = [Math.max(3, plot.across), Math.max(3, plot.down)];
      const left = xOf(plot, key) - plot.left + AROUND;
      const top = yOf(plot, query) - plot.top + AROUND;
      const numbered = lines.classList.contains("is-numbered");
      place(frame, { left, top, width, height });
      place(row, {
        ...{ left: AROUND, width: Math.max(0, left - AROUND) },
        ...(numbered ? { top, height } : { top: top + height / 2 - 1, height: 2 }),
      });
      place(column, {
        ...{ top: AROUND, height: Math.max(0, top - AROUND) },
        ...(numbered ? { left, width } : { left: left + width / 2 - 1, width: 2 }),
      });
      lines.hidden = false;
      tag.hidden = words === null;
      if (words) {
        fill(tag, ...words);
        beside(tag, plot, {
          x: left + plot.left - AROUND,
          y: top + plot.top - AROUND,
          width,
          height,
        });
      }
    },
    hide() {
      lines.hidden = true;
      tag.hidden = true;
    },
  };
}

function place(
  element: HTMLElement,
  box: Record<"left" | "top" | "width" | "height", number>,
): void {
  for (const [name, value] of Object.entries(box)) element.style.setProperty(name, `${value}px`);
}

/** Above the cell, or below it where there is no room; leaning away from the plot's ends. */
function beside(
  tag: HTMLElement,
  plot: Plot,
  cell: { x: number; y: number; width: number; height: number },
): void {
  const share = (cell.x - plot.left) / Math.max(1, plot.width);
  const lean = share < 0.3 ? 0 : share > 0.7 ? -100 : -50;
  const above = cell.y > TAG;
  tag.style.left = `${cell.x + cell.width / 2}px`;
  tag.style.top = `${above ? cell.y - 8 : cell.y + cell.height + 8}px`;
  tag.style.transform = `translate(${lean}%, ${above ? -100 : 0}%)`;
}
