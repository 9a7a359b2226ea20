/** QueryKeyView: what the scores of one token are summed from. */

import { codePanel } from "../shared/code";
import { h, mark, style, watchSize } from "../shared/dom";
import { type Host, whyNoKernel } from "../shared/host/host";
import { commonKeys, inField } from "../shared/keys";
import { hoverPatch, litTokens, selectPatch, toggled } from "../shared/lit";
import { labelWidth } from "../shared/map/measure";
import { headColour } from "../shared/palette";
import { createSchedule } from "../shared/schedule";
import { createShell, type Shell } from "../shared/shell";
import type { Axes } from "../shared/state";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { scoreCard } from "./card";
import { type Controls, queryKeyControls } from "./controls";
import type { Order } from "./data";
import { type At, dimAt, gridKey, listen, type Meanings } from "./gestures";
import { fillHeading, type Look } from "./heading";
import { HELP } from "./help";
import { layoutOf } from "./layout";
import { legend } from "./legend";
import { armsOf, createPaint } from "./painting";
import { type QueryKeyPicture, readPicture } from "./picture";
import { createMarks } from "./pointed";
import { type Cells, createProducts, type Products } from "./products";
import { rowList } from "./rows";
import type { QueryKeyState } from "./state";
import { caption, cellWords, keyWords, noteWords } from "./words";

/** Width from which on the card stands beside the rows, and what it takes then. */
const BESIDE_FROM = 720;
const CARD = { usual: 256, wide: 320 };
const WIDE_FROM = 1100;
const GAP = 20;

export class QueryKeyViewView implements View<QueryKeyState> {
  static readonly id = "query-key-view";
  static readonly title = "Query and key";
  static readonly traits = {
    ...TRACE_TRAITS,
    query: true,
    key: true,
    sort: true,
    rows: true,
  } as const;

  readonly #host: Host<QueryKeyState>;
  readonly #shell: Shell;
  readonly #controls: Controls;
  readonly #heading = h("div", { class: "qk-heading", attrs: { role: "rowgroup" } });
  readonly #rows = rowList();
  readonly #grid: HTMLElement;
  readonly #marks = createMarks(this.#heading, this.#rows.element);
  readonly #nothing = h("p", { class: "qk-nothing" });
  readonly #card = scoreCard((dim) => this.#marks.column(this.#columnOf(dim)));
  readonly #columns: HTMLElement;
  readonly #products: Products;
  readonly #meanings: Meanings;
  #picture: QueryKeyPicture | null = null;
  #look: Look | null = null;
  #pointed: At | null = null;
  /** The head that was pointed at last. */
  #lane = 0;
  #width = 0;
  #labels: { axes: Axes; width: number } | null = null;
  /** The order of keys that has been scrolled to what matters. */
  #revealed: Order | null = null;

