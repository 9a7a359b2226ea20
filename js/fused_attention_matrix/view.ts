/** FusedAttentionMatrix: a heatmap of words that look (rows) at words (columns). */

import {
  type Column,
  column,
  hoverPatch,
  labelText,
  litUnits,
  measureLabels,
  type Side,
  selectPatch,
  togglePinned,
  tokenState,
} from "../shared/axis_text";
import { fill, h, sizeCanvas, watchSize } from "../shared/dom";
import { commonKeys, headsOf } from "../shared/keys";
import { formatWeight } from "../shared/numbers";
import { sequentialTable } from "../shared/palette";
import { createSchedule, type Schedule } from "../shared/schedule";
import { type Axes, type CommonState, hasAxes, hasFrame } from "../shared/state";
import { readInks } from "../shared/theme";
import { createFrame, type Host, type View, type ViewFrame } from "../shared/view";
import { type Cells, createCells } from "./cells";
import { createHeader, fillLegend, fillMargins, type Header } from "./controls";
import { drawMargins, drawMarks, drawMatrix, makeRaster, type Raster } from "./drawing";
import { fitPlot, GAP, LANE, labelHeight, type Plot, type Viewport, WHOLE } from "./geometry";
import { type Actions, createGestures, type Gestures } from "./gestures";
import { type Grid, type Matrix, readMatrix } from "./grid";
import { type AxisLabels, axisLabels } from "./labels";
import { type Cell, noValue, pairWords, readout, valueWords } from "./readout";
import type { MatrixState } from "./state";
import { createTiles, type Tiles } from "./tiles";

const HELP = [
  "A row looks at the columns: the darker (in the dark theme, the lighter) a cell, the more of the row's attention goes to that column. Zero is the colour of the paper.",
  "Bars to the right show how spread out each row is over what it looks at (entropy), bars below how much attention a column gets on average. Hover a cell for its exact weight; arrow keys move, click selects both words, ctrl + wheel zooms.",
  "Weights of a word's tokens are added over what is looked at and averaged over what looks. Attention is not an explanation of what the model answers.",
];
const NATURAL_HEIGHT = 520;

interface Picture {
  axes: Axes;
  query: Column;
  key: Column;
  matrix: Matrix | null;
  /** Widest label of each side in pixels, once measured. */
  labels: { query: number; key: number } | null;
}

export class FusedAttentionMatrixView implements View<MatrixState> {
  static readonly title = "Fused attention matrix";

  private readonly frame: ViewFrame;
  private readonly schedule: Schedule;
  private readonly header: Header;
  private readonly cells: Cells;
  private readonly tiles: Tiles;
  private readonly gestures: Gestures;
  private readonly labels: Record<Side, AxisLabels>;
  private readonly readout = readout();
  private readonly caption = h("div", { class: "fm-caption" });
  private readonly base = h("canvas", { attrs: { role: "img" } });
  private readonly overlay = h("canvas", { aria: { hidden: true } });
  private readonly margins = {
    entropy: h("div", { class: "fm-margin is-entropy" }),
    mass: h("div", { class: "fm-margin is-mass" }),
  };
  private readonly figure = h("div", { class: "fm-figure" });
  private readonly main = h("div", { class: "fm-main" }, this.figure, this.readout.element);
  private picture: Picture | null = null;
  private plot: Plot | null = null;
  private width = 640;
  private viewport: Viewport = WHOLE;
  private rasters: { name: string; grid: Grid; raster: Raster | null }[] = [];

  constructor(
    el: HTMLElement,
    private readonly host: Host<MatrixState>,
  ) {
    this.frame = createFrame(el, host, {
      name: "fused-attention-matrix",
      title: FusedAttentionMatrixView.title,
      help: HELP,
      onTheme: () => this.restyle(),
    });
    const { signal, root, body } = this.frame;
    this.schedule = createSchedule(signal);
    this.header = createHeader(this.frame, host, {
      by: (factor) => this.gestures.zoom(factor),
      reset: () => this.look(WHOLE),
    });
    this.labels = { query: axisLabels("query"), key: axisLabels("key") };
    this.cells = createCells(host, signal, () => this.showCell());
    this.tiles = createTiles(host, signal, () => this.schedule.request(this.drawAll));
    this.figure.append(
      this.base,
      this.overlay,
      this.labels.query.element,
      this.labels.key.element,
      this.margins.entropy,
      this.margins.mass,
    );
    const line = h("div", { class: "fm-line" }, this.caption, this.header.zoom);
    body.append(this.header.heads, line, this.main);
    this.gestures = createGestures(this.figure, this.actions(), signal);
    root.addEventListener("keydown", this.onKey, { signal });
    watchSize(body, () => this.schedule.request(this.drawAll), signal);
    this.update({});
  }

