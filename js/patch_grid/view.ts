/** PatchGrid: what of a clean run, put into a corrupted one, brings the answer back. */

import { codePanel } from "../shared/code";
import { fill, h, hide } from "../shared/dom";
import { type Host, same, whyNoKernel } from "../shared/host/host";
import { commonKeys, handled, inField } from "../shared/keys";
import {
  hoverPatch,
  type LitTokens,
  litTokens,
  onlyLit,
  selectPatch,
  toggled,
} from "../shared/lit";
import type { Side } from "../shared/map/axis";
import { type Actions, createGestures, type Gestures } from "../shared/map/gestures";
import { type At, type LitUnits, litUnits } from "../shared/map/pin";
import { type Cell, sameCell, type Viewport, WHOLE } from "../shared/map/plot";
import { neighbour } from "../shared/scene";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { createHeader, type Header } from "./controls";
import { type PatchData, patchData } from "./data";
import { type Drawing, Figure } from "./figure";
import { HELP } from "./help";
import { createLegend, type Legend } from "./legend";
import type { PatchState } from "./state";
import { strongestTable } from "./strongest";
import { createTargetLine, type TargetLine } from "./target";
import { createTexts, type Texts } from "./texts";
import { captionWords, cardWords, cellWords, wholeWords } from "./words";

const NOBODY: LitTokens = { hovered: null, selected: [] };
const NOTHING_LIT: LitUnits = { hovered: null, selected: new Set() };

export class PatchGridView implements View<PatchState> {
  static readonly id = "patch-grid";
  static readonly title = "Patch grid";
  static readonly traits = {
    ...TRACE_TRAITS,
    what: true,
    cell: true,
    position: true,
    token: true,
    against: true,
    quantity: true,
    positions: true,
    only_layers: true,
  } as const;

  readonly #host: Host<PatchState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #legend: Legend;
  readonly #texts: Texts;
  readonly #target: TargetLine;
  readonly #figure: Figure;
  readonly #gestures: Gestures;
  readonly #strongest = strongestTable();
  readonly #caption = h("div", { class: "pg-caption" });
  readonly #nothing = h("p", { class: "pg-nothing" });
  readonly #main = h("div", { class: "pg-main" });
  #data: PatchData | null = null;
  /** Under the crosshair. */
  #cell: Cell | null = null;

