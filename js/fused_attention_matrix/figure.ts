/** The heatmap with its labels and margins: a canvas for the matrix, one above it for what is lit. */

import { type Child, h, sizeCanvas, watchSize } from "../shared/dom";
import { SIDES, type Side } from "../shared/map/axis";
import { crosshair } from "../shared/map/crosshair";
import { axisLabels } from "../shared/map/labels";
import { drawMarks, type Marks } from "../shared/map/marks";
import { labelHeight, labelWidths } from "../shared/map/measure";
import type { LitUnits } from "../shared/map/pin";
import { type Cell, type Plot, unitsInView, type Viewport, WHOLE } from "../shared/map/plot";
import { divergingTable, sequentialTable } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { type Paint, type Top, topIn } from "./colour";
import { drawMargins, drawMatrix, drawNumbers, makeRaster, type Raster } from "./drawing";
import { fitPlot, type MatrixPlot, sizeOf } from "./geometry";
import type { Grid, Matrix } from "./grid";
import { type Margins, marginsOf, marginWords } from "./margins";
import type { MatrixPicture } from "./picture";
import type { MatrixState } from "./state";
import { strongestTable } from "./table";
import type { Tiles } from "./tiles";
import { wholeWords } from "./words";

/** What is to be drawn. */
export interface Drawing extends Pick<MatrixState, "scale" | "value_range" | "height"> {
  readonly picture: MatrixPicture | null;
  /** The cell under the crosshair. */
  readonly cell: Cell | null;
  readonly pinned: Cell | null;
  lit(side: Side): LitUnits;
}

/** What the figure is drawn with, for the legend. */
export interface Drawn {
  readonly paint: Paint;
  readonly clipped: boolean;
  /** Cells that a pixel stands for. */
  readonly pooledBy: number;
}

const NATURAL_HEIGHT = 640;
/** From this width on, the numbers stand beside the picture. */
const WIDE = 960;
const BESIDE = 236;
const NARROW = 520;
/** Milliseconds after the last move until colours are fitted to what is in view. */
const SETTLED = 160;

export class Figure {
  readonly element = h("div", { class: "gh-map-figure" });
  /** The whole matrix, or a part of it. */
  viewport: Viewport = WHOLE;
  /** Where cells are; null before the first drawing. */
  plot: MatrixPlot | null = null;
  readonly #shell: Shell;
  /** What the figure shares with the numbers beside it. */
  readonly #main: HTMLElement;
  readonly #tiles: Tiles;
  readonly #drawing: () => Drawing;
  readonly #onDrawn: (drawn: Drawn) => void;
  readonly #base = h("canvas", { attrs: { role: "img" }, aria: { label: "Attention" } });
  readonly #overlay = h("canvas", { aria: { hidden: true } });
  readonly #labels = { query: axisLabels("query"), key: axisLabels("key") };
  readonly #lanes = [laneWords(), laneWords()];
  readonly #mass = h("div", { class: "fm-margin is-mass" });
  readonly #table = strongestTable();
  readonly #crosshair = crosshair();
  readonly #schedule;
  #width = 640;
  #height = 0;
  #top: Top | null = null;
  #settling = 0;
  #margins: Margins | null = null;
  /** What stands around the matrix was put there for this frame. */
  #sized = "";
  #tableNow: { name: string; table: Uint8ClampedArray } | null = null;
  /** What the overlay shows. */
  #marked: { plot: MatrixPlot; name: string } | null = null;
  #rasters: { name: string; grid: Grid; raster: Raster | null }[] = [];

