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
const STEPS: Record<string, readonly [query: number, key: number]> = {
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
  let drag: { x: number; y: number; moved: boolean } | null = null;

  const pointOf = (event: MouseEvent): { x: number; y: number } => {
    const box = figure.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const cellOf = (event: MouseEvent): Cell | null => {
    const plot = actions.plot();
    const { x, y } = pointOf(event);
    return plot ? cellAt(plot, x, y) : null;
  };
  const zoom = (factor: number, x?: number, y?: number): void => {
    const plot = actions.plot();
    if (!plot) return;
    const atX = x ?? plot.left + plot.width / 2;
    const atY = y ?? plot.top + plot.height / 2;
    actions.look(zoomAt(plot, actions.viewport(), factor, atX, atY));
  };
  /** True while the pointer drags the picture. */
  const dragged = (event: PointerEvent): boolean => {
    const plot = actions.plot();
    if (!drag || !plot || event.buttons !== 1 || actions.viewport().zoom <= 1) return false;
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (drag.moved || Math.hypot(dx, dy) > DRAG_FROM) {
      drag = { x: event.clientX, y: event.clientY, moved: true };
      actions.look(pan(plot, actions.viewport(), dx, dy));
    }
    return true;
  };
  const onMove = (event: PointerEvent): void => {
    if (dragged(event)) return;
    const label = labelAt(event);
    if (label) actions.hoverLabel(label);
    else actions.hover(cellOf(event));
  };
  const onClick = (event: MouseEvent): void => {
    const moved = drag?.moved ?? false;
    drag = null;
    if (moved) return;
    const label = labelAt(event);
    const cell = label ? null : cellOf(event);
    if (label) actions.pinLabel(label);
    else if (cell) actions.pin(cell);
  };
  const onWheel = (event: WheelEvent): void => {
    // Without ctrl or cmd the wheel scrolls the notebook.
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { x, y } = pointOf(event);
    zoom(2 ** (-Math.max(-60, Math.min(60, event.deltaY)) / 80), x, y);
  };
  const move = (plot: Plot, [down, right]: readonly [number, number]): void => {
    const from = actions.cell() ?? { query: -down, key: -right };
    const next = {
      query: Math.max(0, Math.min(plot.rows - 1, from.query + down)),
      key: Math.max(0, Math.min(plot.cols - 1, from.key + right)),
    };
    actions.hover(next);
    actions.look(reveal(plot, actions.viewport(), next.query, next.key));
  };

  figure.addEventListener("pointermove", onMove, { signal });
  figure.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button === 0) drag = { x: event.clientX, y: event.clientY, moved: false };
    },
    { signal },
  );
  figure.addEventListener("pointerleave", () => actions.hover(null), { signal });
  figure.addEventListener("click", onClick, { signal });
  figure.addEventListener("dblclick", () => actions.look(WHOLE), { signal });
  figure.addEventListener("wheel", onWheel, { signal, passive: false });

  return {
    zoom,
    key(event) {
      const plot = actions.plot();
      if (!plot || inField(event)) return;
      const step = STEPS[event.key];
      const cell = actions.cell();
      if (step) move(plot, step);
      else if ((event.key === "Enter" || event.key === " ") && cell) actions.pin(cell);
      else if (event.key === "+" || event.key === "=") zoom(ZOOM_STEP);
      else if (event.key === "-") zoom(1 / ZOOM_STEP);
      else return;
      handled(event);
    },
  };
}
