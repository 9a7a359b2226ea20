/** The heatmap with its labels and margins: a canvas for the matrix, one above it for what is lit. */

import { h, sizeCanvas, watchSize } from "../shared/dom";
import { SIDES, type Side } from "../shared/map/axis";
import { labelWidths } from "../shared/map/measure";
import type { LitUnits } from "../shared/map/pin";
import { sequentialTable } from "../shared/palette";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { fillLegend, fillMargins } from "./controls";
import { drawMargins, drawMarks, drawMatrix, makeRaster, type Raster } from "./drawing";
import { fitPlot, GAP, LANE, labelHeight, type Plot, type Viewport, WHOLE } from "./geometry";
import type { Grid, Matrix, Scale } from "./grid";
import { axisLabels } from "./labels";
import type { MatrixPicture } from "./picture";
import type { Cell } from "./readout";
import type { Tiles } from "./tiles";
import { wholeWords } from "./words";

/** What is to be drawn. */
export interface Drawing {
  readonly picture: MatrixPicture | null;
  readonly scale: Scale;
  /** Pixels of the whole view; 0 = as high as the matrix, up to a limit. */
  readonly height: number;
  /** The cell under the crosshair. */
  readonly cell: Cell | null;
  lit(side: Side): LitUnits;
}

const NATURAL_HEIGHT = 520;

