/** Grids of signed numbers as small canvases, and these on the map. */

import type { Inks } from "../theme";
import type { Grid } from "./grid";
import { clipToPlot } from "./marks";
import { type Plot, xOf, yOf } from "./plot";
import { colours, type Paint } from "./signed";

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
