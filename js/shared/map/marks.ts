/** What is lit on a map of cells, above its picture: outlines, so that colours stay. */

import { css } from "../palette";
import type { Inks } from "../theme";
import { type Cell, NUMBERED, type Plot, xOf, yOf } from "./plot";

export function clipToPlot(context: CanvasRenderingContext2D, plot: Plot, around = 0): void {
  context.beginPath();
  context.rect(
    plot.left - around,
    plot.top - around,
    plot.width + 2 * around,
    plot.height + 2 * around,
  );
  context.clip();
}

type Box = readonly [x: number, y: number, width: number, height: number];

function outline(context: CanvasRenderingContext2D, inks: Inks, box: Box): void {
  context.lineWidth = 3.5;
  context.strokeStyle = css(inks.paper);
  context.strokeRect(...box);
  context.lineWidth = 1.5;
  context.strokeStyle = inks.ink;
  context.strokeRect(...box);
}

/** The sides of an outline: it can be seen, however small a cell is. */
function sidesOf({ across, down }: Plot): [across: number, down: number] {
  return [Math.max(3, across), Math.max(3, down)];
}

/** Outlines one cell, and nothing else. */
export function drawCell(
  context: CanvasRenderingContext2D,
  plot: Plot,
  { query, key }: Cell,
  inks: Inks,
): void {
  context.save();
  clipToPlot(context, plot, 3);
  outline(context, inks, [xOf(plot, key), yOf(plot, query), ...sidesOf(plot)]);
  context.restore();
}

export interface Marks {
  pinned: Cell | null;
  rows: Iterable<number>;
  cols: Iterable<number>;
}

/** The pinned cell, bands of lit rows and columns; outlines, so colours stay. */
export function drawMarks(
  context: CanvasRenderingContext2D,
  plot: Plot,
  marks: Marks,
  inks: Inks,
): void {
  const [across, down] = sidesOf(plot);
  const box = (x: number, y: number, width: number, height: number): void =>
    outline(context, inks, [x, y, width, height]);
  /** From the labels of the row and the column to where they meet. */
  const cross = ({ query, key }: Cell): void => {
    const [x, y] = [xOf(plot, key), yOf(plot, query)];
    // Where cells have numbers, the lines run along their edges.
    const edges = Math.min(across, down) >= NUMBERED ? [0, 1] : [0.5];
    context.beginPath();
    for (const edge of edges) {
      context.moveTo(plot.left, y + edge * down);
      context.lineTo(x, y + edge * down);
      context.moveTo(x + edge * across, plot.top);
      context.lineTo(x + edge * across, y);
    }
    context.lineWidth = 2.5;
    context.strokeStyle = css(inks.paper, 0.7);
    context.stroke();
    context.lineWidth = 1;
    context.strokeStyle = inks.ink;
    context.stroke();
    box(x, y, across, down);
  };
  context.save();
  clipToPlot(context, plot, 3);
  for (const row of marks.rows) box(plot.left, yOf(plot, row), plot.width, down);
  for (const col of marks.cols) box(xOf(plot, col), plot.top, across, plot.height);
  if (marks.pinned) cross(marks.pinned);
  context.restore();
}