  constructor(el: HTMLElement, host: Host<PatchState>) {
    this.#host = host;
    this.#shell = createShell(el, host, PatchGridView, {
      help: HELP,
      code: codePanel,
      onTheme: () => this.#figure?.draw(),
    });
    const { body, root, signal, legend } = this.#shell;
    this.#header = createHeader(this.#shell, host, {
      by: (factor) => this.#gestures.zoom(factor),
      reset: () => this.#look(WHOLE),
    });
    this.#legend = createLegend(legend);
    const ofTexts = {
      hover: (position: number | null) => this.#hoverToken(position),
      pin: (position: number) => this.#toggleToken(position),
    };
    this.#texts = createTexts(ofTexts, signal);
    this.#target = createTargetLine(host, signal);
    const drawing = (): Drawing => this.#drawing();
    this.#figure = new Figure(this.#shell, this.#main, drawing, (table) => this.#onDrawn(table));
    this.#gestures = createGestures(this.#figure.element, this.#actions(), signal);
    const line = h("div", { class: "pg-line" }, this.#caption, this.#header.zoom);
    this.#main.append(this.#figure.element, this.#strongest.element);
    body.append(this.#nothing, this.#target.element, this.#texts.element, line, this.#main);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    host.onStatus(() => this.#data || this.#sayNothing(), signal);
    this.update({});
  }

  update(changed: Partial<PatchState>): void {
    if (onlyLit(changed)) {
      this.#showLit();
      return;
    }
    const { state } = this.#host;
    this.#shell.sync(state);
    const any = changesOf(changed);
    if (any("frame")) this.#takeFrame();
    this.#header.update(state);
    this.#target.update(this.#data?.frame ?? null);
    if (!this.#data) this.#sayNothing();
    if (any("frame", "height")) this.#figure.draw();
    this.#showLit();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #takeFrame(): void {
    const { frame } = this.#host.state;
    const old = this.#data;
    const data = hasFrame(frame) ? patchData(frame) : null;
    this.#data = data;
    this.#shell.root.toggleAttribute("data-partial", Boolean(data?.frame.partial));
    for (const part of this.#shell.body.children) hide(part as HTMLElement, data === null);
    hide(this.#nothing, data !== null);
    hide(this.#shell.legend, data === null);
    if (!data) return;
    fill(this.#caption, ...captionWords(data.frame));
    this.#strongest.update(data);
    // Results that stream in are of the same cells: what is looked at stays.
    if (old && sameCells(old, data)) return;
    this.#cell = null;
    this.#look(WHOLE);
    this.#texts.fill(data);
    this.#figure.fill(data);
  }

  #sayNothing(): void {
    const { status, state } = this.#host;
    this.#nothing.textContent =
      status === "no kernel"
        ? `${whyNoKernel(this.#host)} It patches the runs: run the cell again to see them.`
        : state.busy
          ? "The first patched runs are on their way."
          : "There is nothing to show yet.";
    this.#shell.drawn(state);
  }

  #drawing(): Drawing {
    return {
      ...{ data: this.#data, height: this.#host.state.height },
      ...{ cell: this.#cell, chosen: this.#chosen(), lit: (side: Side) => this.#lit(side) },
    };
  }

  /** The chosen cell, where it is one of this grid. */
  #chosen(): Cell | null {
    return this.#data?.cellOf(this.#host.state.cell) ?? null;
  }

  #lit(side: Side): LitUnits {
    const data = this.#data;
    if (!data) return NOTHING_LIT;
    const chosen = this.#chosen();
    const selected = new Set(chosen ? [chosen[side]] : []);
    const ofTokens = side === "key" && data.frame.columns === "position";
    const lit = ofTokens ? litUnits(this.#host.state, data.columns) : { hovered: null, selected };
    // Under the crosshair is one cell, whatever else its token is.
    return { hovered: this.#cell?.[side] ?? lit.hovered, selected: lit.selected };
  }

  #litTokens(): LitTokens {
    const side = this.#data?.frame.side;
    return side ? litTokens(this.#host.state, side) : NOBODY;
  }

  #onDrawn(table: Uint8ClampedArray): void {
    const data = this.#data;
    if (!data) return;
    this.#legend.show(data, table);
    this.#texts.measure();
    this.#showLit();
    this.#shell.drawn(this.#host.state);
  }

  #showLit(): void {
    const data = this.#data;
    this.#figure.light();
    if (!data) return;
    this.#texts.light(this.#litTokens());
    const cell = this.#cell;
    const chosen = this.#chosen();
    if (cell) this.#figure.point(cell, cardWords(data, cell));
    const shown = cell ?? chosen;
    this.#legend.point(data, shown && data.recovered(shown));
    if (!shown) {
      this.#shell.setStatus(wholeWords(data));
      return;
    }
    const words = cellWords(data, shown);
    this.#shell.setStatus(cell ? words : `Chosen: ${words}`);
    if (cell) this.#shell.announce(words);
  }

  // ── What the user does ────────────────────────────────────────────────────────────────────────

  #actions(): Actions {
    return {
      plot: () => this.#figure.plot,
      viewport: () => this.#figure.viewport,
      look: (viewport) => this.#look(viewport),
      cell: () => this.#cell ?? this.#chosen(),
      hover: (cell) => this.#hover(cell),
      hoverLabel: (at) => this.#hoverLabel(at),
      pin: (cell) => this.#choose(cell),
      pinLabel: (at) => this.#pinLabel(at),
    };
  }

  #key(event: KeyboardEvent): void {
    // Digits of heads choose nothing here: a head is of a layer, and so a cell.
    if (/^[0-9]$/.test(event.key)) return;
    if (event.key === "[" || event.key === "]") {
      this.#stepLayer(event);
      return;
    }
    if (event.key === "Escape" && !inField(event)) {
      this.#cell = null;
      this.#host.set({ cell: [] });
    }
    if (commonKeys(event, this.#host)) this.#showLit();
    else if (event.target === this.#shell.root) this.#gestures.key(event);
  }

  /** The chosen cell goes along; without one only the layer of linked views does. */
  #stepLayer(event: KeyboardEvent): void {
    const data = this.#data;
    if (!data || inField(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    handled(event);
    const chosen = this.#chosen();
    const from = chosen ? data.layers[chosen.query] : this.#host.state.layer;
    const layer = neighbour(data.layers, from ?? 0, event.key === "]" ? 1 : -1);
    if (layer === null) return;
    const cell = chosen && { query: data.layers.indexOf(layer), key: chosen.key };
    if (cell && !Number.isNaN(data.recovered(cell))) this.#set(cell);
    else this.#host.set({ layer });
  }

  #look(viewport: Viewport): void {
    this.#figure.look(viewport);
    this.#header.setZoomed(viewport.zoom > 1);
  }

  #hover(cell: Cell | null): void {
    const data = this.#data;
    if (!data || (sameCell(this.#cell, cell) && (cell || this.#litTokens().hovered === null))) {
      return;
    }
    this.#cell = cell;
    const ofTokens = data.frame.columns === "position";
    this.#light(cell && ofTokens ? (data.places[cell.key] ?? null) : null);
  }

  #hoverToken(position: number | null): void {
    this.#cell = null;
    this.#light(position);
  }

  /** A token is lit here and in linked views; a change is heard of as any other is. */
  #light(token: number | null): void {
    const side = this.#data?.frame.side;
    if (!side) return;
    if (litTokens(this.#host.state, side).hovered === token) this.#showLit();
    else this.#host.set(hoverPatch(side, token));
  }

  #hoverLabel({ side, unit }: At): void {
    const data = this.#data;
    if (!data) return;
    this.#cell = null;
    const ofTokens = side === "key" && data.frame.columns === "position";
    this.#light(ofTokens ? (data.places[unit] ?? null) : null);
  }

  /** A layer's number goes to the layer, a token's name pins the token. */
  #pinLabel({ side, unit }: At): void {
    const data = this.#data;
    if (!data) return;
    if (side === "query") this.#host.set({ layer: data.layers[unit] ?? 0 });
    else if (data.frame.columns === "position") this.#toggleToken(data.places[unit] ?? 0);
  }

  #toggleToken(position: number): void {
    const side = this.#data?.frame.side;
    if (side) this.#host.set(selectPatch(side, toggled(this.#litTokens().selected, position)));
  }

  /** Chooses a cell, or lets it go where it is chosen. */
  #choose(cell: Cell): void {
    const data = this.#data;
    if (!data || Number.isNaN(data.recovered(cell))) return;
    if (sameCell(this.#chosen(), cell)) this.#host.set({ cell: [] });
    else this.#set(cell);
  }

  /** Its layer, and its token or head, are those of linked views. */
  #set(cell: Cell): void {
    const data = this.#data;
    if (!data) return;
    const [layer, place] = data.numbersOf(cell);
    const { columns, side } = data.frame;
    const there = columns === "head" ? { heads: [place] } : selectPatch(side, [place]);
    this.#host.set({ ...there, layer, cell: [layer, place] });
    this.#shell.announce(`Chosen: ${cellWords(data, cell)}`);
  }
}

/** Whether two grids have the same rows and columns, of the same texts. */
function sameCells(one: PatchData, other: PatchData): boolean {
  const of = ({ layers, places, frame }: PatchData): unknown[] => {
    const { columns, side, clean, corrupted } = frame;
    return [layers, places, columns, side, clean.texts, corrupted.texts];
  };
  return same(of(one), of(other));
}
