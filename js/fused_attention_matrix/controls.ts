/** The header of FusedAttentionMatrix. */

import { type Choice, segmented } from "../shared/controls";
import { button, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { mapHeader } from "../shared/map/header";
import type { Theme } from "../shared/palette";
import { headsOf } from "../shared/scene";
import type { Shell } from "../shared/shell";
import { compareControls } from "./compare";
import type { Matrix } from "./grid";
import type { MatrixState } from "./state";

export interface Zooming {
  by(factor: number): void;
  reset(): void;
}

export interface Header {
  /** All belong above the picture. */
  readonly heads: HTMLElement;
  readonly compare: HTMLElement;
  readonly zoom: HTMLElement;
  update(state: Readonly<MatrixState>, theme: Theme, matrix: Matrix | null, special: boolean): void;
  setZoomed(zoomed: boolean): void;
}

const AGGREGATES: readonly Choice<"mean" | "max">[] = [
  { value: "mean", label: "Mean", title: "Mean of the heads" },
  { value: "max", label: "Max", title: "Largest of the heads" },
];
const SINKS: readonly Choice<MatrixState["sinks"]>[] = [
  { value: "auto", label: "auto" },
  { value: "aside", label: "set aside" },
  { value: "shown", label: "shown" },
  { value: "hidden", label: "hidden" },
];

export function createHeader(shell: Shell, host: Host<MatrixState>, zooming: Zooming): Header {
  const map = mapHeader(host);
  const aggregate = segmented<"mean" | "max">("Over heads", "aggregate", (value) =>
    host.set({ aggregate: value }),
  );
  const sinks = sinksChoice(host);
  const normalise = onOff("Normalise", "normalise", "Divide every row by its sum", (on) =>
    host.set({ normalise: on }),
  );
  const special = onOff("Hide special", "hide-special", "Leave out special tokens", (on) =>
    host.set({ hide_special: on }),
  );
  const compare = compareControls(host);
  const zoom = zoomButtons(zooming);
  shell.controls.append(
    ...map.elements,
    aggregate.element,
    sinks.element,
    h("div", { class: "fm-toggles" }, normalise.element, special.element, compare.toggle),
  );
  return {
    heads: map.heads,
    compare: compare.element,
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state, theme, matrix, hasSpecial) {
      map.update(state, theme);
      const single = state.heads.length === 1 || headsOf(state) === 1;
      aggregate.update({ choices: AGGREGATES, value: state.aggregate === "max" ? "max" : "mean" });
      for (const one of aggregate.element.querySelectorAll("button")) one.disabled = single;
      sinks.update(state, matrix);
      normalise.update(state.normalise);
      special.update(state.hide_special);
      // Where there are none, nothing can be hidden.
      special.element.hidden = !hasSpecial && !state.hide_special;
      compare.update(state);
    },
  };
}

function onOff(label: string, action: string, title: string, set: (on: boolean) => void) {
  let isOn = false;
  const element = button(
    "gh-button",
    () => set(!isOn),
    { attrs: { title }, data: { action }, aria: { pressed: false } },
    label,
  );
  return {
    element,
    update(on: boolean): void {
      isOn = on;
      element.setAttribute("aria-pressed", String(on));
    },
  };
}

function sinksChoice(host: Host<MatrixState>) {
  const select = h("select", {
    class: "gh-layer fm-select",
    data: { action: "sinks" },
    on: { change: () => host.set({ sinks: select.value as MatrixState["sinks"] }) },
  });
  for (const { value, label } of SINKS) select.append(h("option", { attrs: { value } }, label));
  return {
    element: h(
      "label",
      { class: "fm-choice" },
      h("span", { class: "gh-caption" }, "Sinks"),
      select,
    ),
    update({ sinks }: Readonly<MatrixState>, matrix: Matrix | null): void {
      select.value = sinks;
      const mode = matrix ? (matrix.sinks.mode === "aside" ? "set aside" : matrix.sinks.mode) : "";
      const [auto] = select.options;
      if (auto) auto.textContent = sinks === "auto" && mode ? `auto: ${mode}` : "auto";
      select.title = matrix ? `A sink is ${matrix.sinks.words}` : "";
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
      out.disabled = !zoomed;
      whole.disabled = !zoomed;
    },
  };
}