  update(changed: Partial<MatrixState>): void {
    const all = Object.keys(changed).length === 0;
    const any = (...names: (keyof MatrixState)[]): boolean =>
      all || names.some((name) => name in changed);
    const { state } = this.host;
    this.frame.sync(state);
    if (any("axes", "frame")) this.readPicture(any("axes"));
    this.header.update(state, this.frame.theme);
    if (any("axes", "frame", "scale", "height")) this.schedule.request(this.drawAll);
    this.showLit();
  }

  /** New colours for the same picture; before the first update there is nothing to restyle. */
  private restyle(): void {
    if (!this.header) return;
    this.header.update(this.host.state, this.frame.theme);
    this.schedule.request(this.drawAll);
  }

  destroy(): void {
    this.frame.destroy();
  }

  // ── State → picture ───────────────────────────────────────────────────────────────────────────

  private readPicture(newAxes: boolean): void {
    const { axes, frame } = this.host.state;
    if (!hasAxes(axes)) {
      this.picture = null;
      this.frame.setStatus(this.host.state.busy ? "" : "Nothing to show yet.");
      return;
    }
    const old = newAxes || this.picture?.axes !== axes ? null : this.picture;
    const [query, key] = [old?.query ?? column(axes.query), old?.key ?? column(axes.key)];
    const fits = hasFrame(frame) && frame.key.unit === axes.unit && frame.key.kind === axes.kind;
    const matrix = fits ? readMatrix(frame) : null;
    this.picture = { axes, query, key, matrix, labels: old?.labels ?? null };
    this.labels.query.fill(query, matrix?.undefinedRows ?? null);
    this.labels.key.fill(key, null);
    if (!old) this.viewport = WHOLE;
    this.rasters = [];
    this.tiles.clear();
    this.cells.reset(matrix, old !== null);
    const unit = axes.unit === "word" ? "word" : "token";
    const words = matrix ? `, ${matrix.frame.title}, layer ${matrix.frame.key.layer}` : "";
    fill(this.caption, h("b", {}, "row looks at column"), ` · ${unit}s${words}`);
  }

  private litFor(side: Side): { hovered: number | null; selected: Set<number> } {
    const { picture } = this;
    if (!picture) return { hovered: null, selected: new Set() };
    const lit = litUnits(picture[side], tokenState(this.host.state, picture.axes[side].sequence));
    // Under the pointer each side has a unit of its own, though a square map has one hover trait.
    const cell = this.cells.at;
    return cell ? { ...lit, hovered: cell[side] } : lit;
  }

  private showLit(): void {
    const { picture, plot } = this;
    if (picture && plot) this.placeLabels(picture, plot);
    this.showCell();
    this.schedule.request(this.drawOverlay);
  }

  private placeLabels(picture: Picture, plot: Plot): void {
    const flat = (picture.labels?.key ?? 0) <= plot.cell - 4;
    this.labels.query.place(plot, this.litFor("query"), true);
    this.labels.key.place(plot, this.litFor("key"), flat);
  }

  private showCell(): void {
    const { picture, cells } = this;
    const matrix = picture?.matrix;
    if (!picture || !matrix) return;
    const { theme } = this.frame;
    if (!cells.at) {
      this.readout.showLargest(picture.axes, matrix);
      this.frame.setStatus(this.restWords(matrix));
      return;
    }
    const value = cells.value;
    const paint = { theme, nHeads: headsOf(this.host.state) };
    this.readout.showCell(picture.axes, matrix, cells.at, value, paint);
    const none = noValue(matrix, picture.axes, cells.at);
    const known = value ? `${valueWords(value)} (${matrix.frame.title})` : "…";
    const words = none ?? `${pairWords(picture.axes, cells.at)}: ${known}`;
    this.frame.setStatus(words);
    this.frame.announce(`layer ${matrix.frame.key.layer}: ${words}`);
  }

