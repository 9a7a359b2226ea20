/** Pointer, wheel and keys of the matrix, as what they mean: hover, pin, zoom, pan. */

import { handled, inField } from "../shared/keys";
import { type At, labelAt } from "../shared/map/pin";
import { cellAt, type Plot, pan, reveal, type Viewport, WHOLE, zoomAt } from "./geometry";
import type { Cell } from "./readout";

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
type Step = readonly [query: number, key: number];
const STEPS: Readonly<Record<string, Step>> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
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
  const step = STEPS[event.key];
  const cell = actions.cell();
  if (step) moveCell(plot, actions, step);
  else if ((event.key === "Enter" || event.key === " ") && cell) actions.pin(cell);
  else if (event.key === "+" || event.key === "=") zoom(ZOOM_STEP);
  else if (event.key === "-") zoom(1 / ZOOM_STEP);
  else return;
  handled(event);
}

function moveCell(plot: Plot, actions: Actions, [down, right]: Step): void {
  const from = actions.cell() ?? { query: -down, key: -right };
  const next = {
    query: Math.max(0, Math.min(plot.rows - 1, from.query + down)),
    key: Math.max(0, Math.min(plot.cols - 1, from.key + right)),
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
