/** FusedAttentionMatrix: a heatmap of words that look (rows) at words (columns). */

import { fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import { hoverPatch, type Lit, litTokens, onlyLit, selectPatch } from "../shared/lit";
import type { Side } from "../shared/map/axis";
import { mapCaption } from "../shared/map/caption";
import { type Actions, createGestures, type Gestures } from "../shared/map/gestures";
import { type At, type LitUnits, litUnits, pinPatch, pointPatch } from "../shared/map/pin";
import { type Cell, closeTo, sameCell, type Viewport, WHOLE } from "../shared/map/plot";
import { createShell, type Shell } from "../shared/shell";
import { changesOf, MAP_TRAITS, type View } from "../shared/view";
import { type Cells, createCells } from "./cells";
import { createHeader, type Header } from "./controls";
import { type Drawing, Figure } from "./figure";
import type { Matrix } from "./grid";
import { HELP } from "./help";
import { createLegend, type Legend } from "./legend";
import { type MatrixPicture, matrixPicture } from "./picture";
import { pinnedCell } from "./pinned";
import { type Readout, readout, type Shown } from "./readout";
import type { MatrixState } from "./state";
import { createTiles, type Tiles } from "./tiles";
import { captionWords, cellWords, tagWords, wholeWords } from "./words";

export class FusedAttentionMatrixView implements View<MatrixState> {
  static readonly id = "fused-attention-matrix";
  static readonly title = "Fused attention matrix";
  static readonly traits = {
    ...MAP_TRAITS,
    scale: true,
    value_range: true,
    normalise: true,
    hide_special: true,
    scores: true,
    compare: true,
    pinned: true,
  } as const;

  readonly #host: Host<MatrixState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #legend: Legend;
  readonly #cells: Cells;
  readonly #tiles: Tiles;
  readonly #figure: Figure;
  readonly #gestures: Gestures;
  readonly #readout: Readout;
  readonly #caption = h("div", { class: "fm-caption" });
  #picture: MatrixPicture | null = null;
  /** What the words are about. */
  #told: { matrix: Matrix; name: string } | null = null;

  constructor(el: HTMLElement, host: Host<MatrixState>) {
    this.#host = host;
    this.#shell = createShell(el, host, FusedAttentionMatrixView, {
      help: HELP,
      picture: () => ({ caption: mapCaption(host.state) }),
      onTheme: () => this.#restyle(),
    });
    const { body, root, signal, legend } = this.#shell;
    this.#header = createHeader(this.#shell, host, {
      by: (factor) => this.#gestures.zoom(factor),
      reset: () => this.#look(WHOLE),
    });
    this.#legend = createLegend(legend, host);
    const main = h("div", { class: "fm-main" });
    this.#cells = createCells(host, signal, () => this.#showCell());
    this.#tiles = createTiles(host, signal, () => this.#figure.refine());
    this.#figure = new Figure(
      this.#shell,
      main,
      this.#tiles,
      () => this.#drawing(),
      (drawn) => {
        const matrix = this.#picture?.content;
        if (matrix) this.#legend.show(matrix, drawn);
        this.#point();
      },
    );
    this.#readout = readout(
      (cell) => this.#goTo(cell),
      () => this.#letGo(),
    );
    this.#gestures = createGestures(this.#figure.element, this.#actions(), signal);
    const scroller = h("div", { class: "gh-map-scroll" }, this.#figure.element);
    main.append(scroller, this.#readout.element);
    const line = h("div", { class: "fm-line" }, this.#caption, this.#header.zoom);
    body.append(this.#header.heads, this.#header.compare, line, main);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.update({});
  }

  update(changed: Partial<MatrixState>): void {
    if (onlyLit(changed)) {
      this.#showLit();
      return;
    }
    const { state } = this.#host;
    this.#shell.sync(state);
    const any = changesOf(changed);
    if (any("axes", "frame")) this.#readPicture();
    this.#updateHeader();
    if (any("axes", "frame", "scale", "value_range", "height")) this.#figure.draw();
    this.#showLit();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  #restyle(): void {
    if (!this.#header) return;
    this.#updateHeader();
    this.#figure.draw();
  }

  #updateHeader(): void {
    const { state } = this.#host;
    const picture = this.#picture;
    const special = [picture?.query, picture?.key].some((side) =>
      side ? Array.from(side.special).some(Boolean) : false,
    );
    this.#header.update(state, this.#shell.theme, special);
    this.#legend.update(state);
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #drawing(): Drawing {
    const { scale, value_range, height } = this.#host.state;
    const lit = (side: Side): LitUnits => this.#lit(side);
    return {
      ...{ picture: this.#picture, scale, value_range, height, lit },
      cell: this.#cells.at,
      pinned: this.#pinned(),
    };
  }

  #pinned(): Cell | null {
    return this.#picture && pinnedCell(this.#host.state, this.#picture);
  }

  #readPicture(): void {
    const old = this.#picture;
    const picture = matrixPicture(this.#host.state, old);
    this.#picture = picture;
    if (!picture) {
      this.#shell.setStatus(this.#host.state.busy ? "" : "Nothing to show yet.");
      return;
    }
    const sameAxes = old?.axes === picture.axes;
    if (!sameAxes) this.#look(WHOLE);
    this.#tiles.clear();
    this.#figure.fill(picture);
    this.#cells.reset(picture.content, sameAxes);
    fill(this.#caption, ...captionWords(picture.axes, picture.content));
    if (picture.content) this.#readout.showLargest(picture.axes, picture.content);
  }

  #lit(side: Side): LitUnits {
    const picture = this.#picture;
    if (!picture) return { hovered: null, selected: new Set() };
    const pinned = this.#pinned();
    const lit = litUnits(this.#host.state, picture[side]);
    // A pinned cell is one row and one column, whatever else its two tokens are.
    if (pinned) lit.selected = new Set([pinned[side]]);
    // Under the pointer each side has a unit of its own, though a square map has one hover trait.
    const cell = this.#cells.at;
    return cell ? { ...lit, hovered: cell[side] } : lit;
  }

  #showLit(): void {
    this.#figure.light();
    this.#showCell();
  }

  #showCell(): void {
    const picture = this.#picture;
    const cells = this.#cells;
    const matrix = picture?.content;
    if (!picture || !matrix) return;
    const pinned = this.#pinned();
    if (pinned) cells.ask(pinned);
    const { at } = cells;
    const { theme } = this.#shell;
    const known = [at, pinned].map((cell) => cell && [cell, cells.isKnown(cell)]);
    const name = JSON.stringify([known, theme]);
    if (this.#told?.matrix === matrix && this.#told.name === name) return;
    this.#told = { matrix, name };
    const { axes } = picture;
    const shownAs = (cell: Cell, isPinned: boolean): Shown => {
      return { axes, matrix, cell, value: cells.value(cell), theme, isPinned };
    };
    const shown = at ?? pinned;
    const isPinned = shown !== null && sameCell(shown, pinned);
    this.#readout.showCell(shown && shownAs(shown, isPinned));
    this.#readout.showPinned(pinned && !isPinned ? shownAs(pinned, true) : null);
    this.#point();
    this.#say(matrix, shown && shownAs(shown, isPinned), at !== null);
  }

  /** The crosshair with its number; the plot may have moved under it. */
  #point(): void {
    const { at } = this.#cells;
    const picture = this.#picture;
    const matrix = picture?.content;
    if (!at || !picture || !matrix) return;
    this.#figure.point(at, tagWords(picture.axes, matrix, at, this.#cells.value(at)));
  }

  #say(matrix: Matrix, shown: Shown | null, aloud: boolean): void {
    const shell = this.#shell;
    if (!shown) {
      shell.setStatus(wholeWords(matrix));
      return;
    }
    const words = cellWords(shown.axes, matrix, shown.cell, shown.value);
    shell.setStatus(words);
    if (aloud) shell.announce(`layer ${matrix.frame.key.layer}: ${words}`);
  }

  // ── What the user does ────────────────────────────────────────────────────────────────────────

  #actions(): Actions {
    return {
      plot: () => this.#figure.plot,
      viewport: () => this.#figure.viewport,
      look: (viewport) => this.#look(viewport),
      cell: () => this.#cells.at,
      hover: (cell) => this.#hover(cell),
      hoverLabel: (at) => this.#hoverLabel(at),
      pin: (cell) => this.#togglePin(cell),
      pinLabel: (at) => this.#pinLabel(at),
    };
  }

  #key(event: KeyboardEvent): void {
    if (event.key === "Escape") this.#cells.move(null);
    if (commonKeys(event, this.#host)) this.#showLit();
    else if (event.target === this.#shell.root) this.#gestures.key(event);
  }

  #look(viewport: Viewport): void {
    this.#figure.look(viewport);
    this.#header.setZoomed(viewport.zoom > 1);
  }

  /** A label lights its token everywhere, without a cell. */
  #hoverLabel(at: At): void {
    const picture = this.#picture;
    if (!picture) return;
    this.#cells.move(null);
    this.#host.set(pointPatch(this.#host.state, picture, at));
    this.#showLit();
  }

  #hover(cell: Cell | null): void {
    const picture = this.#picture;
    const cells = this.#cells;
    if (!picture) return;
    const { state } = this.#host;
    const lit = state.hovered !== null || state.hovered_source !== null;
    if (sameCell(cells.at, cell) && (cell !== null || !lit)) return;
    cells.move(cell);
    const { query, key } = picture;
    const row = cell && query.firstToken(cell.query);
    const col = cell && key.firstToken(cell.key);
    // In a square map the looking word is the one that other views light.
    const patch = {
      ...hoverPatch(key.axis.sequence, col),
      ...hoverPatch(query.axis.sequence, row),
    };
    const names = Object.keys(patch) as (keyof Lit)[];
    // A change is heard of as any other is.
    if (names.some((name) => patch[name] !== state[name])) this.#host.set(patch);
    else this.#showLit();
  }

  /** Pins the cell, row and column together; the same cell again lets go. */
  #togglePin(cell: Cell): void {
    if (sameCell(this.#pinned(), cell)) this.#letGo();
    else this.#pin(cell);
  }

  #pin(cell: Cell): void {
    const picture = this.#picture;
    if (!picture) return;
    const { query, key } = picture;
    const [rows, cols] = [query.axis.sequence, key.axis.sequence];
    const row = query.firstToken(cell.query);
    const col = key.firstToken(cell.key);
    const both = [...new Set([row, col])].sort((a, b) => a - b);
    const selected: Partial<Lit> =
      rows === cols
        ? selectPatch(rows, both)
        : { ...selectPatch(rows, [row]), ...selectPatch(cols, [col]) };
    this.#host.set({ ...selected, pinned: [row, col] });
    this.#showLit();
  }

  #letGo(): void {
    const { state } = this.#host;
    const none: Partial<MatrixState> = { pinned: [] };
    for (const side of [this.#picture?.query, this.#picture?.key]) {
      const sequence = side?.axis.sequence;
      if (sequence && litTokens(state, sequence).selected.length) {
        Object.assign(none, selectPatch(sequence, []));
      }
    }
    this.#host.set(none);
    this.#showLit();
  }

  /** Shows a cell from near by, and pins it. */
  #goTo(cell: Cell): void {
    const { plot, viewport } = this.#figure;
    if (plot) this.#look(closeTo(plot, viewport, cell.query, cell.key));
    this.#pin(cell);
  }

  #pinLabel(at: At): void {
    const picture = this.#picture;
    if (!picture) return;
    this.#host.set({ ...pinPatch(this.#host.state, picture, at), pinned: [] });
  }
}
