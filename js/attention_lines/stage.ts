/** The scrolled plane: two columns of tokens, between them the lines, above these the fans. */

import { h, sizeCanvas, watchSize } from "../shared/dom";
import { SIDES, type Side } from "../shared/map/axis";
import { labelWidths } from "../shared/map/measure";
import { type At, labelAt } from "../shared/map/pin";
import { headColour } from "../shared/palette";
import { shownHeads } from "../shared/scene";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { type LitColumn, tokenColumn } from "./columns";
import { drawBars, drawFans, drawLine, drawLines, type Paint } from "./drawing";
import { type Geometry, headTracks, hitLine, layout, rowHeightFor } from "./geometry";
import { createHeadings } from "./headings";
import type { Fan, Shown } from "./lines";
import type { LinesPicture } from "./picture";

/** What is to be drawn. */
export interface Drawing {
  readonly picture: LinesPicture | null;
  readonly shown: Shown | null;
  /** What the lit tokens look at; the last one gets bars as well. */
  readonly fans: readonly Fan[];
  /** Selected heads; empty = all. */
  readonly heads: readonly number[];
  /** Pixels of the whole view; 0 = as high as the text, up to a limit. */
  readonly height: number;
}

// A taller picture scrolls inside its own frame.
const NATURAL_HEIGHT = 640;

export class Stage {
  readonly plane = h("div", { class: "al-plane" });
  readonly elements: readonly HTMLElement[];
  readonly #shell: Shell;
  readonly #drawing: () => Drawing;
  readonly #base = h("canvas", { class: "al-base", aria: { hidden: true } });
  readonly #overlay = h("canvas", { class: "al-fan", aria: { hidden: true } });
  readonly #sheet = h("div", { class: "al-sheet" }, this.#base, this.#overlay);
  readonly #scroller = h("div", { class: "al-scroll" }, this.plane);
  readonly #columns = { query: tokenColumn("query"), key: tokenColumn("key") };
  readonly #headings = createHeadings();
  readonly #schedule;
  #geometry: Geometry | null = null;
  /** How many of the shown lines are on the canvas. */
  #drawn = 0;
  /** The line under the pointer. */
  #line: number | null = null;

