/** The scrolled plane: two columns of tokens, between them the lines, above these the fans. */

import { h, style, watchSize } from "../shared/dom";
import { SIDES, type Side } from "../shared/map/axis";
import { type At, labelAt } from "../shared/map/pin";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import type { Inks } from "../shared/theme";
import { type LitColumn, tokenColumn } from "./columns";
import { type Curve, type Geometry, hitLine, MARGIN, unitsInView } from "./geometry";
import { createHeadings } from "./headings";
import { canvasOf, drawBase, drawOverlay, type Painting, rowsInView, turn } from "./layers";
import { hasGutter, type Lines } from "./lines";
import { createMinimap } from "./minimap";
import type { LinesPicture } from "./picture";
import { inColumns, inRows, type Room, rowsOf } from "./room";

/** What is to be drawn. */
export interface Drawing extends Pick<Painting, "rule" | "fans"> {
  readonly picture: LinesPicture | null;
  /** Tokens in two rows instead of two columns. */
  readonly horizontal: boolean;
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
  /** The page may leave other room than before. */
  measure: boolean;
  base: boolean;
  overlay: boolean;
}

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
  /** Never shown: text is measured with it. */
  readonly #ruler = h("canvas");
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
  /** What the geometry is of. */
  #fitted: LinesPicture | null = null;
  #room: Room | null = null;
  #scroll = 0;
  /** Colours of what is being painted. */
  #colours: Inks | null = null;
  readonly #due: Due = { measure: false, base: false, overlay: false };
  #curves: Curve[] = [];
  /** The line under the pointer. */
  #line: Curve | null = null;
  #filled: unknown = null;
  /** Whose overlay has nothing lit: it need not be painted again while nothing is. */
  #bare: Lines | null = null;
  /** In which room the overlay has nothing at all on it. */
  #empty: Geometry | null = null;

  constructor(shell: Shell, drawing: () => Drawing, events: StageEvents) {
    this.#shell = shell;
    this.#drawing = drawing;
    this.#events = events;
    const { signal } = shell;
    this.#schedule = createSchedule(signal);
    this.#minimap = createMinimap((share) => this.#scrollTo(share), signal);
    this.#sheet = h("div", { class: "al-sheet" }, this.#base, this.#overlay, this.#minimap.element);
    this.plane.append(this.#sheet, this.#columns.query.element, this.#columns.key.element);
    const fades = ["above", "below"].map((end) =>
      h("div", { class: `al-fade is-${end}`, data: { "in-picture": "no" } }),
    );
    const stage = h("div", { class: "al-stage" }, this.#scroller, ...fades, this.#headings.below);
    this.elements = [this.#headings.above, stage];
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { signal });
    watchSize(shell.body, () => this.#resized(), signal);
    drawnAs(this.#base, (context) => this.#redraw(context, drawBase));
    drawnAs(this.#overlay, (context) => this.#redraw(context, this.#over));
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
    const { fans, picture } = this.#drawing();
    const isBare = fans.length === 0 && this.#bare !== null && this.#bare === picture?.content;
    if (!isBare) this.#want({ overlay: true });
  }

  /** Everything, in the next animation frame; the page may leave other room than before. */
  draw(): void {
    this.#want({ measure: true, base: true, overlay: true });
  }

  /** Everything in the room that there was, in the next animation frame. */
  redraw(): void {
    this.#want({ base: true, overlay: true });
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
    const geometry = this.#geometry;
    const width = geometry?.horizontal ? geometry.height : geometry?.width;
    if (this.#scroller.clientWidth !== width) this.draw();
  }

  /** One painting of each layer, whatever has asked for it. */
  readonly #paintDue = (): void => {
    const { picture } = this.#drawing();
    if (!picture) return;
    const due = { ...this.#due };
    Object.assign(this.#due, { measure: false, base: false, overlay: false });
    // Colours are read before anything is written: the page would be styled twice.
    this.#colours = this.#shell.inks();
    const geometry = this.#lay(picture, due);
    const lines = picture.content;
    if (due.base) this.#paintBase(geometry, picture);
    if (due.overlay && lines) this.#paintOverlay(geometry, picture, lines);
    if (lines && due.base) this.#shell.drawn(lines.frame.key);
  };

  #paintBase(geometry: Geometry, picture: LinesPicture): void {
    for (const side of SIDES) this.#columns[side].window(geometry);
    const context = canvasOf(this.#base, geometry);
    const lines = picture.content;
    if (!lines) return;
    const [from, to] = rowsInView(geometry);
    this.#events.onRows(lines, from, to);
    if (!context) return;
    this.#minimap.draw(geometry, lines, this.#inks().ink);
    this.#curves = drawBase(context, this.#painting(geometry, picture, lines));
  }

  #lay(picture: LinesPicture, due: Due): Geometry {
    const known = this.#geometry;
    if (due.measure || !known || !this.#room) return this.#measure(picture);
    if (this.#fitted !== picture) return this.#fit(picture, this.#room);
    known.scroll = this.#scroll;
    this.#showEdges(known);
    return known;
  }

  #inks(): Inks {
    return this.#colours ?? this.#shell.inks();
  }

  /** The same on another context, for a saved picture. */
  #redraw(
    context: CanvasRenderingContext2D,
    draw: (context: CanvasRenderingContext2D, of: Painting) => unknown,
  ): void {
    const { picture } = this.#drawing();
    const geometry = this.#geometry;
    if (!picture?.content || !geometry) return;
    this.#colours = this.#shell.inks();
    turn(context, geometry);
    draw(context, this.#painting(geometry, picture, picture.content));
  }

  #painting(geometry: Geometry, picture: LinesPicture, lines: Lines): Painting {
    const { rule, fans } = this.#drawing();
    const { theme } = this.#shell;
    return { geometry, picture, lines, rule, fans, inks: this.#inks(), theme };
  }

  #paintOverlay(geometry: Geometry, picture: LinesPicture, lines: Lines): void {
    const { fans } = this.#drawing();
    this.#headings.hint(geometry, fans.at(-1) ?? null, lines);
    this.#bare = fans.length === 0 ? lines : null;
    // Scrolling a text of which nothing is lit would clear an empty canvas at every step.
    const isEmpty = fans.length === 0 && !hasGutter(lines) && !this.#line;
    if (isEmpty && this.#empty === geometry) return;
    this.#empty = isEmpty ? geometry : null;
    const context = canvasOf(this.#overlay, geometry);
    if (context) this.#over(context, this.#painting(geometry, picture, lines));
  }

  readonly #over = (context: CanvasRenderingContext2D, of: Painting): void => {
    const named = drawOverlay(context, of, this.#line);
    this.#headings.name(named, hasGutter(of.lines) && !of.geometry.horizontal);
  };

  /** Looks at the page for the room that there is; it is laid out for that. */
  #measure(picture: LinesPicture): Geometry {
    const scroller = this.#scroller;
    const { height: fixed, horizontal } = this.#drawing();
    const known = this.#geometry;
    this.#shell.root.dataset.orientation = horizontal ? "horizontal" : "vertical";
    const { rowHeight, tall } = rowsOf(picture);
    style(this.#shell.root, "--al-row", `${horizontal ? 24 : rowHeight}px`);
    if (!horizontal) this.#setPlane("", `${tall}px`, fixed > 0 ? "" : `${NATURAL_HEIGHT}px`);
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    const last = horizontal ? known?.height : known?.width;
    const width = scroller.clientWidth || last || 640;
    const inFixed = fixed > 0 ? scroller.clientHeight : 0;
    const height = horizontal ? inFixed : scroller.clientHeight || NATURAL_HEIGHT;
    this.#room = { width, height };
    this.#scroll = horizontal ? scroller.scrollLeft : scroller.scrollTop;
    return this.#fit(picture, this.#room);
  }

  /** Lays the picture out in the room that is known. */
  #fit(picture: LinesPicture, room: Room): Geometry {
    const { horizontal } = this.#drawing();
    const font = `600 13px ${this.#inks().font}`;
    const ruler = { context: () => this.#ruler.getContext("2d"), font };
    const geometry = (horizontal ? inRows : inColumns)(picture, room, ruler, this.#scroll);
    if (horizontal) {
      const wide = Math.max(geometry.query.total, geometry.key.total);
      this.#setPlane(`${wide}px`, `${geometry.width}px`, "");
    }
    [this.#geometry, this.#fitted] = [geometry, picture];
    this.#place(geometry);
    this.#showEdges(geometry);
    return geometry;
  }

  #setPlane(width: string, height: string, most: string): void {
    style(this.plane, "width", width);
    style(this.plane, "height", height);
    style(this.#scroller, "max-height", most);
  }

  #scrolled(): void {
    const { scrollLeft, scrollTop } = this.#scroller;
    this.#scroll = this.#geometry?.horizontal ? scrollLeft : scrollTop;
    this.redraw();
  }

  #showEdges({ horizontal, scroll, height, query, key }: Geometry): void {
    const tall = Math.max(query.total, key.total);
    this.#scroller.classList.toggle("has-more", !horizontal && scroll + height < tall - 1);
    this.#scroller.classList.toggle("has-less", !horizontal && scroll > 1);
  }

  #place(geometry: Geometry): void {
    const { horizontal, width, height } = geometry;
    style(this.#sheet, "height", `${horizontal ? width : height}px`);
    style(this.#sheet, "width", horizontal ? `${height}px` : "");
    for (const side of SIDES) {
      const start = `${side === "query" ? geometry.queryX : geometry.keyX}px`;
      const size = `${side === "query" ? geometry.queryWidth : geometry.keyWidth}px`;
      const place = horizontal
        ? { left: "0px", width: "100%", top: start, height: size }
        : { left: start, width: size, top: "0px", height: "100%" };
      const { element } = this.#columns[side];
      for (const [name, value] of Object.entries(place)) style(element, name, value);
    }
    this.#headings.place(geometry);
  }

  // ── Where things are ──────────────────────────────────────────────────────────────────────────

  #placeOf(event: MouseEvent): { x: number; y: number } {
    const box = this.plane.getBoundingClientRect();
    const [right, down] = [event.clientX - box.left, event.clientY - box.top];
    return this.#geometry?.horizontal ? { x: down, y: right } : { x: right, y: down };
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
    const end = geometry.horizontal ? "scrollLeft" : "scrollTop";
    const from = geometry[side].start(unit) - (geometry.horizontal ? MARGIN : 0);
    const lowest = geometry[side].start(unit) - geometry.height + geometry[side].size(unit);
    scroller[end] = Math.min(from, Math.max(lowest, scroller[end]));
  }

  #scrollTo(share: number): void {
    const geometry = this.#geometry;
    if (!geometry) return;
    const tall = Math.max(geometry.query.total, geometry.key.total);
    this.#scroller.scrollTop = share * tall - geometry.height / 2;
  }
}
