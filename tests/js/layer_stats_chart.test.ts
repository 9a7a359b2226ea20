import { beforeAll, describe, expect, test } from "vitest";
import { chartData } from "../../js/layer_stats_chart/data";
import { numbered, spread } from "../../js/layer_stats_chart/layout";
import { valueScale } from "../../js/layer_stats_chart/scales";
import type { ChartState } from "../../js/layer_stats_chart/state";
import { LayerStatsChartView } from "../../js/layer_stats_chart/view";
import type { ChartFrame } from "../../js/shared/state";
import { common, FakeHost, find, floats, pack, press, scene, selfAxes, settle } from "./fake_host";

beforeAll(() => {
  // jsdom lays nothing out.
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { get: () => 800 });
});

const LAYERS = [0, 1, 2, 3];
const NONE = Number.NaN;

/** Layer 2 has no attention block. */
function chartFrame(more: Partial<ChartFrame> = {}): ChartFrame {
  return {
    kind: "chart",
    key: { kind: "self", metric: "norm" },
    metric: "norm",
    title: "Size of what each block adds",
    unit: "L2 norm",
    interval: "quartiles over 2 tokens",
    layers: pack(LAYERS, "int32"),
    series: [
      { name: "attention", label: "attention" },
      { name: "mlp", label: "MLP" },
    ],
    mean: pack([1, 2, NONE, 3, 5, 6, 7, 8], "float32", [2, 4]),
    low: pack([0.5, 1, NONE, 2, 4, 5, 6, 7], "float32", [2, 4]),
    high: pack([2, 3, NONE, 4, 6, 7, 8, 9], "float32", [2, 4]),
    // [series, layer, token]
    tokens: pack([1, 1, 2, 2, NONE, NONE, 3, 3, 5, 50, 6, 6, 7, 7, 8, 8], "float32", [2, 4, 2]),
    token_labels: ["The", " whale"],
    sequence: "text",
    note: "Layer 2 has no attention block.",
    ...more,
  };
}

function mount(more: Partial<ChartState> = {}) {
  const state: ChartState = {
    ...common(selfAxes(["The", " whale"])),
    metric: "norm",
    scale: "linear",
    frame: chartFrame(),
    ...more,
  };
  state.scene = scene(2, [0, 1, 3]);
  const host = new FakeHost<ChartState>(state, () => ({
    result: { position: 1 },
    arrays: { values: floats([1, 2, NONE, 3, 9, 6, 7, 8], [2, 4]) },
  }));
  const el = document.createElement("div");
  document.body.replaceChildren(el);
  host.view = new LayerStatsChartView(el, host);
  const column = (layer: number): Element => {
    const found = el.querySelector(`[data-layer="${layer}"]`);
    if (!found) throw new Error(`no column for layer ${layer}`);
    return found;
  };
  return { host, el, column };
}

const click = (element: Element): void => {
  element.dispatchEvent(new Event("click", { bubbles: true }));
};

describe("going to a layer", () => {
  test("by a click", () => {
    const { host, column } = mount();
    click(column(3));
    expect(host.state.layer).toBe(3);
    expect(column(3).getAttribute("aria-pressed")).toBe("true");
  });

  test("not to one without attention of the current kind", () => {
    const { host, column } = mount();
    click(column(2));
    expect(host.state.layer).toBe(1);
    expect(column(2).getAttribute("aria-disabled")).toBe("true");
  });

  test("by arrow keys, past layers without attention", () => {
    const { host, el } = mount();
    press(find(el, ".gh"), "ArrowRight");
    expect(host.state.layer).toBe(3);
  });
});

describe("layers without a block", () => {
  test("break the line: nothing is drawn for them, and the note says so", () => {
    const { el } = mount();
    const [attention, mlp] = [...el.querySelectorAll(".gh-chart-series")];
    expect(attention?.querySelectorAll(".gh-chart-mark")).toHaveLength(3);
    expect(attention?.querySelectorAll(".gh-chart-mean")).toHaveLength(1);
    expect(attention?.querySelectorAll(".gh-chart-bar")).toHaveLength(1);
    expect(mlp?.querySelectorAll(".gh-chart-mark")).toHaveLength(4);
    expect(el.innerHTML).not.toContain("NaN");
    expect(find(el, ".gh-status").textContent).toContain("Layer 2 has no attention block.");
  });

  test("say so in the tooltip", () => {
    const { el, column } = mount();
    column(2).dispatchEvent(new Event("pointerover", { bubbles: true }));
    expect(find(el, ".gh-tooltip").textContent).toContain("not in this layer");
  });
});

describe("a single token", () => {
  test("is drawn from the frame; what leaves the chart is said", () => {
    const { el, host } = mount({ hovered: 1 });
    expect(el.querySelectorAll(".gh-chart-token")).toHaveLength(2);
    expect(el.querySelectorAll(".gh-chart-beyond")).toHaveLength(1);
    expect(find(el, ".gh-status").textContent).toContain(
      "leaves the chart in layer 0 (up to 50.0)",
    );
    expect(host.asked).toEqual([]);
  });

  test("is asked for when the values did not travel with the frame", async () => {
    const { el, host } = mount({ frame: chartFrame({ tokens: null }) });
    host.set({ hovered: 1 });
    expect(host.asked).toEqual([{ question: "token", args: { position: 1 } }]);
    await settle();
    expect(el.querySelectorAll(".gh-chart-token polyline").length).toBeGreaterThan(0);
    expect(host.asked).toHaveLength(1);
  });
});

test("the axis holds means and quartiles and has round ticks", () => {
  const data = chartData(chartFrame());
  const linear = valueScale(data, "linear");
  expect(linear.ticks.map(({ label }) => label)).toEqual(["0", "2.5", "5", "7.5", "10"]);
  expect(linear.share(9)).toBeCloseTo(0.9);
  const log = valueScale(data, "log");
  expect(log.share(0)).toBeNaN();
  expect(log.share(0.5)).toBeGreaterThanOrEqual(0);
  expect(log.share(9)).toBeLessThanOrEqual(1);
});

test("labels at line ends are moved apart", () => {
  const placed = spread([100, 101, 40], 0, 200);
  expect(Math.abs((placed[0] ?? 0) - (placed[1] ?? 0))).toBeGreaterThanOrEqual(15);
  expect(placed[2]).toBe(40);
});

test("of 48 layers a few are numbered, the current one among them", () => {
  const shown = numbered(48, 17, 8);
  expect(shown.has(17)).toBe(true);
  expect(shown.size).toBeLessThan(16);
});
