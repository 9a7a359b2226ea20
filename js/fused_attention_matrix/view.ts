/** FusedAttentionMatrix: a heatmap of words that look (rows) at words (columns). */

import { fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys } from "../shared/keys";
import { hoverPatch, type Lit, selectPatch } from "../shared/lit";
import type { Side } from "../shared/map/axis";
import { type At, type LitUnits, litUnits, pinPatch, pointPatch } from "../shared/map/pin";
import { createShell, type Shell } from "../shared/shell";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { type Cells, createCells } from "./cells";
import { createHeader, type Header } from "./controls";
import { type Drawing, Figure } from "./figure";
import { type Viewport, WHOLE } from "./geometry";
import { type Actions, createGestures, type Gestures } from "./gestures";
import { HELP } from "./help";
import { type MatrixPicture, matrixPicture } from "./picture";
import { type Cell, readout } from "./readout";
import type { MatrixState } from "./state";
import { createTiles, type Tiles } from "./tiles";
import { captionWords, cellWords, wholeWords } from "./words";

export class FusedAttentionMatrixView implements View<MatrixState> {
  static readonly id = "fused-attention-matrix";
  static readonly title = "Fused attention matrix";
  static readonly traits = { ...TRACE_TRAITS, aggregate: true, scale: true } as const;

  readonly #host: Host<MatrixState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #cells: Cells;
  readonly #tiles: Tiles;
  readonly #figure: Figure;
  readonly #gestures: Gestures;
  readonly #readout = readout();
  readonly #caption = h("div", { class: "fm-caption" });
  #picture: MatrixPicture | null = null;

  constructor(el: HTMLElement, host: Host<MatrixState>) {
    this.#host = host;
    this.#shell = createShell(el, host, FusedAttentionMatrixView, {
      help: HELP,
      onTheme: () => this.#restyle(),
    });
    const { body, root, signal } = this.#shell;
    this.#header = createHeader(this.#shell, host, {
      by: (factor) => this.#gestures.zoom(factor),
      reset: () => this.#look(WHOLE),
    });
    const main = h("div", { class: "fm-main" });
    this.#cells = createCells(host, signal, () => this.#showCell());
    this.#tiles = createTiles(host, signal, () => this.#figure.draw());
    this.#figure = new Figure(this.#shell, main, this.#tiles, () => this.#drawing());
    this.#gestures = createGestures(this.#figure.element, this.#actions(), signal);
    main.append(this.#figure.element, this.#readout.element);
    const line = h("div", { class: "fm-line" }, this.#caption, this.#header.zoom);
    body.append(this.#header.heads, line, main);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.update({});
  }

  update(changed: Partial<MatrixState>): void {
    const any = changesOf(changed);
    const { state } = this.#host;
    this.#shell.sync(state);
    if (any("axes", "frame")) this.#readPicture();
    this.#header.update(state, this.#shell.theme);
    if (any("axes", "frame", "scale", "height")) this.#figure.draw();
    this.#showLit();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  #restyle(): void {
    if (!this.#header) return;
    this.#header.update(this.#host.state, this.#shell.theme);
    this.#figure.draw();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #drawing(): Drawing {
    const { scale, height } = this.#host.state;
    const lit = (side: Side): LitUnits => this.#lit(side);
    return { picture: this.#picture, scale, height, cell: this.#cells.at, lit };
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
  }

  #lit(side: Side): LitUnits {
    const picture = this.#picture;
    if (!picture) return { hovered: null, selected: new Set() };
    const lit = litUnits(this.#host.state, picture[side]);
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
    const shell = this.#shell;
    const matrix = picture?.content;
    if (!picture || !matrix) return;
    const { at, value } = cells;
    if (!at) {
      this.#readout.showLargest(picture.axes, matrix);
      shell.setStatus(wholeWords(matrix));
      return;
    }
    const paint = { theme: shell.theme };
    this.#readout.showCell(picture.axes, matrix, at, value, paint);
    const words = cellWords(picture.axes, matrix, at, value);
    shell.setStatus(words);
    shell.announce(`layer ${matrix.frame.key.layer}: ${words}`);
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
      pin: (cell) => this.#pin(cell),
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
    const same = cells.at?.query === cell?.query && cells.at?.key === cell?.key;
    if (same && (cell !== null || !lit)) return;
    cells.move(cell);
    const { query, key } = picture;
    const row = cell && query.firstToken(cell.query);
    const col = cell && key.firstToken(cell.key);
    // In a square map the looking word is the one that other views light.
    this.#host.set({
      ...hoverPatch(key.axis.sequence, col),
      ...hoverPatch(query.axis.sequence, row),
    });
    this.#showLit();
  }

  /** Selects the tokens of row and column; the same cell again lets go. */
  #pin(cell: Cell): void {
    const picture = this.#picture;
    if (!picture) return;
    const { query, key } = picture;
    const [rows, cols] = [query.axis.sequence, key.axis.sequence];
    const row = query.firstToken(cell.query);
    const col = key.firstToken(cell.key);
    const both = [...new Set([row, col])].sort((a, b) => a - b);
    const wanted: Partial<Lit> =
      rows === cols
        ? selectPatch(rows, both)
        : { ...selectPatch(rows, [row]), ...selectPatch(cols, [col]) };
    const { state } = this.#host;
    const same = (Object.keys(wanted) as (keyof Lit)[]).every(
      (name) => String(wanted[name]) === String(state[name]),
    );
    this.#host.set(same ? { selected: [], selected_source: [] } : wanted);
  }

  #pinLabel(at: At): void {
    const picture = this.#picture;
    if (picture) this.#host.set(pinPatch(this.#host.state, picture, at));
  }
}