  constructor(
    shell: Shell,
    main: HTMLElement,
    tiles: Tiles,
    drawing: () => Drawing,
    onDrawn: (drawn: Drawn) => void,
  ) {
    this.#shell = shell;
    this.#main = main;
    this.#tiles = tiles;
    this.#drawing = drawing;
    this.#onDrawn = onDrawn;
    this.#schedule = createSchedule(shell.signal);
    this.element.append(
      this.#labels.query.element,
      this.#base,
      this.#overlay,
      this.#labels.key.element,
      ...this.#lanes,
      this.#mass,
      this.#table.element,
      ...this.#crosshair.elements,
    );
    watchSize(shell.body, () => this.#resized(), shell.signal);
    drawnAs(this.#base, (context) => {
      const matrix = this.#drawing().picture?.content;
      if (matrix && this.plot) this.#paintBase(context, matrix, this.plot);
    });
    drawnAs(this.#overlay, (context) => this.#paintOverlay(context));
    shell.signal.addEventListener("abort", () => window.clearTimeout(this.#settling));
  }

  /** New labels and another matrix. */
  fill({ axes, query, key, content }: MatrixPicture): void {
    const apart = content?.sinks.apart ?? [];
    this.#labels.query.fill(query, content?.undefinedRows ?? null, []);
    this.#labels.key.fill(key, null, apart);
    this.#rasters = [];
    this.#margins = content && marginsOf(content);
    this.#sized = "";
    if (content) this.#table.fill(axes, content);
  }

  /** Everything anew, in the next animation frame. */
  draw(): void {
    this.#top = null;
    this.#schedule.request(this.#drawAll);
  }

  /** The same with other numbers or a sharper tile: what can stay stays. */
  refine(): void {
    this.#schedule.request(this.#drawPart);
  }

  /** Moves the picture; its colours follow when it has come to rest. */
  look(viewport: Viewport): void {
    this.viewport = viewport;
    this.#schedule.request(this.#drawPart);
    window.clearTimeout(this.#settling);
    this.#settling = window.setTimeout(() => {
      this.#top = null;
      this.refine();
    }, SETTLED);
  }

  /** Labels and crosshair at once, pins and bands in the next animation frame. */
  light(): void {
    const { lit, cell } = this.#drawing();
    if (this.plot) for (const side of SIDES) this.#labels[side].light(lit(side));
    if (!cell) this.#crosshair.hide();
    this.#schedule.request(this.#drawOverlay);
  }

  /** The crosshair, with what is said beside it. */
  point(cell: Cell, words: readonly Child[] | null): void {
    if (this.plot) this.#crosshair.show(this.plot, cell, words);
  }

  /** Draws anew where there is other room; a line more beside the picture is none. */
  #resized(): void {
    const { clientWidth, clientHeight } = this.#main;
    const fixed = this.#drawing().height > 0;
    if (clientWidth !== this.#width || (fixed && clientHeight !== this.#height)) this.draw();
  }

  readonly #drawAll = (): void => {
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    this.#width = this.#main.clientWidth || this.#width;
    this.#height = this.#main.clientHeight || this.#height;
    this.#drawPart();
  };

  readonly #drawPart = (): void => {
    const { picture } = this.#drawing();
    if (!picture) return;
    const plot = this.#fit(picture);
    this.plot = plot;
    if (this.#sized !== frameOf(plot)) this.#size(plot);
    this.#placeLabels(picture, plot);
    const { content: matrix } = picture;
    if (!matrix) return;
    this.#drawMatrix(matrix, plot);
    this.#drawOverlay();
    this.#shell.drawn(matrix.frame.key);
  };

  #placeLabels(picture: MatrixPicture, plot: Plot): void {
    const flat = roomOf(picture).key <= plot.across - 4;
    const { lit } = this.#drawing();
    for (const side of SIDES) this.#labels[side].place(plot, lit(side), side === "query" || flat);
  }

  #fit(picture: MatrixPicture): MatrixPlot {
    const width = this.#width;
    const font = `600 12px ${this.#shell.inks().font}`;
    picture.widths ??= labelWidths(picture, this.#overlay.getContext("2d"), font);
    const labels = roomOf(picture);
    const fixed = this.#drawing().height > 0;
    const around = labelHeight(labels.key) + 52;
    const wide = width >= WIDE;
    this.#main.classList.toggle("is-wide", wide);
    // Where it is narrow, the matrix needs the room more than a second lane of bars does.
    const lanes = Math.min(this.#margins?.rows.length ?? 1, width < NARROW ? 1 : 2);
    const space = {
      width: wide ? width - BESIDE : width,
      maxHeight: fixed ? this.#height - around : NATURAL_HEIGHT,
      labels,
      lanes,
    };
    return fitPlot(picture.query.length, picture.key.length, space, this.viewport);
  }

  #drawMatrix(matrix: Matrix, plot: MatrixPlot): void {
    this.#tiles.want(plot, matrix);
    const { width, height } = sizeOf(plot);
    const { paint, finest } = this.#read(matrix, plot);
    const context = sizeCanvas(this.#base, width, height);
    if (context) this.#paintBase(context, matrix, plot);
    const words = `Heatmap: ${wholeWords(matrix)}`;
    if (this.#base.getAttribute("aria-label") !== words)
      this.#base.setAttribute("aria-label", words);
    this.#onDrawn({ paint, clipped: this.#top?.clipped ?? false, pooledBy: finest.factor });
  }

  /** What there is to paint, and its colours. */
  #read(matrix: Matrix, plot: Plot): { paint: Paint; finest: Grid } {
    const { tile } = this.#tiles;
    const grids = tile ? [matrix.grid, tile] : [matrix.grid];
    const finest = grids[grids.length - 1] ?? matrix.grid;
    const paint = this.#paint(matrix, finest, plot);
    this.#readRasters(matrix, grids, paint);
    return { paint, finest };
  }

  #paintBase(context: CanvasRenderingContext2D, matrix: Matrix, plot: MatrixPlot): void {
    const inks = this.#shell.inks();
    const { paint } = this.#read(matrix, plot);
    const rasters = this.#rasters.flatMap(({ raster }) => (raster ? [raster] : []));
    drawMatrix(context, plot, matrix, rasters, inks);
    drawNumbers(context, plot, matrix, this.#tiles.exact, paint, inks);
    const margins = this.#margins ?? marginsOf(matrix);
    const rows = margins.rows.slice(0, plot.lanes).map((lane) => lane.values);
    drawMargins(context, plot, rows, margins.columns.values, inks);
  }

  /** Colours, ending where the part in view does, or at 1. */
  #paint(matrix: Matrix, finest: Grid, plot: Plot): Paint {
    const { value_range } = this.#drawing();
    const { signed, scores } = matrix;
    // Scores have a scale of their own: they have no end to compare pictures by.
    const scale = scores ? "linear" : this.#drawing().scale;
    const fixed = value_range === "fixed" && !scores;
    this.#top ??= fixed ? { top: 1, clipped: false } : topIn(matrix, finest, unitsInView(plot));
    return { table: this.#colours(signed), scale, top: this.#top.top, signed };
  }

  /** The table of colours; the same one while theme and paper are the same. */
  #colours(signed: boolean): Uint8ClampedArray {
    const { theme } = this.#shell;
    const { paper } = this.#shell.inks();
    const name = [theme, paper, signed].join(":");
    if (this.#tableNow?.name !== name) {
      const table = signed
        ? divergingTable(theme, paper)
        : sequentialTable("attention", theme, paper);
      this.#tableNow = { name, table };
    }
    return this.#tableNow.table;
  }

