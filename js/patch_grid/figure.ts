/** The grid with its labels: a canvas for the cells, one above for what is lit and chosen. */

import { type Child, h, hide, mark, sizeCanvas, watchSize } from "../shared/dom";
import { SIDES, type Side } from "../shared/map/axis";
import { crosshair } from "../shared/map/crosshair";
import { axisLabels } from "../shared/map/labels";
import { drawCell, drawMarks } from "../shared/map/marks";
import { labelWidth } from "../shared/map/measure";
import type { LitUnits } from "../shared/map/pin";
import { type Cell, type Viewport, WHOLE, xOf, yOf } from "../shared/map/plot";
import { divergingTable } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import type { PatchData } from "./data";
import { drawCells } from "./drawing";
import { fitPlot, isNumbered, type PatchPlot, sizeOf } from "./geometry";
import { wholeWords } from "./words";

/** What is to be drawn. */
export interface Drawing {
  readonly data: PatchData | null;
  readonly height: number;
  /** The cell under the crosshair. */
  readonly cell: Cell | null;
  readonly chosen: Cell | null;
  lit(side: Side): LitUnits;
}

const NATURAL_HEIGHT = 620;
const LEAST_HEIGHT = 160;
/** Tokens that differ and have their names, however crowded it is. */
const MOST_APART = 8;

export class Figure {
  readonly element = h("div", { class: "gh-map-figure pg-figure" });
  /** The whole grid, or a part of it. */
  viewport: Viewport = WHOLE;
  /** Where cells are; null before the first drawing. */
  plot: PatchPlot | null = null;
  readonly #shell: Shell;
  readonly #main: HTMLElement;
  readonly #drawing: () => Drawing;
  readonly #onDrawn: (table: Uint8ClampedArray) => void;
  readonly #base = h("canvas", { attrs: { role: "img" }, aria: { label: "Patches" } });
  readonly #overlay = h("canvas", { aria: { hidden: true } });
  readonly #labels = { query: axisLabels("query"), key: axisLabels("key") };
  readonly #layer = h("span", { class: "pg-axis is-row", aria: { hidden: true } }, "Layer");
  readonly #head = h("span", { class: "pg-axis", aria: { hidden: true } }, "Head");
  readonly #crosshair = crosshair(isNumbered);
  readonly #schedule;
  #width = 640;
  #height = 0;
  /** Widest label of the columns in pixels, once measured. */
  #widest: { of: PatchData; width: number } | null = null;
  #table: { name: string; table: Uint8ClampedArray } | null = null;

