/** The matrix with its zoom buttons: what is pointed at in it, and what a click asks. */

import { fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { litTokens } from "../shared/lit";
import { type Actions, createGestures, type Gestures } from "../shared/map/gestures";
import type { LitUnits } from "../shared/map/pin";
import { type Cell, sameCell, type Viewport, WHOLE } from "../shared/map/plot";
import type { Paint } from "../shared/map/signed";
import { zoomButtons } from "../shared/map/zoom";
import type { Shell } from "../shared/shell";
import type { AttributionData, UnitAt } from "./data";
import { type Drawing, Figure } from "./figure";
import { type Matrix, readMatrix } from "./matrix";
import { cellSentence, matrixCaption, rowSentence, tagWords } from "./matrix_words";
import { createParts } from "./parts";
import type { AttributionState } from "./state";

export interface MatrixView {
  readonly element: HTMLElement;
  /** Keys of the view itself. */
  readonly gestures: Gestures;
  readonly matrix: Matrix | null;
  draw(data: AttributionData, paint: (bound: number) => Paint): void;
  light(): void;
  /** What is pointed at, in words; null = nothing. */
  words(): string | null;
  letGo(): void;
}

export interface MatrixActions {
  /** A column pointed at, or none. */
  point(at: UnitAt | null): void;
  /** A row is asked about. */
  ask(position: number): void;
  select(at: UnitAt): void;
}

export function createMatrixView(
  shell: Shell,
  host: Host<AttributionState>,
  actions: MatrixActions,
): MatrixView {
  let data: AttributionData | null = null;
  let matrix: Matrix | null = null;
  let paint: Paint = { table: new Uint8ClampedArray(), bound: 0 };
  let cell: Cell | null = null;
  /** A row that is pointed at by its name. */
  let row: number | null = null;
  const parts = createParts(
    ...([host, shell.signal] as const),
    () => light(),
    () => figure.draw(),
  );
  const element = h("div", { class: "as-matrix" });
  const drawing = (): Drawing => ({
    ...{ matrix, paint, height: host.state.height, cell, grids: parts.grids },
    rows: { hovered: cell?.query ?? row, selected: askedRows() },
    columns: litColumns(),
  });
  const figure = new Figure(shell, element, drawing, (plot) => parts.want(plot));
  const askedRows = (): Set<number> => {
    const rows = data?.frame.targets.map(({ position }) => matrix?.rowOf(position) ?? null) ?? [];
    return new Set(rows.filter((one) => one !== null));
  };
  const litColumns = (): LitUnits[] =>
    (matrix?.texts ?? []).map((text, i) => {
      const isSource = i < (data?.texts.length ?? 0) - 1;
      const { hovered, selected } = litTokens(host.state, isSource ? "source" : "target");
      const place = (one: number): number => (isSource ? one : (data?.placeOf(one) ?? one));
      const units = selected.map((one) => text.unitOf(place(one))).filter((one) => one !== null);
      const at = cell && matrix?.textOf(cell.key);
      const own = at?.text === i ? at.unit : null;
      // Pinned tokens of the text are what is asked about: rows.
      return {
        hovered: own ?? text.unitOf(hovered === null ? null : place(hovered)),
        selected: new Set(isSource ? units : []),
      };
    });
  const light = (): void => {
    figure.light();
    if (!cell || !data || !matrix) return;
    parts.ask(cell);
    figure.point(cell, tagWords(data, matrix, cell, parts.value(cell)));
  };
  const look = (viewport: Viewport): void => {
    figure.look(viewport);
    zoom.setZoomed(viewport.zoom > 1);
  };
  const hover = (next: Cell | null): void => {
    if (sameCell(cell, next) && row === null) return;
    [cell, row] = [next, null];
    light();
    actions.point(cell && matrix ? matrix.textOf(cell.key) : null);
  };
  const acts: Actions = {
    plot: () => figure.plot,
    viewport: () => figure.viewport,
    look,
    cell: () => cell,
    hover,
    hoverLabel({ side, unit }) {
      cell = null;
      row = side === "query" ? unit : null;
      light();
      actions.point(side === "key" ? { text: figure.textAt, unit } : null);
    },
    pin: ({ query }) => matrix && actions.ask(matrix.positionOf(query)),
    pinLabel({ side, unit }) {
      if (side === "query" && matrix) actions.ask(matrix.positionOf(unit));
      else if (side === "key") actions.select({ text: figure.textAt, unit });
    },
  };
  const gestures = createGestures(figure.element, acts, shell.signal);
  const zoom = zoomButtons("matrix", {
    by: (factor) => gestures.zoom(factor),
    reset: () => look(WHOLE),
  });
  const caption = h("div", { class: "gh-caption as-matrix-caption" });
  const line = h("div", { class: "as-line" }, caption, zoom.element);
  element.append(figure.element);
  zoom.setZoomed(false);
  return {
    element: h("div", { class: "as-matrix-part" }, line, element),
    gestures,
    get matrix() {
      return matrix;
    },
    draw(next, paintOf) {
      const part = next.frame.matrix;
      if (!part) return;
      if (data !== next) {
        const before = matrix;
        matrix = readMatrix(next, part);
        parts.reset(matrix);
        if (before?.part.rows !== part.rows) look(WHOLE);
        [cell, row] = [null, null];
      }
      data = next;
      paint = paintOf(matrix?.bound ?? 0);
      fill(caption, matrixCaption(part));
      figure.draw();
    },
    light,
    words() {
      if (!data || !matrix) return null;
      if (cell) return cellSentence(data, matrix, cell, parts.value(cell));
      return row === null ? null : rowSentence(matrix, row);
    },
    letGo() {
      [cell, row] = [null, null];
      light();
    },
  };
}
