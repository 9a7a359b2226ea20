/** The map with its labels and margins: a canvas for all of it, one above for what is lit. */

import { type Child, h, mark, sizeCanvas, watchSize } from "../shared/dom";
import { crosshair } from "../shared/map/crosshair";
import type { Grid } from "../shared/map/grid";
import { axisLabels } from "../shared/map/labels";
import { labelWidth } from "../shared/map/measure";
import type { LitUnits } from "../shared/map/pin";
import { type Cell, type Viewport, WHOLE } from "../shared/map/plot";
import { drawMap, drawNumbers, makeRaster, poolingFor, type Raster } from "../shared/map/raster";
import { type Paint, pooled } from "../shared/map/signed";
import { divergingTable } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { drawLit, drawMassive, type Lit, massiveIn } from "./drawing";
import {
  type ActivationPlot,
  columnAt,
  fitPlot,
  headHeight,
  NUMBERED_ACROSS,
  sizeOf,
} from "./geometry";
import { drawMargins, type Margins, marginsOf, markLines } from "./margins";
import { shortly } from "./numbers";
import type { ActivationPicture } from "./picture";
import type { Tiles } from "./tiles";
import { wholeWords } from "./words";

/** What is to be drawn. */
export interface Drawing {
  readonly picture: ActivationPicture | null;
  readonly height: number;
  /** The cell under the crosshair. */
  readonly cell: Cell | null;
  readonly tokens: LitUnits;
  /** Columns that are pinned or pointed at. */
  readonly columns: readonly number[];
}

/** What the figure is drawn with, for the legend. */
export interface Drawn {
  readonly paint: Paint;
  /** The finest grid, as pooled for the screen. */
  readonly grid: Grid;
  readonly hasMassive: boolean;
}

const NATURAL_HEIGHT = 460;
const LEAST_HEIGHT = 160;
const MOST_APART = 6;
/** Pixels between what stands below each other. */
const BETWEEN = 6;

export interface HeadActions {
  /** A column pointed at above the map, or none. */
  point(column: number | null): void;
  pin(column: number): void;
}

