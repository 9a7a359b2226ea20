/** The map, what is written in it, and what is lit, on its two canvases. */

import type { Grid } from "../shared/map/grid";
import { clipToPlot } from "../shared/map/marks";
import { type Cell, type Plot, xOf, yOf } from "../shared/map/plot";
import { css } from "../shared/palette";
import type { Inks } from "../shared/theme";
import { NUMBERED_ACROSS } from "./geometry";
import { formatActivation } from "./numbers";

// ── Massive activations ─────────────────────────────────────────────────────────────────────────

/** Times the end of the colours from which on a value is ringed. */
export const MASSIVE = 10;
const MOST_RINGS = 24;
/** Of these so many have their numbers; fewer where numbers would cover many rows. */
const MOST_NAMED = 5;
const MOST_NAMED_THIN = 3;
const RING = 5;

export interface Massive extends Cell {
  readonly value: number;
  /** Tokens and dimensions that it stands for. */
  readonly size: { readonly down: number; readonly across: number };
}

/** The values far beyond the colours, largest first. */
export function massiveIn(grid: Grid, bound: number): Massive[] {
  const found: Massive[] = [];
  for (let i = 0; i < grid.width * grid.height; i++) {
    const value = grid.values[i] ?? 0;
    if (!(Math.abs(value) >= MASSIVE * bound)) continue;
    const query = grid.row + Math.floor(i / grid.width) * grid.perRow;
    const key = grid.column + (i % grid.width) * grid.perColumn;
    found.push({ query, key, value, size: { down: grid.perRow, across: grid.perColumn } });
  }
  found.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  return found.slice(0, MOST_RINGS);
}

/** Rings around them; beside the largest their numbers, where these keep clear of each other. */
export function drawMassive(
  context: CanvasRenderingContext2D,
  plot: Plot,
  massive: readonly Massive[],
  inks: Inks,
): void {
  const numbered = plot.across >= NUMBERED_ACROSS;
  const at = massive.map(({ query, key, size, value }) => {
    const x = xOf(plot, key) + (plot.across * size.across) / 2;
    const y = yOf(plot, query) + (plot.down * size.down) / 2;
    return { x, y, value };
  });
  const seen = at.filter(
    ({ x, y }) =>
      x > plot.left && y > plot.top && x < plot.left + plot.width && y < plot.top + plot.height,
  );
  context.save();
  clipToPlot(context, plot, numbered ? 0 : RING + 3);
  if (!numbered) for (const { x, y } of seen) ring(context, x, y, inks);
  if (!numbered) nameLargest(context, plot, seen, inks);
  context.restore();
}

function ring(context: CanvasRenderingContext2D, x: number, y: number, inks: Inks): void {
  for (const [width, colour] of [
    [4.5, css(inks.paper)],
    [1.75, inks.ink],
  ] as const) {
    context.beginPath();
    context.arc(x, y, RING, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
}

function nameLargest(
  context: CanvasRenderingContext2D,
  plot: Plot,
  seen: readonly { x: number; y: number; value: number }[],
  inks: Inks,
): void {
  context.font = `600 11px ${inks.font}`;
  context.textBaseline = "middle";
  context.textAlign = "left";
  const taken: Box[] = seen.map(({ x, y }) => boxAround(x, y, 2 * RING, 2 * RING));
  let named = 0;
  for (const { x, y, value } of seen) {
    if (named === (plot.down < THIN ? MOST_NAMED_THIN : MOST_NAMED)) break;
    const words = formatActivation(value);
    const width = context.measureText(words).width + 6;
    const beside = RING + 4 + width / 2;
    // Beside its ring; below or above it where there are others.
    const box = [
      [x + beside, y],
      [x - beside, y],
      [x, y + NAME_HEIGHT],
      [x, y - NAME_HEIGHT],
    ]
      .map(([atX = 0, atY = 0]) => boxAround(atX, atY, width, NAME_HEIGHT - 2))
      .map((one) => ({ ...one, y: Math.max(one.y, plot.top) }))
      .find((one) => isWithin(one, plot) && taken.every((other) => isClear(one, other)));
    if (!box) continue;
    named += 1;
    taken.push(box);
    context.fillStyle = css(inks.paper, 0.9);
    context.fillRect(box.x, box.y, box.width, box.height);
    context.fillStyle = inks.ink;
    context.fillText(words, box.x + 3, box.y + box.height / 2 + 0.5);
  }
}

const NAME_HEIGHT = 17;

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

function boxAround(x: number, y: number, width: number, height: number): Box {
  return { x: x - width / 2, y: y - height / 2, width, height };
}

function isWithin({ x, y, width, height }: Box, plot: Plot): boolean {
  return (
    x >= plot.left && x + width <= plot.left + plot.width && y + height <= plot.top + plot.height
  );
}

function isClear(one: Box, other: Box): boolean {
  return (
    one.x + one.width <= other.x ||
    other.x + other.width <= one.x ||
    one.y + one.height <= other.y ||
    other.y + other.height <= one.y
  );
}

// ── What is lit ─────────────────────────────────────────────────────────────────────────────────

export interface Lit {
  rows: Iterable<number>;
  columns: Iterable<number>;
}

/** Below this, lines along all of a row or column would hide its neighbours. */
const THIN = 6;
/** How far lines reach into the map from its edges there. */
const STUB = 12;

/** Lines along both edges of lit rows and columns: what is between them is seen as it was. */
export function drawLit(context: CanvasRenderingContext2D, plot: Plot, lit: Lit, inks: Inks): void {
  context.save();
  clipToPlot(context, plot, 3);
  context.fillStyle = inks.ink;
  /** From where to where they go: all along, or at both ends. */
  const stretches = (size: number, first: number, length: number): [number, number][] =>
    size < THIN
      ? [
          [first, STUB],
          [first + length - STUB, STUB],
        ]
      : [[first, length]];
  // Beside thin ones, not on them.
  const out = (size: number): number => (size < THIN ? 1.5 : 0.5);
  for (const row of lit.rows) {
    const [y, by] = [yOf(plot, row), out(plot.down)];
    for (const [x, width] of stretches(plot.down, plot.left, plot.width)) {
      for (const at of [y - by, y + plot.down + by]) context.fillRect(x, at - 0.5, width, 1);
    }
  }
  for (const column of lit.columns) {
    const [x, by] = [xOf(plot, column), out(plot.across)];
    for (const [y, height] of stretches(plot.across, plot.top, plot.height)) {
      for (const at of [x - by, x + plot.across + by]) context.fillRect(at - 0.5, y, 1, height);
    }
  }
  context.restore();
  for (const column of lit.columns) {
    const x = xOf(plot, column) + plot.across / 2;
    if (x < plot.left || x > plot.left + plot.width) continue;
    const y = plot.top + plot.height + 2;
    context.fillStyle = inks.ink;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + 5, y + 8);
    context.lineTo(x - 5, y + 8);
    context.closePath();
    context.fill();
  }
}
