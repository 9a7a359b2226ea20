/** Buttons that zoom a map of cells. */

import { button, disable, h } from "../dom";
import { toolbar } from "../roving";

export interface Zooming {
  by(factor: number): void;
  reset(): void;
}

/** `what` there is to see as a whole. */
export function zoomButtons(
  what: string,
  zooming: Zooming,
): {
  element: HTMLElement;
  setZoomed(zoomed: boolean): void;
} {
  const zoom = (sign: string, label: string, action: string, on: () => void): HTMLButtonElement =>
    button(
      "gh-button",
      on,
      {
        attrs: { title: label },
        data: { action },
        aria: { label },
      },
      sign,
    );
  const out = zoom("−", "Zoom out", "zoom-out", () => zooming.by(1 / 1.6));
  const whole = zoom("Whole", `Show the whole ${what}`, "zoom-reset", zooming.reset);
  const element = h(
    "div",
    { class: "gh-zoom" },
    out,
    zoom("+", "Zoom in", "zoom-in", () => zooming.by(1.6)),
    whole,
  );
  toolbar(element, "Zoom");
  return {
    element,
    setZoomed(zoomed) {
      disable(out, !zoomed);
      disable(whole, !zoomed);
    },
  };
}