  private restWords(matrix: Matrix): string {
    const { rows, cols, max, pooled } = matrix.frame;
    const [below] = matrix.causal ? matrix.largest : [];
    const largest = below
      ? `${formatWeight(below.weight)} below the first row, which sees only itself`
      : formatWeight(max);
    const cut =
      pooled === "exact" ? "" : "; beyond the screen's resolution, the largest of several cells";
    const unit = this.host.state.unit === "word" ? "words" : "tokens";
    return `${rows} × ${cols} ${unit}; largest weight ${largest}${cut}`;
  }

  // ── Drawing ───────────────────────────────────────────────────────────────────────────────────

  private readonly drawAll = (): void => {
    const { picture } = this;
    if (!picture) return;
    const { root, theme } = this.frame;
    const inks = readInks(root, theme);
    const { height } = this.host.state;
    // Hidden for now (a notebook takes out cells that are far away): the last width holds.
    this.width = this.main.clientWidth || this.width;
    const { width } = this;
    const beside = width >= 620 ? 212 : 0;
    picture.labels ??= this.measure(picture, inks.font);
    const around = labelHeight(picture.labels.key) + GAP + LANE + 8;
    const plot = fitPlot(
      picture.query.length,
      picture.key.length,
      {
        width: width - beside,
        maxHeight: height > 0 ? this.main.clientHeight - around : NATURAL_HEIGHT,
        labels: picture.labels,
      },
      this.viewport,
    );
    this.plot = plot;
    this.size(plot);
    this.placeLabels(picture, plot);
    this.header.setZoomed(this.viewport.zoom > 1);
    const { matrix } = picture;
    if (!matrix) return;
    this.tiles.want(plot, matrix.grid);
    const table = sequentialTable("attention", theme, inks.paper);
    const grids = this.tiles.current ? [matrix.grid, this.tiles.current] : [matrix.grid];
    this.readRasters(matrix, grids, table, `${theme}:${inks.paper}:${this.host.state.scale}`);
    const pooledBy = grids[grids.length - 1]?.factor ?? 1;
    fillMargins(this.margins, matrix);
    fillLegend(this.frame.legend, matrix, table, this.host.state.scale, pooledBy);
    const context = this.base.getContext("2d");
    if (context) {
      const rasters = this.rasters.flatMap(({ raster }) => (raster ? [raster] : []));
      drawMatrix(context, plot, matrix, rasters, inks);
      drawMargins(context, plot, matrix, inks);
    }
    this.base.setAttribute("aria-label", `Heatmap: ${this.restWords(matrix)}`);
    this.drawOverlay();
    const { layer, heads, unit, kind } = matrix.frame.key;
    this.frame.drawn(`${layer}:${heads.join(",")}:${unit}:${kind}`);
  };

  private readRasters(
    matrix: Matrix,
    grids: readonly Grid[],
    table: Uint8ClampedArray,
    name: string,
  ): void {
    this.rasters = grids.map((grid) => {
      const known = this.rasters.find((each) => each.name === name && each.grid === grid);
      return (
        known ?? { name, grid, raster: makeRaster(matrix, grid, table, this.host.state.scale) }
      );
    });
  }

  private readonly drawOverlay = (): void => {
    const { plot, picture } = this;
    if (!plot || !picture) return;
    const { width, height } = this.figureSize(plot);
    const context = sizeCanvas(this.overlay, width, height);
    if (!context) return;
    const [query, key] = [this.litFor("query"), this.litFor("key")];
    const rows = new Set(query.selected);
    const cols = new Set(key.selected);
    if (!this.cells.at) {
      if (query.hovered !== null) rows.add(query.hovered);
      if (key.hovered !== null) cols.add(key.hovered);
    }
    const inks = readInks(this.frame.root, this.frame.theme);
    drawMarks(context, plot, { cell: this.cells.at, rows, cols }, inks);
  };

