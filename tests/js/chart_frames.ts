/** Frames and panels of LayerStatsChart, and a view that shows them. */

import type {
  BarsPanel,
  ChartFrame,
  ChartState,
  CurvePanel,
  GridPanel,
  HistogramPanel,
  Panel,
  ScatterPanel,
  TablePanel,
} from "../../js/layer_stats_chart/state";
import { LayerStatsChartView } from "../../js/layer_stats_chart/view";
import type { Packed } from "../../js/shared/state";
import { asked, DIVERGENCE, INFORMATION, NORM } from "./chart_statistics";
import { type Asked, common, FakeHost, floats, pack, scene, selfAxes } from "./fake_host";

// jsdom lays nothing out.
Object.defineProperty(HTMLElement.prototype, "clientWidth", { get: () => 800, configurable: true });

export const NONE = Number.NaN;

/** [series, layers] */
export function rows(...series: number[][]): Packed {
  return pack(series.flat(), "float32", [series.length, series[0]?.length ?? 0]);
}

/** Four layers; layer 2 has no attention block. */
export function chartFrame(more: Partial<ChartFrame> = {}): ChartFrame {
  return {
    kind: "chart",
    key: { kind: "self", metric: "norm", quantity: "norm" },
    metric_label: "Norm",
    title: "Size of what each block adds",
    unit: "L2 norm",
    quantities: [{ name: "norm", label: "Norm" }],
    quantity: "norm",
    layers: pack([0, 1, 2, 3], "int32"),
    series: [
      { name: "attention", label: "attention" },
      { name: "mlp", label: "MLP" },
    ],
    mean: rows([1, 2, NONE, 3], [5, 6, 7, 8]),
    low: rows([0.5, 1, NONE, 2], [4, 5, 6, 7]),
    high: rows([2, 3, NONE, 4], [6, 7, 8, 9]),
    middle: "median",
    interval: "quartiles over 2 tokens",
    scale: "linear",
    null_low: null,
    null_mean: null,
    null_high: null,
    null_words: "",
    significant: null,
    test: "",
    heat: null,
    // [series, layer, token]
    tokens: pack([1, 1, 2, 2, NONE, NONE, 3, 3, 5, 50, 6, 6, 7, 7, 8, 8], "float32", [2, 4, 2]),
    has_tokens: true,
    token_labels: ["The", " whale"],
    outlier: null,
    sequence: "text",
    help: ["Each line is the mean over tokens."],
    note: "Layer 2 has no attention block.",
    partial: "",
    ...more,
  };
}

/** One line over four layers, without an interval. */
export function lineFrame(mean: number[], more: Partial<ChartFrame> = {}): ChartFrame {
  const nothing = rows(mean.map(() => NONE));
  return chartFrame({
    ...{ series: [{ name: "residual", label: "residual" }], mean: rows(mean) },
    ...{ low: nothing, high: nothing, interval: "", tokens: null, has_tokens: false, note: "" },
    ...more,
  });
}

/** Right against wrong predictions: layer 0 differs, layer 1 does not, layer 3 was not tested. */
export function testedFrame(more: Partial<ChartFrame> = {}): ChartFrame {
  return lineFrame([0.4, 0.1, 0.2, 0.15], {
    key: { kind: "self", metric: "prediction_divergence", quantity: "jsd" },
    quantities: [
      { name: "jsd", label: "Divergence" },
      { name: "difference", label: "Difference of means" },
    ],
    quantity: "jsd",
    significant: pack([2, 1, 2, 0], "uint8", [1, 4]),
    test: "filled: p < 0.05 after Benjamini-Hochberg",
    null_low: rows([0.05, 0.04, 0.05, 0.06]),
    null_mean: rows([0.1, 0.1, 0.1, 0.1]),
    null_high: rows([0.15, 0.16, 0.15, 0.17]),
    null_words: "1,000 permutations: 2.5 % to 97.5 %",
    ...more,
  });
}

/** Two heads; layer 1 has only the first. */
export function heatFrame(more: Partial<ChartFrame> = {}): ChartFrame {
  const scores = [0.1, 0.9, 0.2, NONE, NONE, NONE, 0.3, 0.6];
  return lineFrame([0.5, 0.2, NONE, 0.45], {
    key: { kind: "self", metric: "induction", quantity: "score" },
    series: [{ name: "heads", label: "all heads" }],
    unit: "score",
    heat: { values: pack(scores, "float32", [4, 2]), label: "induction score", max: 1 },
    ...more,
  });
}

// ── Panels ──────────────────────────────────────────────────────────────────────────────────────

