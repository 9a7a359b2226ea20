import { describe, expect, test } from "vitest";
import { chartData } from "../../js/layer_stats_chart/data";
import {
  BARS,
  chartFrame,
  click,
  count,
  detail,
  HISTOGRAM,
  heatFrame,
  lineFrame,
  mountChart,
  NONE,
  only,
  pointAt,
  SCATTER,
  strays,
  TABLE,
} from "./chart_frames";
import { find, pack, press, scene, selfAxes } from "./fake_host";

describe("a heat map of heads", () => {
  const mount = (more = {}) => {
    const mounted = mountChart({ frame: heatFrame(), ...more });
    const cell = (layer: number, head: number) =>
      only(mounted.el, `[data-cell="${layer}:${head}"]`);
    return { ...mounted, cell };
  };

  test("has a cell for each head that there is, and none for others", () => {
    const { el } = mount();
    const cells = [...el.querySelectorAll("[data-cell]")].map((c) => c.getAttribute("data-cell"));
    expect(cells).toEqual(["0:0", "0:1", "1:0", "3:0", "3:1"]);
    expect(strays(el)).toEqual([]);
  });

  test("numbers with a sign are coloured about zero, as far below as above", () => {
    const frame = heatFrame();
    const scores = [0.5, -2, 0, Number.NaN, Number.NaN, Number.NaN, 1, -0.5];
    frame.heat = { values: pack(scores, "float32", [4, 2]), label: "logits", max: null };
    const { cell, el } = mount({ frame });
    expect(find(el, ".gh-legend .gh-scale").textContent).toBe("−22");
    const fill = (layer: number, head: number) => cell(layer, head).getAttribute("fill");
    expect(new Set([fill(0, 0), fill(0, 1), fill(1, 0), fill(3, 0)]).size).toBe(4);
  });

  test("a click sets layer and head, and outlines the cell", () => {
    const { host, cell, el } = mount();
    click(cell(3, 1));
    expect([host.state.layer, host.state.heads]).toEqual([3, [1]]);
    expect(cell(3, 1).classList.contains("is-current")).toBe(true);
    expect(find(el, ".gh-live").textContent).toBe("Layer 3, head 1: 0.6");
  });

  test("a click in a layer without attention of the kind goes nowhere", () => {
    const { host, cell } = mount({ scene: scene(2, [0, 1]) });
    click(cell(3, 1));
    expect([host.state.layer, host.state.heads]).toEqual([1, []]);
  });

  test("arrow keys go up and down the heads, to the ends and no further", () => {
    const { host, el } = mount({ layer: 0 });
    const heads = (key: string): number[] => {
      press(find(el, ".gh"), key);
      return host.state.heads;
    };
    expect(heads("ArrowDown")).toEqual([0]);
    expect(heads("ArrowDown")).toEqual([1]);
    expect(heads("ArrowDown")).toEqual([1]);
    expect(heads("ArrowUp")).toEqual([0]);
    expect(heads("ArrowUp")).toEqual([0]);
    press(find(el, ".gh"), "ArrowRight");
    expect([host.state.layer, host.state.heads]).toEqual([1, [0]]);
  });

  test("says layer, head and value of the cell pointed at", () => {
    const { cell, el } = mount();
    pointAt(cell(0, 1));
    expect(find(el, ".gh-tooltip").textContent).toBe("Layer 0, head 1: 0.9");
    only(el, "svg.gh-chart").dispatchEvent(new Event("pointerleave"));
    expect(find(el, ".gh-tooltip").hidden).toBe(true);
  });

  test("has a legend in the score's own units", () => {
    const { legend } = mount();
    expect(legend()).toBe("00.9induction score");
  });

  test("strong and weak heads differ in colour", () => {
    const { cell } = mount();
    expect(cell(0, 1).getAttribute("fill")).not.toBe(cell(0, 0).getAttribute("fill"));
  });

  test.each([
    ["none", [NONE, NONE]],
    ["only negative ones", [-0.5, -0.25]],
  ])("with values that are %s has a scale that can be read", (_, scores) => {
    const values = pack(scores, "float32", [1, 2]);
    const layers = pack([0], "int32");
    const heat = { values, label: "score", max: null };
    const { legend, el } = mount({ frame: heatFrame({ ...lineFrame([NONE]), layers, heat }) });
    expect(legend()).not.toContain("324");
    expect(strays(el)).toEqual([]);
  });

  test("reads one head of many from its own layer", () => {
    const { heat } = chartData(heatFrame());
    expect(heat?.at(0, 1)).toBeCloseTo(0.9);
    expect(heat?.at(1, 1)).toBeNaN();
  });

  test("can be seen as lines: the mean, and one thin line for each selected head", () => {
    const { el, choices, choose, host, legend } = mount();
    expect(choices("picture")).toEqual(["Heat map", "Lines"]);
    choose("picture", "lines");
    expect(count(el, "[data-cell]")).toBe(0);
    expect(count(el, ".gh-chart-series")).toBe(1);
    expect(count(el, ".gh-chart-head")).toBe(0);
    host.set({ heads: [0, 1] });
    expect(count(el, ".gh-chart-head")).toBe(2);
    expect(legend()).not.toContain("induction score");
    expect(choices("scale")).toEqual(["Linear", "Log"]);
    choose("picture", "map");
    expect(count(el, "[data-cell]")).toBe(5);
  });

  test("a statistic without heads offers no heat map", () => {
    expect(mountChart({ frame: chartFrame() }).choices("picture")).toEqual([]);
  });
});

