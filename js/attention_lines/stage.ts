/** The scrolled plane: two columns of tokens, between them the lines, above these the fans. */

import { h, sizeCanvas, watchSize } from "../shared/dom";
import { SIDES, type Side, unitName } from "../shared/map/axis";
import { labelWidths } from "../shared/map/measure";
import { type At, labelAt } from "../shared/map/pin";
import { headColour, type Rgb } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { parseRgb } from "../shared/theme";
import { drawValues } from "./cells";
import { type LitColumn, tokenColumn } from "./columns";
import { drawFans, drawGutter, drawLine, drawLines, mapColours, type Paint } from "./drawing";
import type { Fan } from "./fan";
import {
  type Curve,
  evenTrack,
  type Geometry,
  hitLine,
  layout,
  mapTracks,
  rowHeightFor,
  unitsInView,
} from "./geometry";
import { createHeadings } from "./headings";
import { hasGutter, type Lines, linesBetween, type Rule } from "./lines";
import { createMinimap } from "./minimap";
import type { LinesPicture } from "./picture";

/** What is to be drawn. */
export interface Drawing {
  readonly picture: LinesPicture | null;
  /** Which lines; null = none but the fans. */
  readonly rule: Rule | null;
  /** What the lit tokens look at. */
  readonly fans: readonly Fan[];
  /** Pixels of the whole view; 0 = as high as the text, up to a limit. */
  readonly height: number;
}

// A taller picture scrolls inside its own frame.
const NATURAL_HEIGHT = 640;

export interface StageEvents {
  /** These rows came into view. */
  onRows(lines: Lines, from: number, to: number): void;
}

/** What the next animation frame has to do. */
interface Due {
  measure: boolean;
  base: boolean;
  overlay: boolean;
}

type Painter = (
  context: CanvasRenderingContext2D,
  geometry: Geometry,
  picture: LinesPicture,
  lines: Lines,
) => unknown;

