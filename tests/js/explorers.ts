/** Explorers to look at, without pictures. */

import { EXPLORER_TRAITS, type ExplorerState, PANE_NAMES } from "../../js/explorer/state";
import { ExplorerView } from "../../js/explorer/view";
import { common, FakeHost, selfAxes } from "./fake_host";

export function explorerState(more: Partial<ExplorerState> = {}): ExplorerState {
  const empty = Object.fromEntries(Object.keys(EXPLORER_TRAITS).map((name) => [name, null]));
  const frames = Object.fromEntries(PANE_NAMES.map((pane) => [`${pane}_frame`, {}]));
  return {
    ...empty,
    ...frames,
    ...common(selfAxes(["a", "b", "c"])),
    frame: {},
    aggregate: "mean",
    sinks: "auto",
    panes: ["lines", "matrix", "strip", "chart"],
    large: "",
    prompt: { text: "a b c", target: null },
    earlier: [],
    off: [],
    off_how: "zero",
    fixed_heads: {},
    matrix_axes: selfAxes(["a", "b", "c"]),
    matrix_pinned: [],
    matrix_scale: "linear",
    strip_measure: "surprisal",
    strip_k: 5,
    chart_metrics: [],
    chart_metric: { name: "norm" },
    chart_quantity: "",
    chart_scale: "linear",
    chart_detail: {},
    finder_only_layers: [],
    finder_only_heads: [],
    finder_typical: {},
    ...more,
  } as unknown as ExplorerState;
}

export function shown(more: Partial<ExplorerState> = {}) {
  const host = new FakeHost<ExplorerState>(explorerState(more), () => ({ result: {}, arrays: {} }));
  const el = document.createElement("div");
  document.body.append(el);
  const view = new ExplorerView(el, host);
  host.view = view;
  return { host, el, view };
}
