/** The heads on the page: one canvas (or drawing), numbers beside it, outlines over it. */

import { fill, h, sizeCanvas } from "../shared/dom";
import type { Draw } from "../shared/save/canvases";
import { drawnAs } from "../shared/save/recorder";
import type { Head } from "./data";
import type { Layout } from "./layout";
import type { Box, Picture } from "./picture";

/** As wide as the border in style.css. */
const FRAME = 2;

export interface Plot {
  /** The grid, one tab stop. */
  readonly element: HTMLElement;
  /** Makes room for tiles with their numbers, and paints them. */
  tiles(picture: Picture, layout: Layout, paint: Draw): void;
  /** Shows a drawing instead. */
  drawing(picture: Picture, element: SVGElement): void;
  /** Outlines what is selected; emphasises its layer's number. */
  select(heads: readonly Head[], layer: number): void;
  /** Moves the cell that is pointed at, or that keys are at; null = none. */
  point(head: Head | null, words: string): void;
  /** Scrolls the cell into view. */
  reveal(): void;
  /** What the picture is of, for screen readers. */
  name(words: string): void;
}

export function createPlot(): Plot {
  const id = `hf-${Math.random().toString(36).slice(2)}`;
  const canvas = h("canvas", { aria: { hidden: true } });
  const labels = h("div", { class: "hf-labels", aria: { hidden: true } });
  const picks = h("div", { aria: { hidden: true } });
  const holder = h("div", { class: "hf-drawing", aria: { hidden: true } });
  const cell = h("div", { class: "hf-cell", attrs: { role: "gridcell", id } });
  const row = h("div", { attrs: { role: "row" } }, cell);
  const element = h(
    "div",
    { class: "hf-grid", attrs: { role: "grid", tabindex: 0 }, aria: { activedescendant: id } },
    ...[canvas, holder, labels, picks, row],
  );
  let picture: Picture | null = null;
  let selected: ReadonlySet<number> = new Set();

  const take = (next: Picture): void => {
    picture = next;
    element.style.width = `${next.width}px`;
    element.style.height = `${next.height}px`;
    element.classList.toggle("is-scatter", next.round);
    element.setAttribute("aria-rowcount", String(next.rows));
    element.setAttribute("aria-colcount", String(next.columns));
  };
  return {
    element,
    tiles(next, layout, paint) {
      take(next);
      canvas.hidden = false;
      holder.replaceChildren();
      fill(labels, ...layout.labels.map(labelNode));
      const context = sizeCanvas(canvas, next.width, next.height);
      if (context) paint(context);
      drawnAs(canvas, paint);
    },
    drawing(next, drawn) {
      take(next);
      canvas.hidden = true;
      labels.replaceChildren();
      holder.replaceChildren(drawn);
    },
    select(heads, layer) {
      selected = new Set(heads.map(({ id: of }) => of));
      const boxes = heads.flatMap((head) => picture?.boxOf(head) ?? []);
      fill(picks, ...boxes.map((box) => h("i", { class: "hf-pick", style: placed(around(box)) })));
      for (const label of labels.querySelectorAll<HTMLElement>("[data-layer]")) {
        label.classList.toggle("is-current", Number(label.dataset.layer) === layer);
      }
    },
    point(head, words) {
      const box = head && picture?.boxOf(head);
      cell.classList.toggle("is-shown", Boolean(box));
      cell.setAttribute("aria-label", words || "Arrow keys go from head to head");
      if (!head || !box || !picture) return;
      const [atRow, atColumn] = picture.cellOf(head);
      row.setAttribute("aria-rowindex", String(atRow));
      cell.setAttribute("aria-colindex", String(atColumn));
      cell.setAttribute("aria-selected", String(selected.has(head.id)));
      cell.dataset.head = `${head.layer}:${head.head}`;
      Object.assign(cell.style, placed(box));
    },
    // jsdom has no such thing.
    reveal: () => cell.scrollIntoView?.({ block: "nearest" }),
    name: (words) => element.setAttribute("aria-label", words),
  };
}

function labelNode({ text, value, x, y, align, layer }: Layout["labels"][number]): HTMLElement {
  const label = h(
    "span",
    {
      class:
        value === undefined
          ? align === "right"
            ? "hf-label is-layer"
            : "hf-label"
          : "hf-label is-name",
    },
    text,
    value && h("em", {}, ` ${value}`),
  );
  label.style.left = `${x}px`;
  label.style.top = `${y}px`;
  if (layer !== undefined) label.dataset.layer = String(layer);
  return label;
}

/** The frame of a tile is around it. */
function around({ x, y, width, height }: Box): Box {
  return { x: x - FRAME, y: y - FRAME, width: width + 2 * FRAME, height: height + 2 * FRAME };
}

function placed({ x, y, width, height }: Box): Record<string, string> {
  const px = (value: number): string => `${value}px`;
  return { left: px(x), top: px(y), width: px(width), height: px(height) };
}