export class Figure {
  readonly element = h("div", { class: "fm-figure" });
  /** The whole matrix, or a part of it. */
  viewport: Viewport = WHOLE;
  /** Where cells are; null before the first drawing. */
  plot: Plot | null = null;
  readonly #base = h("canvas", { attrs: { role: "img" } });
  readonly #overlay = h("canvas", { aria: { hidden: true } });
  readonly #labels = { query: axisLabels("query"), key: axisLabels("key") };
  readonly #margins = {
    entropy: h("div", { class: "fm-margin is-entropy" }),
    mass: h("div", { class: "fm-margin is-mass" }),
  };
  readonly #schedule;
  #width = 640;
  #rasters: { name: string; grid: Grid; raster: Raster | null }[] = [];

  readonly #shell: Shell;
  /** What the figure shares with the numbers beside it. */
  readonly #main: HTMLElement;
  readonly #tiles: Tiles;
  readonly #drawing: () => Drawing;

  constructor(shell: Shell, main: HTMLElement, tiles: Tiles, drawing: () => Drawing) {
    this.#shell = shell;
    this.#main = main;
    this.#tiles = tiles;
    this.#drawing = drawing;
    this.#schedule = createSchedule(shell.signal);
    this.element.append(
      this.#base,
      this.#overlay,
      this.#labels.query.element,
      this.#labels.key.element,
      this.#margins.entropy,
      this.#margins.mass,
    );
    watchSize(shell.body, () => this.draw(), shell.signal);
  }

  /** New labels and another matrix. */
  fill({ query, key, content }: MatrixPicture): void {
    this.#labels.query.fill(query, content?.undefinedRows ?? null);
    this.#labels.key.fill(key, null);
    this.#rasters = [];
  }

  /** Everything, in the next animation frame. */
  draw(): void {
    this.#schedule.request(this.#drawAll);
  }

  look(viewport: Viewport): void {
    this.viewport = viewport;
    this.draw();
  }

  /** Labels at once, crosshair and bands in the next animation frame. */
  light(): void {
    const { picture } = this.#drawing();
    if (picture && this.plot) this.#placeLabels(picture, this.plot);
    this.#schedule.request(this.#drawOverlay);
  }

  #placeLabels(picture: MatrixPicture, plot: Plot): void {
    const flat = roomOf(picture).key <= plot.cell - 4;
    const { lit } = this.#drawing();
    for (const side of SIDES) this.#labels[side].place(plot, lit(side), side === "query" || flat);
  }

  readonly #drawAll = (): void => {
    const { picture } = this.#drawing();
    if (!picture) return;
    const plot = this.#fit(picture);
    this.plot = plot;
    this.#size(plot);
    this.#placeLabels(picture, plot);
    const { content: matrix } = picture;
    if (!matrix) return;
    this.#drawMatrix(matrix, plot);
    this.#drawOverlay();
    this.#shell.drawn(matrix.frame.key);
  };

  #fit(picture: MatrixPicture): Plot {
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    this.#width = this.#main.clientWidth || this.#width;
    const width = this.#width;
    const font = `600 12px ${this.#shell.inks().font}`;
    picture.widths ??= labelWidths(picture, this.#overlay.getContext("2d"), font);
    const labels = roomOf(picture);
    const fixed = this.#drawing().height > 0;
    const around = labelHeight(labels.key) + GAP + LANE + 8;
    const beside = width >= 620 ? 212 : 0;
    const space = {
      width: width - beside,
      maxHeight: fixed ? this.#main.clientHeight - around : NATURAL_HEIGHT,
      labels,
    };
    return fitPlot(picture.query.length, picture.key.length, space, this.viewport);
  }

  #drawMatrix(matrix: Matrix, plot: Plot): void {
    const shell = this.#shell;
    const tiles = this.#tiles;
    const { scale } = this.#drawing();
    const inks = shell.inks();
    tiles.want(plot, matrix.grid);
    const table = sequentialTable("attention", shell.theme, inks.paper);
    const grids = tiles.current ? [matrix.grid, tiles.current] : [matrix.grid];
    this.#readRasters(matrix, grids, table, scale, `${shell.theme}:${inks.paper}:${scale}`);
    fillMargins(this.#margins, matrix);
    fillLegend(shell.legend, matrix, table, scale, grids[grids.length - 1]?.factor ?? 1);
    const context = this.#base.getContext("2d");
    if (context) {
      const rasters = this.#rasters.flatMap(({ raster }) => (raster ? [raster] : []));
      drawMatrix(context, plot, matrix, rasters, inks);
      drawMargins(context, plot, matrix, inks);
    }
    this.#base.setAttribute("aria-label", `Heatmap: ${wholeWords(matrix)}`);
  }

  /** Grids as small canvases, made anew where their colours have changed. */
  #readRasters(
    matrix: Matrix,
    grids: readonly Grid[],
    table: Uint8ClampedArray,
    scale: Scale,
    name: string,
  ): void {
    this.#rasters = grids.map((grid) => {
      const known = this.#rasters.find((each) => each.name === name && each.grid === grid);
      return known ?? { name, grid, raster: makeRaster(matrix, grid, table, scale) };
    });
  }

  readonly #drawOverlay = (): void => {
    const { plot } = this;
    const { picture, cell, lit } = this.#drawing();
    if (!plot || !picture) return;
    const { width, height } = sizeOf(plot);
    const context = sizeCanvas(this.#overlay, width, height);
    if (!context) return;
    const [query, key] = [lit("query"), lit("key")];
    const rows = new Set(query.selected);
    const cols = new Set(key.selected);
    if (!cell) {
      if (query.hovered !== null) rows.add(query.hovered);
      if (key.hovered !== null) cols.add(key.hovered);
    }
    drawMarks(context, plot, { cell, rows, cols }, this.#shell.inks());
  };

  #size(plot: Plot): void {
    const { width, height } = sizeOf(plot);
    this.element.style.width = `${width}px`;
    this.element.style.height = `${height}px`;
    sizeCanvas(this.#base, width, height);
    const { entropy, mass } = this.#margins;
    entropy.style.left = `${plot.left + plot.width + GAP}px`;
    entropy.style.top = `${plot.top + plot.height + GAP}px`;
    mass.style.right = `${width - plot.left + 6}px`;
    mass.style.top = `${plot.top + plot.height + GAP}px`;
  }
}

/** The figure in pixels: the plot, labels before it, margins behind it. */
function sizeOf(plot: Plot): { width: number; height: number } {
  return {
    width: plot.left + plot.width + GAP + LANE + 8,
    height: plot.top + plot.height + GAP + LANE + 4,
  };
}

/** Width that the labels of each side need, with a little room around them. */
function roomOf({ widths }: MatrixPicture): Record<Side, number> {
  return { query: (widths?.query ?? 0) + 4, key: (widths?.key ?? 0) + 4 };
}
