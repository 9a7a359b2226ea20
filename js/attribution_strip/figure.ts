/** The matrix on its canvases: cells, what comes later, names, and what is lit. */

import { type Child, h, mark, sizeCanvas, watchSize } from "../shared/dom";
import { crosshair } from "../shared/map/crosshair";
import type { Grid } from "../shared/map/grid";
import { diagonals } from "../shared/map/hatching";
import { type AxisLabels, axisLabels } from "../shared/map/labels";
import { clipToPlot, drawMarks } from "../shared/map/marks";
import { labelWidth } from "../shared/map/measure";
import type { LitUnits } from "../shared/map/pin";
import {
  type Cell,
  type Plot,
  unitsInView,
  type Viewport,
  WHOLE,
  xOf,
  yOf,
} from "../shared/map/plot";
import { drawMap, drawNumbers, makeRaster, poolingFor, type Raster } from "../shared/map/raster";
import { type Paint, pooled } from "../shared/map/signed";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { short } from "../shared/signed_numbers";
import { fitMatrix, heightAround, sizeOf } from "./geometry";
import type { Matrix } from "./matrix";

/** What is to be drawn. */
export interface Drawing {
  readonly matrix: Matrix | null;
  readonly paint: Paint;
  /** Pixels that all may take; 0 = as many as it takes. */
  readonly height: number;
  readonly cell: Cell | null;
  /** The finest come last. */
  readonly grids: readonly Grid[];
  readonly rows: LitUnits;
  /** Of each text. */
  readonly columns: readonly LitUnits[];
}

const NATURAL_HEIGHT = 520;
const LEAST_HEIGHT = 48;
const NUMBERED = { across: 34, write: short };
const NONE: LitUnits = { hovered: null, selected: new Set() };

export class Figure {
  readonly element = h("div", { class: "gh-map-figure as-figure-map" });
  /** The whole matrix, or a part of it. */
  viewport: Viewport = WHOLE;
  /** Where cells are; null before the first drawing. */
  plot: Plot | null = null;
  /** The text whose column the pointer is over, of those that have names of their own. */
  textAt = 0;
  readonly #shell: Shell;
  readonly #place: HTMLElement;
  readonly #drawing: () => Drawing;
  readonly #onPlot: (plot: Plot) => void;
  readonly #base = h("canvas", { attrs: { role: "img" } });
  readonly #overlay = h("canvas", { aria: { hidden: true } });
  readonly #rows = axisLabels("query");
  #columns: AxisLabels[] = [];
  readonly #names = h("div", { class: "as-names" });
  readonly #crosshair = crosshair();
  readonly #schedule;
  #of: Matrix | null = null;
  #widths = { query: 0, key: 0 };
  #width = 640;
  #height = 0;

