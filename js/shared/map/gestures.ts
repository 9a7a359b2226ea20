/** Pointer, wheel and keys of a map of cells, as what they mean: hover, pin, zoom, pan. */

import { handled, inField } from "../keys";
import { type At, labelAt } from "./pin";
import { type Cell, cellAt, type Plot, pan, reveal, type Viewport, WHOLE, zoomAt } from "./plot";

export interface Actions {
  plot(): Plot | null;
  viewport(): Viewport;
  look(viewport: Viewport): void;
  /** The cell under the crosshair, if any. */
  cell(): Cell | null;
  hover(cell: Cell | null): void;
  hoverLabel(at: At): void;
  pin(cell: Cell): void;
  pinLabel(at: At): void;
}

export interface Gestures {
  zoom(factor: number, x?: number, y?: number): void;
  /** Handles a key press on the view itself; keys common to all views come before. */
  key(event: KeyboardEvent): void;
}

const ZOOM_STEP = 1.6;
// A press that moves less than this is a click.
const DRAG_FROM = 4;
/** Where a key leads from a cell; `page` is how many rows are in view. */
type Move = (from: Cell, plot: Plot, page: number) => Cell;
const MOVES: Readonly<Record<string, Move>> = {
  ArrowUp: ({ query, key }) => ({ query: query - 1, key }),
  ArrowDown: ({ query, key }) => ({ query: query + 1, key }),
  ArrowLeft: ({ query, key }) => ({ query, key: key - 1 }),
  ArrowRight: ({ query, key }) => ({ query, key: key + 1 }),
  Home: ({ query }) => ({ query, key: 0 }),
  End: ({ query }, { cols }) => ({ query, key: cols - 1 }),
  PageUp: ({ query, key }, _, page) => ({ query: query - page, key }),
  PageDown: ({ query, key }, _, page) => ({ query: query + page, key }),
};

export function createGestures(
  figure: HTMLElement,
  actions: Actions,
  signal: AbortSignal,
): Gestures {
  const drag = createDrag(actions);
  const zoom = (factor: number, x?: number, y?: number): void => {
    const plot = actions.plot();
    if (!plot) return;
    const atX = x ?? plot.left + plot.width / 2;
    const atY = y ?? plot.top + plot.height / 2;
    actions.look(zoomAt(plot, actions.viewport(), factor, atX, atY));
  };
  const cellOf = (event: MouseEvent): Cell | null => {
    const plot = actions.plot();
    const { x, y } = pointOf(figure, event);
    return plot ? cellAt(plot, x, y) : null;
  };
  const move = (event: PointerEvent): void => {
    if (drag.moves(event)) return;
    const label = labelAt(event);
    if (label) actions.hoverLabel(label);
    else actions.hover(cellOf(event));
  };
  const click = (event: MouseEvent): void => {
    if (drag.ends()) return;
    const label = labelAt(event);
    const cell = label ? null : cellOf(event);
    if (label) actions.pinLabel(label);
    else if (cell) actions.pin(cell);
  };
  const wheel = (event: WheelEvent): void => {
    // Without ctrl or cmd the wheel scrolls the notebook.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { x, y } = pointOf(figure, event);
    zoom(2 ** (-Math.max(-60, Math.min(60, event.deltaY)) / 80), x, y);
  };
  figure.addEventListener("pointermove", move, { signal });
  figure.addEventListener("pointerdown", drag.begins, { signal });
  figure.addEventListener("pointerleave", () => actions.hover(null), { signal });
  figure.addEventListener("click", click, { signal });
  figure.addEventListener("dblclick", () => actions.look(WHOLE), { signal });
  figure.addEventListener("wheel", wheel, { signal, passive: false });
  return { zoom, key: (event) => press(event, actions, zoom) };
}

function press(event: KeyboardEvent, actions: Actions, zoom: (factor: number) => void): void {
  const plot = actions.plot();
  if (!plot || inField(event)) return;
  const move = MOVES[event.key];
  const cell = actions.cell();
  if (move) moveCell(plot, actions, move);
  else if ((event.key === "Enter" || event.key === " ") && cell) actions.pin(cell);
  else if (event.key === "+" || event.key === "=") zoom(ZOOM_STEP);
  else if (event.key === "-") zoom(1 / ZOOM_STEP);
  else return;
  handled(event);
}

function moveCell(plot: Plot, actions: Actions, move: Move): void {
  const from = actions.cell();
  const page = Math.max(1, Math.floor(plot.height / plot.down) - 1);
  // The first key lights the first cell in view.
  const to = from
    ? move(from, plot, page)
    : { query: Math.ceil(plot.query - 0.01), key: Math.ceil(plot.key - 0.01) };
  const next = {
    query: Math.max(0, Math.min(plot.rows - 1, to.query)),
    key: Math.max(0, Math.min(plot.cols - 1, to.key)),
  };
  actions.hover(next);
  actions.look(reveal(plot, actions.viewport(), next.query, next.key));
}

/** Moves a zoomed picture with the pointer. */
function createDrag(actions: Actions) {
  let drag: { x: number; y: number; moved: boolean } | null = null;
  return {
    begins(event: PointerEvent): void {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
    },
    /** True while the pointer drags the picture. */
    moves(event: PointerEvent): boolean {
      const plot = actions.plot();
      if (!drag || !plot || event.buttons !== 1 || actions.viewport().zoom <= 1) return false;
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (drag.moved || Math.hypot(dx, dy) > DRAG_FROM) {
        drag = { x: event.clientX, y: event.clientY, moved: true };
        actions.look(pan(plot, actions.viewport(), dx, dy));
      }
      return true;
    },
    /** True where the press was a drag, and no click. */
    ends(): boolean {
      const moved = drag?.moved ?? false;
      drag = null;
      return moved;
    },
  };
}

function pointOf(figure: HTMLElement, event: MouseEvent): { x: number; y: number } {
  const box = figure.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}
