/** The header of FusedAttentionMatrix. */

import { button, disable, h, mark } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { mapHeader, ONE_VALUE } from "../shared/map/header";
import { type Zooming, zoomButtons } from "../shared/map/zoom";
import type { Theme } from "../shared/palette";
import { toolbar } from "../shared/roving";
import type { Shell } from "../shared/shell";
import { compareControls } from "./compare";
import type { MatrixState } from "./state";

export interface Header {
  /** All belong above the picture. */
  readonly heads: HTMLElement;
  readonly compare: HTMLElement;
  readonly zoom: HTMLElement;
  update(state: Readonly<MatrixState>, theme: Theme, special: boolean): void;
  setZoomed(zoomed: boolean): void;
}

export function createHeader(shell: Shell, host: Host<MatrixState>, zooming: Zooming): Header {
  const map = mapHeader(host, ONE_VALUE);
  const normalise = onOff("Normalise", "normalise", "Divide every row by its sum", (on) =>
    host.set({ normalise: on }),
  );
  const special = onOff("Hide special", "hide-special", "Leave out special tokens", (on) =>
    host.set({ hide_special: on }),
  );
  const scores = onOff("Scores", "scores", SCORES, (on) => host.set({ scores: on }));
  const compare = compareControls(host);
  const zoom = zoomButtons("matrix", zooming);
  const toggles = h(
    "div",
    { class: "fm-toggles" },
    normalise.element,
    special.element,
    scores.element,
    compare.toggle,
  );
  const stops = toolbar(toggles, "What is shown");
  shell.controls.append(...map.elements, toggles);
  return {
    heads: map.heads,
    compare: compare.element,
    zoom: zoom.element,
    setZoomed: zoom.setZoomed,
    update(state, theme, hasSpecial) {
      map.update(state, theme);
      const alone = state.scores ? "Scores are shown as they are: turn Scores off first" : "";
      normalise.update(state.normalise, isFixed(host, "normalise"), alone);
      scores.update(state.scores, isFixed(host, "scores"), noScores(host));
      special.update(state.hide_special, isFixed(host, "hide_special"));
      // Where there are none, nothing can be hidden.
      special.element.hidden = !hasSpecial && !state.hide_special;
      compare.update(state, alone);
      stops.refresh();
    },
  };
}

const SCORES = "What enters the softmax, instead of the weights that it becomes";

/** Why scores cannot be shown now; "" = they can. What is on can be turned off. */
function noScores({ state, can }: Host<MatrixState>): string {
  if (state.scores) return "";
  if (can?.("scores") === false) return "Scores need a running kernel: this page has weights only";
  if (state.unit === "word") return "Scores are of tokens, not of words: choose Token first";
  if (state.normalise) return "Scores are shown as they are: turn Normalise off first";
  return state.compare ? "Scores are shown as they are: turn Compare off first" : "";
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
    update(on: boolean, disabled: boolean, why = ""): void {
      isOn = on;
      disable(element, disabled || why !== "");
      mark(element, "title", why || title);
      element.setAttribute("aria-pressed", String(on));
    },
  };
}
