/** The cells on their canvas: shares as colours, numbers where there is room, empty ones struck. */

import { clipToPlot } from "../shared/map/marks";
import { type Cell, type Plot, unitsInView, xOf, yOf } from "../shared/map/plot";
import { entryOf } from "../shared/map/signed";
import { css, inkOn, type Rgb, tableColour } from "../shared/palette";
import type { Inks } from "../shared/theme";
import type { PatchData } from "./data";
import { isNumbered } from "./geometry";
import { shortShare, TOLD_FROM } from "./numbers";

export function drawCells(
  context: CanvasRenderingContext2D,
  plot: Plot,
  data: PatchData,
  table: Uint8ClampedArray,
  inks: Inks,
): void {
  context.save();
  clipToPlot(context, plot);
  const numbered = isNumbered(plot);
  context.font = `11px ${inks.font}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  const { query0, query1, key0, key1 } = unitsInView(plot);
  for (let query = query0; query < query1; query++) {
    for (let key = key0; key < key1; key++) {
      const cell = { query, key };
      const share = data.recovered(cell);
      if (Number.isNaN(share)) {
        if (data.frame.partial) dot(context, plot, cell, inks);
        else strike(context, plot, cell, inks);
        continue;
      }
      const colour = tableColour(table, entryOf(share, data.bound) / 255);
      paint(context, plot, cell, colour);
      if (!numbered || Math.abs(share) < TOLD_FROM) continue;
      context.fillStyle = inkOn(colour);
      const [x, y] = [xOf(plot, key) + plot.across / 2, yOf(plot, query) + plot.down / 2];
      context.fillText(shortShare(share), x, y + 0.5);
    }
  }
  context.restore();
  context.strokeStyle = inks.hairline;
  context.lineWidth = 1;
  context.strokeRect(plot.left - 0.5, plot.top - 0.5, plot.width + 1, plot.height + 1);
}

/** Edges on whole pixels: no line of paper shows between two cells that are alike. */
function paint(
  context: CanvasRenderingContext2D,
  plot: Plot,
  { query, key }: Cell,
  colour: Rgb,
): void {
  const gap = Math.min(plot.across, plot.down) >= 10 ? 1 : 0;
  const [left, right] = [xOf(plot, key), xOf(plot, key + 1)].map(Math.round) as [number, number];
  const [top, bottom] = [yOf(plot, query), yOf(plot, query + 1)].map(Math.round) as [
    number,
    number,
  ];
  context.fillStyle = css(colour);
  context.fillRect(left, top, Math.max(1, right - left - gap), Math.max(1, bottom - top - gap));
}

/** No number is not zero, which is as pale as the paper. */
function strike(
  context: CanvasRenderingContext2D,
  plot: Plot,
  { query, key }: Cell,
  inks: Inks,
): void {
  const [x, y] = [xOf(plot, key) + plot.across / 2, yOf(plot, query) + plot.down / 2];
  const reach = Math.min(4, plot.across / 4, plot.down / 4);
  context.strokeStyle = inks.faint;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x - reach, y + reach);
  context.lineTo(x + reach, y - reach);
  context.stroke();
}

/** What is on its way. */
function dot(
  context: CanvasRenderingContext2D,
  plot: Plot,
  { query, key }: Cell,
  inks: Inks,
): void {
  context.fillStyle = inks.hairline;
  const [x, y] = [xOf(plot, key) + plot.across / 2, yOf(plot, query) + plot.down / 2];
  context.fillRect(x - 1.5, y - 1.5, 3, 3);
}
