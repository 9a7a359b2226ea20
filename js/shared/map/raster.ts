/** Grids of signed numbers as small canvases, and these on the map. */

import { inkOn, tableColour } from "../palette";
import type { Inks } from "../theme";
import { type Grid, isExact } from "./grid";
import { clipToPlot } from "./marks";
import { type Plot, unitsInView, xOf, yOf } from "./plot";
import { colours, entryOf, type Paint } from "./signed";

export interface Raster {
  readonly grid: Grid;
  readonly canvas: HTMLCanvasElement;
}

/** How many pixels of a grid are one on the screen: none may fall between its pixels. */
export function poolingFor(grid: Grid, plot: Plot): { byRow: number; byColumn: number } {
  const finest = 1 / Math.min(2, window.devicePixelRatio || 1);
  const by = (size: number): number => Math.max(1, Math.ceil(finest / size - 0.01));
  return { byRow: by(plot.down * grid.perRow), byColumn: by(plot.across * grid.perColumn) };
}

/** A grid as a small canvas, one pixel a value. */
export function makeRaster(grid: Grid, paint: Paint): Raster | null {
  const canvas = document.createElement("canvas");
  canvas.width = grid.width;
  canvas.height = grid.height;
  const context = canvas.getContext("2d");
  if (!context || !grid.width || !grid.height) return null;
  context.putImageData(new ImageData(colours(grid, paint), grid.width, grid.height), 0, 0);
  return { grid, canvas };
}

export function drawMap(
  context: CanvasRenderingContext2D,
  plot: Plot,
  rasters: readonly Raster[],
  inks: Inks,
): void {
  context.save();
  clipToPlot(context, plot);
  context.imageSmoothingEnabled = false;
  for (const { grid, canvas } of rasters) {
    const [x, y] = [xOf(plot, grid.column), yOf(plot, grid.row)];
    // The last pixel of a side may stand for fewer cells.
    const width = grid.width * grid.perColumn * plot.across;
    const height = grid.height * grid.perRow * plot.down;
    context.drawImage(canvas, x, y, width, height);
  }
  context.restore();
  context.strokeStyle = inks.hairline;
  context.lineWidth = 1;
  context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
}

/** Numbers in cells. */
export interface Numbered {
  /** Pixels across a cell from which on they have room. */
  readonly across: number;
  write(value: number): string;
}

/** The number in every cell, where cells have room for it. */
export function drawNumbers(
  context: CanvasRenderingContext2D,
  plot: Plot,
  grid: Grid,
  paint: Paint,
  inks: Inks,
  { across, write }: Numbered,
): void {
  if (!isExact(grid) || plot.across < across || plot.down < 14) return;
  context.save();
  clipToPlot(context, plot);
  context.font = `10px ${inks.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const { query0, query1, key0, key1 } = unitsInView(plot);
  for (let row = Math.max(query0, grid.row); row < Math.min(query1, grid.row1); row++) {
    for (
      let column = Math.max(key0, grid.column);
      column < Math.min(key1, grid.column1);
      column++
    ) {
      const value = grid.values[(row - grid.row) * grid.width + column - grid.column] ?? 0;
      context.fillStyle = inkOn(tableColour(paint.table, entryOf(value, paint.bound) / 255));
      const [x, y] = [xOf(plot, column) + plot.across / 2, yOf(plot, row) + plot.down / 2];
      context.fillText(write(value), x, y);
    }
  }
  context.restore();
}
