/** A tile for every head, with a small picture of it where there is one; its look is in heads.css. */

import type { Control } from "../controls";
import { button, fill, h } from "../dom";
import { css, headColour, type Theme } from "../palette";
import { toggleHead } from "../scene";

export interface HeadsProps {
  nHeads: number;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  theme: Theme;
  /** [n_heads, size, size] bytes, or null when the view has no pictures of the heads. */
  thumbnails: { values: ArrayLike<number>; size: number } | null;
}

/** A tile per head: click toggles, double-click solos, shift-click takes the range. */
export function headTiles(onChange: (heads: number[]) => void): Control<HeadsProps> {
  let props: HeadsProps = { nHeads: 0, heads: [], theme: "light", thumbnails: null };
  let last = 0;
  const tiles: HTMLButtonElement[] = [];
  const list = h("div", { class: "gh-heads", attrs: { role: "group" }, aria: { label: "Heads" } });
  const all = button(
    "gh-button",
    () => onChange([]),
    {
      attrs: { title: "Show all heads" },
      data: { action: "heads-all" },
    },
    "All",
  );
  const element = h("div", { class: "gh-heads-row" }, all, list);
  const click = (head: number, event: MouseEvent): void => {
    if (event.shiftKey) {
      const [from, to] = [Math.min(last, head), Math.max(last, head)];
      const heads = range(props.nHeads).slice(from, to + 1);
      onChange(heads.length === props.nHeads ? [] : heads);
    } else if (event.detail === 2) {
      onChange(props.nHeads === 1 ? [] : [head]);
    } else {
      onChange(toggleHead(props.heads, head, props.nHeads));
    }
    last = head;
  };
  const build = (): void => {
    tiles.length = 0;
    for (const head of range(props.nHeads)) tiles.push(headTile(head, click));
    fill(list, ...tiles);
  };
  return {
    element,
    update(next) {
      const rebuild = next.nHeads !== props.nHeads;
      const redraw =
        rebuild ||
        next.theme !== props.theme ||
        next.thumbnails?.values !== props.thumbnails?.values;
      props = next;
      if (rebuild) build();
      element.classList.toggle("has-pictures", next.thumbnails !== null);
      // One head leaves nothing to choose; its picture is still worth a look.
      all.hidden = next.nHeads <= 1;
      element.hidden = next.nHeads <= 1 && !next.thumbnails;
      all.setAttribute("aria-pressed", String(next.heads.length === 0));
      for (const [head, tile] of tiles.entries()) {
        const on = next.heads.length === 0 || next.heads.includes(head);
        tile.setAttribute("aria-pressed", String(on));
        if (redraw) paintTile(tile, head, next);
      }
    },
  };
}

function headTile(
  head: number,
  click: (head: number, event: MouseEvent) => void,
): HTMLButtonElement {
  return button(
    "gh-head",
    (event) => click(head, event),
    {
      attrs: {
        title: `Head ${head}: click turns it on or off, double-click shows it alone, shift-click a range`,
      },
      data: { head },
      aria: { label: `Head ${head}`, pressed: true },
    },
    h("canvas", { aria: { hidden: true } }),
    h("span", {}, head),
  );
}

function paintTile(tile: HTMLButtonElement, head: number, props: HeadsProps): void {
  const colour = headColour(head, props.nHeads, props.theme);
  tile.style.setProperty("--head", css(colour));
  const canvas = tile.querySelector("canvas");
  if (!canvas || !props.thumbnails) return;
  const { size, values } = props.thumbnails;
  canvas.width = size;
  canvas.height = size;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(size, size);
  for (let i = 0; i < size * size; i++) {
    image.data.set([...colour, values[head * size * size + i] ?? 0], 4 * i);
  }
  context.putImageData(image, 0, 0);
}

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
