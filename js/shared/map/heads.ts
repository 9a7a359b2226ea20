/** A tile for every head, with a small picture of it where there is one; its look is in heads.css. */

import type { Control } from "../controls";
import { button, disable, fill, h, hide, mark, style } from "../dom";
import { handled } from "../keys";
import { css, headColour, type Rgb, type Theme } from "../palette";
import { roving } from "../roving";
import { headAlone, shownHeads, toggleHead } from "../scene";

export interface HeadsProps {
  nHeads: number;
  /** Selected heads; empty = all. */
  heads: readonly number[];
  theme: Theme;
  /** Each head is drawn in a colour of its own, which its tile shows. */
  coloured: boolean;
  /** [n_heads, size, size] bytes, or null when the view has no pictures of the heads. */
  thumbnails: { values: ArrayLike<number>; size: number } | null;
  /** No others can be shown now. */
  disabled?: boolean;
}

const HOW =
  "click or Enter shows it alone, and then all again; with ctrl, cmd or shift, or the space bar, " +
  "it is added or taken away";

/** What stands under the tile of a head. */
export type UnderTile = (head: number, tile: HTMLButtonElement) => HTMLElement;

/** A tile per head: a click shows it alone, with a modifier key adds it or takes it away. */
export function headTiles(
  onChange: (heads: number[]) => void,
  under?: UnderTile,
): Control<HeadsProps> {
  let props: HeadsProps = {
    ...{ nHeads: 0, heads: [], theme: "light", coloured: false, thumbnails: null },
  };
  const tiles: HTMLButtonElement[] = [];
  const list = h("div", {
    class: "gh-heads",
    attrs: { role: "toolbar" },
    aria: { label: "Heads" },
  });
  const stops = roving(list, ".gh-head");
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
  const choose = (head: number, add: boolean): void => {
    const change = add ? toggleHead : headAlone;
    onChange(change(props.heads, head, props.nHeads));
  };
  const build = (): void => {
    tiles.length = 0;
    for (const head of shownHeads([], props.nHeads)) tiles.push(headTile(head, choose));
    const cell = (tile: HTMLButtonElement, head: number): HTMLElement =>
      under ? h("div", { class: "gh-head-cell" }, tile, under(head, tile)) : tile;
    fill(list, ...tiles.map(cell));
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
      element.classList.toggle("has-colours", next.coloured);
      // One head leaves nothing to choose; its picture is still worth a look.
      hide(all, next.nHeads <= 1);
      hide(element, next.nHeads <= 1 && !next.thumbnails);
      mark(all, "aria-pressed", String(next.heads.length === 0));
      for (const control of [all, ...tiles]) disable(control, next.disabled ?? false);
      const drawn = shownHeads(next.heads, next.nHeads);
      const colour = headColour(drawn, next.theme);
      for (const [head, tile] of tiles.entries()) {
        mark(tile, "aria-pressed", String(drawn.includes(head)));
        style(tile, "--head", css(colour(head)));
        if (redraw) paintTile(tile, head, next);
      }
      stops.refresh();
    },
  };
}

function headTile(head: number, choose: (head: number, add: boolean) => void): HTMLButtonElement {
  return button(
    "gh-head",
    (event) => choose(head, event.shiftKey || event.ctrlKey || event.metaKey),
    {
      attrs: { title: `Head ${head}: ${HOW}` },
      // A tile is the key to its head's colour as well.
      data: { head, "in-picture": "yes" },
      aria: { label: `Head ${head}`, pressed: true },
      on: {
        keydown: (event) => {
          if (event.key !== " ") return;
          handled(event);
          choose(head, true);
        },
        // A button is pressed as the space bar comes up again.
        keyup: (event) => {
          if (event.key === " ") event.preventDefault();
        },
      },
    },
    h("canvas", { aria: { hidden: true } }),
    h("span", {}, head),
  );
}

const INK: Record<Theme, Rgb> = { light: [27, 30, 35], dark: [236, 238, 241] };

function paintTile(tile: HTMLButtonElement, head: number, props: HeadsProps): void {
  const canvas = tile.querySelector("canvas");
  if (!canvas || !props.thumbnails) return;
  const { size, values } = props.thumbnails;
  if (canvas.width !== size) canvas.width = size;
  if (canvas.height !== size) canvas.height = size;
  const context = canvas.getContext("2d");
  if (!context || size === 0) return;
  const image = context.createImageData(size, size);
  const own = new Uint8Array(size * size);
  for (let i = 0; i < own.length; i++) own[i] = values[head * size * size + i] ?? 0;
  const full = fullInk(own);
  const { data } = image;
  const [red, green, blue] = INK[props.theme];
  for (let i = 0; i < own.length; i++) {
    [data[4 * i], data[4 * i + 1], data[4 * i + 2]] = [red, green, blue];
    data[4 * i + 3] = Math.min(255, Math.round((255 * (own[i] ?? 0)) / full));
  }
  context.putImageData(image, 0, 0);
}

/**
 * The byte from which on a picture has full ink: nearly all of what is not 0 is below it, so that
 * one strong cell does not leave the pattern of a flat head blank; never under an eighth of the
 * largest, so that a pattern of one column stays one.
 */
function fullInk(bytes: Uint8Array): number {
  const some = bytes.filter((value) => value > 0).sort();
  return Math.max(32, some[Math.floor(0.95 * some.length)] ?? 255);
}
