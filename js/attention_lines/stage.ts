/** The scrolled plane: two columns of tokens, between them the lines, above these the fans. */

import { h, sizeCanvas, watchSize } from "../shared/dom";
import { labelText, SIDES, type Side, unitName } from "../shared/map/axis";
import { labelWidths } from "../shared/map/measure";
import { type At, labelAt } from "../shared/map/pin";
import { headColour, type Rgb } from "../shared/palette";
import { drawnAs } from "../shared/save/recorder";
import { createSchedule } from "../shared/schedule";
import type { Shell } from "../shared/shell";
import { parseRgb } from "../shared/theme";
import { drawValues, nameRows } from "./cells";
import { type LitColumn, tokenColumn } from "./columns";
import { drawFans, drawGutter, drawLine, drawLines, mapColours, type Paint } from "./drawing";
import type { Fan } from "./fan";
import {
  type Curve,
  evenTrack,
  type Geometry,
  hitLine,
  layout,
  layoutRows,
  MARGIN,
  mapTracks,
  measuredTrack,
  rowHeightFor,
  unitsInView,
  type Wishes,
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
  /** Whose overlay has nothing lit: it need not be painted again while nothing is. */
  #bare: Lines | null = null;

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
    const { fans, picture } = this.#drawing();
    const isBare = fans.length === 0 && this.#bare !== null && this.#bare === picture?.content;
    if (!isBare) this.#want({ overlay: true });
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
    const geometry = due.measure || !this.#geometry ? this.#measure(picture) : this.#scrolled();
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
    this.#curves = this.#drawBase(context, geometry, picture, lines);
    this.#minimap.draw(geometry, lines, this.#shell.inks().ink);
  }

  /** The same on another context, for a saved picture. */
  #redraw(context: CanvasRenderingContext2D, draw: Painter): void {
    const { picture } = this.#drawing();
    const geometry = this.#geometry;
    if (!picture?.content || !geometry) return;
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
    const context = canvasOf(this.#overlay, geometry);
    this.#headings.hint(geometry, this.#drawing().fans.at(-1) ?? null, lines);
    if (context) this.#drawOverlay(context, geometry, picture, lines);
    this.#bare = this.#drawing().fans.length === 0 ? lines : null;
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
    const inks = this.#shell.inks();
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

  #measure(picture: LinesPicture): Geometry {
    const { horizontal } = this.#drawing();
    this.#shell.root.dataset.orientation = horizontal ? "horizontal" : "vertical";
    const geometry = horizontal ? this.#inRows(picture) : this.#inColumns(picture);
    this.#geometry = geometry;
    this.#place(geometry);
    this.#showEdges(geometry);
    return geometry;
  }

  #inColumns(picture: LinesPicture): Geometry {
    const scroller = this.#scroller;
    const { height: fixed } = this.#drawing();
    const rows = Math.max(picture.query.length, picture.key.length);
    const rowHeight = rowHeightFor(rows);
    const tall = rows * rowHeight;
    this.#setPlane("", `${tall}px`, fixed > 0 ? "" : `${NATURAL_HEIGHT}px`);
    this.#shell.root.style.setProperty("--al-row", `${rowHeight}px`);
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    const width = scroller.clientWidth || this.#geometry?.width || 640;
    const height = Math.min(tall, scroller.clientHeight || NATURAL_HEIGHT);
    const font = `600 13px ${this.#shell.inks().font}`;
    picture.widths ??= labelWidths(picture, this.#overlay.getContext("2d"), font);
    const wishes = { ...this.#wishes(picture), minimap: height < tall - 1 };
    return {
      ...layout(width, wishes),
      ...{ horizontal: false, height, scroll: scroller.scrollTop },
      query: evenTrack(picture.query.length, rowHeight),
      key: evenTrack(picture.key.length, rowHeight),
      tracks: mapTracks(picture.content?.nMaps ?? 1, rowHeight),
    };
  }

  #inRows(picture: LinesPicture): Geometry {
    const scroller = this.#scroller;
    const { height: fixed } = this.#drawing();
    const room = fixed > 0 ? scroller.clientHeight : 0;
    const parts = layoutRows(room, this.#wishes(picture));
    const font = `600 13px ${this.#shell.inks().font}`;
    const sizes = unitSizes(picture, this.#overlay.getContext("2d"), font);
    const height = scroller.clientWidth || this.#geometry?.height || 640;
    const query = measuredTrack(stretched(sizes.query, height - MARGIN), MARGIN);
    const key = measuredTrack(stretched(sizes.key, height - MARGIN), MARGIN);
    const wide = Math.max(query.total, key.total);
    this.#setPlane(`${wide}px`, `${parts.width}px`, "");
    this.#shell.root.style.setProperty("--al-row", "24px");
    return {
      ...parts,
      ...{ horizontal: true, height, scroll: scroller.scrollLeft, query, key },
      tracks: mapTracks(picture.content?.nMaps ?? 1, 20),
    };
  }

  #wishes({ widths, content }: LinesPicture): Wishes {
    const labels = widths ?? { query: 80, key: 80 };
    return { labels, heads: content?.frame.n_heads ?? 1, gutter: true, minimap: false };
  }

  #setPlane(width: string, height: string, most: string): void {
    Object.assign(this.plane.style, { width, height });
    this.#scroller.style.maxHeight = most;
  }

  /** The same geometry where the text has been scrolled. */
  #scrolled(): Geometry {
    const geometry = this.#geometry as Geometry;
    geometry.scroll = geometry.horizontal ? this.#scroller.scrollLeft : this.#scroller.scrollTop;
    this.#showEdges(geometry);
    return geometry;
  }

  #showEdges({ horizontal, scroll, height, query, key }: Geometry): void {
    const tall = Math.max(query.total, key.total);
    this.#scroller.classList.toggle("has-more", !horizontal && scroll + height < tall - 1);
    this.#scroller.classList.toggle("has-less", !horizontal && scroll > 1);
  }

  #place(geometry: Geometry): void {
    const { horizontal, width, height } = geometry;
    const { style } = this.#sheet;
    style.height = `${horizontal ? width : height}px`;
    style.width = horizontal ? `${height}px` : "";
    for (const side of SIDES) {
      const start = `${side === "query" ? geometry.queryX : geometry.keyX}px`;
      const size = `${side === "query" ? geometry.queryWidth : geometry.keyWidth}px`;
      const place = horizontal
        ? { left: "0", width: "100%", top: start, height: size }
        : { left: start, width: size, top: "0", height: "100%" };
      Object.assign(this.#columns[side].element.style, place);
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

/** Room that each unit needs in a row of them; of one text the same above and below. */
function unitSizes(
  { axes, query, key }: LinesPicture,
  context: CanvasRenderingContext2D | null,
  font: string,
): Record<Side, number[]> {
  if (context) context.font = font;
  const sizes = (side: Side): number[] =>
    Array.from({ length: axes[side].labels.length }, (_, unit) => {
      const width = context?.measureText(labelText(axes[side], unit)).width ?? 40;
      return Math.round(Math.max(36, width + 18));
    });
  const [above, below] = [sizes("query"), sizes("key")];
  if (query.axis.sequence !== key.axis.sequence) return { query: above, key: below };
  const both = above.map((size, unit) => Math.max(size, below[unit] ?? 0));
  return { query: both, key: both };
}

/** Units of a short text with more room between them, as far as there is some. */
function stretched(sizes: readonly number[], room: number): number[] {
  const total = sizes.reduce((a, b) => a + b, 0);
  const by = Math.min(1.8, Math.max(1, room / Math.max(1, total)));
  return sizes.map((size) => Math.floor(size * by));
}

/** Rows whose lines are wanted: those in view, and those beside the keys in view. */
function rowsInView(geometry: Geometry): [from: number, to: number] {
  const [query, key] = [unitsInView(geometry, "query"), unitsInView(geometry, "key")];
  return [Math.min(query[0], key[0]), Math.max(query[1], key[1])];
}