export class Figure {
  readonly element = h("div", { class: "gh-map-figure am-figure" });
  /** The whole map, or a part of it. */
  viewport: Viewport = WHOLE;
  /** Where cells are; null before the first drawing. */
  plot: ActivationPlot | null = null;
  readonly #shell: Shell;
  readonly #main: HTMLElement;
  readonly #tiles: Tiles;
  readonly #drawing: () => Drawing;
  readonly #onDrawn: (drawn: Drawn) => void;
  readonly #base = h("canvas", { attrs: { role: "img" }, aria: { label: "Activations" } });
  readonly #overlay = h("canvas", { aria: { hidden: true } });
  readonly #labels = axisLabels("query");
  readonly #head = h("div", { class: "am-head", aria: { hidden: true } });
  readonly #crosshair = crosshair();
  readonly #schedule;
  #apart = "";
  #width = 640;
  #height = 0;
  #margins: Margins | null = null;
  #table: { name: string; table: Uint8ClampedArray } | null = null;
  #rasters: { name: string; of: Grid; shown: Grid; raster: Raster | null }[] = [];

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
      ...[this.#labels.element, this.#base, this.#overlay, this.#head],
      ...this.#crosshair.elements,
    );
    watchSize(shell.body, () => this.#resized(), shell.signal);
    drawnAs(this.#base, (context) => this.#paintBase(context));
    drawnAs(this.#overlay, (context) => this.#paintOverlay(context));
  }

  /** What the pointer does above the map. */
  onHead({ point, pin }: HeadActions): void {
    const { signal } = this.#shell;
    const columnOf = (event: MouseEvent): number | null => {
      const x = event.clientX - this.element.getBoundingClientRect().left;
      return this.plot && columnAt(this.plot, x);
    };
    const stop = (event: Event): void => event.stopPropagation();
    const move = (event: PointerEvent): void => {
      stop(event);
      point(columnOf(event));
    };
    const click = (event: MouseEvent): void => {
      stop(event);
      const column = columnOf(event);
      if (column !== null) pin(column);
    };
    this.#head.addEventListener("pointermove", move, { signal });
    this.#head.addEventListener("pointerleave", () => point(null), { signal });
    this.#head.addEventListener("click", click, { signal });
  }

  /** New labels and another map. */
  fill({ tokens, map }: ActivationPicture, sameTokens: boolean): void {
    // Tokens of massive activations have their names, however crowded it is.
    const massive = massiveIn(map.grid, map.frame.bound).map(({ query }) => query);
    const apart = [...new Set(massive)].slice(0, MOST_APART);
    if (!sameTokens || apart.join() !== this.#apart) this.#labels.fill(tokens, null, apart);
    this.#apart = apart.join();
    this.#rasters = [];
    this.#margins = marginsOf(map);
  }

  /** Everything anew, in the next animation frame. */
  draw(): void {
    this.#schedule.request(this.#drawAll);
  }

  /** The same with a sharper tile. */
  refine(): void {
    this.#schedule.request(this.#drawPart);
  }

  look(viewport: Viewport): void {
    this.viewport = viewport;
    this.#schedule.request(this.#drawPart);
  }

  /** Labels at once, bands in the next animation frame. */
  light(): void {
    const { tokens, cell } = this.#drawing();
    if (this.plot) this.#labels.light(tokens);
    if (!cell) this.#crosshair.hide();
    this.#schedule.request(this.#drawOverlay);
  }

  /** The crosshair, with what is said beside it. */
  point(cell: Cell, words: readonly Child[]): void {
    if (this.plot) this.#crosshair.show(this.plot, cell, words);
  }

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
    const { picture, tokens } = this.#drawing();
    if (!picture) return;
    const plot = this.#fit(picture);
    this.plot = plot;
    const { width, height } = sizeOf(plot);
    Object.assign(this.element.style, { width: `${width}px`, height: `${height}px` });
    Object.assign(this.#head.style, { height: `${plot.top}px` });
    this.#labels.place(plot, tokens, true);
    this.#tiles.want(plot);
    const paint = this.#paint(picture);
    this.#readRasters(plot, paint);
    const context = sizeCanvas(this.#base, width, height);
    if (context) this.#paintBase(context);
    mark(this.#base, "aria-label", `Heatmap: ${wholeWords(picture.map)}`);
    this.#drawOverlay();
    const grid = this.#rasters.at(-1)?.shown ?? picture.map.grid;
    const hasMassive = massiveIn(this.#finest(picture), paint.bound).length > 0;
    const below = this.#below();
    this.#onDrawn({ paint, grid, hasMassive });
    // What has come below the map needs its room.
    if (this.#drawing().height > 0 && this.#below() !== below) this.draw();
  };

  #fit(picture: ActivationPicture): ActivationPlot {
    const font = `600 12px ${this.#shell.inks().font}`;
    picture.labels ??= labelWidth(picture.tokens, this.#overlay.getContext("2d"), font) + 4;
    const lines = markLines(picture.map);
    const fixed = this.#drawing().height > 0;
    const room = fixed ? this.#height - headHeight(lines) - this.#below() : NATURAL_HEIGHT;
    const space = {
      ...{ width: this.#width, maxHeight: Math.max(LEAST_HEIGHT, room) },
      ...{ labels: picture.labels, markLines: lines },
    };
    const { tokens, dimensions } = picture.map.frame;
    return fitPlot(tokens, dimensions, space, this.viewport);
  }

  /** What stands below the map takes its room; half of all at most. */
  #below(): number {
    const rest = [...this.#main.children].filter((one) => one !== this.element);
    const heights = rest.map((one) => (one as HTMLElement).offsetHeight + BETWEEN);
    return Math.min(
      this.#height / 2,
      heights.reduce((sum, one) => sum + one, 12),
    );
  }

  #paint({ map }: ActivationPicture): Paint {
    const { theme } = this.#shell;
    const { paper } = this.#shell.inks();
    const name = [theme, paper].join(":");
    if (this.#table?.name !== name) this.#table = { name, table: divergingTable(theme, paper) };
    return { table: this.#table.table, bound: map.frame.bound };
  }

  /** Grids as small canvases, made anew where their colours or their pixels have changed. */
  #readRasters(plot: ActivationPlot, paint: Paint): void {
    this.#rasters = this.#tiles.grids.map((of) => {
      const { byRow, byColumn } = poolingFor(of, plot);
      const name = [this.#table?.name, paint.bound, byRow, byColumn].join(":");
      const known = this.#rasters.find((one) => one.name === name && one.of === of);
      if (known) return known;
      const shown = pooled(of, byRow, byColumn);
      return { name, of, shown, raster: makeRaster(shown, paint) };
    });
  }

  #finest({ map }: ActivationPicture): Grid {
    return this.#tiles.grids.at(-1) ?? map.grid;
  }

  #paintBase(context: CanvasRenderingContext2D): void {
    const { picture } = this.#drawing();
    const { plot } = this;
    if (!picture || !plot) return;
    const inks = this.#shell.inks();
    const paint = this.#paint(picture);
    const { map } = picture;
    this.#readRasters(plot, paint);
    const rasters = this.#rasters.flatMap(({ raster }) => (raster ? [raster] : []));
    const finest = this.#finest(picture);
    drawMap(context, plot, rasters, inks);
    drawNumbers(context, plot, finest, paint, inks, {
      ...{ across: NUMBERED_ACROSS, write: shortly },
    });
    this.#margins ??= marginsOf(map);
    drawMargins(context, plot, map, this.#margins, inks);
    drawMassive(context, plot, massiveIn(finest, paint.bound), inks);
  }

  readonly #drawOverlay = (): void => {
    if (!this.plot) return;
    const { width, height } = sizeOf(this.plot);
    const context = sizeCanvas(this.#overlay, width, height);
    if (context) this.#paintOverlay(context);
  };

  #paintOverlay(context: CanvasRenderingContext2D): void {
    const { cell, tokens, columns } = this.#drawing();
    if (!this.plot) return;
    const rows = new Set(tokens.selected);
    if (!cell && tokens.hovered !== null) rows.add(tokens.hovered);
    const lit: Lit = { rows, columns };
    drawLit(context, this.plot, lit, this.#shell.inks());
  }
}
