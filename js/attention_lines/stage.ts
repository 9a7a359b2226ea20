/** The scrolled plane: two columns of tokens, between them the lines, above these the fans. */

import { h, sizeCanvas, style, watchSize } from "../shared/dom";
import { SIDES, type Side, unitName } from "../shared/map/axis";
import { type At, labelAt } from "../shared/map/pin";
import { headColour, type Rgb } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { type Inks, parseRgb } from "../shared/theme";
import { drawValues, nameRows } from "./cells";
import { type LitColumn, tokenColumn } from "./columns";
import { drawFans, drawGutter, drawLine, drawLines, mapColours, type Paint } from "./drawing";
import type { Fan } from "./fan";
import { type Curve, type Geometry, hitLine, MARGIN, unitsInView } from "./geometry";
import { createHeadings } from "./headings";
import { hasGutter, type Lines, linesBetween, type Rule } from "./lines";
import { createMinimap } from "./minimap";
import type { LinesPicture } from "./picture";
import { inColumns, inRows, type Room, rowsOf } from "./room";

/** What is to be drawn. */
export interface Drawing {
  readonly picture: LinesPicture | null;
  /** Which lines; null = none but the fans. */
  readonly rule: Rule | null;
  /** What the lit tokens look at. */
  readonly fans: readonly Fan[];
  /** Tokens in two rows instead of two columns. */
  readonly horizontal: boolean;
  /** Pixels of the whole view; 0 = as high as the text, up to a limit. */
  readonly height: number;
}

// A taller picture scrolls inside its own frame.
const NATURAL_HEIGHT = 640;
/** Marks around a quoted word. */
const QUOTES = /[‘’\u2068\u2069]/g;

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
    this.#curves = this.#drawBase(context, geometry, picture, lines);
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
  #redraw(context: CanvasRenderingContext2D, draw: Painter): void {
    const { picture } = this.#drawing();
    const geometry = this.#geometry;
    if (!picture?.content || !geometry) return;
    this.#colours = this.#shell.inks();
    if (geometry.horizontal) context.transform(...TURNED);
    draw(context, geometry, picture, picture.content);
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
    const { fans } = this.#drawing();
    this.#headings.hint(geometry, fans.at(-1) ?? null, lines);
    this.#bare = fans.length === 0 ? lines : null;
    // Scrolling a text of which nothing is lit would clear an empty canvas at every step.
    const isEmpty = fans.length === 0 && !hasGutter(lines) && !this.#line;
    if (isEmpty && this.#empty === geometry) return;
    this.#empty = isEmpty ? geometry : null;
    const context = canvasOf(this.#overlay, geometry);
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
    if (geometry.horizontal) nameRows(context, named, paint);
    this.#headings.name(geometry.horizontal ? [] : named, hasGutter(lines) && !geometry.horizontal);
    if (this.#line) drawLine(context, geometry, this.#line, paint);
  };

  /** Colours of the heads that are drawn. */
  #ofHead(lines: Lines): (head: number) => Rgb {
    return headColour(Array.from(lines.heads), this.#shell.theme);
  }

  #paint({ axes }: LinesPicture, lines: Lines): Paint {
    const inks = this.#inks();
    const ink =
      parseRgb(inks.ink) ?? (this.#shell.theme === "dark" ? [236, 238, 241] : [27, 30, 35]);
    return {
      inks,
      colours: mapColours(lines, ink, this.#ofHead(lines)),
      // Beside a number a word needs no quotes; a full stop does.
      name: (side, unit) => {
        const name = unitName(axes[side], unit);
        return /[\p{L}\p{N}]/u.test(axes[side].labels[unit] ?? "")
          ? name.replace(QUOTES, "")
          : name;
      },
    };
  }

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

/** Changes x and y round. */
const TURNED = [0, 1, 1, 0, 0, 0] as const;

/** The context of a canvas over what is in view: y along the units, whichever way these run. */
function canvasOf(canvas: HTMLCanvasElement, geometry: Geometry): CanvasRenderingContext2D | null {
  const { horizontal, width, height } = geometry;
  if (!horizontal) return sizeCanvas(canvas, width, height);
  const context = sizeCanvas(canvas, height, width);
  context?.transform(...TURNED);
  return context;
}

/** Rows whose lines are wanted: those in view, and those beside the keys in view. */
function rowsInView(geometry: Geometry): [from: number, to: number] {
  const [query, key] = [unitsInView(geometry, "query"), unitsInView(geometry, "key")];
  return [Math.min(query[0], key[0]), Math.max(query[1], key[1])];
}