export class Stage {
  readonly plane = h("div", { class: "al-plane" });
  readonly elements: readonly HTMLElement[];
  readonly #shell: Shell;
  readonly #drawing: () => Drawing;
  readonly #events: StageEvents;
  readonly #base = h("canvas", {
    class: "al-base",
    attrs: { role: "img" },
    aria: { label: "Attention" },
  });
  readonly #overlay = h("canvas", { class: "al-fan", aria: { hidden: true } });
  readonly #minimap;
  readonly #sheet;
  readonly #scroller = h(
    "div",
    {
      class: "al-scroll",
      attrs: { tabindex: 0, role: "group" },
      aria: { label: "Tokens and their lines; scrolls" },
    },
    this.plane,
  );
  readonly #columns = { query: tokenColumn("query"), key: tokenColumn("key") };
  readonly #headings = createHeadings();
  readonly #schedule;
  #geometry: Geometry | null = null;
  readonly #due: Due = { measure: false, base: false, overlay: false };
  #curves: Curve[] = [];
  /** The line under the pointer. */
  #line: Curve | null = null;
  #filled: unknown = null;

  constructor(shell: Shell, drawing: () => Drawing, events: StageEvents) {
    this.#shell = shell;
    this.#drawing = drawing;
    this.#events = events;
    const { signal } = shell;
    this.#schedule = createSchedule(signal);
    this.#minimap = createMinimap((share) => this.#scrollTo(share), signal);
    this.#sheet = h("div", { class: "al-sheet" }, this.#base, this.#overlay, this.#minimap.element);
    this.plane.append(this.#sheet, this.#columns.query.element, this.#columns.key.element);
    const stage = h("div", { class: "al-stage" }, this.#scroller, this.#headings.below);
    this.elements = [this.#headings.above, stage];
    this.#scroller.addEventListener("scroll", () => this.#want({ base: true, overlay: true }), {
      signal,
    });
    watchSize(shell.body, () => this.#resized(), signal);
    drawnAs(this.#base, (context) => this.#redraw(context, this.#drawBase));
    drawnAs(this.#overlay, (context) => this.#redraw(context, this.#drawOverlay));
  }

  /** New labels, where they are others than before. */
  fill({ axes, query, key, content }: LinesPicture): void {
    const undefinedRows = content?.undefinedRows.some(Boolean) ? content.undefinedRows : null;
    if (this.#filled === axes && !undefinedRows) return;
    this.#filled = undefinedRows ? null : axes;
    this.#columns.query.fill(query, undefinedRows);
    this.#columns.key.fill(key, null);
    this.#headings.fill(axes);
  }

  /** What is lit on either side. */
  light(lit: (side: Side) => LitColumn): void {
    for (const side of SIDES) this.#columns[side].light(lit(side));
    this.#want({ overlay: true });
  }

  /** Everything, in the next animation frame. */
  draw(): void {
    this.#want({ measure: true, base: true, overlay: true });
  }

  /** The line under the pointer is drawn above all others. */
  point(line: Curve | null): void {
    if (line === this.#line) return;
    this.#line = line;
    this.#want({ overlay: true });
  }

  /** What the picture shows, for those who cannot see it. */
  describe(words: string): void {
    this.#base.setAttribute("aria-label", words);
  }

  // ── Drawing ───────────────────────────────────────────────────────────────────────────────────

  #want(due: Partial<Due>): void {
    Object.assign(this.#due, due);
    this.#schedule.request(this.#paintDue);
  }

  #resized(): void {
    const width = this.#scroller.clientWidth;
    if (width !== this.#geometry?.width) this.draw();
  }

  /** One painting of each layer, whatever has asked for it. */
  readonly #paintDue = (): void => {
    const { picture } = this.#drawing();
    if (!picture) return;
    const due = { ...this.#due };
    Object.assign(this.#due, { measure: false, base: false, overlay: false });
    const geometry = due.measure || !this.#geometry ? this.#measure(picture) : this.#scrolled();
    const lines = picture.content;
    if (due.base) this.#paintBase(geometry, picture);
    if (due.overlay && lines) this.#paintOverlay(geometry, picture, lines);
    if (lines && due.base) this.#shell.drawn(lines.frame.key);
  };

  #paintBase(geometry: Geometry, picture: LinesPicture): void {
    for (const side of SIDES) this.#columns[side].window(geometry);
    const context = sizeCanvas(this.#base, geometry.width, geometry.height);
    const lines = picture.content;
    if (!lines) return;
    const [from, to] = rowsInView(geometry);
    this.#events.onRows(lines, from, to);
    if (!context) return;
    this.#curves = this.#drawBase(context, geometry, picture, lines);
    this.#minimap.draw(geometry, lines, this.#shell.inks().ink);
  }

  /** The same on another context, for a saved picture. */
  #redraw(context: CanvasRenderingContext2D, draw: Painter): void {
    const { picture } = this.#drawing();
    if (picture?.content && this.#geometry) draw(context, this.#geometry, picture, picture.content);
  }

  readonly #drawBase = (
    context: CanvasRenderingContext2D,
    geometry: Geometry,
    picture: LinesPicture,
    lines: Lines,
  ): Curve[] => {
    const { rule } = this.#drawing();
    const drawn = rule ? linesBetween(lines, rule, ...rowsInView(geometry)) : null;
    return drawn ? drawLines(context, geometry, lines, drawn, this.#paint(picture, lines)) : [];
  };

  #paintOverlay(geometry: Geometry, picture: LinesPicture, lines: Lines): void {
    const context = sizeCanvas(this.#overlay, geometry.width, geometry.height);
    this.#headings.hint(geometry, this.#drawing().fans.at(-1) ?? null, lines);
    if (context) this.#drawOverlay(context, geometry, picture, lines);
  }

  readonly #drawOverlay = (
    context: CanvasRenderingContext2D,
    geometry: Geometry,
    picture: LinesPicture,
    lines: Lines,
  ): void => {
    const { fans } = this.#drawing();
    const paint = this.#paint(picture, lines);
    drawGutter(context, geometry, lines, fans, paint);
    drawFans(context, geometry, fans, lines, paint);
    const { heads, frame } = lines;
    const combined = heads.length === 1 ? `head ${heads[0]}` : frame.key.aggregate;
    const named = drawValues(context, geometry, fans, lines, {
      inks: paint.inks,
      ofHead: this.#ofHead(lines),
      nameOf: ({ side, unit }) => unitName(picture.axes[side], unit),
      combined: combined === "separate" ? "mean" : combined,
    });
    this.#headings.name(named, hasGutter(lines));
    if (this.#line) drawLine(context, geometry, this.#line, paint);
  };

  /** Colours of the heads that are drawn. */
  #ofHead(lines: Lines): (head: number) => Rgb {
    return headColour(Array.from(lines.heads), this.#shell.theme);
  }

  #paint({ axes }: LinesPicture, lines: Lines): Paint {
    const inks = this.#shell.inks();
    const ink =
      parseRgb(inks.ink) ?? (this.#shell.theme === "dark" ? [236, 238, 241] : [27, 30, 35]);
    return {
      inks,
      colours: mapColours(lines, ink, this.#ofHead(lines)),
      name: (side, unit) => unitName(axes[side], unit).replace(/[‘’\u2068\u2069]/g, ""),
    };
  }

  #measure(picture: LinesPicture): Geometry {
    const scroller = this.#scroller;
    const { height: fixed } = this.#drawing();
    const lines = picture.content;
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
    const parts = layout(width, {
      labels: picture.widths,
      heads: lines?.frame.n_heads ?? 1,
      gutter: true,
      minimap: height < tall - 1,
    });
    this.#geometry = {
      ...parts,
      horizontal: false,
      height,
      scroll: scroller.scrollTop,
      query: evenTrack(picture.query.length, rowHeight),
      key: evenTrack(picture.key.length, rowHeight),
      tracks: mapTracks(lines?.nMaps ?? 1, rowHeight),
    };
    this.#place(this.#geometry, rowHeight);
    this.#showEdges(this.#geometry);
    return this.#geometry;
  }

  /** The same geometry where the text has been scrolled. */
  #scrolled(): Geometry {
    const geometry = this.#geometry as Geometry;
    geometry.scroll = this.#scroller.scrollTop;
    this.#showEdges(geometry);
    return geometry;
  }

  #showEdges({ scroll, height, query, key }: Geometry): void {
    const tall = Math.max(query.total, key.total);
    this.#scroller.classList.toggle("has-more", scroll + height < tall - 1);
    this.#scroller.classList.toggle("has-less", scroll > 1);
  }

  #place(geometry: Geometry, rowHeight: number): void {
    const { queryX, queryWidth, keyX, keyWidth } = geometry;
    this.#sheet.style.height = `${geometry.height}px`;
    this.#shell.root.style.setProperty("--al-row", `${rowHeight}px`);
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
    if (label || !geometry) return label;
    const { x, y } = this.#placeOf(event);
    const inQuery = x >= geometry.queryX - 8 && x < geometry.x0;
    const inKey = x > geometry.x1 && x < geometry.minimapX;
    if (!inQuery && !inKey) return null;
    const side: Side = inQuery ? "query" : "key";
    const unit = geometry[side].unitAt(y);
    return unit >= 0 && unit < geometry[side].length ? { side, unit } : null;
  }

  /** Whether an event is on the bar of what a row gives to sinks. */
  isOnGutter(event: MouseEvent): boolean {
    const geometry = this.#geometry;
    if (!geometry?.gutter) return false;
    const { x } = this.#placeOf(event);
    return x >= geometry.gutterX && x < geometry.x0;
  }

  /** The line an event is on; none while fans of lit tokens lie above the lines. */
  lineAt(event: MouseEvent): Curve | null {
    const geometry = this.#geometry;
    if (!geometry || this.#drawing().fans.length) return null;
    const { x, y } = this.#placeOf(event);
    return hitLine(geometry, this.#curves, x, y - geometry.scroll);
  }

  /** How many units of a side are in view. */
  pageOf(side: Side): number {
    const geometry = this.#geometry;
    if (!geometry) return 1;
    const [from, to] = unitsInView(geometry, side);
    return Math.max(1, to - from - 1);
  }

  /** Scrolls so that a unit is inside the view. */
  reveal({ side, unit }: At): void {
    const geometry = this.#geometry;
    const scroller = this.#scroller;
    if (!geometry) return;
    const top = geometry[side].start(unit);
    const lowest = top - geometry.height + geometry[side].size(unit);
    scroller.scrollTop = Math.min(top, Math.max(lowest, scroller.scrollTop));
  }

  #scrollTo(share: number): void {
    const geometry = this.#geometry;
    if (!geometry) return;
    const tall = Math.max(geometry.query.total, geometry.key.total);
    this.#scroller.scrollTop = share * tall - geometry.height / 2;
  }
}

/** Rows whose lines are wanted: those in view, and those beside the keys in view. */
function rowsInView(geometry: Geometry): [from: number, to: number] {
  const [query, key] = [unitsInView(geometry, "query"), unitsInView(geometry, "key")];
  return [Math.min(query[0], key[0]), Math.max(query[1], key[1])];
}
