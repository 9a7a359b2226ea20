/** What the matrix is compared with: another layer or other heads. */

import { button, fill, h } from "../shared/dom";
import type { Host } from "../shared/host/host";
import { headsOf, layerNumbers } from "../shared/scene";
import type { Compare, MatrixState } from "./state";

export interface CompareControls {
  /** The button that begins and ends a comparison. */
  readonly toggle: HTMLElement;
  /** What it is compared with. */
  readonly element: HTMLElement;
  update(state: Readonly<MatrixState>): void;
}

/** The view's own: what is compared follows it. */
const SAME = "same";
const ALL = "all";

export function compareControls(host: Host<MatrixState>): CompareControls {
  const toggle = button(
    "gh-button",
    () => host.set({ compare: host.state.compare ? null : firstOf(host.state) }),
    {
      attrs: { title: "Take another layer or other heads away from what is shown" },
      data: { action: "compare" },
      aria: { pressed: false },
    },
    "Compare",
  );
  const layer = select("Layer that is taken away", "compare-layer", (value) => {
    const { layer: _, ...rest } = host.state.compare ?? {};
    host.set({ compare: value === SAME ? rest : { ...rest, layer: Number(value) } });
  });
  const heads = select("Heads that are taken away", "compare-heads", (value) => {
    const { heads: _, ...rest } = host.state.compare ?? {};
    const chosen = value === ALL ? [] : [Number(value)];
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
    h("span", { class: "gh-caption" }, "minus"),
    layer,
    heads,
    trace,
  );
  return {
    toggle,
    element,
    update(state) {
      const { compare } = state;
      toggle.setAttribute("aria-pressed", String(compare !== null));
      element.hidden = compare === null;
      if (!compare) return;
      const layers = new Set([
        ...layerNumbers(state),
        ...(compare.layer === undefined ? [] : [compare.layer]),
      ]);
      options(layer, [
        [SAME, `same layer (${state.layer})`],
        ...[...layers].map((n): [string, string] => [String(n), `layer ${n}`]),
      ]);
      layer.value = compare.layer === undefined ? SAME : String(compare.layer);
      options(heads, headChoices(state, compare));
      heads.value = headsValue(compare);
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

function headChoices(state: Readonly<MatrixState>, { heads }: Compare): [string, string][] {
  const choices: [string, string][] = [
    [SAME, "same heads"],
    [ALL, "all heads"],
  ];
  for (let head = 0; head < headsOf(state); head++) choices.push([String(head), `head ${head}`]);
  // What was chosen in Python has a place, too.
  if (heads && heads.length > 1) choices.push([heads.join(), `heads ${heads.join(", ")}`]);
  return choices;
}

function headsValue({ heads }: Compare): string {
  if (heads === undefined) return SAME;
  return heads.length ? heads.join() : ALL;
}

function select(label: string, action: string, onChange: (value: string) => void) {
  const element = h("select", {
    class: "gh-layer fm-select",
    aria: { label },
    data: { action },
    on: { change: () => onChange(element.value) },
  });
  return element;
}

/** Fills a list that opens, where it has changed. */
function options(element: HTMLSelectElement, choices: readonly [string, string][]): void {
  const names = choices.join();
  if (element.dataset.names === names) return;
  element.dataset.names = names;
  fill(element, ...choices.map(([value, label]) => h("option", { attrs: { value } }, label)));
}