describe("the current layer in detail", () => {
  const keys = (el: Element) =>
    [...el.querySelectorAll(".gh-panel-key")].map((key) => key.textContent);

  test("appears for the current layer only", () => {
    const { el, host } = mountChart({ detail: detail(HISTOGRAM, TABLE) });
    const panels = () =>
      [...el.querySelectorAll(".gh-panel")].map((p) => p.getAttribute("data-panel"));
    expect(panels()).toEqual(["histogram", "table"]);
    host.set({ layer: 3 });
    expect(panels()).toEqual([]);
    host.set({ detail: { layer: 3, panels: [SCATTER] } });
    expect(panels()).toEqual(["scatter"]);
    host.set({ detail: {} });
    expect(panels()).toEqual([]);
  });

  test("is drawn as wide by another theme as it was before", () => {
    const { el, host } = mountChart({ detail: detail(HISTOGRAM, SCATTER) });
    const widths = (): (string | null)[] =>
      [...el.querySelectorAll(".gh-panel-chart")].map((one) => one.getAttribute("width"));
    const before = widths();
    expect(before).toEqual(["392", "392"]); // two of them, and a gap, in 800 pixels
    host.set({ theme: "dark" });
    expect(widths()).toEqual(before);
  });

  test("has all the room there is for a table, which can be scrolled by keys", () => {
    const { el } = mountChart({ detail: detail(TABLE) });
    expect(find(el, ".gh-chart-body").classList.contains("is-beside")).toBe(false);
    expect(find(el, ".gh-panel").style.width).toBe("800px");
    const region = find(el, ".gh-panel-scroll");
    expect([region.tabIndex, region.getAttribute("role")]).toEqual([0, "region"]);
    expect(region.getAttribute("aria-label")).toBe("Layer 1 would say");
  });

  test("a histogram marks the observed value, and its words stand below", () => {
    const { el } = mountChart({ detail: detail(HISTOGRAM) });
    expect(count(el, ".gh-panel-steps")).toBe(1);
    expect(only(el, ".gh-panel-mark-name").textContent).toBe("observed 0.4");
    expect(find(el, ".gh-panel-words").textContent).toBe("p = 0.003 (adjusted 0.012)");
    const [at, end] = [".gh-panel-mark", ".gh-panel-chart"].map((name) => only(el, name));
    expect(Number(at?.getAttribute("x1"))).toBeLessThan(Number(end?.getAttribute("width")));
    expect(keys(el)).toEqual([]);
  });

  test("a histogram without an observed value has no mark", () => {
    const { el } = mountChart({ detail: detail({ ...HISTOGRAM, mark: null, words: "" }) });
    expect(count(el, ".gh-panel-mark, .gh-panel-mark-name, .gh-panel-words")).toBe(0);
  });

  test("two histograms lie over each other, and a legend names them", () => {
    const series = [
      { name: "correct", label: "right" },
      { name: "incorrect", label: "wrong" },
    ];
    const values = pack([1, 2, 3, 4], "float32", [2, 2]);
    const { el } = mountChart({ detail: detail({ ...HISTOGRAM, series, values }) });
    expect(count(el, ".gh-panel-steps")).toBe(2);
    expect(keys(el)).toEqual(["right", "wrong"]);
  });

  test("a scatter has a point for each token, in the mark of its group", () => {
    const { el } = mountChart({ detail: detail(SCATTER) });
    const shapes = [...el.querySelectorAll(".gh-panel-point")].map((p) => p.getAttribute("d"));
    expect(shapes).toHaveLength(3);
    expect(shapes[1]).toBe(shapes[2]);
    expect(shapes[0]).not.toBe(shapes[1]);
    expect([...el.querySelectorAll(".gh-panel .gh-chart-axis")].map((a) => a.textContent)).toEqual([
      ...["norm", "surprisal"],
    ]);
    expect(keys(el)).toEqual(["right", "wrong"]);
  });

  test("pressing a bar selects its head, pressing it again all of them", () => {
    const { el, host } = mountChart({ detail: detail(BARS) });
    const bar = (head: number) => only(el, `[data-head="${head}"]`);
    expect(bar(1).getAttribute("aria-label")).toBe("Head 1: −0.25");
    click(bar(1));
    expect(host.state.heads).toEqual([1]);
    expect(
      [...el.querySelectorAll(".gh-panel-bar")].map((b) => b.classList.contains("is-off")),
    ).toEqual([true, false]);
    click(bar(1));
    expect(host.state.heads).toEqual([]);
  });

  test("negative bars hang from zero", () => {
    const { el } = mountChart({ detail: detail(BARS) });
    const [up, down] = [...el.querySelectorAll(".gh-panel-bar")].map((bar) => ({
      top: Number(bar.getAttribute("y")),
      height: Number(bar.getAttribute("height")),
    }));
    expect((up?.top ?? 0) + (up?.height ?? 0)).toBeCloseTo(down?.top ?? Number.NaN);
    expect(up?.height).toBeCloseTo(2 * (down?.height ?? 0));
  });

  test("a head without a number has no bar; the others keep theirs", () => {
    const values = pack([0.5, NONE], "float32");
    const { el } = mountChart({ detail: detail({ ...BARS, values }) });
    expect(strays(el)).toEqual([]);
    expect(Number(only(el, ".gh-panel-bar").getAttribute("height"))).toBeGreaterThan(50);
  });

  test("bars that are not of heads are named, stand apart and stay as they are", () => {
    const labels = [" the", " the"];
    const { el } = mountChart({ heads: [1], detail: detail({ ...BARS, labels, clickable: "" }) });
    const bars = [...el.querySelectorAll(".gh-panel-bar")];
    expect(count(el, ".gh-panel [role=button]")).toBe(0);
    expect(bars.map((bar) => bar.classList.contains("is-off"))).toEqual([false, false]);
    expect(bars[0]?.getAttribute("x")).not.toBe(bars[1]?.getAttribute("x"));
    expect(only(el, ".gh-panel-chart").textContent).toContain("the");
  });

  test("a table's text stays text, and its spaces can be seen", () => {
    const { el } = mountChart({ detail: detail(TABLE) });
    expect(count(el, "img")).toBe(0);
    const cells = [...el.querySelectorAll(".gh-panel-table td")].map((cell) => cell.textContent);
    expect(cells[0]).toBe("·sea");
    expect(cells[2]).toBe("<img·src=x·onerror=alert(1)>");
    expect(only(el, ".gh-panel-table td .gh-mark").textContent).toBe("·");
    expect([...el.querySelectorAll(".gh-panel-table th")].map((th) => th.textContent)).toEqual([
      ...["token", "probability"],
    ]);
  });

  test("titles, names and words are text as well", () => {
    const hostile = "<img src=x onerror=alert(1)>";
    const panels = [
      { ...HISTOGRAM, title: hostile, x: hostile, words: hostile },
      { ...BARS, labels: [hostile, "1"] },
      { ...TABLE, columns: [hostile, hostile] },
    ];
    const { el } = mountChart({
      frame: chartFrame({ title: hostile, note: hostile, help: [hostile], partial: hostile }),
      detail: detail(...panels),
    });
    expect(count(el, "img")).toBe(0);
    expect(find(el, ".gh-chart-title").textContent).toContain(hostile);
  });

  test("stays as it is, scrolled where it was, while only the pointer moves", () => {
    const { el, host } = mountChart({ detail: detail(TABLE), axes: selfAxes(["The", " whale"]) });
    const before = find(el, ".gh-panel-scroll");
    host.set({ hovered: 1 });
    expect(find(el, ".gh-panel-scroll")).toBe(before);
  });

  test("its table keeps the arrow keys that scroll it", () => {
    const { el, host } = mountChart({ frame: heatFrame(), detail: detail(TABLE), layer: 1 });
    press(find(el, ".gh-panel-scroll"), "ArrowDown");
    press(find(el, ".gh-panel-scroll"), "ArrowLeft");
    expect([host.state.layer, host.state.heads]).toEqual([1, []]);
  });
});