  constructor(el: HTMLElement, host: Host<QueryKeyState>) {
    this.#host = host;
    this.#shell = createShell(el, host, QueryKeyViewView, {
      help: HELP,
      code: codePanel,
      picture: () => ({
        caption: this.#picture ? caption(this.#picture, host.state.scene) : "",
      }),
      onTheme: () => this.#picture && this.#draw(),
    });
    const { body, controls, root, signal } = this.#shell;
    this.#controls = queryKeyControls(host);
    const schedule = createSchedule(signal);
    this.#products = createProducts(host, signal, () => schedule.request(this.#come));
    this.#grid = h(
      "div",
      {
        class: "qk-grid",
        attrs: { role: "grid", tabindex: 0 },
        aria: { label: "Keys" },
        on: { scroll: () => schedule.request(this.#scrolled) },
      },
      this.#heading,
      this.#rows.element,
    );
    this.#columns = h("div", { class: "qk-columns" }, this.#grid, this.#card.element);
    controls.append(...this.#controls.header);
    body.classList.add("qk-body");
    body.append(this.#controls.bar, this.#nothing, this.#columns);
    this.#meanings = this.#meaning();
    listen(this.#grid, this.#meanings, signal);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    host.onStatus(() => this.#picture || this.#draw(), signal);
    watchSize(body, () => body.clientWidth !== this.#width && this.#draw(), signal);
    this.update({});
  }

  update(changed: Partial<QueryKeyState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    this.#shell.sync(state);
    this.#controls.update(this.#shell.theme);
    if (any("frame", "axes", "sort", "rows", "height")) this.#draw();
    else if (any("busy") && !this.#picture) this.#draw();
    else this.#light();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── Drawing ─────────────────────────────────────────────────────────────────────────────────

  #draw(): void {
    const { state } = this.#host;
    const old = this.#picture;
    const picture = readPicture(state, old);
    if (picture?.data !== old?.data) {
      this.#products.begin(picture?.data ?? null);
      this.#pointed = null;
      this.#lane = 0;
    }
    this.#picture = picture;
    this.#nothing.hidden = picture !== null;
    this.#columns.hidden = picture === null;
    if (!picture) {
      this.#nothing.textContent = nothingWords(this.#host);
      this.#shell.drawn(state);
      return;
    }
    this.#look = this.#lookOf(picture);
    // With a fixed height there may be less room than it takes: keys can scroll it.
    mark(this.#card.element, "tabindex", state.height > 0 ? "0" : null);
    fillHeading(this.#heading, picture, this.#look);
    this.#rows.update(picture, this.#look);
    this.#grid.setAttribute("aria-rowcount", String(picture.data.nKeys + 2));
    this.#shell.legend.replaceChildren(...legend(picture, this.#look));
    this.#revealOnce(picture);
    this.#scrolled();
    this.#light();
    this.#shell.drawn({ ...state, ...picture.data.frame.key });
  }

  #lookOf(picture: QueryKeyPicture): Look {
    const { body, root, theme } = this.#shell;
    const { data } = picture;
    // Taken out of the page (a notebook does so with cells that are far away): the last width holds.
    this.#width = body.clientWidth || this.#width;
    const beside = this.#width >= BESIDE_FROM;
    const wide = this.#width >= WIDE_FROM;
    body.classList.toggle("is-beside", beside);
    style(body, "--qk-card", `${wide ? CARD.wide : CARD.usual}px`);
    const card = beside ? (wide ? CARD.wide : CARD.usual) + GAP : 0;
    const inks = this.#shell.inks();
    const room = Math.max(160, this.#width - card - SCROLLBAR);
    const layout = layoutOf(data, room, this.#labelWidth(picture, inks.font));
    const paint = createPaint(theme, inks);
    const { up, down } = armsOf(paint);
    style(root, "--qk-up", up);
    style(root, "--qk-down", down);
    const numbers = layout.numbers.map(({ width }) => `${width}px`).join(" ");
    const mark = layout.mark ? `${layout.mark}px ` : "";
    const cells = `${layout.cells}px`;
    style(body, "--qk-columns", `${layout.label}px ${mark}${cells} ${numbers}`);
    style(body, "--qk-x", `${layout.label + layout.mark}px`);
    style(body, "--qk-first", String(layout.firstNumber));
    style(body, "--qk-lane", `${layout.lane}px`);
    style(body, "--qk-lanes", String(data.heads.length));
    style(body, "--qk-row", `${layout.row}px`);
    body.classList.toggle("has-lanes", data.heads.length > 1);
    return { layout, paint, colour: headColour(data.heads, theme) };
  }

  /** Pixels that the widest label takes: a long text has many to look at. */
  #labelWidth({ axes, key }: QueryKeyPicture, font: string): number {
    if (this.#labels?.axes !== axes) {
      const context = document.createElement("canvas").getContext("2d");
      this.#labels = { axes, width: labelWidth(key, context, `13px ${font}`) + 4 };
    }
    return this.#labels.width;
  }

  readonly #cellsAt = (place: number): Cells | null => {
    const picture = this.#picture;
    return picture ? this.#products.at(picture.order, place) : null;
  };

  readonly #scrolled = (): void => {
    const picture = this.#picture;
    if (!picture) return;
    const { scrollTop, clientHeight } = this.#grid;
    const [first, last] = this.#rows.show(scrollTop, scrollTop + clientHeight, this.#cellsAt);
    this.#products.ask(picture.order, first, last);
  };

  readonly #come = (): void => {
    this.#rows.come(this.#cellsAt);
    this.#light();
  };

  /** What matters is in view when a picture is new. */
  #revealOnce({ order }: QueryKeyPicture): void {
    // Not in the page yet: there is nothing to scroll.
    if (this.#revealed === order || this.#grid.clientHeight === 0) return;
    this.#revealed = order;
    this.#reveal(this.#near().key);
  }

  /** Scrolls as far as it takes to see a key. */
  #reveal(key: number): void {
    const [picture, look] = [this.#picture, this.#look];
    if (!picture || !look) return;
    const { row } = look.layout;
    const top = picture.order.placeOf(key) * row;
    const room = this.#grid.clientHeight - this.#heading.offsetHeight;
    const { scrollTop } = this.#grid;
    if (top < scrollTop) this.#grid.scrollTop = top;
    else if (top + row > scrollTop + room) this.#grid.scrollTop = top + row - room;
    this.#scrolled();
  }

  // ── What is pointed at and looked at ────────────────────────────────────────────────────────

  /** What is pointed at, here or elsewhere, else what is kept, else what has most weight. */
  #near(): { key: number; lane: number; why: string } {
    const { data } = this.#picture as QueryKeyPicture;
    const { state } = this.#host;
    const lane = Math.min(this.#lane, data.heads.length - 1);
    const { hovered } = litTokens(state, this.#keySequence());
    const key = this.#pointed?.key ?? hovered ?? state.key;
    const isThere = key !== null && key < data.nKeys;
    if (!isThere) return { key: data.strongest(lane), lane, why: "most weight" };
    const isKept = key === state.key && this.#pointed === null && hovered === null;
    return { key, lane, why: isKept ? "kept" : "" };
  }

  #keySequence() {
    return this.#picture?.key.axis.sequence ?? "text";
  }

  #light(): void {
    const [picture, look] = [this.#picture, this.#look];
    if (!picture || !look) return;
    const { hovered, selected } = litTokens(this.#host.state, this.#keySequence());
    const near = this.#near();
    this.#rows.light({ hovered, selected: new Set(selected), near: near.key });
    const place = picture.order.placeOf(near.key);
    this.#products.ask(picture.order, place, place);
    const cells = this.#cellsAt(place);
    const { failure } = this.#products;
    this.#card.update({ picture, look, ...near, cells, failure });
    const words = keyWords(picture, near.lane, near.key, cells);
    this.#shell.setStatus([words, failure, noteWords(picture)].filter(Boolean).join(" "));
    this.#showCell(cells);
  }

  /** The product that is pointed at. */
  #showCell(cells: Cells | null): void {
    const [picture, look, at] = [this.#picture, this.#look, this.#pointed];
    const { tooltip } = this.#shell;
    const row = at && this.#rows.row(at.key);
    this.#marks.focus(this.#grid, row ?? null);
    this.#marks.column(at && look && at.column !== null ? this.#columnBox(at.column, cells) : null);
    const dim = at && picture && look ? dimAt(at, picture, look.layout, cells) : null;
    const hidden = at !== null && picture?.data.isHidden(at.lane, at.key);
    if (!at || !picture || !look || !row || dim === null || !cells || hidden) {
      tooltip.hide();
      return;
    }
    const words = cellWords(picture, { ...at, dim }, cells);
    const { columnWidth, lane } = look.layout;
    const box = row.querySelector(".qk-cells")?.getBoundingClientRect();
    const left = (box?.left ?? 0) + (at.column ?? 0) * columnWidth;
    const top = (box?.top ?? 0) + at.lane * lane;
    tooltip.show({ left, right: left + columnWidth, top, bottom: top + lane }, [
      h("strong", {}, words.title),
      h("div", { class: "qk-product" }, words.product),
      h("div", {}, words.share),
    ]);
  }

  #columnBox(
    column: number,
    cells: Cells | null,
  ): { x: number; width: number; dim: number } | null {
    const [picture, look] = [this.#picture, this.#look];
    if (!picture || !look) return null;
    const { layout } = look;
    const at = { key: 0, lane: this.#lane, column };
    const dim = dimAt(at, picture, layout, cells) ?? 0;
    return { x: column * layout.columnWidth, width: layout.columnWidth, dim };
  }

  /** Where a dimension stands. */
  #columnOf(dim: number | null): { x: number; width: number; dim: number } | null {
    const [picture, look] = [this.#picture, this.#look];
    if (!picture || !look || dim === null) return null;
    const { perColumn, columnWidth: width } = look.layout;
    const column = Math.floor(picture.columns.indexOf(dim) / perColumn);
    return { x: column * width, width, dim };
  }

  // ── What the user does ──────────────────────────────────────────────────────────────────────

  #meaning(): Meanings {
    const view = this;
    return {
      get picture() {
        return view.#picture;
      },
      get layout() {
        return view.#look?.layout ?? null;
      },
      get at() {
        return view.#pointed;
      },
      get first() {
        return view.#picture && { ...view.#near(), column: null };
      },
      point: (at, how) => this.#point(at, how),
      keep: (key) => this.#host.set({ key: this.#host.state.key === key ? null : key }),
      pin: (key) => this.#pin(key),
    };
  }

  #point(at: At | null, how: "pointer" | "key"): void {
    const was = this.#pointed;
    if (was?.key === at?.key && was?.lane === at?.lane && was?.column === at?.column) return;
    this.#pointed = at;
    if (at) this.#lane = at.lane;
    if (how === "key" && at) this.#reveal(at.key);
    const sequence = this.#keySequence();
    const key = at?.key ?? null;
    if (litTokens(this.#host.state, sequence).hovered !== key) {
      this.#host.set(hoverPatch(sequence, key));
    }
    this.#light();
    if (how === "key" && at) this.#announce(at);
  }

  #announce(at: At): void {
    const [picture, look] = [this.#picture, this.#look];
    if (!picture || !look) return;
    const cells = this.#cellsAt(picture.order.placeOf(at.key));
    const dim = dimAt(at, picture, look.layout, cells);
    if (dim === null || !cells) {
      this.#shell.announce(keyWords(picture, at.lane, at.key, cells));
      return;
    }
    const { title, product, share } = cellWords(picture, { ...at, dim }, cells);
    this.#shell.announce(`${title}: ${product}; ${share}`);
  }

  /** Pins a token, or lets it go; where tokens look at each other it becomes the query. */
  #pin(key: number): void {
    const { state } = this.#host;
    const sequence = this.#keySequence();
    const pinned = toggled(litTokens(state, sequence).selected, key);
    const isNew = pinned.includes(key);
    const isQuery = this.#picture?.query.axis.sequence === sequence;
    const follow = isNew ? (isQuery ? { query: key } : { key }) : {};
    this.#host.set({ ...selectPatch(sequence, pinned), ...follow });
  }

  #key(event: KeyboardEvent): void {
    const look = this.#look;
    if (event.target === this.#grid && look) {
      const page = Math.max(1, Math.floor(this.#grid.clientHeight / look.layout.row) - 2);
      if (gridKey(event, this.#meanings, page)) return;
    }
    if (event.key === "Escape" && !inField(event)) {
      this.#point(null, "key");
      if (this.#host.state.key !== null) this.#host.set({ key: null });
    }
    commonKeys(event, this.#host);
  }
}

/** Room that is kept for a bar to scroll with. */
const SCROLLBAR = 14;

/** Why nothing is shown. */
function nothingWords(host: Host<QueryKeyState>): string {
  if (host.status === "no kernel") {
    return `${whyNoKernel(host)} It computes the products: run the cell again to see them.`;
  }
  return host.state.busy
    ? "The products are being computed; they are on their way."
    : "There is nothing to show yet.";
}