  constructor(
    shell: Shell,
    main: HTMLElement,
    drawing: () => Drawing,
    onDrawn: (table: Uint8ClampedArray) => void,
  ) {
    this.#shell = shell;
    this.#main = main;
    this.#drawing = drawing;
    this.#onDrawn = onDrawn;
    this.#schedule = createSchedule(shell.signal);
    this.element.append(
      ...[this.#labels.query.element, this.#base, this.#overlay, this.#labels.key.element],
      ...[this.#layer, this.#head, ...this.#crosshair.elements],
    );
    watchSize(shell.body, () => this.#resized(), shell.signal);
    drawnAs(this.#base, (context) => this.#paintBase(context));
    drawnAs(this.#overlay, (context) => this.#paintOverlay(context));
  }

  /** New labels; where they are the same they stay. */
  fill({ rows, columns, differing }: PatchData): void {
    const apart = differing.flatMap((position) => columns.unitOf(position) ?? []);
    this.#labels.query.fill(rows, null, []);
    this.#labels.key.fill(columns, null, apart.slice(0, MOST_APART));
  }

  /** Everything anew, in the next animation frame. */
  draw(): void {
    this.#schedule.request(this.#drawAll);
  }

  look(viewport: Viewport): void {
    this.viewport = viewport;
    this.#schedule.request(this.#drawPart);
  }

  /** Labels and crosshair at once, bands in the next animation frame. */
  light(): void {
    const { lit, cell } = this.#drawing();
    if (this.plot) for (const side of SIDES) this.#labels[side].light(lit(side));
    if (!cell) {
      this.#crosshair.hide();
      this.#shell.tooltip.hide();
    }
    this.#schedule.request(this.#drawOverlay);
  }

  /** The crosshair, with a card beside it: the figure of few layers is lower than that. */
  point(cell: Cell, card: Child[]): void {
    const { plot } = this;
    if (!plot) return;
    this.#crosshair.show(plot, cell, null);
    const { left, top } = this.element.getBoundingClientRect();
    const [x, y] = [left + xOf(plot, cell.key), top + yOf(plot, cell.query)];
    const anchor = { left: x, top: y, right: x + plot.across, bottom: y + plot.down };
    this.#shell.tooltip.show(anchor, card, "above");
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
    const { data, lit, height: given } = this.#drawing();
    if (!data) return;
    const fixed = given > 0;
    const plot = this.#fit(data);
    this.plot = plot;
    const { width, height } = sizeOf(plot);
    Object.assign(this.element.style, { width: `${width}px`, height: `${height}px` });
    // What scrolls can be reached by keyboard.
    const scrolls = fixed && height > this.#height;
    mark(this.#main, "tabindex", scrolls ? "0" : null);
    Object.assign(this.#layer.style, { top: `${plot.top}px`, width: `${plot.left - 6}px` });
    hide(this.#head, data.frame.columns !== "head");
    this.#head.style.left = `${plot.left}px`;
    for (const side of SIDES) {
      this.#labels[side].place(plot, lit(side), side === "query" || plot.isFlat);
    }
    const context = sizeCanvas(this.#base, width, height);
    if (context) this.#paintBase(context);
    mark(this.#base, "aria-label", `Heatmap: ${wholeWords(data)}`);
    this.#drawOverlay();
    this.#onDrawn(this.#colours());
  };

  #fit(data: PatchData): PatchPlot {
    if (this.#widest?.of !== data) {
      const font = `600 12px ${this.#shell.inks().font}`;
      const context = this.#overlay.getContext("2d");
      this.#widest = { of: data, width: labelWidth(data.columns, context, font) + 4 };
    }
    const fixed = this.#drawing().height > 0;
    const maxHeight = Math.max(LEAST_HEIGHT, fixed ? this.#height - 4 : NATURAL_HEIGHT);
    const space = {
      ...{ width: this.#width, maxHeight, isFixed: fixed, labels: this.#widest.width },
      isTitled: data.frame.columns === "head",
    };
    return fitPlot(data.layers.length, data.places.length, space, this.viewport);
  }

  /** The table of colours; the same one while theme and paper are the same. */
  #colours(): Uint8ClampedArray {
    const { theme } = this.#shell;
    const { paper } = this.#shell.inks();
    const name = [theme, paper].join(":");
    if (this.#table?.name !== name) this.#table = { name, table: divergingTable(theme, paper) };
    return this.#table.table;
  }

  #paintBase(context: CanvasRenderingContext2D): void {
    const { data } = this.#drawing();
    if (data && this.plot) {
      drawCells(context, this.plot, data, this.#colours(), this.#shell.inks());
    }
  }

  readonly #drawOverlay = (): void => {
    if (!this.plot) return;
    const { width, height } = sizeOf(this.plot);
    const context = sizeCanvas(this.#overlay, width, height);
    if (context) this.#paintOverlay(context);
  };

  /** The chosen cell; columns that are lit elsewhere. */
  #paintOverlay(context: CanvasRenderingContext2D): void {
    const { cell, chosen, lit } = this.#drawing();
    const { plot } = this;
    if (!plot) return;
    const inks = this.#shell.inks();
    const { hovered, selected } = lit("key");
    const cols = new Set(selected);
    if (chosen) cols.delete(chosen.key);
    if (!cell && hovered !== null) cols.add(hovered);
    drawMarks(context, plot, { pinned: null, rows: [], cols }, inks);
    if (chosen) drawCell(context, plot, chosen, inks);
  }
}