  constructor(shell: Shell, drawing: () => Drawing) {
    this.#shell = shell;
    this.#drawing = drawing;
    const { signal } = shell;
    this.#schedule = createSchedule(signal);
    this.plane.append(this.#sheet, this.#columns.query.element, this.#columns.key.element);
    const stage = h("div", { class: "al-stage" }, this.#scroller, this.#headings.below);
    this.elements = [this.#headings.above, stage];
    this.#scroller.addEventListener("scroll", () => this.draw(), { signal });
    watchSize(shell.body, () => this.draw(), signal);
  }

  /** New labels. */
  fill({ axes, query, key, content }: LinesPicture): void {
    this.#columns.query.fill(query, content?.undefinedRows ?? null);
    this.#columns.key.fill(key, null);
    this.#headings.fill(axes);
  }

  /** What is lit on either side. */
  light(lit: (side: Side) => LitColumn): void {
    for (const side of SIDES) this.#columns[side].light(lit(side));
    this.#drawOverlay();
  }

  /** Everything, in the next animation frame. */
  draw(): void {
    this.#schedule.request(this.#drawAll);
  }

  #drawOverlay(): void {
    this.#schedule.request(this.#drawAbove);
  }

  /** The line under the pointer is drawn above all others. */
  point(line: number | null): void {
    if (line === this.#line) return;
    this.#line = line;
    this.#drawOverlay();
  }

  // ── Drawing ───────────────────────────────────────────────────────────────────────────────────

  readonly #drawAll = (): void => {
    const { picture } = this.#drawing();
    if (!picture) return;
    const geometry = this.#measure(picture);
    const bottom = geometry.scroll + geometry.height;
    for (const side of SIDES) {
      this.#columns[side].window(geometry.scroll, bottom, geometry.rowHeight);
    }
    sizeCanvas(this.#base, geometry.width, geometry.height);
    this.#drawn = 0;
    this.#drawSlice();
    this.#drawAbove();
    if (picture.content) this.#shell.drawn(picture.content.frame.key);
  };

  /** The next lines, as many as a frame has time for, until all are drawn. */
  readonly #drawSlice = (): void => {
    const geometry = this.#geometry;
    const { picture, shown } = this.#drawing();
    const context = this.#base.getContext("2d");
    if (!context || !geometry || !picture?.content || !shown) return;
    this.#drawn = drawLines(context, geometry, picture.content, shown, this.#drawn, this.#paint());
    if (this.#drawn < shown.indices.length) this.#schedule.request(this.#drawSlice);
  };

  readonly #drawAbove = (): void => {
    const geometry = this.#geometry;
    const line = this.#line;
    const { picture, fans } = this.#drawing();
    if (!geometry || !picture) return;
    const context = sizeCanvas(this.#overlay, geometry.width, geometry.height);
    if (!context) return;
    const paint = this.#paint();
    drawFans(context, geometry, fans, paint);
    const fan = fans.at(-1);
    this.#headings.hint(geometry, fan ?? null);
    if (fan) drawBars(context, geometry, fan, paint);
    if (line !== null && picture.content) drawLine(context, geometry, picture.content, line, paint);
  };

  #paint(): Paint {
    const { heads, picture } = this.#drawing();
    const drawn = shownHeads(heads, picture?.content?.frame.n_heads ?? 1);
    return { inks: this.#shell.inks(), colour: headColour(drawn, this.#shell.theme) };
  }

  #measure(picture: LinesPicture): Geometry {
    const scroller = this.#scroller;
    const { heads, height: fixed } = this.#drawing();
    const rows = Math.max(picture.query.length, picture.key.length);
    const rowHeight = rowHeightFor(rows);
    const tall = rows * rowHeight;
    this.plane.style.height = `${tall}px`;
    scroller.style.maxHeight = fixed > 0 ? "" : `${NATURAL_HEIGHT}px`;
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    const width = scroller.clientWidth || this.#geometry?.width || 640;
    const height = Math.min(tall, scroller.clientHeight || NATURAL_HEIGHT);
    const font = `600 13px ${this.#shell.inks().font}`;
    picture.widths ??= labelWidths(picture, this.#overlay.getContext("2d"), font);
    const scroll = scroller.scrollTop;
    scroller.classList.toggle("has-more", scroll + height < tall - 1);
    scroller.classList.toggle("has-less", scroll > 1);
    const tracks = headTracks(heads, picture.content?.frame.n_heads ?? 1, rowHeight);
    const columns = layout(width, height, picture.widths);
    this.#geometry = { ...columns, height, rowHeight, scroll, tracks };
    this.#place(this.#geometry);
    return this.#geometry;
  }

  #place(geometry: Geometry): void {
    const { queryX, queryWidth, keyX, keyWidth } = geometry;
    this.#sheet.style.height = `${geometry.height}px`;
    this.#shell.root.style.setProperty("--al-row", `${geometry.rowHeight}px`);
    const place = (side: Side, x: number, width: number): void => {
      const { style } = this.#columns[side].element;
      style.left = `${x}px`;
      style.width = `${width}px`;
    };
    place("query", queryX, queryWidth);
    place("key", keyX, keyWidth);
    this.#headings.place(geometry);
  }

  // ── Where things are ──────────────────────────────────────────────────────────────────────────

  #placeOf(event: MouseEvent): { x: number; y: number } {
    const box = this.plane.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  /** The token an event is on: by element, or by height anywhere in a column's half. */
  unitAt(event: MouseEvent): At | null {
    const label = labelAt(event);
    const geometry = this.#geometry;
    const { picture } = this.#drawing();
    if (label || !geometry || !picture) return label;
    const { x, y } = this.#placeOf(event);
    const inQuery = x >= geometry.queryX - 8 && x < geometry.x0;
    const inKey = x > geometry.x1 && x <= geometry.keyX + geometry.keyWidth + 8;
    if (!inQuery && !inKey) return null;
    const side: Side = inQuery ? "query" : "key";
    const unit = Math.floor(y / geometry.rowHeight);
    return unit >= 0 && unit < picture[side].length ? { side, unit } : null;
  }

  /** The line an event is on; none while fans of lit tokens lie above the lines. */
  lineAt(event: MouseEvent): number | null {
    const geometry = this.#geometry;
    const { picture, shown, fans } = this.#drawing();
    if (!geometry || !picture?.content || !shown || fans.length) return null;
    const { x, y } = this.#placeOf(event);
    return hitLine(geometry, picture.content, shown, x, y - geometry.scroll);
  }

  /** Scrolls so that a row is inside the view. */
  reveal(unit: number): void {
    const geometry = this.#geometry;
    const scroller = this.#scroller;
    if (!geometry) return;
    const top = unit * geometry.rowHeight;
    const lowest = top - geometry.height + geometry.rowHeight;
    scroller.scrollTop = Math.min(top, Math.max(lowest, scroller.scrollTop));
  }
}
