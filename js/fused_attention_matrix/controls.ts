/** The header of FusedAttentionMatrix, and its legend. */

import { headTiles, kindChoices, layerStepper, segmented, UNITS } from "../shared/controls";
import { fill, h } from "../shared/dom";
import { headsOf, layersOf } from "../shared/keys";
import { endOf, formatWeight } from "../shared/numbers";
import { gradientCss, type Theme } from "../shared/palette";
import type { Kind, Unit } from "../shared/state";
import type { Host, ViewFrame } from "../shared/view";
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

export function createHeader(frame: ViewFrame, host: Host<MatrixState>, zooming: Zooming): Header {
  const layer = layerStepper((value) => host.set({ layer: value }));
  const kind = segmented<Kind>("Kind of attention", "kind", (value) => host.set({ kind: value }));
  const unit = segmented<Unit>("Unit", "unit", (value) => host.set({ unit: value }));
  const aggregate = segmented<"mean" | "max">("Over heads", "aggregate", (value) =>
    host.set({ aggregate: value }),
  );
  const scale = segmented<Scale>("Colour scale", "scale", (value) => host.set({ scale: value }));
  const heads = headTiles((value) => host.set({ heads: value }));
  const zoom = zoomButtons(zooming);
  frame.controls.append(
    kind.element,
    layer.element,
    unit.element,
    aggregate.element,
    scale.element,
  );
  return {
    heads: heads.element,
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state, theme) {
      kind.update({ choices: kindChoices(state.scene), value: state.kind });
      layer.update({ layers: layersOf(state).map((each) => each.number), layer: state.layer });
      unit.update({ choices: UNITS, value: state.unit });
      const nHeads = headsOf(state);
      const single = state.heads.length === 1 || nHeads === 1;
      aggregate.update({
        choices: single
          ? []
          : [
              { value: "mean", label: "Mean", title: "Mean of the heads" },
              { value: "max", label: "Max", title: "Largest of the heads" },
            ],
        value: state.aggregate,
      });
      scale.update({
        choices: [
          { value: "linear", label: "Linear" },
          { value: "log", label: "Log", title: `Logarithmic colours over ${DECADES} decades` },
        ],
        value: state.scale,
      });
      heads.update({ nHeads, heads: state.heads, theme, thumbnails: null });
    },
  };
}

function zoomButtons(zooming: Zooming): {
  element: HTMLElement;
  setZoomed(zoomed: boolean): void;
} {
  const button = (sign: string, label: string, action: string, on: () => void): HTMLButtonElement =>
    h(
      "button",
      {
        class: "gh-button",
        attrs: { type: "button", title: label },
        data: { action },
        aria: { label },
        on: { click: on },
      },
      sign,
    );
  const out = button("−", "Zoom out", "zoom-out", () => zooming.by(1 / 1.6));
  const whole = button("Whole", "Show the whole matrix", "zoom-reset", zooming.reset);
  const element = h(
    "div",
    { class: "fm-zoom", attrs: { role: "group" }, aria: { label: "Zoom" } },
    out,
    button("+", "Zoom in", "zoom-in", () => zooming.by(1.6)),
    whole,
  );
  return {
    element,
    setZoomed(zoomed) {
      out.disabled = !zoomed;
      whole.disabled = !zoomed;
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
