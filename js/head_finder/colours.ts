/** Colours of tiles: what is seen through a head's own scale, sinks in grey, metrics. */

import { css, divergingTable, type Rgb, sequentialTable, type Theme } from "../shared/palette";

/** Where a tile has no weight: near the paper, so that its edges can be seen. */
export const TILE: Readonly<Record<Theme, Rgb>> = { light: [244, 245, 247], dark: [31, 33, 37] };
const SINK: Readonly<Record<Theme, Rgb>> = { light: [112, 117, 125], dark: [146, 151, 160] };
const LAYERS: Readonly<Record<Theme, readonly [number, number]>> = {
  // The ends of the table, where dots are pale on the paper or hard to tell from ink, are left out.
  light: [0.42, 1],
  dark: [0.4, 0.95],
};

/** 256 RGB entries each, flat. */
export interface Tables {
  readonly weight: Uint8ClampedArray;
  readonly sink: Uint8ClampedArray;
  /** Numbers with a sign: zero in the middle. */
  readonly signed: Uint8ClampedArray;
}

export function tablesOf(theme: Theme): Tables {
  const [from, to] = [TILE[theme], SINK[theme]];
  const sink = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i++) {
    for (const c of [0, 1, 2] as const) sink[3 * i + c] = from[c] + ((to[c] - from[c]) * i) / 255;
  }
  const weight = sequentialTable("attention", theme, from);
  return { weight, sink, signed: divergingTable(theme, from) };
}

/** The colour of a layer, by its place: early ones are pale, late ones strong. */
export function layerColour(table: Uint8ClampedArray, theme: Theme, share: number): string {
  const [from, to] = LAYERS[theme];
  const i = 3 * Math.round(255 * (from + (to - from) * share));
  return css([table[i] ?? 0, table[i + 1] ?? 0, table[i + 2] ?? 0]);
}
