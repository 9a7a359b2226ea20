/** What the matrix is compared with: another layer or other heads. */

import { type Choice, dropdown } from "../shared/controls";
import { button, disable, h, mark } from "../shared/dom";
import { type Host, isFixed } from "../shared/host/host";
import { headsOf, layerNumbers } from "../shared/scene";
import type { Compare, MatrixState } from "./state";

export interface CompareControls {
  /** The button that begins and ends a comparison. */
  readonly toggle: HTMLElement;
  /** What it is compared with. */
  readonly element: HTMLElement;
  /** Why nothing can be compared now; "" = it can. */
  update(state: Readonly<MatrixState>, why: string): void;
}

/** The view's own: what is compared follows it. */
const SAME = "same";
const TITLE = "Take another layer or other heads away from what is shown";
const ALL = "all";

export function compareControls(host: Host<MatrixState>): CompareControls {
  const toggle = button(
    "gh-button",
    () => host.set({ compare: host.state.compare ? null : firstOf(host.state) }),
    {
      attrs: { title: TITLE },
      data: { action: "compare" },
      aria: { pressed: false },
    },
    "Compare",
  );
  const layer = dropdown("minus layer", "compare-layer", (value) => {
    const { layer: _, ...rest } = host.state.compare ?? {};
    host.set({ compare: value === SAME ? rest : { ...rest, layer: Number(value) } });
  });
  const heads = dropdown("heads", "compare-heads", (value) => {
    const { heads: _, ...rest } = host.state.compare ?? {};
    const chosen = value === ALL ? [] : value.split(",").map(Number);
    host.set({ compare: value === SAME ? rest : { ...rest, heads: chosen } });
  });
  const trace = h("span", { class: "gh-caption" });
  const element = h(
    "div",
    {
      class: "fm-compare",
      attrs: { role: "group", hidden: true },
      aria: { label: "Compare with" },
    },
    layer.element,
    heads.element,
    trace,
  );
  return {
    toggle,
    element,
    update(state, why) {
      const { compare } = state;
      toggle.setAttribute("aria-pressed", String(compare !== null));
      element.hidden = compare === null;
      const disabled = isFixed(host, "compare");
      disable(toggle, disabled || why !== "");
      mark(toggle, "title", why || TITLE);
      if (!compare) return;
      layer.update({ choices: layerChoices(state, compare), value: layerValue(compare), disabled });
      heads.update({ choices: headChoices(state, compare), value: headsValue(compare), disabled });
      trace.textContent = compare.trace ? `of ${compare.trace}` : "";
    },
  };
}

/** One head is compared with the next one, several with the layer before. */
function firstOf(state: Readonly<MatrixState>): Compare {
  const [head] = state.heads;
  const n = headsOf(state);
  if (state.heads.length === 1 && head !== undefined && n > 1) return { heads: [(head + 1) % n] };
  const layers = layerNumbers(state);
  const at = layers.indexOf(state.layer);
  const other = layers[at > 0 ? at - 1 : at + 1];
  return other === undefined ? { heads: [0] } : { layer: other };
}

function layerChoices(state: Readonly<MatrixState>, { layer }: Compare): Choice<string>[] {
  const layers = new Set([...layerNumbers(state), ...(layer === undefined ? [] : [layer])]);
  return [
    { value: SAME, label: `the same (${state.layer})` },
    ...Array.from(layers, (n) => ({ value: String(n), label: String(n) })),
  ];
}

function headChoices(state: Readonly<MatrixState>, { heads }: Compare): Choice<string>[] {
  const choices = [
    { value: SAME, label: "the same" },
    { value: ALL, label: "all" },
  ];
  for (let n = 0; n < headsOf(state); n++) choices.push({ value: String(n), label: String(n) });
  // What was chosen in Python has a place, too.
  if (heads && heads.length > 1) {
    choices.push({ value: heads.join(), label: heads.join(", ") });
  }
  return choices;
}

function layerValue({ layer }: Compare): string {
  return layer === undefined ? SAME : String(layer);
}

function headsValue({ heads }: Compare): string {
  if (heads === undefined) return SAME;
  return heads.length ? heads.join() : ALL;
}
