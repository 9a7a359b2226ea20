/** ActivationMap: tokens × dimensions of what a block of the model puts out. */

import { codePanel } from "../shared/code";
import { fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { commonKeys, handled, inField } from "../shared/keys";
import { hoverPatch, type Lit, litTokens, onlyLit, selectPatch, toggled } from "../shared/lit";
import { type Actions, createGestures, type Gestures } from "../shared/map/gestures";
import { type LitUnits, litUnits } from "../shared/map/pin";
import { type Cell, sameCell, type Viewport, WHOLE } from "../shared/map/plot";
import { neighbour } from "../shared/scene";
import { createShell, type Shell } from "../shared/shell";
import { hasFrame } from "../shared/state";
import { changesOf, TRACE_TRAITS, type View } from "../shared/view";
import { createHeader, type Header } from "./controls";
import { type Drawing, type Drawn, Figure } from "./figure";
import { HELP } from "./help";
import { createLegend, type Legend } from "./legend";
import { type Outliers, outlierList } from "./outliers";
import { type ActivationPicture, readPicture } from "./picture";
import { createProfiles, type Profiles } from "./profiles";
import type { ActivationState } from "./state";
import { createTiles, type Tiles } from "./tiles";
import {
  captionWords,
  cellWords,
  columnWords,
  sizeWords,
  tagWords,
  titleOf,
  wholeWords,
} from "./words";

export class ActivationMapView implements View<ActivationState> {
  static readonly id = "activation-map";
  static readonly title = "Activation map";
  static readonly traits = {
    ...TRACE_TRAITS,
    block: true,
    sort: true,
    dimensions: true,
  } as const;

  readonly #host: Host<ActivationState>;
  readonly #shell: Shell;
  readonly #header: Header;
  readonly #legend: Legend;
  readonly #tiles: Tiles;
  readonly #figure: Figure;
  readonly #gestures: Gestures;
  readonly #outliers: Outliers;
  readonly #profiles: Profiles;
  readonly #caption = h("div", { class: "am-caption" });
  #picture: ActivationPicture | null = null;
  #drawn: Drawn | null = null;
  /** Under the crosshair; or a column that is pointed at above the map. */
  #cell: Cell | null = null;
  #column: number | null = null;

  constructor(el: HTMLElement, host: Host<ActivationState>) {
    this.#host = host;
    this.#shell = createShell(el, host, ActivationMapView, {
      help: HELP,
      code: codePanel,
      picture: () => ({ caption: this.#pictureCaption() }),
      onTheme: () => this.#figure?.draw(),
    });
    const { body, root, signal, legend } = this.#shell;
    this.#header = createHeader(this.#shell, host, {
      by: (factor) => this.#gestures.zoom(factor),
      reset: () => this.#look(WHOLE),
    });
    this.#legend = createLegend(legend);
    const main = h("div", { class: "am-main" });
    const arrived = (): void => this.#figure.refine();
    this.#tiles = createTiles(host, signal, arrived, () => this.#showLit());
    this.#figure = new Figure(
      ...([this.#shell, main, this.#tiles, () => this.#drawing()] as const),
      (drawn) => this.#onDrawn(drawn),
    );
    this.#figure.onHead({
      point: (column) => this.#pointColumn(column),
      pin: (column) => this.#toggleDimension(this.#picture?.map.order[column]),
    });
    this.#outliers = outlierList((dimension) => this.#toggleDimension(dimension));
    this.#profiles = createProfiles(
      {
        column: (column) => this.#tiles.column(column),
        hover: (token) => this.#hoverToken(token),
        select: (token) => this.#toggleToken(token),
        unpin: (dimension) => this.#toggleDimension(dimension),
      },
      signal,
    );
    this.#gestures = createGestures(this.#figure.element, this.#actions(), signal);
    main.append(this.#figure.element, this.#outliers.element, this.#profiles.element);
    body.append(h("div", { class: "am-line" }, this.#caption, this.#header.zoom), main);
    root.addEventListener("keydown", (event) => this.#key(event), { signal });
    this.update({});
  }

  update(changed: Partial<ActivationState>): void {
    if (onlyLit(changed)) {
      this.#showLit();
      return;
    }
    const { state } = this.#host;
    this.#shell.sync(state);
    const any = changesOf(changed);
    if (any("axes", "frame")) this.#readPicture();
    this.#header.update(state);
    if (any("axes", "frame", "height", "dimensions")) this.#figure.draw();
    this.#showLit();
  }

  destroy(): void {
    this.#shell.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  #readPicture(): void {
    const old = this.#picture;
    const picture = readPicture(this.#host.state, old);
    this.#picture = picture;
    if (!picture) {
      this.#tiles.reset(null);
      this.#shell.setStatus(this.#host.state.busy ? "" : "Nothing to show yet.");
      return;
    }
    if (old?.map === picture.map) return;
    const sameTokens = old?.tokens === picture.tokens;
    const sameSize = sameTokens && old?.map.frame.dimensions === picture.map.frame.dimensions;
    if (!sameSize) {
      this.#cell = null;
      this.#column = null;
      this.#look(WHOLE);
    }
    this.#tiles.reset(picture.map);
    this.#figure.fill(picture, sameTokens);
    fill(this.#caption, ...captionWords(picture.map));
    if (this.#cell) this.#tiles.ask(this.#cell);
  }

  #drawing(): Drawing {
    const picture = this.#picture;
    const columns = this.#dimensions().map((dimension) => picture?.map.columnOf[dimension] ?? 0);
    if (this.#column !== null) columns.push(this.#column);
    return {
      ...{ picture, height: this.#host.state.height, cell: this.#cell },
      ...{ tokens: this.#tokens(), columns },
    };
  }

  /** Pinned ones that there are. */
  #dimensions(): number[] {
    const { dimensions = 0 } = this.#picture?.map.frame ?? {};
    return this.#host.state.dimensions.filter((one) => one >= 0 && one < dimensions);
  }

  #tokens(): LitUnits {
    const picture = this.#picture;
    if (!picture) return { hovered: null, selected: new Set() };
    const lit = litUnits(this.#host.state, picture.tokens);
    return this.#cell ? { ...lit, hovered: this.#cell.query } : lit;
  }

  #onDrawn(drawn: Drawn): void {
    this.#drawn = drawn;
    const picture = this.#picture;
    if (!picture) return;
    const { state } = this.#host;
    this.#legend.show(picture.map.frame, drawn);
    this.#showProfiles();
    this.#showLit();
    this.#shell.drawn({ ...picture.map.frame.key, heads: state.heads, unit: state.unit });
  }

  #showProfiles(): void {
    const picture = this.#picture;
    const { plot } = this.#figure;
    if (!picture || !plot || !this.#drawn) return;
    const { paint } = this.#drawn;
    const isGone = this.#host.status === "no kernel" || this.#host.can?.("tile") === false;
    const why = isGone ? "Its values need a running kernel: this map is pooled." : "…";
    this.#profiles.draw(picture, this.#dimensions(), { plot, paint, why });
  }

  #showLit(): void {
    const picture = this.#picture;
    this.#figure.light();
    if (!picture) return;
    const { map } = picture;
    const cell = this.#cell;
    const known = cell && this.#tiles.value(cell);
    if (cell) this.#figure.point(cell, tagWords(picture, cell, known));
    this.#outliers.show(map, this.#host.state.dimensions);
    this.#profiles.light(picture, this.#tokens());
    if (cell) {
      const words = cellWords(picture, cell, known);
      this.#shell.setStatus(words);
      this.#shell.announce(words);
    } else if (this.#column !== null) {
      this.#shell.setStatus(columnWords(map, map.order[this.#column] ?? 0));
    } else this.#shell.setStatus(wholeWords(map));
  }

  #pictureCaption(): string {
    const { frame } = this.#host.state;
    return hasFrame(frame) ? `${titleOf(frame)}, ${sizeWords(frame)}` : "";
  }

  // ── What the user does ────────────────────────────────────────────────────────────────────────

  #actions(): Actions {
    return {
      plot: () => this.#figure.plot,
      viewport: () => this.#figure.viewport,
      look: (viewport) => this.#look(viewport),
      cell: () => this.#cell,
      hover: (cell) => this.#hover(cell),
      hoverLabel: ({ unit }) => {
        this.#cell = null;
        this.#hoverToken(unit);
      },
      pin: (cell) => this.#togglePin(cell),
      pinLabel: ({ unit }) => this.#toggleToken(unit),
    };
  }

  #key(event: KeyboardEvent): void {
    // There are no heads to be chosen by their digits.
    if (/^[0-9]$/.test(event.key)) return;
    if (event.key === "Escape") {
      this.#cell = null;
      this.#column = null;
      this.#host.set({ dimensions: [] });
    }
    if (event.key === "[" || event.key === "]") {
      this.#stepLayer(event);
      return;
    }
    if (commonKeys(event, this.#host)) this.#showLit();
    else if (event.target === this.#shell.root) this.#gestures.key(event);
  }

  #stepLayer(event: KeyboardEvent): void {
    const { state } = this.#host;
    if (inField(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    handled(event);
    // There is one embedding, whatever the layer.
    if (!hasFrame(state.frame) || state.block === "embedding") return;
    const layer = neighbour(state.frame.layers, state.layer, event.key === "]" ? 1 : -1);
    if (layer !== null) this.#host.set({ layer });
  }

  #look(viewport: Viewport): void {
    this.#figure.look(viewport);
    this.#header.setZoomed(viewport.zoom > 1);
  }

  #hover(cell: Cell | null): void {
    if (sameCell(this.#cell, cell) && (cell || litTokensOf(this.#host.state) === null)) return;
    this.#cell = cell;
    this.#column = null;
    if (cell) this.#tiles.ask(cell);
    this.#hoverToken(cell?.query ?? null);
  }

  #hoverToken(unit: number | null): void {
    const picture = this.#picture;
    if (!picture) return;
    const token = unit === null ? null : picture.tokens.firstToken(unit);
    const { state } = this.#host;
    // A change is heard of as any other is.
    if (litTokens(state, picture.side).hovered === token) this.#showLit();
    else this.#host.set(hoverPatch(picture.side, token));
  }

  #pointColumn(column: number | null): void {
    if (this.#column === column) return;
    this.#column = column;
    this.#cell = null;
    this.#hoverToken(null);
  }

  /** Token and dimension together; both pinned are both let go. */
  #togglePin({ query, key }: Cell): void {
    const picture = this.#picture;
    if (!picture) return;
    const { state } = this.#host;
    const token = picture.tokens.firstToken(query);
    const dimension = picture.map.order[key] ?? 0;
    const { selected } = litTokens(state, picture.side);
    const both = selected.includes(token) && state.dimensions.includes(dimension);
    const next = (all: readonly number[], one: number): number[] =>
      both || !all.includes(one) ? toggled(all, one) : [...all];
    const patch: Partial<Lit> = selectPatch(picture.side, next(selected, token));
    this.#host.set({ ...patch, dimensions: next(state.dimensions, dimension) });
  }

  #toggleToken(unit: number): void {
    const picture = this.#picture;
    if (!picture) return;
    const token = picture.tokens.firstToken(unit);
    const { selected } = litTokens(this.#host.state, picture.side);
    this.#host.set(selectPatch(picture.side, toggled(selected, token)));
  }

  #toggleDimension(dimension: number | undefined): void {
    if (dimension === undefined) return;
    this.#host.set({ dimensions: toggled(this.#host.state.dimensions, dimension) });
  }
}

function litTokensOf(state: Lit): number | null {
  return state.hovered ?? state.hovered_source;
}