export const HISTOGRAM: HistogramPanel = {
  type: "histogram",
  title: "Layer 1: divergences of shuffled labels",
  x: "nats",
  y: "permutations",
  edges: pack([0, 0.1, 0.2], "float32"),
  series: [{ name: "null", label: "shuffled" }],
  values: pack([40, 10], "float32", [1, 2]),
  mark: { value: 0.4, label: "observed" },
  positions: [],
  words: "p = 0.003 (adjusted 0.012)",
};
export const SCATTER: ScatterPanel = {
  type: "scatter",
  title: "Layer 1: every token",
  x: "norm",
  y: "surprisal",
  series: [
    { name: "correct", label: "right" },
    { name: "incorrect", label: "wrong" },
  ],
  points_x: pack([1, 2, 3], "float32"),
  points_y: pack([-1, 0, 4], "float32"),
  points_series: pack([0, 1, 1]),
  words: "3 tokens",
};
export const BARS: BarsPanel = {
  type: "bars",
  title: "Layer 1, by head",
  y: "score",
  labels: ["0", "1"],
  values: pack([0.5, -0.25], "float32"),
  clickable: "head",
  x: "",
  positions: [],
  words: "highest: head 0",
};
/** Two stretches of a text of five predicted tokens. */
export const STRETCHES: BarsPanel = {
  ...BARS,
  title: "Right predictions along the text",
  x: "first token",
  labels: ["1", "4"],
  values: pack([0.5, 1], "float32"),
  clickable: "positions",
  positions: [
    [1, 2, 3],
    [4, 5],
  ],
};
export const CURVE: CurvePanel = {
  type: "curve",
  title: "Layer 1: divergence against the number of bins",
  x: "bins",
  y: "nats",
  series: [{ name: "mlp", label: "MLP" }],
  points_x: pack([10, 20, 50], "float32"),
  values: pack([0.1, Number.NaN, 0.3], "float32", [1, 3]),
  words: "",
};
/** Three places: above the diagonal one block, below it another. */
export const GRID: GridPanel = {
  type: "grid",
  title: "Layer 1: information of all pairs",
  unit: "bits",
  positions: [3, 8, 11],
  values: pack([NONE, 1, 2, 0.5, NONE, 1.5, 0.25, 0.75, NONE], "float32", [3, 3]),
  pair: [0, 1],
  words: "above the diagonal attention, below it MLP",
};
export const TABLE: TablePanel = {
  type: "table",
  title: "Layer 1 would say",
  columns: ["token", "probability"],
  rows: [
    [" sea", "0.5"],
    ["<img src=x onerror=alert(1)>", "0.2"],
  ],
  words: "",
};

export function detail(...panels: Panel[]): ChartState["detail"] {
  return { layer: 1, panels };
}

// ── The view ────────────────────────────────────────────────────────────────────────────────────

/** One token's values, as the kernel answers. */
function tokenAnswer({ args }: Asked) {
  const values = floats([1, 2, NONE, 3, 9, 6, 7, 8], [2, 4]);
  return { result: { ...args, about: chartFrame().key }, arrays: { values } };
}

export function mountChart(more: Partial<ChartState> = {}) {
  const state: ChartState = {
    ...common(selfAxes(["The", " whale"])),
    metrics: [NORM, DIVERGENCE, INFORMATION],
    metric: asked(NORM),
    quantity: "",
    scale: "linear",
    frame: chartFrame(),
    detail: {},
    scene: scene(2, [0, 1, 3]),
    ...more,
  };
  const host = new FakeHost<ChartState>(state, tokenAnswer);
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  host.view = new LayerStatsChartView(el, host);
  return {
    host,
    el,
    column: (layer: number): Element => only(el, `[data-layer="${layer}"]`),
    status: (): string => only(el, ".gh-status").textContent ?? "",
    legend: (): string => only(el, ".gh-legend").textContent ?? "",
    /** The buttons of a segmented control that can be seen. */
    choices: (action: string): string[] => {
      const control = only(el, `[data-action="${action}"]`);
      const buttons = [...control.querySelectorAll("button")];
      return control.hasAttribute("hidden") ? [] : buttons.map((one) => one.textContent ?? "");
    },
    choose: (action: string, value: string): void =>
      click(only(el, `[data-action="${action}"] [data-value="${value}"]`)),
  };
}

/** HTML or SVG. */
export function only(root: ParentNode, selector: string): Element {
  const [first] = root.querySelectorAll(selector);
  if (!first) throw new Error(`nothing matches ${selector}`);
  return first;
}

export function count(root: ParentNode, selector: string): number {
  return root.querySelectorAll(selector).length;
}

/** Attributes with numbers that are none. */
export function strays(root: ParentNode): string[] {
  return [...root.querySelectorAll("*")].flatMap((element) =>
    [...element.attributes].map(({ value }) => value).filter((v) => /NaN|Infinity/.test(v)),
  );
}

export function click(element: Element): void {
  element.dispatchEvent(new Event("click", { bubbles: true }));
}

export function pointAt(element: Element): void {
  element.dispatchEvent(new Event("pointerover", { bubbles: true }));
}