  private figureSize(plot: Plot): { width: number; height: number } {
    return {
      width: plot.left + plot.width + GAP + LANE + 8,
      height: plot.top + plot.height + GAP + LANE + 4,
    };
  }

  private size(plot: Plot): void {
    const { width, height } = this.figureSize(plot);
    this.figure.style.width = `${width}px`;
    this.figure.style.height = `${height}px`;
    sizeCanvas(this.base, width, height);
    const { entropy, mass } = this.margins;
    entropy.style.left = `${plot.left + plot.width + GAP}px`;
    entropy.style.top = `${plot.top + plot.height + GAP}px`;
    mass.style.right = `${width - plot.left + 6}px`;
    mass.style.top = `${plot.top + plot.height + GAP}px`;
  }

  private measure(picture: Picture, font: string): { query: number; key: number } {
    const context = this.overlay.getContext("2d");
    const need = (side: Side): number => {
      const { axis, length } = picture[side];
      const labels = Array.from({ length }, (_, unit) => labelText(axis, unit));
      return measureLabels(context, labels, `600 12px ${font}`) + 4;
    };
    return { query: need("query"), key: need("key") };
  }

  // ── What the user does ────────────────────────────────────────────────────────────────────────

  private actions(): Actions {
    return {
      plot: () => this.plot,
      viewport: () => this.viewport,
      look: (viewport) => this.look(viewport),
      cell: () => this.cells.at,
      hover: (cell) => this.hover(cell),
      hoverLabel: (side, unit) => this.hoverLabel(side, unit),
      pin: (cell) => this.pin(cell),
      pinLabel: (side, unit) => this.pinLabel(side, unit),
    };
  }

  private readonly onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape") this.cells.move(null);
    if (commonKeys(event, this.host)) this.showLit();
    else if (event.target === this.frame.root) this.gestures.key(event);
  };

  private look(viewport: Viewport): void {
    this.viewport = viewport;
    this.schedule.request(this.drawAll);
  }

  /** A label lights its token everywhere, without a cell. */
  private hoverLabel(side: Side, unit: number): void {
    const { picture } = this;
    if (!picture) return;
    this.cells.move(null);
    const { sequence } = picture.axes[side];
    this.host.set(hoverPatch(sequence, picture[side].firstToken(unit)));
    this.showLit();
  }

  private hover(cell: Cell | null): void {
    const { picture, cells } = this;
    if (!picture) return;
    const { state } = this.host;
    const lit = state.hovered !== null || state.hovered_source !== null;
    const same = cells.at?.query === cell?.query && cells.at?.key === cell?.key;
    if (same && (cell !== null || !lit)) return;
    cells.move(cell);
    const { query, key } = picture.axes;
    const row = cell && picture.query.firstToken(cell.query);
    const col = cell && picture.key.firstToken(cell.key);
    // In a square map the looking word is the one that other views light.
    const patch = { ...hoverPatch(key.sequence, col), ...hoverPatch(query.sequence, row) };
    this.host.set(patch);
    this.showLit();
  }

  /** Selects the tokens of row and column; the same cell again lets go. */
  private pin(cell: Cell): void {
    const { picture } = this;
    if (!picture) return;
    const { query, key } = picture.axes;
    const row = picture.query.firstToken(cell.query);
    const col = picture.key.firstToken(cell.key);
    const { state } = this.host;
    const wanted: Partial<CommonState> =
      query.sequence === key.sequence
        ? selectPatch(
            query.sequence,
            [...new Set([row, col])].sort((a, b) => a - b),
          )
        : { ...selectPatch(query.sequence, [row]), ...selectPatch(key.sequence, [col]) };
    const same = (Object.keys(wanted) as (keyof CommonState)[]).every(
      (name) => String(wanted[name]) === String(state[name]),
    );
    this.host.set(same ? { selected: [], selected_source: [] } : wanted);
  }

  private pinLabel(side: Side, unit: number): void {
    const { picture } = this;
    if (!picture) return;
    const { sequence } = picture.axes[side];
    const { selected } = tokenState(this.host.state, sequence);
    this.host.set(selectPatch(sequence, togglePinned(picture[side], selected, unit)));
  }
}