  constructor(
    shell: Shell,
    place: HTMLElement,
    drawing: () => Drawing,
    onPlot: (plot: Plot) => void,
  ) {
    this.#shell = shell;
    this.#place = place;
    this.#drawing = drawing;
    this.#onPlot = onPlot;
    this.#schedule = createSchedule(shell.signal);
    this.element.append(
      ...[this.#rows.element, this.#names, this.#base, this.#overlay],
      ...this.#crosshair.elements,
    );
    const which = ({ target }: Event): void => {
      const names = target instanceof Element ? target.closest("[data-text]") : null;
      this.textAt = names instanceof HTMLElement ? Number(names.dataset.text) : 0;
    };
    for (const name of ["pointermove", "click"] as const) {
      this.element.addEventListener(name, which, { capture: true, signal: shell.signal });
    }
    watchSize(shell.body, () => this.#resized(), shell.signal);
    drawnAs(this.#base, (context) => this.#paintBase(context));
    drawnAs(this.#overlay, (context) => this.#paintOverlay(context));
  }

  /** Everything anew, in the next animation frame. */
  draw(): void {
    this.#schedule.request(this.#drawAll);
  }

  look(viewport: Viewport): void {
    this.viewport = viewport;
    this.draw();
  }

  /** Names at once, bands in the next animation frame. */
  light(): void {
    this.#lightNames();
    if (!this.#drawing().cell) this.#crosshair.hide();
    this.#schedule.request(this.#drawOverlay);
  }

  /** The crosshair, with what is said beside it. */
  point(cell: Cell, words: readonly Child[]): void {
    if (this.plot) this.#crosshair.show(this.plot, cell, words);
  }

  #resized(): void {
    const fixed = this.#drawing().height > 0;
    const { clientWidth, clientHeight } = this.#place;
    if (clientWidth !== this.#width || (fixed && clientHeight !== this.#height)) this.draw();
  }

  readonly #drawAll = (): void => {
    const { matrix, height } = this.#drawing();
    if (!matrix) return;
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    this.#width = this.#place.clientWidth || this.#width;
    this.#height = this.#place.clientHeight || this.#height;
    this.#fill(matrix);
    const { query, key } = this.#widths;
    const around = heightAround(key);
    const maxHeight = height > 0 ? Math.max(LEAST_HEIGHT, this.#height - around) : NATURAL_HEIGHT;
    const space = { width: this.#width, maxHeight, labels: { query, key } };
    const cols = matrix.starts.at(-1) ?? 0;
    const plot = fitMatrix(matrix.part.rows, cols, space, this.viewport);
    this.plot = plot;
    this.#onPlot(plot);
    const size = sizeOf(plot);
    Object.assign(this.element.style, { width: `${size.width}px`, height: `${size.height}px` });
    this.#lightNames();
    const context = sizeCanvas(this.#base, size.width, size.height);
    if (context) this.#paintBase(context);
    const { words } = matrix.part;
    const label = `Attribution of the ${words} of ${matrix.part.rows} tokens to ${cols} read`;
    mark(this.#base, "aria-label", label);
    this.#drawOverlay();
  };

  /** New names for another matrix. */
  #fill(matrix: Matrix): void {
    if (this.#of === matrix) return;
    const context = this.#overlay.getContext("2d");
    const font = `600 12px ${this.#shell.inks().font}`;
    this.#of = matrix;
    this.#rows.fill(matrix.rows, null, []);
    this.#columns = matrix.texts.map((text, i) => {
      const labels = axisLabels("key");
      labels.element.dataset.text = String(i);
      labels.fill(text, null, []);
      return labels;
    });
    this.#names.replaceChildren(...this.#columns.map(({ element }) => element));
    this.#widths = {
      query: labelWidth(matrix.rows, context, font) + 4,
      key: Math.max(...matrix.texts.map((text) => labelWidth(text, context, font))),
    };
  }

  #lightNames(): void {
    const { matrix, rows, columns } = this.#drawing();
    const { plot } = this;
    if (!matrix || !plot || this.#of !== matrix) return;
    this.#rows.place(plot, rows, true);
    for (const [i, labels] of this.#columns.entries()) {
      // A text's names stand where its first column is.
      const moved = { ...plot, key: plot.key - (matrix.starts[i] ?? 0) };
      labels.place(moved, columns[i] ?? NONE, false);
    }
  }

  #paintBase(context: CanvasRenderingContext2D): void {
    const { matrix, paint, grids } = this.#drawing();
    const { plot } = this;
    if (!matrix || !plot) return;
    const inks = this.#shell.inks();
    const rasters = grids.flatMap((grid): Raster[] => {
      const { byRow, byColumn } = poolingFor(grid, plot);
      const raster = makeRaster(pooled(grid, byRow, byColumn), paint);
      return raster ? [raster] : [];
    });
    drawMap(context, plot, rasters, inks);
    context.save();
    clipToPlot(context, plot);
    drawLater(context, plot, matrix, inks.hairline);
    drawSeams(context, plot, matrix, inks.ink);
    context.restore();
    // Numbers are those that are known to every digit.
    const exact = matrix.grids.filter((_, i) => matrix.part.maps[i]?.exact);
    for (const grid of exact) drawNumbers(context, plot, grid, paint, inks, NUMBERED);
  }

  readonly #drawOverlay = (): void => {
    if (!this.plot) return;
    const { width, height } = sizeOf(this.plot);
    const context = sizeCanvas(this.#overlay, width, height);
    if (context) this.#paintOverlay(context);
  };

  #paintOverlay(context: CanvasRenderingContext2D): void {
    const { matrix, rows, columns } = this.#drawing();
    const { plot } = this;
    if (!matrix || !plot) return;
    const cols = columns.flatMap(({ selected }, i) =>
      [...selected].map((unit) => unit + (matrix.starts[i] ?? 0)),
    );
    drawMarks(context, plot, { pinned: null, rows: rows.selected, cols }, this.#shell.inks());
  }
}

/** Of what comes later than a row's token nothing can be read. */
function drawLater(
  context: CanvasRenderingContext2D,
  plot: Plot,
  matrix: Matrix,
  colour: string,
): void {
  const { query0, query1 } = unitsInView(plot);
  context.beginPath();
  for (let row = query0; row < query1; row++) {
    const x = Math.max(plot.left, xOf(plot, matrix.laterFrom(row)));
    const width = plot.left + plot.width - x;
    if (width > 0) context.rect(x, yOf(plot, row), width, plot.down);
  }
  context.save();
  context.clip();
  context.fillStyle = diagonals(context, colour, false);
  context.fillRect(plot.left, plot.top, plot.width, plot.height);
  context.restore();
}

/** A line where another text begins. */
function drawSeams(
  context: CanvasRenderingContext2D,
  plot: Plot,
  { starts }: Matrix,
  colour: string,
): void {
  context.fillStyle = colour;
  for (const start of starts.slice(1, -1)) {
    context.fillRect(xOf(plot, start) - 0.5, plot.top, 1, plot.height);
  }
}
