/** How attribution is coloured: blue speaks against, paper does not matter, orange speaks for it. */

import { entryOf, type Paint } from "../shared/map/signed";
import { divergingTable, type Rgb, tableColour } from "../shared/palette";
import type { Shell } from "../shared/shell";

/** The table of the theme, made once for each. */
export function paints(shell: Pick<Shell, "theme" | "inks">): (bound: number) => Paint {
  let known: { name: string; table: Uint8ClampedArray } = {
    ...{ name: "", table: new Uint8ClampedArray() },
  };
  return (bound) => {
    const { paper } = shell.inks();
    const name = `${shell.theme}:${paper}`;
    if (known.name !== name) known = { name, table: divergingTable(shell.theme, paper) };
    return { table: known.table, bound };
  };
}

export function colourOf({ table, bound }: Paint, value: number): Rgb {
  return tableColour(table, entryOf(value, bound) / 255);
}

/** The colours of bars: nearly the ends. */
export function armsOf({ table }: Paint): { up: Rgb; down: Rgb } {
  return { up: tableColour(table, 218 / 255), down: tableColour(table, 38 / 255) };
}
