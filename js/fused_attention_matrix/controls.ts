/** The header of FusedAttentionMatrix, and its legend. */

import { type Choice, segmented } from "../shared/controls";
import { button, disable, fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { mapHeader, ONE_VALUE } from "../shared/map/header";
import { endOf, formatWeight } from "../shared/numbers";
import { gradientCss, type Theme } from "../shared/palette";
import type { Shell } from "../shared/shell";
import { largest } from "./drawing";
import { DECADES, type Matrix, type Scale } from "./grid";
import type { MatrixState } from "./state";

export interface Zooming {
  by(factor: number): void;
  reset(): void;
}

export interface Header {
  /** Both belong above the picture. */
  readonly heads: HTMLElement;
  readonly zoom: HTMLElement;
  update(state: Readonly<MatrixState>, theme: Theme): void;
  setZoomed(zoomed: boolean): void;
}

const SCALES: readonly Choice<Scale>[] = [
  { value: "linear", label: "Linear" },
  { value: "log", label: "Log", title: `Logarithmic colours over ${DECADES} decades` },
];

export function createHeader(shell: Shell, host: Host<MatrixState>, zooming: Zooming): Header {
  const map = mapHeader(host, ONE_VALUE);
  const scale = segmented<Scale>("Colour scale", "scale", (value) => host.set({ scale: value }));
  const zoom = zoomButtons(zooming);
  shell.controls.append(...map.elements, scale.element);
  return {
    heads: map.heads,
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state, theme) {
      map.update(state, theme);
      scale.update({ choices: SCALES, value: state.scale });
    },
  };
}

function zoomButtons(zooming: Zooming): {
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
  const whole = zoom("Whole", "Show the whole matrix", "zoom-reset", zooming.reset);
  const element = h(
    "div",
    { class: "fm-zoom", attrs: { role: "group" }, aria: { label: "Zoom" } },
    out,
    zoom("+", "Zoom in", "zoom-in", () => zooming.by(1.6)),
    whole,
  );
  return {
    element,
    setZoomed(zoomed) {
      disable(out, !zoomed);
      disable(whole, !zoomed);
    },
  };
}

/** What the bars in the margins are, and what the longest one stands for. */
export function fillMargins(
  margins: { entropy: HTMLElement; mass: HTMLElement },
  matrix: Matrix,
): void {
  // The margin is as narrow as its bars, and as low as three lines.
  const entropy = `≤ ${endOf(largest(matrix.entropy))}`;
  fill(margins.entropy, "entropy", h("span", {}, "in bits"), h("span", {}, entropy));
  fill(margins.mass, "mean received", h("span", {}, `≤ ${endOf(largest(matrix.mass))}`));
}

/** The colour bar with numbers, and a swatch for every hatching that the picture has. */
export function fillLegend(
  legend: HTMLElement,
  matrix: Matrix,
  table: Uint8ClampedArray,
  scale: Scale,
  pooledBy: number,
): void {
  const { top } = matrix;
  const low = scale === "log" ? `≤ ${(top / 10 ** DECADES).toPrecision(2)}` : "0";
  const clipped = matrix.frame.max > top * 1.005;
  const ramp = h("span", { class: "gh-ramp" });
  ramp.style.background = gradientCss(table);
  const swatch = (kind: string, words: string): HTMLElement =>
    h("span", { class: "gh-scale" }, h("span", { class: `fm-swatch is-${kind}` }), words);
  const hasUndefined = Array.from(matrix.undefinedRows).some(Boolean);
  fill(
    legend,
    h(
      "span",
      { class: "gh-scale" },
      "weight",
      h("span", { class: "gh-number" }, low),
      ramp,
      h("span", { class: "gh-number" }, clipped ? `≥ ${endOf(top)}` : formatWeight(top)),
      scale === "log" && `log, ${DECADES} decades`,
    ),
    matrix.causal && swatch("causal", "masked: comes later"),
    hasUndefined && swatch("undefined", "row fully masked: undefined"),
    pooledBy > 1 &&
      h(
        "span",
        {},
        `each pixel is the largest of ${pooledBy} × ${pooledBy} cells; zoom in for each`,
      ),
  );
}