  /** Grids as small canvases, made anew where their colours have changed. */
  #readRasters(matrix: Matrix, grids: readonly Grid[], paint: Paint): void {
    const name = [this.#tableNow?.name, paint.scale, paint.top].join(":");
    this.#rasters = grids.map((grid) => {
      const known = this.#rasters.find((each) => each.name === name && each.grid === grid);
      return known ?? { name, grid, raster: makeRaster(matrix, grid, paint) };
    });
  }

  readonly #drawOverlay = (): void => {
    const { plot } = this;
    if (!plot || !this.#drawing().picture) return;
    const { rows, cols, pinned } = this.#marks();
    const name = JSON.stringify([...rows, null, ...cols, pinned, this.#shell.theme]);
    // A pointer that moves over cells changes nothing of it.
    if (this.#marked?.plot === plot && this.#marked.name === name) return;
    this.#marked = { plot, name };
    const { width, height } = sizeOf(plot);
    const context = sizeCanvas(this.#overlay, width, height);
    if (context) this.#paintOverlay(context);
  };

  #paintOverlay(context: CanvasRenderingContext2D): void {
    if (this.plot) drawMarks(context, this.plot, this.#marks(), this.#shell.inks());
  }

  #marks(): Marks {
    const { cell, pinned, lit } = this.#drawing();
    const band = (side: Side): Set<number> => {
      const { selected, hovered } = lit(side);
      const units = new Set(pinned ? [] : selected);
      if (!cell && hovered !== null) units.add(hovered);
      return units;
    };
    return { pinned, rows: band("query"), cols: band("key") };
  }

  #size(plot: MatrixPlot): void {
    this.#sized = frameOf(plot);
    const { width, height } = sizeOf(plot);
    Object.assign(this.element.style, { width: `${width}px`, height: `${height}px` });
    // What scrolls can be reached by keyboard.
    const scroller = this.element.parentElement;
    if (width > this.#width) scroller?.setAttribute("tabindex", "0");
    else scroller?.removeAttribute("tabindex");
    const margins = this.#margins;
    for (const [i, element] of this.#lanes.entries()) {
      const lane = i < plot.lanes ? margins?.rows[i] : undefined;
      element.hidden = !lane;
      if (lane) marginWords(element, lane, plot, i);
    }
    if (margins) marginWords(this.#mass, margins.columns, plot, -1);
  }
}

function laneWords(): HTMLElement {
  return h("div", { class: "fm-margin is-lane" });
}

/** What stands around the matrix stays where it is as long as this does. */
function frameOf({ left, top, right, lanes, width, height }: MatrixPlot): string {
  return [left, top, right, lanes, width, height].join();
}

/** Width that the labels of each side need, with a little room around them. */
function roomOf({ widths }: MatrixPicture): Record<Side, number> {
  return { query: (widths?.query ?? 0) + 4, key: (widths?.key ?? 0) + 4 };
}
